"""The pointing game and its distances: where the maximum of a map lies against a reference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_app.metrics.reference import GridShape, Reference

FloatMap = NDArray[np.float64]

TOLERANCE_PIXELS = 15
TOLERANCE_EDGE = 224


@dataclass(frozen=True, slots=True)
class Pointing:
    """What the maximal pixels of one map say.

    Attributes:
        hit: Share of the maximal pixels inside the reference.
        hit_tolerance: The same for the reference dilated by a closed disc.
        peak_distance: From the first maximum (row-major) to the reference, 0 inside.
    """

    hit: float
    hit_tolerance: float
    peak_distance: float


def point(
    saliency: FloatMap,
    reference: Reference,
    *,
    tolerance_radius: float,
    pixel_size: tuple[float, float] = (1.0, 1.0),
) -> Pointing:
    """Where the maximum lies.

    Args:
        saliency: Shape (H, W), finite.
        reference: On the same grid, not empty.
        tolerance_radius: Radius of the closed disc, in pixels of the grid.
        pixel_size: Height and width of a grid pixel in the unit that ``peak_distance`` shall have.

    Source:
        Pointing game, Zhang et al. 2016; ties by expectation under a random choice among them.
    """
    rows, columns = np.nonzero(saliency == saliency.max())
    in_grid = reference.square_distances(rows, columns, (1.0, 1.0))
    first = reference.square_distances(rows[:1], columns[:1], pixel_size)
    return Pointing(
        hit=float(np.mean(reference.mask[rows, columns])),
        hit_tolerance=float(np.mean(in_grid <= tolerance_radius**2)),
        peak_distance=math.sqrt(first[0]),
    )


def hit(saliency: FloatMap, reference: Reference) -> float:
    """Share of the map's maximal pixels that lie inside the reference.

    Args:
        saliency: Shape (H, W), finite.
        reference: On the same grid.

    Returns:
        0.0 for a constant map, which points nowhere; 0.0 or 1.0 when the maximum is unique, in
        between under ties.

    Source:
        Pointing game, Zhang et al. 2016; ties by expectation.
    """
    highest = saliency.max()
    if highest == saliency.min():
        return 0.0
    return float(np.mean(reference.mask[saliency == highest]))


def default_tolerance_radius(shape: GridShape) -> float:
    """15/224 of the shorter edge, in pixels of the grid."""
    # The product first: 15 * 448 / 224 is exactly 30, so the closed disc holds its border.
    return TOLERANCE_PIXELS * min(shape) / TOLERANCE_EDGE


def centre_hit(reference: Reference) -> float:
    """1.0 when the centre pixel (H // 2, W // 2) lies in the reference, else 0.0."""
    height, width = reference.mask.shape
    return float(reference.mask[height // 2, width // 2])
