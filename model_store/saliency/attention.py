"""The attention of a transformer's blocks, taken apart: weights, values, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from open_clip.transformer import ResidualAttentionBlock
from open_clip.transformer import VisionTransformer as OpenClipTransformer
from timm.layers.attention import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from model_store.errors import UnsuitableLayer
from model_store.saliency.towers import trunk_of


@dataclass(frozen=True, eq=False)
class AttentionBlock:
    """One block: tokens, normalised, attend to each other; ``finish`` does the rest.

    Attributes:
        module: The block itself.
        norm: Gives what queries, keys and values are read from.
        n_heads: H.
        scale: Of the products of queries and keys.
        weight: Shape (3 A, D): rows of queries, keys and values; A is H times d.
        bias: Shape (3 A,), or None.
        query_norm: Of each head's queries.
        key_norm: Of each head's keys.
        finish: Tokens (B, N, D) before the block and what they attended to (B, N, A) to the
            tokens after it; each token by itself.
    """

    module: nn.Module
    norm: nn.Module
    n_heads: int
    scale: float
    weight: Tensor
    bias: Tensor | None
    query_norm: nn.Module
    key_norm: nn.Module
    finish: Callable[[Tensor, Tensor], Tensor]

    def split(self, normed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (B, H, N, d) of normalised tokens (B, N, D)."""
        n_pictures, n_tokens, _ = normed.shape
        joint = nn.functional.linear(normed, self.weight, self.bias)
        parts = joint.view(n_pictures, n_tokens, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        return self.query_norm(parts[0]), self.key_norm(parts[1]), parts[2]

    def attend(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Attention weights (B, H, N, N): row i says what token i reads; rows sum to 1."""
        return (queries @ keys.transpose(-2, -1) * self.scale).softmax(dim=-1)

    def read(self, weights: Tensor, values: Tensor) -> Tensor:
        """What the tokens attended to, (B, N, A)."""
        return (weights @ values).transpose(1, 2).flatten(2)


def attention_blocks(visual: nn.Module) -> tuple[AttentionBlock, ...]:
    """The blocks of a transformer, from the input on.

    Raises:
        UnsuitableLayer: If the tower is no transformer whose attention is known here.
    """
    blocks, take_apart = _blocks_of(visual)
    return tuple(take_apart(block) for block in blocks)


def last_attention_block(visual: nn.Module) -> tuple[AttentionBlock, int]:
    """The last block, and how many there are; the others may be of any kind.

    Raises:
        UnsuitableLayer: If the tower is no transformer whose attention is known here.
    """
    blocks, take_apart = _blocks_of(visual)
    return take_apart(blocks[-1]), len(blocks)


def block_of(blocks: Sequence[AttentionBlock], layer: nn.Module, path: str) -> int:
    """The number of the block that holds this layer.

    Raises:
        UnsuitableLayer: If none does.
    """
    for number, block in enumerate(blocks):
        if any(layer is each for each in block.module.modules()):
            return number
    raise UnsuitableLayer(
        f"layer {path} lies in none of the {len(blocks)} blocks; choose a block's first norm, "
        "whose attention is then read"
    )


@contextmanager
def inputs_of(modules: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """A list of what goes into these modules meanwhile, in the order in which they run."""
    seen: list[Tensor] = []

    def note(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen.append(inputs[0].detach())

    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_pre_hook(note).remove)
        yield seen


def _blocks_of(visual: nn.Module) -> tuple[Any, Callable[[Any], AttentionBlock]]:
    """The blocks as they are, and what takes one of them apart."""
    _, trunk = trunk_of(visual)
    if type(trunk) is VisionTransformer:
        return trunk.blocks, _timm_block
    if type(trunk) is OpenClipTransformer:
        return trunk.transformer.resblocks, _open_clip_block
    raise UnsuitableLayer(
        f"an image tower of type {type(trunk).__name__} has no attention that can be read; "
        "choose a method that reads activations, for instance gradcam"
    )


def _timm_block(block: Any) -> AttentionBlock:
    attention = block.attn
    known = type(block) is Block and type(attention) is Attention
    if not known or type(attention.qkv) is not nn.Linear or attention.gate is not None:
        raise _unknown(block, attention)

    def finish(tokens: Tensor, attended: Tensor) -> Tensor:
        between = tokens + block.ls1(attention.proj(attention.norm(attended)))
        after: Tensor = between + block.ls2(block.mlp(block.norm2(between)))
        return after

    return AttentionBlock(
        module=block,
        norm=block.norm1,
        n_heads=attention.num_heads,
        scale=attention.scale,
        weight=attention.qkv.weight,
        bias=attention.qkv.bias,
        query_norm=attention.q_norm,
        key_norm=attention.k_norm,
        finish=finish,
    )


def _open_clip_block(block: Any) -> AttentionBlock:
    attention = block.attn
    known = type(block) is ResidualAttentionBlock and type(attention) is nn.MultiheadAttention
    if not known or attention.in_proj_weight is None or attention.bias_k is not None:
        raise _unknown(block, attention)

    def finish(tokens: Tensor, attended: Tensor) -> Tensor:
        between = tokens + block.ls_1(attention.out_proj(attended))
        after: Tensor = between + block.ls_2(block.mlp(block.ln_2(between)))
        return after

    return AttentionBlock(
        module=block,
        norm=block.ln_1,
        n_heads=attention.num_heads,
        scale=attention.head_dim**-0.5,
        weight=attention.in_proj_weight,
        bias=attention.in_proj_bias,
        query_norm=nn.Identity(),
        key_norm=nn.Identity(),
        finish=finish,
    )


def _unknown(block: nn.Module, attention: nn.Module) -> UnsuitableLayer:
    return UnsuitableLayer(
        f"a {type(block).__name__} with {type(attention).__name__} has no attention that can be "
        "read; choose a method that reads activations, for instance gradcam"
    )
