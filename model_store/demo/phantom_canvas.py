"""The drawing tools of the phantoms: a frame in anatomical units, soft edges, curves, noise.

The unit of length is the shorter edge of the picture and the origin is its centre, so a square
picture shows the centre crop of a tall one, and every size shows the same patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Field = NDArray[np.floating[Any]]
Size = tuple[int, int]

# Noise grids span this many units in both directions, whatever the picture's shape.
NOISE_EXTENT = 1.6

_ZERO, _ONE, _THREE = np.float32(0), np.float32(1), np.float32(3)


@dataclass(frozen=True)
class Frame:
    """The pixel grid in units of the shorter edge, origin in the centre.

    Attributes:
        size: (H, W) in pixels.
        x: Shape (1, W), centres of the columns; positive is the patient's left.
        y: Shape (H, 1), centres of the rows, downwards.
        pixel: Length of a pixel's edge.
    """

    size: Size
    x: Field
    y: Field
    pixel: float


@lru_cache(maxsize=8)
def build_frame(size: Size) -> Frame:
    """The frame of a picture of ``size`` (H, W)."""
    height, width = size
    pixel = 1.0 / min(size)
    x = ((np.arange(width) + 0.5 - width / 2) * pixel).astype(np.float32)
    y = ((np.arange(height) + 0.5 - height / 2) * pixel).astype(np.float32)
    return Frame(size, x[None, :], y[:, None], pixel)


def soft_step(distance: Field, width: float, frame: Frame) -> Field:
    """0 to 1 over ``-width .. width``, exactly 0 and 1 outside, never sharper than a pixel."""
    half = max(width, 0.7 * frame.pixel)
    t = distance * np.float32(0.5 / half) + np.float32(0.5)
    t = np.minimum(np.maximum(t, _ZERO), _ONE)
    return np.asarray(t * t * (_THREE - t - t), dtype=np.float32)


def ellipse_distance(
    frame: Frame, centre: tuple[float, float], axes: tuple[float, float], angle: float = 0.0
) -> Field:
    """Distance to an ellipse's edge in units, about right near the edge; positive inside."""
    dx, dy = frame.x - centre[0], frame.y - centre[1]
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = dx * cos + dy * sin, dy * cos - dx * sin
    radius = np.sqrt((along / axes[0]) ** 2 + (across / axes[1]) ** 2)
    return np.asarray((1 - radius) * min(axes), dtype=np.float32)


@lru_cache(maxsize=64)
def _spline_weights(length: int, shorter: int, cells: int) -> Field:
    """Uniform cubic B-spline weights, shape (length, cells + 3)."""
    place = (np.arange(length) + 0.5 - length / 2) / shorter / NOISE_EXTENT + 0.5
    place = np.clip(place, 0, 1 - 1e-6) * cells
    first = place.astype(int)
    t = place - first
    parts = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    weights = np.zeros((length, cells + 3), dtype=np.float32)
    for offset, part in enumerate(parts):
        weights[np.arange(length), first + offset] = part / 6
    return weights


def smooth_noise(rng: np.random.Generator, cells: int, frame: Frame) -> Field:
    """Shape (H, W): smooth noise of about unit variance, the same pattern at every size.

    Args:
        rng: Drawn from a fixed number of times, whatever the size.
        cells: Grid cells per ``NOISE_EXTENT`` units: more is finer.
        frame: The pixels.
    """
    height, width = frame.size
    grid = rng.standard_normal((cells + 3, cells + 3), dtype=np.float32) * np.float32(2.1)
    rows = _spline_weights(height, min(frame.size), cells)
    columns = _spline_weights(width, min(frame.size), cells)
    return np.asarray(rows @ grid @ columns.T, dtype=np.float32)


def draw_curves(points: Field, strength: Field, sigma: float, frame: Frame) -> Field:
    """Shape (H, W): thin curves with a Gaussian profile of about height ``strength``.

    Args:
        points: Shape (curves, corners, 2): x, y in units; corners are joined by straight lines.
        strength: Shape (curves, corners).
        sigma: Half width in units; below a pixel the profile keeps its area.
        frame: The pixels.
    """
    height, width = frame.size
    steps = np.hypot(*np.moveaxis(np.diff(points, axis=1), -1, 0))
    dots = max(2, int(np.ceil(float(steps.max(initial=0)) / frame.pixel * 2)))
    t = (np.arange(dots) + 0.5)[None, None, :] / dots
    start, end = points[:, :-1, None, :], points[:, 1:, None, :]
    place = start + (end - start) * t[..., None]
    level = strength[:, :-1, None] * (1 - t) + strength[:, 1:, None] * t
    sigma_px = max(sigma / frame.pixel, 0.05)
    weight = level * (steps[..., None] / frame.pixel / dots) * np.sqrt(2 * np.pi) * sigma_px
    column = (place[..., 0] / frame.pixel + width / 2 - 0.5).ravel()
    row = (place[..., 1] / frame.pixel + height / 2 - 0.5).ravel()
    canvas = np.zeros(frame.size, dtype=np.float32)
    margin = int(4 * sigma_px) + 2
    rows, columns = _window(row, margin, height), _window(column, margin, width)
    part = canvas[rows, columns]
    if not part.size:
        return canvas
    part += _splat(column - columns.start, row - rows.start, weight.ravel(), part.shape)
    if sigma_px >= 0.4:
        part[:] = gaussian_filter(part, sigma_px, mode="constant", truncate=3.5)
    return canvas


def _window(place: NDArray[np.float64], margin: int, length: int) -> slice:
    """Where on an axis of this length dots and their blur can be."""
    first, last = int(place.min()) - margin, int(place.max()) + margin + 1
    return slice(min(max(first, 0), length), max(min(last, length), 0))


def _splat(
    column: NDArray[np.float64],
    row: NDArray[np.float64],
    weight: NDArray[np.float64],
    size: tuple[int, ...],
) -> Field:
    """Each dot's weight shared by its four pixels; dots outside the picture are left out."""
    height, width = size
    inside = (column >= 0) & (column < width - 1) & (row >= 0) & (row < height - 1)
    column, row, weight = column[inside], row[inside], weight[inside]
    left, top = column.astype(np.int64), row.astype(np.int64)
    right_share, low_share = column - left, row - top
    index = top * width + left
    places = np.concatenate([index, index + 1, index + width, index + width + 1])
    shares = np.concatenate(
        [
            weight * (1 - right_share) * (1 - low_share),
            weight * right_share * (1 - low_share),
            weight * (1 - right_share) * low_share,
            weight * right_share * low_share,
        ]
    )
    return np.bincount(places, shares, height * width).reshape(size).astype(np.float32)
