"""Grad-CAM: activations weighted by the mean gradient of a finding's score, positive part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_store.saliency.methods import SaliencyMethod, SaliencyResult

if TYPE_CHECKING:
    from torch import Tensor

    from model_store.modes import Mode


def gradcam_maps(mode: Mode, x: Tensor) -> SaliencyResult:
    """The Grad-CAM map of each finding.

    Args:
        mode: Its target layer is the one looked at.
        x: Shape (1, 3, h, w).

    Raises:
        UnsuitableLayer: If the layer cannot give a map; the message says why.
    """
    # The table is read by the page process, which must not load torch.
    from pytorch_grad_cam import GradCAM

    from model_store.saliency.all_findings import explain_all

    return explain_all(GradCAM, mode, x)


GRADCAM = SaliencyMethod(
    name="gradcam",
    description="Where the activations that raise a finding's score lie.",
    source="Selvaraju et al. 2017; pytorch-grad-cam",
    maps=gradcam_maps,
)
