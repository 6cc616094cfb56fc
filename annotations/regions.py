"""Boxes and masks: integer, half-open, original pixels (definitions.md, section 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotations.errors import InvalidRegion
from annotations.shapes import Shape, shape_mask

Mask = NDArray[np.bool_]
Size = tuple[int, int]
Corners = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """Half-open ``[x_min, x_max) x [y_min, y_max)`` in original pixels, origin top-left."""

    x_min: int
    y_min: int
    x_max: int
    y_max: int

    def __post_init__(self) -> None:
        """Refuse a box that holds no pixel."""
        if self.x_min >= self.x_max or self.y_min >= self.y_max:
            raise InvalidRegion(
                f"box {self.corners} is empty or inverted; give x_min < x_max and y_min < y_max"
            )

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """x_min, y_min, x_max, y_max."""
        return (self.x_min, self.y_min, self.x_max, self.y_max)

    @property
    def area_px(self) -> int:
        """Number of pixels inside."""
        return (self.x_max - self.x_min) * (self.y_max - self.y_min)


Outline = Box | Shape


def parse_box(corners: Sequence[float], size: Size) -> Box:
    """The box of these corners, in whole pixels, clipped to a picture of ``size`` (H, W).

    Raises:
        InvalidRegion: If a corner is not a finite number, the box is inverted or empty, or nothing
            of it lies in the picture. The message quotes the corners.
    """
    if len(corners) != 4:
        raise InvalidRegion(
            f"box {list(corners)!r} has {len(corners)} numbers; expected x_min, y_min, x_max, y_max"
        )
    try:
        values = [float(value) for value in corners]
    except (TypeError, ValueError):
        raise InvalidRegion(f"box {list(corners)!r} is not four numbers") from None
    if not all(math.isfinite(value) for value in values):
        raise InvalidRegion(f"box {values} holds a value that is not a finite number")
    x_min, y_min, x_max, y_max = values
    if x_min >= x_max or y_min >= y_max:
        raise InvalidRegion(
            f"box {values} is empty or inverted; give x_min < x_max and y_min < y_max"
        )
    height, width = size
    # floor(v + 0.5), not round(): halves go up, so neighbouring boxes stay neighbours.
    whole = [math.floor(value + 0.5) for value in values]
    left, right = max(whole[0], 0), min(whole[2], width)
    top, bottom = max(whole[1], 0), min(whole[3], height)
    if left >= right or top >= bottom:
        raise InvalidRegion(
            f"box {values} covers no pixel of the picture of {width} x {height} (width x height)"
        )
    return Box(left, top, right, bottom)


def union_mask(boxes: Sequence[Corners] | Sequence[Box], shape: Size) -> Mask:
    """True where a pixel's centre lies in at least one box.

    Args:
        boxes: Corners in the grid's own pixels, whole or fractional.
        shape: (H, W) of the grid.

    Returns:
        Shape (H, W): pixel (i, j) is inside when ``x_min <= j + 0.5 < x_max`` and the same for y.
    """
    height, width = shape
    mask = np.zeros(shape, dtype=np.bool_)
    x_centres = np.arange(width) + 0.5
    y_centres = np.arange(height) + 0.5
    for box in boxes:
        x_min, y_min, x_max, y_max = box.corners if isinstance(box, Box) else box
        columns = (x_centres >= x_min) & (x_centres < x_max)
        rows = (y_centres >= y_min) & (y_centres < y_max)
        mask |= rows[:, None] & columns[None, :]
    return mask


def shape_box(shape: Shape, size: Size) -> Box:
    """The smallest whole-pixel box that holds the part of a shape within a picture of ``size``.

    Raises:
        InvalidRegion: If no pixel's centre of the picture lies inside the shape.
    """
    height, width = size
    if not shape_mask(shape, size).any():
        extent = ", ".join(f"{value:g}" for value in shape.extent)
        raise InvalidRegion(
            f"the {shape.kind} within ({extent}) covers no pixel of the picture of "
            f"{width} x {height} (width x height)"
        )
    x_min, y_min, x_max, y_max = shape.extent
    return Box(
        max(math.floor(x_min), 0),
        max(math.floor(y_min), 0),
        min(math.ceil(x_max), width),
        min(math.ceil(y_max), height),
    )


def outline_mask(outlines: Sequence[Outline], size: Size) -> Mask:
    """True where a pixel's centre lies in at least one box or shape.

    Args:
        outlines: In the grid's own pixels.
        size: (H, W) of the grid.
    """
    mask = union_mask([one for one in outlines if isinstance(one, Box)], size)
    for one in outlines:
        if isinstance(one, Shape):
            mask |= shape_mask(one, size)
    return mask
