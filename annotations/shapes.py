"""Outlines inside a box, as some sources draw them: polygons and ellipses in original pixels.

Positions are continuous, as those of boxes: pixel (row i, col j) covers [j, j + 1) x [i, i + 1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal, TypeGuard, get_args

import numpy as np
from numpy.typing import NDArray

from annotations.errors import InvalidRegion

ShapeKind = Literal["polygon", "ellipse"]
Point = tuple[float, float]  # x, y
Ring = tuple[Point, ...]
Mask = NDArray[np.bool_]

MAX_POINTS: Final = 20_000
MAX_COORDINATE: Final = 1e6
_ELLIPSE_SLACK_PX: Final = 1.0


@dataclass(frozen=True, slots=True)
class Shape:
    """One or more polygons, or an ellipse.

    Attributes:
        kind: polygon or ellipse.
        rings: Of a polygon: each closed by itself and filled by the even-odd rule, all of them
            united. Of an ellipse: one ring of four points, the two ends of one axis and then the
            two ends of the other, as DICOM's ELLIPSE (PS3.3, C.18.6.1.1).
    """

    kind: ShapeKind
    rings: tuple[Ring, ...]

    def __post_init__(self) -> None:
        """Refuse what has no area or is no outline."""
        if self.kind not in get_args(ShapeKind):
            raise InvalidRegion(f"unknown shape '{self.kind}'; known: {', '.join(_KINDS)}")
        _check_rings(self.rings)
        # A number has one JSON form only as a float, and hashes are made of that form.
        rings = tuple(tuple((float(x), float(y)) for x, y in ring) for ring in self.rings)
        object.__setattr__(self, "rings", rings)
        if self.kind == "ellipse":
            _check_ellipse(self.rings)

    @property
    def is_rectangle(self) -> bool:
        """Whether it is a box drawn as a polygon, its sides along those of the picture."""
        ring = self.rings[0][:-1] if self.rings[0][0] == self.rings[0][-1] else self.rings[0]
        if self.kind != "polygon" or len(self.rings) != 1 or len(set(ring)) != 4 or len(ring) != 4:
            return False
        # Upright and level sides take turns; a bow tie of four corners has slanted ones.
        sides = zip(ring, (*ring[1:], ring[0]), strict=True)
        return all((a[0] == b[0]) != (a[1] == b[1]) for a, b in sides)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """x_min, y_min, x_max, y_max of the outline."""
        if self.kind == "ellipse":
            (x, y), along, across = _axes(self.rings[0])
            half_width = math.hypot(along[0], across[0])
            half_height = math.hypot(along[1], across[1])
            return (x - half_width, y - half_height, x + half_width, y + half_height)
        xs, ys = zip(*chain.from_iterable(self.rings), strict=True)
        return (min(xs), min(ys), max(xs), max(ys))

    def mapped(self, scale_x: float, scale_y: float, offset_x: float, offset_y: float) -> Shape:
        """The shape on another grid: ``x * scale_x - offset_x``, y likewise.

        An ellipse stays one: its axes become a pair of conjugate diameters.
        """
        rings = tuple(
            tuple((x * scale_x - offset_x, y * scale_y - offset_y) for x, y in ring)
            for ring in self.rings
        )
        return Shape(self.kind, rings)


_KINDS: Final = get_args(ShapeKind)


def parse_shape(value: object) -> Shape:
    """The shape that ``shape_value`` wrote, numbers as floats.

    Raises:
        InvalidRegion: If it is none; the message says why.
    """
    if not isinstance(value, Mapping) or set(value) != {"kind", "rings"}:
        raise InvalidRegion(f"the shape {_short(value)} is no object with 'kind' and 'rings'")
    return Shape(value["kind"], parse_rings(value["rings"]))


def parse_rings(value: object) -> tuple[Ring, ...]:
    """Lists of [x, y] points as rings, numbers as floats.

    Raises:
        InvalidRegion: If they are none, or too many.
    """
    if not _is_list(value) or not all(_is_list(ring) for ring in value):
        raise InvalidRegion(f"the outline {_short(value)} is no list of lists of points [x, y]")
    if sum(len(ring) for ring in value) > MAX_POINTS:
        raise InvalidRegion(f"an outline of more than {MAX_POINTS:,} points; thin it out")
    return tuple(tuple(_point(point) for point in ring) for ring in value)


def shape_value(shape: Shape) -> dict[str, object]:
    """The shape as JSON values; ``parse_shape`` reads them back without loss."""
    return {
        "kind": shape.kind,
        "rings": [[[x, y] for x, y in ring] for ring in shape.rings],
    }


def polygon_rings(shape: Shape, *, points: int = 72) -> tuple[Ring, ...]:
    """The shape's rings; an ellipse as a polygon of this many points on it."""
    if shape.kind == "polygon":
        return shape.rings
    (x, y), along, across = _axes(shape.rings[0])
    angles = [2 * math.pi * step / points for step in range(points)]
    ring = []
    for angle in angles:
        c, s = math.cos(angle), math.sin(angle)
        ring.append((x + c * along[0] + s * across[0], y + c * along[1] + s * across[1]))
    return (tuple(ring),)


