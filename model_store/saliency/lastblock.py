"""Grad-CAM and HiResCAM at the last block of a class-token transformer, in closed form.

Behind ``blocks[-1].norm1`` only the class token counts, and of the patches it reads nothing but
keys and values. So the gradient of any score with respect to the patches there can be written
down: with the class token's attention ``a`` (per head), what it read ``o = sum_n a_n v_n``, and
the gradient ``g`` of the score with respect to ``o``,

    d score / d v_n = a_n g
    d score / d s_n = a_n (g . v_n - g . o),   s_n = q . k_n * scale

and keys and values are linear in the patches. One forward pass, in which the last block runs for
the class token alone, gives everything; a finding costs the gradient of one token's end, and no
graph through a block is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from open_clip.transformer import VisionTransformer as OpenClipTransformer
from torch import Tensor, nn

from model_store.errors import UnsuitableLayer
from model_store.modes import Mode
from model_store.saliency.attention import AttentionBlock, last_attention_block
from model_store.saliency.layers import TargetLayer
from model_store.saliency.methods import SaliencyResult
from model_store.saliency.pooling import pooled_embedding, pooling_of
from model_store.saliency.shared import as_grid, in_slices, result_of
from model_store.saliency.state import as_found
from model_store.saliency.towers import token_grid, trunk_of
from model_store.scoring import Scorer

PICTURES_AT_ONCE: Final = 32
FEW_SCORES: Final = 64


@dataclass(frozen=True, eq=False)
class LastBlock:
    """The last block of a class-token tower, and what lies before and after it.

    Attributes:
        block: The last one.
        before: Inputs (B, 3, h, w) to the tokens (B, N, D) that enter it.
        end: The class token after it, (B, D), to the embedding (B, E).
        prefix: Tokens before the patches, the class token first.
        grid: (rows, columns) of the patches.
    """

    block: AttentionBlock
    before: Callable[[Tensor], Tensor]
    end: Callable[[Tensor], Tensor]
    prefix: int
    grid: tuple[int, int]


@dataclass(frozen=True, eq=False)
class ClassTokenPass:
    """What one forward pass leaves; H heads of d numbers, B pictures, N tokens.

    Attributes:
        activations: Shape (B, N, D), what the last block's first norm gave.
        token: Shape (B, D), the class token before the block.
        queries: Shape (B, H, d), the class token's.
        products: Shape (B, H, N), queries with keys, unscaled, without the keys' bias: it adds
            the same to every token, which no softmax sees.
        weights: Shape (B, H, N), the class token's attention.
        values: Shape (B, H, N, d).
    """

    activations: Tensor
    token: Tensor
    queries: Tensor
    products: Tensor
    weights: Tensor
    values: Tensor

    @property
    def attended(self) -> Tensor:
        """What the class token read, (B, H, d)."""
        return (self.weights[:, :, None] @ self.values)[:, :, 0]


def find_last_block(visual: nn.Module, layer: nn.Module) -> LastBlock | None:
    """The parts of the closed form, when this tower is read at this layer; else None.

    It holds for timm's and open_clip's own vision transformers whose class token is pooled, at the
    last block's first norm, with at least two blocks and without a norm of single heads. Types
    are compared exactly: a subclass may compute something else.
    """
    try:
        if pooling_of(visual) != "token":
            return None
        last, n_blocks = last_attention_block(visual)
        end = pooled_embedding(visual)
    except UnsuitableLayer:
        return None
    tokens = token_grid(visual)
    has_head_norms = any(type(each) is not nn.Identity for each in (last.query_norm, last.key_norm))
    if last.norm is not layer or has_head_norms or n_blocks < 2 or tokens is None:
        return None
    return LastBlock(last, _before(visual, n_blocks), end, tokens.prefix, tokens.size)


def explain_gradcam(mode: Mode, block: LastBlock, x: Tensor) -> SaliencyResult:
    """The Grad-CAM maps of all findings in closed form; the mode's layer is the block's norm."""
    return _explain(mode, block, x, gradcam_maps)


def explain_hirescam(mode: Mode, block: LastBlock, x: Tensor) -> SaliencyResult:
    """The HiResCAM maps of all findings in closed form; the mode's layer is the block's norm."""
    return _explain(mode, block, x, hirescam_maps)


def last_block_of(mode: Mode) -> LastBlock | None:
    """The parts of the closed form for this mode's tower and layer, or None."""
    target: TargetLayer = mode.target
    return find_last_block(mode.network.visual, target.module)


@torch.inference_mode()
def run(block: LastBlock, x: Tensor) -> ClassTokenPass:
    """One forward pass, the last block for the class token alone; recorded for no gradient."""
    part = block.block
    tokens = block.before(x)
    activations = part.norm(tokens)
    query_rows, key_rows, value_rows = part.weight.chunk(3)
    query_bias, _, value_bias = _biases(part)
    queries = nn.functional.linear(activations[:, 0], query_rows, query_bias)
    queries = queries.view(len(x), part.n_heads, -1)
    # The key matrix goes to the one query instead of to every token.
    by_head = key_rows.view(part.n_heads, queries.shape[-1], -1)
    readers = (queries.transpose(0, 1) @ by_head).transpose(0, 1)
    products = readers @ activations.transpose(1, 2)
    values = nn.functional.linear(activations, value_rows, value_bias)
    values = values.view(*activations.shape[:2], part.n_heads, -1).transpose(1, 2)
    return ClassTokenPass(
        activations=activations,
        token=tokens[:, 0],
        queries=queries,
        products=products,
        weights=(products * part.scale).softmax(dim=-1),
        values=values,
    )


