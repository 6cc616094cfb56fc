"""HiResCAM: activations times gradients, place by place, summed over channels, positive part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_store.saliency.methods import SaliencyMethod, SaliencyResult

if TYPE_CHECKING:
    from torch import Tensor

    from model_store.modes import Mode


def hirescam_maps(mode: Mode, x: Tensor) -> SaliencyResult:
    """The HiResCAM maps of each picture and finding; in closed form where there is one.

    Args:
        mode: Its target layer is the one looked at.
        x: Shape (B, 3, h, w).

    Raises:
        ValueError: If ``x`` has another shape.
    """
    from model_store.saliency.lastblock import explain_hirescam, last_block_of
    from model_store.saliency.shared import explain_shared

    block = last_block_of(mode)
    if block is not None:
        return explain_hirescam(mode, block, x)
    # Slow to import, and not needed for the closed form.
    from pytorch_grad_cam import HiResCAM

    return explain_shared(HiResCAM, mode, x)


HIRESCAM = SaliencyMethod(
    name="hirescam",
    title="HiResCAM",
    description="What each place itself adds to a finding's score, without averaging over places.",
    source="Draelos and Carin 2020; pytorch-grad-cam, at a class token's last block in closed form",
    layer_rule="Reads the chosen layer's activations and gradients.",
    per_finding=True,
    maps=hirescam_maps,
)
