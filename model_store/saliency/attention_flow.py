"""What attention rollout computes: the product of all blocks' attention, read where they pool."""

from __future__ import annotations

from collections.abc import Sequence
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
from model_store.saliency.pooling import pool_weights, pooled_tokens, pooling_of
from model_store.saliency.shared import PICTURES_AT_ONCE, as_grid, in_slices, same_for_all
from model_store.saliency.state import as_found
from model_store.saliency.towers import trunk_of


def explain_rollout(mode: Mode, x: Tensor) -> SaliencyResult:
    """The attention rollout of each picture (B, 3, h, w) up to the block of the mode's layer.

    Each block's attention, mean over heads, is mixed half and half with the identity, for the
    residual connection. The last block's tokens are read as the tower pools them: the class token,
    the mean over patches, or the mean attention of the pooling query.

    Raises:
        UnsuitableLayer: If the tower is no transformer, or the layer lies in none of its blocks.
    """
    visual = mode.network.visual
    pool = pooling_of_attention(visual)
    blocks = attention_blocks(visual)
    used = blocks[: block_of(blocks, mode.target.module, mode.target.path) + 1]

    def explain(part: Tensor) -> SaliencyResult:
        with as_found(mode.network), torch.no_grad():
            # The end of the trunk's blocks is what its last norm is given.
            with inputs_of([*(block.module for block in used), _after_blocks(visual)]) as seen:
                scores: Tensor = mode.network(part)
            flow = _flow(used, seen)
            read = _pooled(visual, pool, flow, seen[-1])
        patches = as_grid(read[:, mode.target.prefix_tokens :], mode.target.grid)
        return same_for_all(patches, scores, part)

    return in_slices(explain, x.to(mode.device), PICTURES_AT_ONCE)


def pooling_of_attention(visual: nn.Module) -> str:
    """How the tower pools; first of all, that it is a transformer."""
    attention_blocks(visual)
    return pooling_of(visual)


def _after_blocks(visual: nn.Module) -> nn.Module:
    trunk: Any = trunk_of(visual)[1]
    norm: nn.Module = trunk.norm if hasattr(trunk, "norm") else trunk.ln_post
    return norm


def _flow(blocks: Sequence[AttentionBlock], inputs: Sequence[Tensor]) -> Tensor:
    """How much of each input token is in each token after these blocks, (B, N, N)."""
    flow: Tensor | None = None
    for block, tokens in zip(blocks, inputs, strict=False):
        queries, keys, _ = block.split(block.norm(tokens))
        attention = block.attend(queries, keys).mean(dim=1)
        mixed = (attention + torch.eye(attention.shape[-1], device=attention.device)) / 2
        flow = mixed if flow is None else mixed @ flow
    if flow is None:
        raise ValueError("no block given; expected at least one")
    return flow


def _pooled(visual: nn.Module, pool: str, flow: Tensor, last: Tensor) -> Tensor:
    """How much of each input token is in the pooled vector, (B, N)."""
    trunk: Any = trunk_of(visual)[1]
    if pool == "token":
        return flow[:, 0]
    first = 0 if getattr(trunk, "pool_include_prefix", False) else _n_prefix(trunk)
    if pool == "avg":
        return flow[:, first:].mean(dim=1)
    weights, _ = pool_weights(trunk.attn_pool, pooled_tokens(trunk, trunk.norm(last)))
    return (weights.mean(dim=(1, 2))[:, None] @ flow[:, first:])[:, 0]


def _n_prefix(trunk: Any) -> int:
    return int(getattr(trunk, "num_prefix_tokens", 1))
