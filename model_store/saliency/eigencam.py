"""EigenCAM: the first principal component of a layer's activations, whatever the finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_store.saliency.methods import SaliencyMethod, SaliencyResult

if TYPE_CHECKING:
    from torch import Tensor

    from model_store.modes import Mode


def eigencam_maps(mode: Mode, x: Tensor) -> SaliencyResult:
    """The EigenCAM map of each picture (B, 3, h, w), the same for all findings."""
    import torch
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

    from model_store.saliency.shared import PICTURES_AT_ONCE, in_slices, observe, same_for_all
    from model_store.saliency.state import as_found

    def explain(part: Tensor) -> SaliencyResult:
        with as_found(mode.network):
            activations, scores = observe(mode.network, mode.target, part)
        projections = get_2d_projection(activations.cpu().numpy())
        return same_for_all(torch.from_numpy(projections), scores, part)

    return in_slices(explain, x.to(mode.device), PICTURES_AT_ONCE)


EIGENCAM = SaliencyMethod(
    name="eigencam",
    title="EigenCAM",
    description="What stands out most in the activations; the same map for every finding.",
    source="Muhammad and Yeasin 2020; pytorch-grad-cam",
    layer_rule="Reads the chosen layer's activations, no gradients.",
    per_finding=False,
    maps=eigencam_maps,
)
