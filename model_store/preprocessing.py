"""From original pixels to the model's input frame, and exactly back (definitions.md, section 2).

Positions are continuous: pixel (row i, col j) covers [j, j + 1) x [i, i + 1), its centre lies at
(j + 0.5, i + 0.5), in the picture and in the model's grid alike. Nothing here imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_store.entries import PREPROCESSINGS

Size = tuple[int, int]
Corners = tuple[float, float, float, float]
Window = tuple[int, int, int, int]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class MappedMap:
    """A saliency map in original pixels.

    Attributes:
        values: Shape (y_max - y_min, x_max - x_min).
        window: x_min, y_min, x_max, y_max: the original pixels whose centres the model saw.
    """

    values: FloatArray
    window: Window


@dataclass(frozen=True)
class FrameGeometry:
    """What one picture's transform did: ``x_input = x_image * scale_x - offset_x``, y likewise.

    Attributes:
        image_size: (H, W) of the original picture.
        input_size: (h, w) of the model's grid.
        scale_x: Input pixels per original pixel.
        scale_y: Input pixels per original pixel.
        offset_x: Columns cropped off at the left of the resized picture; negative when padded.
        offset_y: Rows cropped off at its top; negative when padded.
    """

    image_size: Size
    input_size: Size
    scale_x: float
    scale_y: float
    offset_x: int
    offset_y: int

    @property
    def field_of_view(self) -> Corners:
        """x_min, y_min, x_max, y_max in original pixels, fractional: what the model saw."""
        x_min, x_max = _seen(self.image_size[1], self.input_size[1], self.scale_x, self.offset_x)
        y_min, y_max = _seen(self.image_size[0], self.input_size[0], self.scale_y, self.offset_y)
        return (x_min, y_min, x_max, y_max)

    @property
    def window(self) -> Window:
        """The original pixels whose centres lie in the field of view."""
        x_min, y_min, x_max, y_max = self.field_of_view
        return (_centre_from(x_min), _centre_from(y_min), _centre_from(x_max), _centre_from(y_max))

    @property
    def input_window(self) -> Window:
        """The pixels of the model's grid whose centres show the picture, not padding."""
        height, width = self.image_size
        x_min, y_min, x_max, y_max = self.to_input((0, 0, width, height))
        rows, columns = self.input_size
        return (
            _centre_from(max(x_min, 0.0)),
            _centre_from(max(y_min, 0.0)),
            _centre_from(min(x_max, float(columns))),
            _centre_from(min(y_max, float(rows))),
        )

    def to_input(self, box: Sequence[float]) -> Corners:
        """The box in the model's grid, fractional; what lies outside the grid is not cut off.

        Args:
            box: x_min, y_min, x_max, y_max in original pixels.
        """
        x_min, y_min, x_max, y_max = (float(value) for value in box)
        return (
            x_min * self.scale_x - self.offset_x,
            y_min * self.scale_y - self.offset_y,
            x_max * self.scale_x - self.offset_x,
            y_max * self.scale_y - self.offset_y,
        )

    def visible_fraction(self, boxes: Sequence[Sequence[float]]) -> float:
        """Share of the boxes' union that lies in the field of view.

        Args:
            boxes: Each x_min, y_min, x_max, y_max in original pixels; clipped to the picture.

        Returns:
            0 to 1.

        Raises:
            ValueError: If the boxes cover nothing of the picture.
        """
        height, width = self.image_size
        total = _union_area(boxes, (0.0, 0.0, float(width), float(height)))
        if total <= 0:
            raise ValueError(
                f"boxes {list(boxes)!r} cover nothing of a picture of {width} x {height}"
            )
        return _union_area(boxes, self.field_of_view) / total

    def to_original(self, values: NDArray[np.floating]) -> MappedMap:
        """The map at every original pixel that the model saw: bilinear, half-pixel centres.

        Args:
            values: Shape (h, w), on the model's grid.

        Raises:
            ValueError: If the shape is another one.
        """
        if values.shape != self.input_size:
            raise ValueError(
                f"map of shape {values.shape} given; the model's grid is {self.input_size}"
            )
        x_min, y_min, x_max, y_max = self.window
        rows = (np.arange(y_min, y_max) + 0.5) * self.scale_y - self.offset_y - 0.5
        columns = (np.arange(x_min, x_max) + 0.5) * self.scale_x - self.offset_x - 0.5
        along_y = _interpolate(np.asarray(values, dtype=np.float64), rows)
        mapped = _interpolate(along_y.T, columns).T
        return MappedMap(np.ascontiguousarray(mapped, dtype=np.float32), self.window)


