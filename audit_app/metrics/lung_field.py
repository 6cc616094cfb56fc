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


def estimate_lung_field(picture: NDArray[np.uint8]) -> Mask | None:
    """The convex hull of the dark places inside the chest; it spans what lies between the lungs.

    Meant for choosing a place to compare with, not for measuring lungs: an opacity is inside, and
    so is the mediastinum.

    Args:
        picture: Shape (H, W), lungs dark.

    Returns:
        Shape (H, W), or None when no two dark places of a plausible size lie side by side.

    Source:
        Otsu's threshold after smoothing, without what touches the border, the two largest of the
        rest: the classical rule-based segmentation (van Ginneken et al. 2001, section 3.1).
    """
    from scipy.ndimage import gaussian_filter, label
    from skimage.filters import threshold_otsu
    from skimage.morphology import convex_hull_image
    from skimage.segmentation import clear_border

    if picture.size == 0 or picture.min() == picture.max():
        return None
    smooth = gaussian_filter(picture.astype(np.float64), SMOOTHING_SHARE * min(picture.shape))
    limit = threshold_otsu(smooth)  # type: ignore[no-untyped-call] # no stubs
    dark = clear_border(smooth < limit)  # type: ignore[no-untyped-call] # no stubs
    parts, _ = label(dark)
    sizes = np.bincount(parts.ravel())[1:]
    lungs = np.argsort(sizes)[::-1][:2] + 1
    if len(lungs) < 2 or sizes[lungs[1] - 1] < SMALLEST_LUNG * picture.size:
        return None
    if not _side_by_side(parts == lungs[0], parts == lungs[1]):
        return None
    hull: Mask = convex_hull_image(np.isin(parts, lungs))  # type: ignore[no-untyped-call] # no stubs
    share = float(hull.mean())
    return hull if SMALLEST_FIELD <= share <= LARGEST_FIELD else None


def _side_by_side(one: Mask, other: Mask) -> bool:
    """Whether the two overlap in height more than in width."""
    rows = np.count_nonzero(one.any(axis=1) & other.any(axis=1))
    columns = np.count_nonzero(one.any(axis=0) & other.any(axis=0))
    return bool(rows > columns)
