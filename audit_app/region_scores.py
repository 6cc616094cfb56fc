"""A map against boxes and shapes of the original picture: on which grid, and how they get there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from annotations.regions import Box, Outline, outline_mask
from audit_app.metrics.localisation import (
    MapScore,
    ScoreSettings,
    checked_map,
    score_reference,
)
from audit_app.metrics.pointing import FloatMap, default_tolerance_radius
from audit_app.metrics.reference import (
    GridShape,
    Mask,
    Reference,
    build_reference,
    mask_reference,
)
from model_store.preprocessing import FrameGeometry

GridName = Literal["model", "original"]
GRIDS: Final[dict[GridName, str]] = {
    "model": (
        "working grid: the model's input grid without padding, which is the field of view at "
        "the model's resolution; observed and null on the same grid"
    ),
    "original": (
        "the original picture's pixels in the field of view; maps are brought there bilinearly, "
        "through the exact inverse of the model's transform; observed and null on the same grid"
    ),
}


@dataclass(frozen=True, slots=True)
class RegionScore:
    """Agreement of one map with one finding's outlines.

    Attributes:
        score: The columns of the map.
        visible_fraction: Share of the outlines' area that the model saw.
        peak: x and y of the first maximum in original pixels; None without a maximum.
        grid: (H, W) that was compared on.
    """

    score: MapScore
    visible_fraction: float
    peak: tuple[float, float] | None
    grid: GridShape


@dataclass(frozen=True, slots=True)
class WorkingFrame:
    """Where maps and outlines of one picture meet.

    Attributes:
        geometry: Of this picture's transform.
        grid: ``model``: the model's input grid without padding. ``original``: the original pixels
            that the model saw.
    """

    geometry: FrameGeometry
    grid: GridName = "model"

    @property
    def shape(self) -> GridShape:
        """(H, W) of the frame."""
        left, top, right, bottom = self._window
        return (bottom - top, right - left)

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Height and width of one of its pixels, in original pixels."""
        if self.grid == "original":
            return (1.0, 1.0)
        return (1.0 / self.geometry.scale_y, 1.0 / self.geometry.scale_x)

    def values(self, saliency: FloatMap) -> FloatMap:
        """The map here; ``saliency`` has shape (h, w), the model's input grid."""
        if self.grid == "original":
            return self.geometry.to_original(saliency).values.astype(np.float64)
        return crop_to_picture(saliency, self.geometry)

    def reference(self, outlines: Sequence[Outline]) -> Reference:
        """The union of boxes and shapes in original pixels, here."""
        if self.grid == "model":
            return region_reference(outlines, self.geometry)
        left, top, right, bottom = self._window
        boxes = [one for one in outlines if isinstance(one, Box)]
        if len(boxes) == len(outlines):
            corners = [one.corners for one in boxes]
            moved = [(a - left, b - top, c - left, d - top) for a, b, c, d in corners]
            return build_reference(moved, self.shape)
        mask = outline_mask(tuple(outlines), self.geometry.image_size)
        return mask_reference(mask[top:bottom, left:right], n_boxes=len(outlines))

    def in_image(self, row: int, column: int) -> tuple[float, float]:
        """The x and y of a pixel's centre, in original pixels."""
        left, top, _, _ = self._window
        x, y = left + column + 0.5, top + row + 0.5
        if self.grid == "original":
            return (x, y)
        geometry = self.geometry
        return (
            (x + geometry.offset_x) / geometry.scale_x,
            (y + geometry.offset_y) / geometry.scale_y,
        )

    @property
    def _window(self) -> tuple[int, int, int, int]:
        return self.geometry.window if self.grid == "original" else self.geometry.input_window


def score_region(
    saliency: NDArray[np.floating],
    outlines: Sequence[Outline],
    frame: WorkingFrame,
    *,
    threshold: float,
) -> RegionScore:
    """Agreement of a map on the model's grid with boxes and shapes in original pixels.

    ``peak_distance`` is in original pixels, its share is of the original image's diagonal,
    ``tolerance_radius`` is in pixels of the frame.

    Args:
        saliency: Shape (h, w), the model's input grid.
        outlines: At least one, in original pixels; of a shape its mask counts, not its box.
        frame: Where the two are compared.
        threshold: Of the headline IoU.

    Returns:
        Status "not_visible" when the model saw nothing of the outlines.

    Raises:
        ValueError: If the map is on another grid or not finite.
    """
    geometry = frame.geometry
    values = checked_map(saliency)
    if values.shape != tuple(geometry.input_size):
        raise ValueError(f"the map is {values.shape}; the model's grid is {geometry.input_size}")
    visible_fraction = visible_share(outlines, geometry)
    if visible_fraction == 0:
        radius = default_tolerance_radius(frame.shape)
        hidden = MapScore("not_visible", len(outlines), radius)
        return RegionScore(hidden, 0.0, None, frame.shape)
    settings = ScoreSettings(
        threshold=threshold,
        pixel_size=frame.pixel_size,
        diagonal=math.hypot(*geometry.image_size),
    )
    here = frame.values(values)
    score = score_reference(here, frame.reference(outlines), settings)
    row, column = np.unravel_index(int(np.argmax(here)), here.shape)
    peak = frame.in_image(int(row), int(column)) if score.status == "ok" else None
    return RegionScore(score, visible_fraction, peak, frame.shape)


