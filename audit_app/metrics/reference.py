"""A reader's boxes on one pixel grid: whole-pixel rectangles and their union mask."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Corners = tuple[float, float, float, float]
GridShape = tuple[int, int]


class Rectangle(NamedTuple):
    """Half-open whole-pixel ranges: rows ``[top, bottom)``, columns ``[left, right)``."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True, eq=False)
class Reference:
    """The union of one reader's boxes of one finding, on one grid.

    Attributes:
        mask: Shape (H, W), true where a pixel's centre lies in at least one box.
        rectangles: Those boxes that cover at least one pixel centre, clipped to the grid.
        n_boxes: How many boxes were given, covered or not.
        n_pixels: Number of true pixels in ``mask``.
    """

    mask: Mask
    rectangles: tuple[Rectangle, ...]
    n_boxes: int
    n_pixels: int

    def square_distances(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp], pixel_size: tuple[float, float]
    ) -> NDArray[np.float64]:
        """Squared distance from each pixel's centre to the nearest centre inside the mask.

        Args:
            rows: Shape (n,), row numbers.
            columns: Shape (n,), column numbers.
            pixel_size: Height and width of a pixel, in the unit that the distance shall have.

        Returns:
            Shape (n,), 0 inside; exact for a pixel size of (1, 1).
        """
        nearest = np.full(len(rows), np.inf)
        for top, bottom, left, right in self.rectangles:
            down = np.maximum(np.maximum(top - rows, rows - (bottom - 1)), 0) * pixel_size[0]
            across = np.maximum(np.maximum(left - columns, columns - (right - 1)), 0)
            np.minimum(nearest, down**2 + (across * pixel_size[1]) ** 2, out=nearest)
        return nearest


def build_reference(boxes: Sequence[Sequence[float]], shape: GridShape) -> Reference:
    """The union of ``boxes`` on a grid of ``shape`` (H, W), clipped to it.

    Args:
        boxes: (x_min, y_min, x_max, y_max) in the grid's own pixels, whole or fractional and
            half-open. Pixel (i, j) is inside when ``x_min <= j + 0.5 < x_max`` and the same for y.
        shape: (H, W) of the grid.

    Raises:
        ValueError: If a box has other than four finite numbers or is inverted. A box without
            area, or without a pixel centre inside, is kept out of the mask but is no error.
    """
    corners = [_checked_corners(box, index) for index, box in enumerate(boxes)]
    ranges = [_pixel_ranges(box, shape) for box in corners]
    covered = tuple(r for r in ranges if r.top < r.bottom and r.left < r.right)
    mask = np.zeros(shape, dtype=np.bool_)
    for top, bottom, left, right in covered:
        mask[top:bottom, left:right] = True
    return Reference(mask, covered, len(corners), int(np.count_nonzero(mask)))


def mask_reference(mask: Mask, *, n_boxes: int) -> Reference:
    """A region of any form; its rectangles are the runs of true pixels of each row.

    Args:
        mask: Shape (H, W), true inside.
        n_boxes: How many boxes and shapes it is made of.
    """
    edges = np.diff(mask.astype(np.int8), axis=1, prepend=0, append=0)
    starts, ends = np.argwhere(edges == 1), np.argwhere(edges == -1)
    runs = tuple(
        Rectangle(int(row), int(row) + 1, int(left), int(right))
        for (row, left), (_, right) in zip(starts, ends, strict=True)
    )
    return Reference(mask, runs, n_boxes, int(np.count_nonzero(mask)))


def _checked_corners(box: Sequence[float], index: int) -> Corners:
    """The four numbers of a box, or an error that quotes it."""
    values: list[object] = list(box) if isinstance(box, Iterable) else [box]
    numbers = [float(value) for value in values if isinstance(value, Real)]
    if len(numbers) != 4 or len(values) != 4:
        raise ValueError(
            f"box {index} is {box!r}; expected four numbers x_min, y_min, x_max, y_max"
        )
    x_min, y_min, x_max, y_max = numbers
    quoted = f"box {index} is ({x_min:g}, {y_min:g}, {x_max:g}, {y_max:g})"
    if not all(map(math.isfinite, (x_min, y_min, x_max, y_max))):
        raise ValueError(f"{quoted}; every corner must be a finite number")
    if x_min > x_max or y_min > y_max:
        raise ValueError(f"{quoted}, which is inverted; give x_min < x_max and y_min < y_max")
    return (x_min, y_min, x_max, y_max)


def _pixel_ranges(box: Corners, shape: GridShape) -> Rectangle:
    """The pixels whose centres lie in the box, within the grid; empty ranges when none do."""
    x_min, y_min, x_max, y_max = box
    top, bottom = (_first_centre(edge, shape[0]) for edge in (y_min, y_max))
    left, right = (_first_centre(edge, shape[1]) for edge in (x_min, x_max))
    return Rectangle(top, bottom, left, right)


def _first_centre(edge: float, length: int) -> int:
    """The first pixel of a line of ``length`` whose centre is not before ``edge``."""
    return min(max(math.ceil(edge - 0.5), 0), length)
