"""What a saliency method is, and what it gives back. Imports no torch."""

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
    """One picture's maps.

    Attributes:
        maps: Shape (K, h, w), not negative, on the model's input grid, in the unit of the method:
            never stretched to 0..1, so an empty map stays empty.
        scores: Shape (K,): the mode's scores from the same forward pass.
    """

    maps: NDArray[np.float32]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class SaliencyMethod:
    """One way to ask a model where it looked.

    Attributes:
        name: Key of the table.
        description: One sentence for the page.
        source: Publication and implementation.
        maps: A mode and an input (1, 3, h, w) to the maps of all its findings.
    """

    name: str
    description: str
    source: str
    maps: Callable[[Mode, Tensor], SaliencyResult]
