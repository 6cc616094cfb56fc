"""Grad-CAM++: channels weighted by their positive gradients, each place by its own share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_store.saliency.methods import SaliencyMethod, SaliencyResult

if TYPE_CHECKING:
    from torch import Tensor

    from model_store.modes import Mode


def gradcampp_maps(mode: Mode, x: Tensor) -> SaliencyResult:
    """The Grad-CAM++ maps of each picture (B, 3, h, w) and finding."""
    from pytorch_grad_cam import GradCAMPlusPlus

    from model_store.saliency.shared import explain_shared

    return explain_shared(GradCAMPlusPlus, mode, x)


GRADCAMPP = SaliencyMethod(
    name="gradcampp",
    title="Grad-CAM++",
    description="Grad-CAM that counts only gradients that raise the score, each place by itself.",
    source="Chattopadhyay et al. 2018; pytorch-grad-cam",
    layer_rule="Reads the chosen layer's activations and gradients.",
    per_finding=True,
    maps=gradcampp_maps,
)
