"""From raw values to greys: the VOI step, then the inversion of MONOCHROME1."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotations.imaging.radiograph import LookupTable, Radiograph, Window

Preset = Window | LookupTable
FULL_RANGE: Final = "Full range"
ROBUST: Final = "Robust"
ROBUST_PERCENTILES: Final = (0.5, 99.5)


def default_window(radiograph: Radiograph) -> Preset:
    """What is shown first: the file's own table or window; else full range, or robust above 8 bit.

    Pictures of more than 8 bits without a window seldom use their whole range, and shown over it
    they look empty.
    """
    if radiograph.voi_luts:
        return radiograph.voi_luts[0]
    if radiograph.windows:
        return radiograph.windows[0]
    if radiograph.bits <= 8:
        return full_range(radiograph)
    return robust_window(radiograph)


def presets(radiograph: Radiograph) -> list[Preset]:
    """The file's own tables and windows, then full range and robust."""
    return [
        *radiograph.voi_luts,
        *radiograph.windows,
        full_range(radiograph),
        robust_window(radiograph),
    ]


def full_range(radiograph: Radiograph) -> Window:
    """From 0 to the highest value that the bits allow."""
    highest = 2**radiograph.bits - 1
    return Window(highest / 2, float(highest), FULL_RANGE, "LINEAR_EXACT")


def robust_window(radiograph: Radiograph) -> Window:
    """From the 0.5th to the 99.5th percentile, padding left out."""
    counts = radiograph.histogram.copy()
    padding = radiograph.padding
    if padding is not None and 0 < counts[padding] < radiograph.pixels.size:
        counts[padding] = 0
    low, high = (_percentile(counts, percent) for percent in ROBUST_PERCENTILES)
    return Window((low + high) / 2, max(high - low, 1.0), ROBUST, "LINEAR_EXACT")


def _percentile(counts: NDArray[np.intp], percent: float) -> float:
    """A linear percentile of whole numbers from their histogram: no sort of millions."""
    up_to = np.cumsum(counts)
    rank = percent / 100 * (int(up_to[-1]) - 1)
    below = int(np.searchsorted(up_to, math.floor(rank), side="right"))
    above = int(np.searchsorted(up_to, math.ceil(rank), side="right"))
    return below + (rank - math.floor(rank)) * (above - below)


def display_table(
    radiograph: Radiograph, window: Preset | None = None, *, invert: bool = False
) -> NDArray[np.uint8]:
    """The grey of each possible pixel value.

    Args:
        radiograph: Gives bits, default preset and photometric interpretation.
        window: Another preset than the default.
        invert: Turn black and white over once more, as a reader may.

    Returns:
        Shape (2**bits,).

    Source:
        DICOM PS3.3 C.11.2.1; the inversion of MONOCHROME1 follows the VOI step.
    """
    preset = window if window is not None else default_window(radiograph)
    values = np.arange(2**radiograph.bits, dtype=np.float64)
    if isinstance(preset, LookupTable):
        shares = _table_shares(values, preset)
    else:
        shares = _window_shares(values, preset)
    table = np.rint(shares * 255).astype(np.uint8)
    return 255 - table if (radiograph.photometric == "MONOCHROME1") != invert else table


def display_picture(radiograph: Radiograph, window: Preset | None = None) -> NDArray[np.uint8]:
    """The picture as a reader first sees it, and as a model is fed: shape (H, W)."""
    return display_table(radiograph, window)[radiograph.pixels]


def _table_shares(values: NDArray[np.float64], table: LookupTable) -> NDArray[np.float64]:
    """Shares 0 to 1 by a VOI table."""
    index = np.clip(values.astype(np.int64) - table.first, 0, len(table.values) - 1)
    shares: NDArray[np.float64] = table.values[index] / (2**table.bits - 1)
    return np.clip(shares, 0.0, 1.0)


def _window_shares(values: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """Shares 0 to 1 by a window."""
    if window.function == "SIGMOID":
        exponent = np.clip(-4 * (values - window.center) / window.width, -700, 700)
        sigmoid: NDArray[np.float64] = 1 / (1 + np.exp(exponent))
        return sigmoid
    center, width = window.center, window.width
    if window.function == "LINEAR":
        center, width = center - 0.5, width - 1
    if width <= 0:
        return (values > center).astype(np.float64)
    return np.clip((values - center) / width + 0.5, 0.0, 1.0)