def shape_mask(shape: Shape, size: tuple[int, int]) -> Mask:
    """True where a pixel's centre lies inside the shape.

    Args:
        shape: In the grid's own pixels.
        size: (H, W) of the grid.

    Returns:
        Shape (H, W). A polygon's left and upper edges belong to it, its right and lower ones do
        not, so a rectangle has the pixels of the half-open box with its corners.
    """
    if shape.kind == "ellipse":
        return _ellipse_mask(shape.rings[0], size)
    mask = np.zeros(size, dtype=np.bool_)
    for ring in shape.rings:
        mask |= _polygon_mask(ring, size)
    return mask


def _polygon_mask(ring: Ring, size: tuple[int, int]) -> Mask:
    """Even-odd: along each row of pixel centres, every edge that is passed turns inside to out."""
    height, width = size
    toggles = np.zeros((height, width + 1), dtype=np.bool_)
    for (x_from, y_from), (x_to, y_to) in zip(ring, (*ring[1:], ring[0]), strict=True):
        top, bottom = sorted((y_from, y_to))
        rows = np.arange(_first_centre(top, height), _first_centre(bottom, height))
        if len(rows):
            slope = (x_to - x_from) / (y_to - y_from)
            crossings = x_from + (rows + 0.5 - y_from) * slope
            columns = np.clip(np.ceil(crossings - 0.5), 0, width).astype(np.intp)
            toggles[rows, columns] ^= True
    inside: Mask = np.logical_xor.accumulate(toggles, axis=1)[:, :width]
    return inside


def _ellipse_mask(ring: Ring, size: tuple[int, int]) -> Mask:
    """Pixel centres that are s * along + t * across from the centre, s**2 + t**2 < 1."""
    height, width = size
    (x, y), (along_x, along_y), (across_x, across_y) = _axes(ring)
    right = (np.arange(width) + 0.5 - x)[None, :]
    down = (np.arange(height) + 0.5 - y)[:, None]
    area = along_x * across_y - along_y * across_x
    s = (right * across_y - down * across_x) / area
    t = (down * along_x - right * along_y) / area
    inside: Mask = s**2 + t**2 < 1
    return inside


def _first_centre(edge: float, length: int) -> int:
    """The first pixel of a line of ``length`` whose centre is not before ``edge``."""
    return min(max(math.ceil(edge - 0.5), 0), length)


def _axes(ring: Ring) -> tuple[Point, Point, Point]:
    """Centre of an ellipse, and from it to the second end of each axis."""
    (x_1, y_1), (x_2, y_2), (x_3, y_3), (x_4, y_4) = ring
    centre = ((x_1 + x_2) / 2, (y_1 + y_2) / 2)
    return centre, ((x_2 - x_1) / 2, (y_2 - y_1) / 2), ((x_4 - x_3) / 2, (y_4 - y_3) / 2)


def _check_rings(rings: Sequence[Ring]) -> None:
    if not rings or any(len(ring) < 3 for ring in rings):
        counts = [len(ring) for ring in rings]
        raise InvalidRegion(f"an outline of {counts} points; each ring needs at least three")
    for number in chain.from_iterable(chain.from_iterable(rings)):
        if not math.isfinite(number) or abs(number) > MAX_COORDINATE:
            raise InvalidRegion(
                f"the outline holds the coordinate {number}; expected a number of pixels up to "
                f"{MAX_COORDINATE:,.0f}"
            )


def _check_ellipse(rings: Sequence[Ring]) -> None:
    if len(rings) != 1 or len(rings[0]) != 4:
        raise InvalidRegion(
            f"an ellipse of {[len(ring) for ring in rings]} points; expected the four ends of its "
            "two axes"
        )
    (x_1, y_1), (x_2, y_2), (x_3, y_3), (x_4, y_4) = rings[0]
    apart = math.hypot((x_1 + x_2 - x_3 - x_4) / 2, (y_1 + y_2 - y_3 - y_4) / 2)
    _, along, across = _axes(rings[0])
    if apart > _ELLIPSE_SLACK_PX or along[0] * across[1] == along[1] * across[0]:
        raise InvalidRegion(f"the axes {rings[0]} of an ellipse do not cross in their middles")


def _point(value: object) -> Point:
    if not _is_list(value) or len(value) != 2 or not all(_is_number(one) for one in value):
        raise InvalidRegion(f"the outline holds the point {_short(value)}; expected [x, y]")
    return (float(value[0]), float(value[1]))


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= MAX_COORDINATE  # also False for NaN; a huge integer has no float


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