def score_region_map(
    saliency: NDArray[np.floating],
    outlines: Sequence[Outline],
    geometry: FrameGeometry,
    *,
    threshold: float,
) -> tuple[MapScore, float]:
    """``score_region`` on the model's grid: the score, and the share that the model saw.

    Raises:
        ValueError: If the map is on another grid or not finite.
    """
    frame = WorkingFrame(geometry)
    found = score_region(saliency, outlines, frame, threshold=threshold)
    return found.score, found.visible_fraction


def working_grid(geometry: FrameGeometry) -> GridShape:
    """(H, W) of the grid on which agreement is computed."""
    left, top, right, bottom = geometry.input_window
    return (bottom - top, right - left)


def crop_to_picture(values: FloatMap, geometry: FrameGeometry) -> FloatMap:
    """The part of a model-grid map that shows the picture and not padding."""
    left, top, right, bottom = geometry.input_window
    return values[top:bottom, left:right]


def region_reference(outlines: Sequence[Outline], geometry: FrameGeometry) -> Reference:
    """The union of boxes and shapes in original pixels, on the working grid."""
    boxes = [one for one in outlines if isinstance(one, Box)]
    grid = working_grid(geometry)
    if len(boxes) == len(outlines):
        return build_reference([_on_grid(box, geometry) for box in boxes], grid)
    mask = np.logical_or.reduce([region_mask(one, geometry) for one in outlines])
    return mask_reference(mask, n_boxes=len(outlines))


def region_mask(outline: Outline, geometry: FrameGeometry) -> Mask:
    """True where a pixel's centre of the working grid lies inside a box or shape.

    Args:
        outline: In original pixels.
        geometry: Of the picture's transform.
    """
    grid = working_grid(geometry)
    if isinstance(outline, Box):
        return build_reference([_on_grid(outline, geometry)], grid).mask
    left, top, _, _ = geometry.input_window
    offset_x, offset_y = geometry.offset_x + left, geometry.offset_y + top
    return outline_mask(
        [outline.mapped(geometry.scale_x, geometry.scale_y, offset_x, offset_y)], grid
    )


def visible_share(outlines: Sequence[Outline], geometry: FrameGeometry) -> float:
    """Share of the union of boxes and shapes, in original pixels, that the model saw: 0 to 1.

    Boxes alone are measured exactly; with a shape among them the area is that of the pixels whose
    centres lie inside, each as far as it is in the field of view.
    """
    boxes = [one for one in outlines if isinstance(one, Box)]
    if len(boxes) == len(outlines):
        return geometry.visible_fraction([box.corners for box in boxes])
    return _drawn_share(tuple(outlines), geometry)


# Every mode, method and layer asks for the same regions again.
@lru_cache(maxsize=256)
def _drawn_share(outlines: tuple[Outline, ...], geometry: FrameGeometry) -> float:
    height, width = geometry.image_size
    mask = outline_mask(outlines, (height, width))
    x_min, y_min, x_max, y_max = geometry.field_of_view
    rows, columns = _coverage(height, y_min, y_max), _coverage(width, x_min, x_max)
    return float(rows @ mask @ columns) / int(np.count_nonzero(mask))


def _coverage(length: int, low: float, high: float) -> NDArray[np.float64]:
    """How much of each pixel of a line lies between two positions."""
    edges = np.clip(np.arange(length + 1, dtype=np.float64), low, high)
    return np.diff(edges)


def _on_grid(box: Box, geometry: FrameGeometry) -> tuple[float, float, float, float]:
    left, top, _, _ = geometry.input_window
    x_min, y_min, x_max, y_max = geometry.to_input(box.corners)
    return (x_min - left, y_min - top, x_max - left, y_max - top)
