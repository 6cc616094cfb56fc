"""RandomCAM: activations under random channel weights, a control that knows no finding."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model_store.saliency.methods import SaliencyMethod, SaliencyResult

if TYPE_CHECKING:
    from torch import Tensor

    from model_store.modes import Mode


def randomcam_maps(mode: Mode, x: Tensor) -> SaliencyResult:
    """The RandomCAM maps of each picture (B, 3, h, w) and finding.

    The weights are uniform in -1..1 as in pytorch-grad-cam, but seeded by picture and finding: the
    same question gets the same map, and two pictures or findings get unrelated ones.
    """
    import torch

    from model_store.saliency.shared import PICTURES_AT_ONCE, in_slices, observe, result_of
    from model_store.saliency.state import as_found

    def explain(part: Tensor) -> SaliencyResult:
        with as_found(mode.network):
            activations, scores = observe(mode.network, mode.target, part)
        n_channels = activations.shape[1]
        weights = np.stack(
            [
                [channel_weights(picture, finding, n_channels) for finding in mode.findings]
                for picture in part.cpu().numpy()
            ]
        )
        coarse = torch.einsum("bkc,bcij->bkij", torch.from_numpy(weights), activations.cpu())
        return result_of(coarse, scores, part)

    return in_slices(explain, x.to(mode.device), PICTURES_AT_ONCE)


def channel_weights(
    picture: NDArray[np.float32], finding: str, n_channels: int
) -> NDArray[np.float32]:
    """Shape (C,), uniform in -1..1, decided by the input (3, h, w) and the finding's name."""
    digest = hashlib.sha256(np.ascontiguousarray(picture).tobytes() + finding.encode()).digest()
    seed = int.from_bytes(digest[:8], "big")
    return np.random.default_rng(seed).uniform(-1, 1, n_channels).astype(np.float32)


RANDOMCAM = SaliencyMethod(
    name="randomcam",
    title="RandomCAM",
    description="A control: the layer's activations under random weights, seeded by picture.",
    source="pytorch-grad-cam (RandomCAM), with a seed",
    layer_rule="Reads the chosen layer's activations, no gradients.",
    per_finding=True,
    maps=randomcam_maps,
)
