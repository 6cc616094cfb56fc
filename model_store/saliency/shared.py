"""All findings' maps from one forward pass, with pytorch-grad-cam's own weights and aggregation.

The library runs forward and backward through the whole network once per finding. Here the network
runs once, nothing before the target layer is recorded, and each finding costs one backward pass
from its score to that layer. What a method makes of activations and gradients stays the library's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_store.modes import Mode
from model_store.saliency.layers import TargetLayer, cut_at
from model_store.saliency.methods import SaliencyResult
from model_store.saliency.state import as_found

if TYPE_CHECKING:
    from pytorch_grad_cam.base_cam import BaseCAM

# What a tail records of more pictures at once costs more memory than it saves time.
PICTURES_AT_ONCE: Final = 4


@dataclass(frozen=True, eq=False)
class Recording:
    """A forward pass whose scores can be led back to one layer.

    Attributes:
        target: The layer.
        leaf: Its output, (B, ...).
        scores: Shape (B, K).
    """

    target: TargetLayer
    leaf: Tensor
    scores: Tensor

    @property
    def activations(self) -> Tensor:
        """Shape (B, C, rows, columns)."""
        return self.target.reshape(self.leaf.detach())

    def gradients(self) -> Iterator[Tensor]:
        """Each finding's gradient (B, C, rows, columns); one of them is held at a time.

        Pictures do not mix in evaluation mode, so the gradient of a sum over them is each one's.
        """
        last = self.scores.shape[1] - 1
        for index in range(last + 1):
            (gradient,) = torch.autograd.grad(
                self.scores[:, index].sum(), self.leaf, retain_graph=index < last
            )
            yield self.target.reshape(gradient)


def record(network: nn.Module, target: TargetLayer, x: Tensor) -> Recording:
    """One forward pass of inputs (B, 3, h, w), recorded from the target layer on."""
    with cut_at(target.module) as leaves:
        scores: Tensor = network(x)
    (leaf,) = leaves
    return Recording(target, leaf, scores)


def observe(network: nn.Module, target: TargetLayer, x: Tensor) -> tuple[Tensor, Tensor]:
    """Activations (B, C, rows, columns) and scores (B, K) of one pass without gradients."""
    seen: list[Tensor] = []

    def note(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        # A later layer that works in place must not change it.
        seen.append(output.detach().clone())

    handle = target.module.register_forward_hook(note)
    try:
        with torch.no_grad():
            scores: Tensor = network(x)
    finally:
        handle.remove()
    (output,) = seen
    return target.reshape(output), scores


def explain_shared(library: type[BaseCAM], mode: Mode, x: Tensor) -> SaliencyResult:
    """The maps of all findings by this class of the library.

    Args:
        library: Its ``get_cam_image`` turns activations and gradients (B, C, rows, columns) into
            maps (B, rows, columns).
        mode: The network, its findings and its target layer.
        x: Shape (B, 3, h, w).

    Raises:
        ValueError: If ``x`` has another shape.
    """

    def explain(part: Tensor) -> SaliencyResult:
        with as_found(mode.network):
            # Without target layers the library adds no hooks.
            cam = library(model=mode.network, target_layers=[])
            recording = record(mode.network, mode.target, part)
            activations = recording.activations.cpu().numpy()
            coarse = [
                cam.get_cam_image(
                    part,
                    mode.target.module,
                    [None] * len(part),
                    activations,
                    gradient.cpu().numpy(),
                    eigen_smooth=False,
                )
                for gradient in recording.gradients()
            ]
        return result_of(torch.from_numpy(np.stack(coarse, axis=1)), recording.scores, part)

    return in_slices(explain, x.to(mode.device), PICTURES_AT_ONCE)


def in_slices(
    explain: Callable[[Tensor], SaliencyResult], x: Tensor, at_once: int
) -> SaliencyResult:
    """What ``explain`` gives for all pictures, so many at once.

    Raises:
        ValueError: If ``x`` is not (B, 3, h, w) with at least one picture.
    """
    if x.ndim != 4 or x.shape[0] < 1 or x.shape[1] != 3:
        raise ValueError(
            f"input of shape {tuple(x.shape)} given; expected pictures (B, 3, h, w), at least one"
        )
    parts = [explain(x[start : start + at_once]) for start in range(0, len(x), at_once)]
    if len(parts) == 1:
        return parts[0]
    return SaliencyResult(
        maps=np.concatenate([part.maps for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
    )


def result_of(coarse: Tensor, scores: Tensor, x: Tensor) -> SaliencyResult:
    """The positive part of maps (B, K, rows, columns), bilinear (half-pixel centres) at (h, w)."""
    positive = coarse.detach().clamp(min=0).to(torch.float32)
    # Two products take half the time, or less, of torch's own enlarging of two directions at once.
    by_row, by_column = (
        linear_weights(before, after).to(positive.device)
        for before, after in zip(positive.shape[-2:], x.shape[-2:], strict=True)
    )
    maps: NDArray[np.float32] = (by_row @ positive @ by_column.T).cpu().numpy()
    return SaliencyResult(maps=maps, scores=scores.detach().to(torch.float32).cpu().numpy())


@lru_cache(maxsize=16)
def linear_weights(before: int, after: int) -> Tensor:
    """What each of ``after`` places takes of each of ``before``, (after, before), half-pixel."""
    with torch.no_grad():
        each = torch.eye(before)[None]
        return nn.functional.interpolate(each, size=after, mode="linear")[0].T.contiguous()


def same_for_all(coarse: Tensor, scores: Tensor, x: Tensor) -> SaliencyResult:
    """The map (B, rows, columns) of each picture, once for every finding."""
    result = result_of(coarse[:, None], scores, x)
    n_pictures, n_findings = result.scores.shape
    shape = (n_pictures, n_findings, *result.maps.shape[2:])
    return SaliencyResult(np.broadcast_to(result.maps, shape).copy(), result.scores)


def as_grid(values: Tensor, grid: tuple[int, int]) -> Tensor:
    """Values (..., rows * columns) as (..., rows, columns)."""
    return values.reshape(*values.shape[:-1], *grid)