def frame_geometry(kind: str, image_size: Size, input_size: Size) -> FrameGeometry:
    """The geometry of open_clip's own transform, with its rounding of sizes and offsets.

    Args:
        kind: ``crop``, ``pad`` or ``squash``.
        image_size: (H, W) of the picture.
        input_size: (h, w) of the model.

    Raises:
        ValueError: If the kind is unknown, or a side would shrink to nothing.

    Source:
        torchvision ``Resize`` and ``CenterCrop``; open_clip ``ResizeKeepRatio`` and
        ``CenterCropOrPad``.
    """
    if kind not in PREPROCESSINGS:
        raise ValueError(f"preprocessing {kind!r} is unknown; expected {', '.join(PREPROCESSINGS)}")
    resized = _resized_size(kind, image_size, input_size)
    if min(resized) < 1:
        height, width = image_size
        raise ValueError(
            f"a picture of {width} x {height} is too narrow for '{kind}': "
            f"one side would shrink to nothing; choose 'squash' or cut the picture"
        )
    return FrameGeometry(
        image_size=image_size,
        input_size=input_size,
        scale_x=resized[1] / image_size[1],
        scale_y=resized[0] / image_size[0],
        offset_x=_offset(resized[1], input_size[1]),
        offset_y=_offset(resized[0], input_size[0]),
    )


def _resized_size(kind: str, image_size: Size, input_size: Size) -> Size:
    """(h, w) of the resized picture before it is cropped or padded."""
    if kind == "squash":
        return input_size
    height, width = image_size
    if kind == "crop" and input_size[0] == input_size[1]:
        # torchvision cuts the longer side down to a whole number; it does not round.
        edge = input_size[0]
        if width <= height:
            return (int(edge * height / width), edge)
        return (edge, int(edge * width / height))
    ratios = (height / input_size[0], width / input_size[1])
    ratio = max(ratios) if kind == "pad" else min(ratios)
    return (round(height / ratio), round(width / ratio))


def _offset(resized: int, target: int) -> int:
    """Pixels cut off before the first kept one; negative: pixels of padding before it."""
    if target > resized:
        return -((target - resized) // 2)
    return round((resized - target) / 2.0)


def _seen(extent: int, target: int, scale: float, offset: int) -> tuple[float, float]:
    low = max(offset / scale, 0.0)
    high = min((target + offset) / scale, float(extent))
    return low, high


def _centre_from(edge: float) -> int:
    """The first pixel whose centre is at or after this position."""
    return math.ceil(edge - 0.5)


def _interpolate(
    values: NDArray[np.float64], positions: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Rows of ``values`` at fractional row positions, the border rows repeated outside."""
    last = values.shape[0] - 1
    clamped = np.clip(positions, 0, last)
    low = np.floor(clamped).astype(np.intp)
    high = np.minimum(low + 1, last)
    share = (clamped - low)[:, None]
    mixed: NDArray[np.float64] = values[low] * (1 - share) + values[high] * share
    return mixed


def _union_area(boxes: Sequence[Sequence[float]], limits: Corners) -> float:
    """Area of the union of the boxes inside the limits, by compressing coordinates."""
    left, top, right, bottom = limits
    cut = [
        (max(box[0], left), max(box[1], top), min(box[2], right), min(box[3], bottom))
        for box in boxes
    ]
    kept = [box for box in cut if box[0] < box[2] and box[1] < box[3]]
    if not kept:
        return 0.0
    xs = np.unique([value for box in kept for value in (box[0], box[2])])
    ys = np.unique([value for box in kept for value in (box[1], box[3])])
    covered = np.zeros((len(ys) - 1, len(xs) - 1), dtype=np.bool_)
    for x_min, y_min, x_max, y_max in kept:
        rows = slice(np.searchsorted(ys, y_min), np.searchsorted(ys, y_max))
        columns = slice(np.searchsorted(xs, x_min), np.searchsorted(xs, x_max))
        covered[rows, columns] = True
    return float(np.diff(ys) @ covered @ np.diff(xs))
