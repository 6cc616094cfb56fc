"""Overlap of a thresholded map with a region, and the share of its energy inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
FloatMap = NDArray[np.float64]

CURVE_THRESHOLDS: Final[tuple[float, ...]] = tuple(step / 20 for step in range(1, 20))
OTSU_BINS: Final = 256


def normalise(saliency: FloatMap) -> FloatMap:
    """The map scaled so that its minimum is 0 and its maximum 1.

    Args:
        saliency: Shape (H, W), finite, not constant.
    """
    low, high = float(saliency.min()), float(saliency.max())
    with np.errstate(over="ignore"):
        span = np.float64(high) - np.float64(low)
    if np.isinf(span):  # a range beyond the largest float: halves have one within
        return normalise(saliency / 2)
    scaled: FloatMap = (saliency - low) / span
    return scaled


def iou(prediction: Mask, region: Mask) -> float:
    """Pixels in both over pixels in either; 0.0 when the prediction is empty.

    Args:
        prediction: Shape (H, W).
        region: Shape (H, W), not empty.
    """
    both = int(np.count_nonzero(prediction & region))
    either = int(np.count_nonzero(prediction)) + int(np.count_nonzero(region)) - both
    return both / either


def iou_curve(
    normalised: FloatMap, region: Mask, thresholds: Sequence[float] = CURVE_THRESHOLDS
) -> tuple[float, ...]:
    """IoU of {map > t} with the region for each threshold t.

    Args:
        normalised: Shape (H, W), as ``normalise`` gives it.
        region: Shape (H, W), not empty.
        thresholds: Any order; the comparison is strict.
    """
    inside = normalised[region]
    values = []
    for threshold in thresholds:
        n_both = int(np.count_nonzero(inside > threshold))
        n_predicted = int(np.count_nonzero(normalised > threshold))
        values.append(n_both / (n_predicted + inside.size - n_both))
    return tuple(values)


def iou_otsu(normalised: FloatMap, region: Mask) -> float:
    """IoU at Otsu's threshold (256 bins, scikit-image) of the normalised map."""
    # Here, because scikit-image takes a second to load and the first page does not need it.
    from skimage.filters import threshold_otsu

    # From 0 to 1 the bins' edges are multiples of 1/256 and the product is exact, so this is
    # numpy.histogram's count to the pixel, in a tenth of its time.
    bins = np.minimum((normalised * OTSU_BINS).astype(np.intp), OTSU_BINS - 1)
    counts = np.bincount(bins.ravel(), minlength=OTSU_BINS)
    centres = (np.arange(OTSU_BINS) + 0.5) / OTSU_BINS
    threshold = threshold_otsu(hist=(counts, centres))  # type: ignore[no-untyped-call] # no stubs
    return iou(normalised > threshold, region)


def energy_in_region(saliency: FloatMap, region: Mask) -> float:
    """Sum of max(h, 0) in the region over the sum everywhere; 0.0 when nothing is positive.

    Args:
        saliency: Shape (H, W), finite, before any min-subtraction.
        region: Shape (H, W).

    Source:
        Energy-based pointing game, Wang et al. 2020 (Score-CAM).
    """
    highest = float(saliency.max())
    if highest <= 0:
        return 0.0
    # Divided by the maximum first, so that no sum overflows.
    positive = np.maximum(saliency, 0.0) / highest
    return float(positive[region].sum() / positive.sum())
