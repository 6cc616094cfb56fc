"""Grad-CAM: activations weighted by the mean gradient of a finding's score, positive part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_store.saliency.methods import SaliencyMethod, SaliencyResult

if TYPE_CHECKING:
    from torch import Tensor

    from model_store.modes import Mode


def gradcam_maps(mode: Mode, x: Tensor) -> SaliencyResult:
    """The Grad-CAM maps of each picture and finding; in closed form where there is one.

    Args:
        mode: Its target layer is the one looked at.
        x: Shape (B, 3, h, w).

    Raises:
        ValueError: If ``x`` has another shape.
    """
    # The table is read by the page process, which must not load torch.
    from model_store.saliency.lastblock import explain_gradcam, last_block_of
    from model_store.saliency.shared import explain_shared

    block = last_block_of(mode)
    if block is not None:
        return explain_gradcam(mode, block, x)
    # Slow to import, and not needed for the closed form.
    from pytorch_grad_cam import GradCAM

    return explain_shared(GradCAM, mode, x)


GRADCAM = SaliencyMethod(
    name="gradcam",
    title="Grad-CAM",
    description="Where the activations that raise a finding's score lie.",
    source="Selvaraju et al. 2017; pytorch-grad-cam, at a class token's last block in closed form",
    layer_rule="Reads the chosen layer's activations and gradients.",
    per_finding=True,
    maps=gradcam_maps,
)
