"""What most readers marked: one mask of several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def majority_mask(masks: Sequence[Mask]) -> Mask:
    """The consensus: true where a pixel lies in more than half of the readers' masks.

    Args:
        masks: One per reader who read the image, each (H, W); all false from one who marked none.

    Returns:
        Shape (H, W). Half of the readers are not more than half: with two, both must agree.

    Raises:
        ValueError: If there is no mask or their shapes differ.
    """
    if not masks:
        raise ValueError("no mask was given; a majority needs at least one reader")
    shapes = {mask.shape for mask in masks}
    if len(shapes) > 1:
        raise ValueError(f"the masks have shapes {sorted(shapes)}; give one grid")
    votes = np.zeros(masks[0].shape, dtype=np.intp)
    for mask in masks:
        votes += mask.astype(np.bool_, copy=False)
    majority: Mask = 2 * votes > len(masks)
    return majority
