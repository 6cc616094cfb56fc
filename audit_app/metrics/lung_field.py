"""Roughly where the lungs are on a frontal radiograph: a rule, no network, None when it fails."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

# Of the picture: smaller dark places are gas or collimation, larger ones are no lung field.
SMALLEST_LUNG: Final = 0.02
SMALLEST_FIELD: Final = 0.08
LARGEST_FIELD: Final = 0.75
SMOOTHING_SHARE: Final = 0.02
# How much of the picture is darker than each threshold that is tried.
DARK_SHARES: Final = tuple(percent / 100 for percent in range(10, 75, 5))


def estimate_lung_field(picture: NDArray[np.uint8]) -> Mask | None:
    """The convex hull of the dark places inside the chest; it spans what lies between the lungs.

    Meant for choosing a place to compare with, not for measuring lungs: an opacity is inside, and
    so is the mediastinum.

    Args:
        picture: Shape (H, W), lungs dark.

    Returns:
        Shape (H, W), or None when no two dark places of a plausible size lie side by side.

    Source:
        Thresholds after smoothing, without what touches the border, the two largest of the rest:
        the classical rule-based segmentation (van Ginneken et al. 2001, section 3.1). One
        threshold for all pictures joins lungs and the dark around the body on most of them, so
        the one that gives the largest pair of lungs is taken.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.morphology import convex_hull_image

    if picture.size == 0 or picture.min() == picture.max():
        return None
    smooth = gaussian_filter(picture.astype(np.float64), SMOOTHING_SHARE * min(picture.shape))
    found = [_two_lungs(smooth < limit) for limit in np.quantile(smooth, DARK_SHARES)]
    best = max((lungs for lungs in found if lungs is not None), key=np.count_nonzero, default=None)
    if best is None:
        return None
    hull: Mask = convex_hull_image(best)  # type: ignore[no-untyped-call] # no stubs
    share = float(hull.mean())
    return hull if SMALLEST_FIELD <= share <= LARGEST_FIELD else None


def _two_lungs(dark: Mask) -> Mask | None:
    """The two largest parts away from the border, where both are large and side by side."""
    from scipy.ndimage import label
    from skimage.segmentation import clear_border

    parts, _ = label(clear_border(dark))  # type: ignore[no-untyped-call] # no stubs
    sizes = np.bincount(parts.ravel())[1:]
    lungs = np.argsort(sizes)[::-1][:2] + 1
    if len(lungs) < 2 or sizes[lungs[1] - 1] < SMALLEST_LUNG * dark.size:
        return None
    one, other = (parts == lung for lung in lungs)
    return one | other if _side_by_side(one, other) else None


def _side_by_side(one: Mask, other: Mask) -> bool:
    """Whether the two overlap in height more than in width."""
    rows = np.count_nonzero(one.any(axis=1) & other.any(axis=1))
    columns = np.count_nonzero(one.any(axis=0) & other.any(axis=0))
    return bool(rows > columns)