def score_gradients(
    block: LastBlock, done: ClassTokenPass, scorer: Scorer, n_scores: int
) -> tuple[Tensor, Tensor]:
    """Scores (B, K), and their gradients with respect to what was read, (B, H, K, d).

    Args:
        block: What follows the attention.
        done: The forward pass.
        scorer: Of embeddings.
        n_scores: K.
    """
    if n_scores > FEW_SCORES:
        return many_gradients(block, done, scorer.score)
    with torch.enable_grad():
        # One copy of the token for each score: a plain backward pass then gives them all.
        attended = done.attended.flatten(1).repeat_interleave(n_scores, 0).requires_grad_(True)
        tokens = done.token.repeat_interleave(n_scores, 0)
        embedding = block.end(block.block.finish(tokens, attended))
    with torch.no_grad():
        own = embedding[::n_scores]
        scores, along = scorer.score(own), scorer.gradients(own)
    (gradients,) = torch.autograd.grad(embedding, attended, along.flatten(0, 1))
    by_head = gradients.view(-1, n_scores, *done.queries.shape[1:])
    return scores, by_head.transpose(1, 2)


def many_gradients(
    block: LastBlock, done: ClassTokenPass, score: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """The same from one copy of the token and a backward pass over all scores at once.

    Its bookkeeping costs more than copies of the token, as long as those are few.
    """
    with torch.enable_grad():
        attended = done.attended.detach().requires_grad_(True)
        after = block.block.finish(done.token[:, None], attended.flatten(1)[:, None])
        scores = score(block.end(after[:, 0]))
    n_scores = scores.shape[1]
    each = torch.eye(n_scores, dtype=scores.dtype, device=scores.device)
    each = each[:, None].expand(n_scores, *scores.shape)
    (gradients,) = torch.autograd.grad(scores, attended, each, is_grads_batched=True)
    return scores.detach(), gradients.permute(1, 2, 0, 3)


def gradcam_maps(block: LastBlock, done: ClassTokenPass, gradients: Tensor) -> Tensor:
    """Grad-CAM (B, K, rows, columns), with its negative part.

    The mean over patches of the gradient needs no patch's own: with the patches' attention, its
    sum and what was read of them, the gradients of values and products are summed at once.
    """
    patches = slice(block.prefix, None)
    weights = done.weights[:, :, None, patches]
    share = weights.sum(-1)
    read = (weights @ done.values[:, :, patches])[:, :, 0] - share * done.attended
    by_value = gradients * share[..., None]
    by_key = (gradients @ read[..., None]) * done.queries[:, :, None] * block.block.scale
    # In the order of the weight's rows: keys, then values.
    both = torch.stack([by_key, by_value], dim=1).permute(0, 3, 1, 2, 4).flatten(2)
    channel_weights = both @ block.block.weight[-both.shape[-1] :]
    n_patches = block.grid[0] * block.grid[1]
    maps = (channel_weights / n_patches) @ done.activations[:, patches].transpose(1, 2)
    return as_grid(maps, block.grid)


def hirescam_maps(block: LastBlock, done: ClassTokenPass, gradients: Tensor) -> Tensor:
    """HiResCAM (B, K, rows, columns), with its negative part: gradient times activation."""
    reading, along_values = _product_gradients(block, done, gradients)
    _, _, value_bias = _biases(block.block)
    if value_bias is not None:
        # Only what the patch itself put into its value counts.
        by_head = value_bias.view(block.block.n_heads, -1)
        along_values = along_values - torch.einsum("bhkd,hd->bhk", gradients, by_head)[..., None]
    by_value = done.weights[:, :, None] * along_values
    by_key = reading * done.products[:, :, None]
    maps = (by_value + by_key).sum(1)[..., block.prefix :]
    return as_grid(maps, block.grid)


def _explain(
    mode: Mode,
    block: LastBlock,
    x: Tensor,
    coarse: Callable[[LastBlock, ClassTokenPass, Tensor], Tensor],
) -> SaliencyResult:
    def explain(part: Tensor) -> SaliencyResult:
        with as_found(mode.network):
            done = run(block, part)
            scores, gradients = score_gradients(block, done, mode.network, len(mode.findings))
            # What is never recorded costs less: on a small network a tenth of a map's time.
            with torch.inference_mode():
                return result_of(coarse(block, done, gradients), scores, part)

    return in_slices(explain, x.to(mode.device), PICTURES_AT_ONCE)


def _product_gradients(
    block: LastBlock, done: ClassTokenPass, gradients: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradient of the unscaled products, and gradient times value; both (B, H, K, N)."""
    along_values = gradients @ done.values.transpose(-2, -1)
    weights = done.weights[:, :, None]
    mean = (along_values * weights).sum(-1, keepdim=True)
    return weights * (along_values - mean) * block.block.scale, along_values


def _biases(part: AttentionBlock) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    if part.bias is None:
        return (None, None, None)
    queries, keys, values = part.bias.chunk(3)
    return (queries, keys, values)


def _before(visual: nn.Module, n_blocks: int) -> Callable[[Tensor], Tensor]:
    """Inputs to the tokens that enter the last block, by the tower's own code."""
    trunk: Any = trunk_of(visual)[1]
    options = {"indices": [n_blocks - 2], "stop_early": True, "intermediates_only": True}

    def by_timm(x: Tensor) -> Tensor:
        ((patches, prefix),) = trunk.forward_intermediates(
            x, output_fmt="NLC", return_prefix_tokens=True, **options
        )
        return torch.cat([prefix, patches], dim=1)

    def by_open_clip(x: Tensor) -> Tensor:
        given = trunk.forward_intermediates(
            x, output_fmt="NLC", output_extra_tokens=True, **options
        )
        (patches,), (prefix,) = given["image_intermediates"], given["image_intermediates_prefix"]
        return torch.cat([prefix, patches], dim=1)

    return by_open_clip if type(trunk) is OpenClipTransformer else by_timm
