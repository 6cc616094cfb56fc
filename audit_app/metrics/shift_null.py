"""What overlap a prediction of this shape would have by luck: all circular shifts, exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ShiftNull:
    """The null distribution's mean and the observed value's place in it.

    Attributes:
        mean_iou: Mean IoU over all H x W circular shifts of the reference.
        p_value: Share of those shifts, the identity included, with an IoU at least the observed.
    """

    mean_iou: float
    p_value: float


def shift_null(prediction: Mask, region: Mask) -> ShiftNull:
    """IoU of ``prediction`` with every circular shift of ``region``.

    Args:
        prediction: Shape (H, W).
        region: Shape (H, W), not empty.

    Raises:
        ValueError: If the shapes differ or the region is empty.
    """
    if prediction.shape != region.shape:
        raise ValueError(f"prediction is {prediction.shape}, region {region.shape}; give one grid")
    n_region = int(np.count_nonzero(region))
    if n_region == 0:
        raise ValueError("the region holds no pixel; a null needs at least one")
    counts = shift_overlaps(prediction, region)
    total = int(np.count_nonzero(prediction)) + n_region
    # Equal overlaps give equal IoUs and the IoU grows with the overlap, so counting whole numbers
    # decides ">= observed" exactly.
    how_often = np.bincount(counts.ravel(), minlength=1)
    overlaps = np.arange(len(how_often))
    mean_iou = float(how_often @ (overlaps / (total - overlaps)) / counts.size)
    n_at_least = int(how_often[counts[0, 0] :].sum())
    return ShiftNull(mean_iou, n_at_least / counts.size)


def shift_overlaps(prediction: Mask, region: Mask) -> NDArray[np.int64]:
    """Pixels that ``prediction`` shares with each circular shift of ``region``.

    Returns:
        Shape (H, W): element (a, b) is the overlap with the region shifted by a rows and b columns;
        (0, 0) is the observed one.
    """
    spectrum = np.fft.rfft2(prediction.astype(np.float64))
    spectrum *= np.conj(_spectrum(region))
    overlaps = np.fft.irfft2(spectrum, s=prediction.shape)
    counts: NDArray[np.int64] = np.rint(overlaps, out=overlaps).astype(np.int64)
    return counts


def _spectrum(region: Mask) -> NDArray[np.complex128]:
    """The two-dimensional transform; of a rectangle, which most regions are, by its two edges."""
    rows, columns = region.any(axis=1), region.any(axis=0)
    if np.count_nonzero(rows) * np.count_nonzero(columns) == np.count_nonzero(region):
        edges = np.fft.fft(rows.astype(np.float64)), np.fft.rfft(columns.astype(np.float64))
        return edges[0][:, None] * edges[1]
    return np.fft.rfft2(region.astype(np.float64))
