"""LayerCAM: activations times positive gradients, place by place, summed over channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_store.saliency.methods import SaliencyMethod, SaliencyResult

if TYPE_CHECKING:
    from torch import Tensor

    from model_store.modes import Mode


def layercam_maps(mode: Mode, x: Tensor) -> SaliencyResult:
    """The LayerCAM maps of each picture (B, 3, h, w) and finding."""
    from pytorch_grad_cam import LayerCAM

    from model_store.saliency.shared import explain_shared

    return explain_shared(LayerCAM, mode, x)


LAYERCAM = SaliencyMethod(
    name="layercam",
    title="LayerCAM",
    description="Activations weighted place by place by positive gradients; suits early layers.",
    source="Jiang et al. 2021; pytorch-grad-cam",
    layer_rule="Reads the chosen layer's activations and gradients.",
    per_finding=True,
    maps=layercam_maps,
)
