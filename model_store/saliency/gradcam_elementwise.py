"""Grad-CAM element by element: activation times gradient, positive part before the sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_store.saliency.methods import SaliencyMethod, SaliencyResult

if TYPE_CHECKING:
    from torch import Tensor

    from model_store.modes import Mode


def gradcam_elementwise_maps(mode: Mode, x: Tensor) -> SaliencyResult:
    """The element-wise Grad-CAM maps of each picture (B, 3, h, w) and finding."""
    from pytorch_grad_cam import GradCAMElementWise

    from model_store.saliency.shared import explain_shared

    return explain_shared(GradCAMElementWise, mode, x)


GRADCAM_ELEMENTWISE = SaliencyMethod(
    name="gradcam_elementwise",
    title="Grad-CAM element-wise",
    description="HiResCAM that drops what speaks against a finding before it sums the channels.",
    source="pytorch-grad-cam (GradCAMElementWise)",
    layer_rule="Reads the chosen layer's activations and gradients.",
    per_finding=True,
    maps=gradcam_elementwise_maps,
)
