"""All findings' maps from one forward pass, with pytorch-grad-cam's own weights and aggregation.

The library runs forward and backward through the whole network once per finding. Here the network
runs once, nothing before the target layer is recorded, and each finding costs one backward pass
from its score to that layer. What a method makes of activations and gradients stays the library's.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_grad_cam.base_cam import BaseCAM
from torch import Tensor, nn

from model_store.errors import UnsuitableLayer
from model_store.modes import Mode
from model_store.saliency.layers import TargetLayer
from model_store.saliency.methods import SaliencyResult
from model_store.saliency.state import as_found


def explain_all(method: type[BaseCAM], mode: Mode, x: Tensor) -> SaliencyResult:
    """The maps of all findings by this class of the library.

    Args:
        method: Its ``get_cam_image`` turns activations and gradients (K, C, rows, columns) into
            maps (K, rows, columns).
        mode: The network, its findings and its target layer.
        x: Shape (1, 3, h, w).

    Returns:
        The positive part of the maps, bilinear (half-pixel centres) on the input grid, not
        stretched.

    Raises:
        ValueError: If ``x`` is not one picture.
        UnsuitableLayer: If no gradient of a patch reaches the layer.
    """
    if x.ndim != 4 or x.shape[0] != 1 or x.shape[1] != 3:
        raise ValueError(
            f"input of shape {tuple(x.shape)} given; expected one picture (1, 3, h, w)"
        )
    with as_found(mode.network):
        # Without target layers the library adds no hooks; it also switches to evaluation mode.
        cam = method(model=mode.network, target_layers=[])
        activations, gradients, scores = _record(mode.network, mode.target, x.to(mode.device))
        coarse = cam.get_cam_image(
            x,
            mode.target.module,
            [None] * len(scores),
            np.broadcast_to(activations, gradients.shape),
            gradients,
        )
    return SaliencyResult(maps=_on_input_grid(coarse, x), scores=scores)


def _record(
    network: nn.Module, target: TargetLayer, x: Tensor
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Activations (1, C, rows, columns), gradients (K, C, rows, columns) and scores (K,)."""
    leaves: list[Tensor] = []

    def cut(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        leaves.append(output.detach().requires_grad_(True))
        # A copy goes on: a layer that works in place must not change the leaf.
        return leaves[-1].clone()

    handle = target.module.register_forward_hook(cut)
    try:
        with torch.enable_grad():
            scores: Tensor = network(x)[0]
    finally:
        handle.remove()
    (leaf,) = leaves
    raw = torch.stack(_gradients(scores, leaf, target))
    _refuse_structural_zero(raw, target)
    return (
        target.reshape(leaf.detach()).cpu().numpy(),
        target.reshape(raw).cpu().numpy(),
        scores.detach().cpu().numpy(),
    )


def _gradients(scores: Tensor, leaf: Tensor, target: TargetLayer) -> list[Tensor]:
    """Of each score with respect to the layer's output, without the batch axis."""
    if not scores.requires_grad:
        _refuse(target, "no score depends on it")
    last = len(scores) - 1
    gradients = []
    for index, score in enumerate(scores):
        (gradient,) = torch.autograd.grad(score, leaf, retain_graph=index < last, allow_unused=True)
        if gradient is None:
            _refuse(target, "no score depends on it")
        gradients.append(gradient[0])
    return gradients


def _refuse_structural_zero(gradients: Tensor, target: TargetLayer) -> None:
    """Nothing, unless only the class token of this layer still reaches the scores."""
    prefix = target.prefix_tokens
    if prefix == 0 or bool(gradients[:, prefix:].any()) or not bool(gradients[:, :prefix].any()):
        return
    _refuse(
        target,
        "the model reads only its class token after it, so the gradient of every patch is zero",
    )


def _refuse(target: TargetLayer, reason: str) -> NoReturn:
    raise UnsuitableLayer(
        f"layer {target.path} gives no map: {reason}; choose 'auto', "
        "or an earlier layer such as visual.trunk.blocks[-1].norm1"
    )


def _on_input_grid(coarse: NDArray[np.floating], x: Tensor) -> NDArray[np.float32]:
    """The positive part of the maps (K, rows, columns) at (K, h, w)."""
    positive = torch.from_numpy(np.maximum(coarse, 0).astype(np.float32))
    fine = nn.functional.interpolate(
        positive[None], size=x.shape[-2:], mode="bilinear", align_corners=False
    )
    maps: NDArray[np.float32] = fine[0].numpy()
    return maps
