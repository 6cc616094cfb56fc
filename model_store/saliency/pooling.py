"""How a transformer makes one embedding of its tokens, taken apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer as OpenClipTransformer
from timm.layers.attention_pool import AttentionPoolLatent
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from model_store.classifiers import TimmTower
from model_store.errors import UnsuitableLayer
from model_store.saliency.towers import trunk_of

OPEN_CLIP_POOLS: Final = {"tok": "token", "avg": "avg"}
POOLS: Final = ("token", "avg", "map")
ADAPTERS: Final = (TimmModel, TimmTower)


def pooling_of(visual: nn.Module) -> str:
    """How the tower makes one vector of its tokens: ``token``, ``avg`` or ``map``.

    Raises:
        UnsuitableLayer: If it does so in another way.
    """
    _, trunk = trunk_of(visual)
    kind = "unknown"
    if type(trunk) is VisionTransformer and trunk.attn_pool is None:
        kind = trunk.global_pool
    elif type(trunk) is VisionTransformer and type(trunk.attn_pool) is AttentionPoolLatent:
        kind = "map"
    elif type(trunk) is OpenClipTransformer and trunk.attn_pool is None:
        kind = OPEN_CLIP_POOLS.get(trunk.pool_type, "unknown")
    if kind not in POOLS:
        raise UnsuitableLayer(
            f"how a {type(trunk).__name__} pools its tokens ({kind}) is not known here; "
            "choose a method that reads activations, for instance gradcam"
        )
    return kind


def pooled_embedding(visual: nn.Module) -> Callable[[Tensor], Tensor]:
    """What the tower makes of one pooled token: (B, D) to the embedding (B, E).

    A norm of the tokens is part of it unless attention pools them: that reads normalised tokens.

    Raises:
        UnsuitableLayer: If the tower is not one whose end is known here.
    """
    tower: Any = visual
    if type(tower) is OpenClipTransformer:
        return lambda pooled: _project(tower, tower.ln_post(pooled))
    _, trunk = trunk_of(tower)
    if type(trunk) is not VisionTransformer or type(tower) not in ADAPTERS:
        raise UnsuitableLayer(
            f"what a {type(tower).__name__} makes of its tokens is not known here; "
            "choose a method that reads activations, for instance gradcam"
        )
    norm = trunk.norm if trunk.attn_pool is None else nn.Identity()
    return lambda pooled: tower.head(trunk.head(trunk.fc_norm(norm(pooled))))


def pool_weights(pool: AttentionPoolLatent, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """What the pooling queries read of the tokens: weights (B, H, L, N); values (B, H, N, d)."""
    n_pictures, n_tokens, _ = tokens.shape
    if pool.pos_embed is not None:
        tokens = tokens + pool.pos_embed
    latent = pool.q(pool.latent.expand(n_pictures, -1, -1))
    queries = latent.view(n_pictures, pool.latent_len, pool.num_heads, -1).transpose(1, 2)
    joint = pool.kv(tokens).view(n_pictures, n_tokens, 2, pool.num_heads, -1)
    keys, values = joint.permute(2, 0, 3, 1, 4)
    products = pool.q_norm(queries) @ pool.k_norm(keys).transpose(-2, -1)
    return (products * pool.scale).softmax(dim=-1), values


def pool_read(pool: AttentionPoolLatent, weights: Tensor, values: Tensor) -> Tensor:
    """The pooled vector (B, D) that these weights make of the values."""
    read = pool.proj((weights @ values).transpose(1, 2).flatten(2))
    if pool.mlp is not None:
        read = read + pool.mlp(pool.norm(read))
    pooled: Tensor = read.mean(dim=1) if pool.pool == "avg" else read[:, 0]
    return pooled


def pooled_tokens(trunk: Any, tokens: Tensor) -> Tensor:
    """The tokens (B, N, D) that attention pooling reads."""
    return tokens if trunk.pool_include_prefix else tokens[:, trunk.num_prefix_tokens :]


def _project(visual: Any, pooled: Tensor) -> Tensor:
    return pooled if visual.proj is None else pooled @ visual.proj
