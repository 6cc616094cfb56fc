"""What LeGrad computes: each block's own score, led back to attention weights.

The score of a block is that of its tokens pooled as the paper does it: their mean, through the
tower's last norm and projection; or, where the tower pools by attention, that pooling, whose own
attention weights are then the ones led back to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from model_store.modes import Mode
from model_store.saliency.attention import (
    AttentionBlock,
    attention_blocks,
    block_of,
    inputs_of,
)
from model_store.saliency.methods import SaliencyResult
from model_store.saliency.pooling import (
    pool_read,
    pool_weights,
    pooled_embedding,
    pooled_tokens,
    pooling_of,
)
from model_store.saliency.shared import PICTURES_AT_ONCE, as_grid, in_slices, result_of
from model_store.saliency.state import as_found
from model_store.saliency.towers import trunk_of

Score = Callable[[Tensor], Tensor]


def explain_legrad(mode: Mode, x: Tensor) -> SaliencyResult:
    """The LeGrad maps of each picture (B, 3, h, w) and finding, up to the mode's block.

    Raises:
        UnsuitableLayer: If the tower is no transformer, or the layer lies in none of its blocks.
    """
    visual = mode.network.visual
    blocks = attention_blocks(visual)
    used = blocks[: block_of(blocks, mode.target.module, mode.target.path) + 1]
    by_pool = pooling_of(visual) == "map"
    end = pooled_embedding(visual)

    def score(pooled: Tensor) -> Tensor:
        return mode.network.score(end(pooled))

    def explain(part: Tensor) -> SaliencyResult:
        with as_found(mode.network):
            with torch.no_grad(), inputs_of([block.module for block in used]) as seen:
                scores: Tensor = mode.network(part)
            total = torch.zeros(*scores.shape, _n_tokens(seen), device=part.device)
            for block, tokens in zip(used, seen, strict=True):
                sensitivity = _by_pool if by_pool else _by_block
                for index, one in enumerate(sensitivity(visual, block, tokens, score)):
                    total[:, index] += one / len(used)
        patches = as_grid(total[..., mode.target.prefix_tokens :], mode.target.grid)
        return result_of(patches, scores, part)

    return in_slices(explain, x.to(mode.device), PICTURES_AT_ONCE)


def _by_block(
    _visual: nn.Module, block: AttentionBlock, tokens: Tensor, score: Score
) -> Iterator[Tensor]:
    """Of each finding (B, N): the block's own attention, its tokens pooled by their mean."""
    with torch.no_grad():
        queries, keys, values = block.split(block.norm(tokens))
        weights = block.attend(queries, keys)
    weights.requires_grad_(True)
    with torch.enable_grad():
        after = block.finish(tokens, block.read(weights, values))
        scores = score(after.mean(dim=1))
    yield from _sensitivities(scores, weights)


def _by_pool(
    visual: nn.Module, block: AttentionBlock, tokens: Tensor, score: Score
) -> Iterator[Tensor]:
    """Of each finding (B, N): the pooling query's attention to the tokens after this block."""
    trunk: Any = trunk_of(visual)[1]
    with torch.no_grad():
        queries, keys, values = block.split(block.norm(tokens))
        after = block.finish(tokens, block.read(block.attend(queries, keys), values))
        read = pooled_tokens(trunk, trunk.norm(after))
        weights, values = pool_weights(trunk.attn_pool, read)
    weights.requires_grad_(True)
    with torch.enable_grad():
        # The pooled vector is past the trunk's last norm: only what follows the pool is left.
        scores = score(pool_read(trunk.attn_pool, weights, values))
    left_out = tokens.shape[1] - read.shape[1]
    for one in _sensitivities(scores, weights):
        yield nn.functional.pad(one, (left_out, 0))


def _sensitivities(scores: Tensor, weights: Tensor) -> Iterator[Tensor]:
    """Positive gradients of each finding's score, the mean over heads and readers, (B, N)."""
    last = scores.shape[1] - 1
    for index in range(last + 1):
        (gradient,) = torch.autograd.grad(
            scores[:, index].sum(), weights, retain_graph=index < last
        )
        yield gradient.clamp(min=0).mean(dim=(1, 2))


def _n_tokens(inputs: list[Tensor]) -> int:
    return inputs[0].shape[1]
