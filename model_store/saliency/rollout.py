"""Attention rollout: how much of each patch has flowed into what the model pools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_store.saliency.methods import SaliencyMethod, SaliencyResult

if TYPE_CHECKING:
    from torch import Tensor

    from model_store.modes import Mode


def rollout_maps(mode: Mode, x: Tensor) -> SaliencyResult:
    """The attention rollout of each picture (B, 3, h, w), the same for all findings.

    Raises:
        UnsuitableLayer: If the tower is no transformer, or the layer lies in none of its blocks.
    """
    from model_store.saliency.attention_flow import explain_rollout

    return explain_rollout(mode, x)


ROLLOUT = SaliencyMethod(
    name="rollout",
    title="Attention rollout",
    description="How much attention each place was paid; the same map for every finding.",
    source="Abnar and Zuidema 2020, mean over heads, with the residual connection",
    layer_rule="Multiplies the attention of all blocks up to that of the chosen layer.",
    per_finding=False,
    maps=rollout_maps,
)
