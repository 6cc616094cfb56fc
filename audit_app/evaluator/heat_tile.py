"""A small picture with a map over it, as an array: for figures that are files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Rgb = NDArray[np.uint8]
OUTSIDE: Final = 0.4  # brightness of what the model did not see
STRONGEST: Final = 0.6  # of a map over the picture, as the page draws it


@dataclass(frozen=True, slots=True)
class Fit:
    """How a whole picture lies in a square tile: scaled, centred."""

    height: int
    width: int
    edge: int

    @property
    def scale(self) -> float:
        """Tile pixels per original pixel."""
        return self.edge / max(self.height, self.width)

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns) of the picture in the tile."""
        return max(1, round(self.height * self.scale)), max(1, round(self.width * self.scale))

    @property
    def offset(self) -> tuple[int, int]:
        """Rows and columns of ground before it."""
        rows, columns = self.size
        return (self.edge - rows) // 2, (self.edge - columns) // 2

    def place(self, corners: Sequence[float]) -> tuple[float, float, float, float]:
        """x_min, y_min, x_max, y_max of original pixels, in the tile."""
        down, right = self.offset
        x_min, y_min, x_max, y_max = (float(value) * self.scale for value in corners)
        return x_min + right, y_min + down, x_max + right, y_max + down


def shrink(pixels: NDArray[np.uint8], edge: int) -> tuple[Rgb, Fit]:
    """The picture in a square tile (edge, edge, 3), black around it, and how it lies there.

    Args:
        pixels: Shape (H, W).
        edge: Of the tile.
    """
    height, width = pixels.shape
    fit = Fit(height, width, edge)
    rows, columns = fit.size
    small = Image.fromarray(pixels).resize((columns, rows), Image.Resampling.BOX)
    tile = np.zeros((edge, edge, 3), np.uint8)
    down, right = fit.offset
    tile[down : down + rows, right : right + columns] = np.asarray(small)[..., None]
    return tile, fit


def lay_heat(
    tile: Rgb, fit: Fit, values: NDArray[np.uint8], window: Sequence[float]
) -> NDArray[np.uint8]:
    """The tile with a map over what the model saw; the rest of the picture is darker.

    Args:
        tile: Of ``shrink``.
        fit: Of ``shrink``.
        values: Shape (h, w), 0 to 255 over the window.
        window: x_min, y_min, x_max, y_max in original pixels: what the model saw.
    """
    left, top, right, bottom = (round(value) for value in fit.place(window))
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(max(right, left + 1), fit.edge), min(max(bottom, top + 1), fit.edge)
    laid: Rgb = (tile * OUTSIDE).astype(np.uint8)
    size = (right - left, bottom - top)
    heat = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))
    share = heat[..., None].astype(np.float64) / 255
    alpha = np.minimum(1.0, 1.6 * share) * STRONGEST
    seen = tile[top:bottom, left:right]
    laid[top:bottom, left:right] = np.rint(seen * (1 - alpha) + _colours()[heat] * alpha)
    return laid


@cache
def _colours() -> NDArray[np.float64]:
    """256 colours (256, 3): inferno without its darkest end, as in the reading panel."""
    from matplotlib import colormaps  # takes time to load

    shares = 0.15 + 0.85 * np.arange(256) / 255
    return 255 * np.asarray(colormaps["inferno"](shares), dtype=np.float64)[:, :3]
