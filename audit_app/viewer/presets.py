"""Window presets of one picture as the page takes them."""

from __future__ import annotations

import base64
from typing import Any, Final

from annotations.imaging.display import default_window, display_table, presets, robust_window
from annotations.imaging.radiograph import LookupTable, Radiograph, Window

# Radiographs have no fixed scale, so these are shares of the picture's own range: from black (air)
# to white (dense), what each anatomical window spreads over all greys.
ANATOMICAL: Final = {"Lung": (0.0, 0.62), "Mediastinum": (0.36, 0.96), "Bone": (0.5, 1.05)}


def page_presets(radiograph: Radiograph) -> tuple[list[dict[str, Any]], int]:
    """The presets as JSON objects, and the index of the one to begin with.

    A window is ``{kind: "window", name, center, width, function}`` in units of the stored pixels;
    a look-up table is ``{kind: "table", name, values_b64}`` with one grey for each stored value.
    MONOCHROME1 is not yet inverted in either.
    """
    known = presets(radiograph)
    shown = [_preset(radiograph, one) for one in known]
    shown += [_window(window) for window in anatomical_windows(radiograph)]
    return shown, known.index(default_window(radiograph))


def anatomical_windows(radiograph: Radiograph) -> list[Window]:
    """Lung, mediastinum and bone, as shares of the picture's robust range."""
    robust = robust_window(radiograph)
    low = robust.center - robust.width / 2
    is_air_high = radiograph.photometric == "MONOCHROME1"
    windows = []
    for name, (black, white) in ANATOMICAL.items():
        shares = (1 - white, 1 - black) if is_air_high else (black, white)
        start, end = (low + share * robust.width for share in shares)
        windows.append(Window((start + end) / 2, max(end - start, 1.0), name, "LINEAR_EXACT"))
    return windows


def _preset(radiograph: Radiograph, preset: Window | LookupTable) -> dict[str, Any]:
    if isinstance(preset, Window):
        return _window(preset)
    greys = display_table(radiograph, preset)
    if radiograph.photometric == "MONOCHROME1":
        greys = 255 - greys  # the page inverts after the VOI step, for every preset alike
    encoded = base64.b64encode(greys.tobytes()).decode()
    return {"kind": "table", "name": preset.name, "values_b64": encoded}


def _window(window: Window) -> dict[str, Any]:
    return {
        "kind": "window",
        "name": window.name,
        "center": float(window.center),
        "width": float(window.width),
        "function": window.function,
    }
