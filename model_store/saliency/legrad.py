"""LeGrad: which attention, if it grew, would raise a finding's score, over all blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_store.saliency.methods import SaliencyMethod, SaliencyResult

if TYPE_CHECKING:
    from torch import Tensor

    from model_store.modes import Mode


def legrad_maps(mode: Mode, x: Tensor) -> SaliencyResult:
    """The LeGrad maps of each picture (B, 3, h, w) and finding.

    Raises:
        UnsuitableLayer: If the tower is no transformer, or the layer lies in none of its blocks.
    """
    from model_store.saliency.attention_gradient import explain_legrad

    return explain_legrad(mode, x)


LEGRAD = SaliencyMethod(
    name="legrad",
    title="LeGrad",
    description="Where more attention would raise a finding's score, mean over blocks and heads.",
    source="Bousselham et al. 2024, without the correction by an empty prompt",
    layer_rule="Adds up the attention gradients of all blocks up to that of the chosen layer.",
    per_finding=True,
    maps=legrad_maps,
)
