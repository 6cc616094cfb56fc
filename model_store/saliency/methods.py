"""What a saliency method is, what it gives back, what a layer is called. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from model_store.modes import Mode


@dataclass(frozen=True, eq=False)
class SaliencyResult:
    """The maps of some pictures.

    Attributes:
        maps: Shape (B, K, h, w), not negative, on the model's input grid, in the unit of the
            method: never stretched to 0..1, so an empty map stays empty.
        scores: Shape (B, K): the mode's scores from the same forward pass.
    """

    maps: NDArray[np.float32]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class SaliencyMethod:
    """One way to ask a model where it looked.

    Attributes:
        name: Key of the table.
        title: What people call it.
        description: One sentence for the page.
        source: Publication and implementation.
        layer_rule: One sentence for the page: what it reads of the chosen layer.
        per_finding: False when all findings of a picture get the same map.
        maps: A mode and inputs (B, 3, h, w) to the maps of all its findings. Raises
            ``UnsuitableLayer`` when it cannot read the mode's layer; the message says why.
    """

    name: str
    title: str
    description: str
    source: str
    layer_rule: str
    per_finding: bool
    maps: Callable[[Mode, Tensor], SaliencyResult]


@dataclass(frozen=True)
class LayerChoice:
    """A layer that maps can be read from.

    Attributes:
        path: From the scoring network, for instance ``visual.trunk.blocks[-1].norm1``.
        title: For the page: ``Block 3 of 12``.
        grid: (rows, columns) of the map before it is enlarged.
        is_default: Whether ``auto`` means this one.
    """

    path: str
    title: str
    grid: tuple[int, int]
    is_default: bool
