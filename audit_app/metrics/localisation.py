"""Agreement of one saliency map with one reader's boxes (definitions.md, section 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit_app.metrics.overlap import (
    CURVE_THRESHOLDS,
    energy_in_region,
    iou,
    iou_curve,
    iou_otsu,
    normalise,
)
from audit_app.metrics.pointing import centre_hit, default_tolerance_radius, point
from audit_app.metrics.ranking import area_under_roc
from audit_app.metrics.reference import GridShape, Reference, build_reference
from audit_app.metrics.shift_null import shift_null

# "not_visible" comes from the audit layer, which knows what the model saw.
MapStatus = Literal["ok", "no_evidence", "no_reference", "not_visible"]
HEADLINE_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class MapScore:
    """Every column that one map and its boxes determine; None where a number is undefined.

    ``peak_distance`` is in pixels of the grid unless a pixel size was given; ``tolerance_radius``
    is always in pixels of the grid. ``box_area_fraction`` is the union mask's share of the grid,
    which is also what a random point scores: ``chance_hit``.
    """

    status: MapStatus
    n_boxes: int
    tolerance_radius: float
    hit: float | None = None
    hit_tolerance: float | None = None
    iou: float | None = None
    iou_curve: tuple[float, ...] | None = None
    iou_otsu: float | None = None
    energy_in_box: float | None = None
    pixel_auroc: float | None = None
    peak_distance: float | None = None
    peak_distance_share: float | None = None
    chance_hit: float | None = None
    centre_hit: float | None = None
    shift_null_iou: float | None = None
    shift_p: float | None = None
    box_area_fraction: float | None = None


@dataclass(frozen=True, slots=True)
class ScoreSettings:
    """How a map is scored.

    Attributes:
        threshold: The headline threshold on the normalised map, in [0, 1].
        tolerance_radius: Of the closed disc, in grid pixels; None: 15/224 of the shorter edge.
        pixel_size: Height and width of a grid pixel in the unit of ``peak_distance``.
        diagonal: What ``peak_distance_share`` is a share of, in that unit; None: the grid's own.
    """

    threshold: float = HEADLINE_THRESHOLD
    tolerance_radius: float | None = None
    pixel_size: tuple[float, float] = (1.0, 1.0)
    diagonal: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be scored with."""
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold!r}; expected a number from 0 to 1")
        radius = self.tolerance_radius
        if radius is not None and not 0 <= radius < math.inf:
            raise ValueError(f"tolerance_radius is {radius!r}; expected a finite number >= 0")
        lengths = (*self.pixel_size, 1.0 if self.diagonal is None else self.diagonal)
        if not all(0 < length < math.inf for length in lengths):
            raise ValueError(
                f"pixel_size is {self.pixel_size!r} and diagonal {self.diagonal!r}; "
                "expected finite lengths > 0"
            )


def score_map(
    saliency: ArrayLike,
    boxes: Sequence[Sequence[float]],
    *,
    threshold: float = HEADLINE_THRESHOLD,
    tolerance_radius: float | None = None,
    pixel_size: tuple[float, float] = (1.0, 1.0),
    diagonal: float | None = None,
) -> MapScore:
    """How well one map agrees with the union of the boxes.

    Args:
        saliency: Shape (H, W), real and finite, any scale, on the evaluation grid.
        boxes: (x_min, y_min, x_max, y_max) in pixels of the same grid, half-open, whole or
            fractional; clipped to the grid.
        threshold: For ``iou``: predicted is where the normalised map is above it.
        tolerance_radius: Of the closed disc of ``hit_tolerance``, in grid pixels; None stands for
            15/224 of the shorter edge.
        pixel_size: Height and width of a grid pixel in the unit that ``peak_distance`` shall have,
            for instance original pixels.
        diagonal: The image's diagonal in that unit; None stands for the grid's own.

    Returns:
        Status "no_reference" with the columns None when no box covers a pixel centre; "no_evidence"
        when the map is constant: hit, IoU and energy 0, ``peak_distance`` None because there is no
        peak; else "ok". ``pixel_auroc`` is None when the boxes cover the whole grid.

    Raises:
        ValueError: If the map is not a finite real (H, W) array, a box is inverted or not four
            finite numbers, or a setting is out of range. The message quotes what was given.
    """
    settings = ScoreSettings(threshold, tolerance_radius, pixel_size, diagonal)
    values = checked_map(saliency)
    return score_reference(values, build_reference(boxes, _shape(values)), settings)


def score_reference(
    saliency: NDArray[np.float64], reference: Reference, settings: ScoreSettings
) -> MapScore:
    """``score_map`` for a map that was checked and a reference that was built before.

    Raises:
        ValueError: If map and reference lie on different grids.
    """
    shape = _shape(saliency)
    if reference.mask.shape != shape:
        raise ValueError(f"the map is {shape}, the reference {reference.mask.shape}; give one grid")
    radius = settings.tolerance_radius
    radius = default_tolerance_radius(shape) if radius is None else radius
    if reference.n_pixels == 0:
        return MapScore("no_reference", reference.n_boxes, radius)
    if saliency.max() == saliency.min():
        return _score_constant(reference, radius)
    return _score_varied(saliency, reference, settings, radius)


def checked_map(saliency: ArrayLike) -> NDArray[np.float64]:
    """The map as float64.

    Raises:
        ValueError: If it is not a finite real array of shape (H, W) with at least one pixel.
    """
    array = np.asarray(saliency)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"the map holds {array.dtype}; expected real numbers")
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"the map has shape {array.shape}; expected (H, W) with H, W >= 1")
    values = array.astype(np.float64, copy=False)
    finite = np.isfinite(values)
    if not finite.all():
        row, column = (int(index) for index in np.argwhere(~finite)[0])
        raise ValueError(
            f"the map holds {values.size - int(finite.sum())} non-finite values, the first is "
            f"{values[row, column]} at row {row}, column {column}; expected finite numbers"
        )
    return values


def _score_constant(reference: Reference, radius: float) -> MapScore:
    """A map that says the same everywhere is no evidence for any place, whatever its value."""
    share = reference.n_pixels / reference.mask.size
    return MapScore(
        status="no_evidence",
        n_boxes=reference.n_boxes,
        tolerance_radius=radius,
        hit=0.0,
        hit_tolerance=0.0,
        iou=0.0,
        iou_curve=(0.0,) * len(CURVE_THRESHOLDS),
        iou_otsu=0.0,
        energy_in_box=0.0,
        pixel_auroc=None if reference.n_pixels == reference.mask.size else 0.5,
        chance_hit=share,
        centre_hit=centre_hit(reference),
        # Nothing is predicted, so every shift overlaps by 0, which is also what is observed.
        shift_null_iou=0.0,
        shift_p=1.0,
        box_area_fraction=share,
    )


def _score_varied(
    saliency: NDArray[np.float64], reference: Reference, settings: ScoreSettings, radius: float
) -> MapScore:
    mask = reference.mask
    share = reference.n_pixels / mask.size
    normalised = normalise(saliency)
    prediction = normalised > settings.threshold
    pointing = point(saliency, reference, tolerance_radius=radius, pixel_size=settings.pixel_size)
    null = shift_null(prediction, mask)
    return MapScore(
        status="ok",
        n_boxes=reference.n_boxes,
        tolerance_radius=radius,
        hit=pointing.hit,
        hit_tolerance=pointing.hit_tolerance,
        iou=iou(prediction, mask),
        iou_curve=iou_curve(normalised, mask),
        iou_otsu=iou_otsu(normalised, mask),
        energy_in_box=energy_in_region(saliency, mask),
        pixel_auroc=area_under_roc(saliency[mask], saliency[~mask]),
        peak_distance=pointing.peak_distance,
        peak_distance_share=pointing.peak_distance / _diagonal(mask.shape, settings),
        chance_hit=share,
        centre_hit=centre_hit(reference),
        shift_null_iou=null.mean_iou,
        shift_p=null.p_value,
        box_area_fraction=share,
    )


def _diagonal(shape: tuple[int, ...], settings: ScoreSettings) -> float:
    if settings.diagonal is not None:
        return settings.diagonal
    height_px, width_px = settings.pixel_size
    return math.hypot(shape[0] * height_px, shape[1] * width_px)


def _shape(values: NDArray[np.float64]) -> GridShape:
    return (values.shape[0], values.shape[1])
