"""Methods by layers as a picture: each cell coloured by its hit rate, with chance on the scale."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Final

from audit_app.survey_folder import Survey, SurveyCell, title_of_method
from audit_app.survey_plan import CONTROLS
from model_store.saliency.methods import LayerChoice

CELL_WIDTH: Final = 92
CELL_HEIGHT: Final = 58
LEFT: Final = 190
TOP: Final = 112
BOTTOM: Final = 44
GAP: Final = 3
LEAST_TOP: Final = 0.2  # the scale never ends below this hit rate
SCALE_WIDTH: Final = 240
SCALE_STEPS: Final = 48
# Cividis: dark to light, the same for eyes that tell no red from green.
STOPS: Final = (
    (0, 32, 77), (31, 58, 108), (87, 93, 109), (124, 123, 120), (165, 154, 116), (211, 190, 98),
    (255, 234, 70),
)  # fmt: skip
FONT: Final = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"


@dataclass(frozen=True, slots=True)
class Look:
    """Colours beside those of the cells."""

    ink: str
    quiet: str
    paper: str
    accent: str


PRINT: Final = Look(ink="#111827", quiet="#4b5563", paper="#ffffff", accent="#dc2626")
SCREEN: Final = Look(ink="#e5e7eb", quiet="#9ca3af", paper="none", accent="#f87171")


def draw_heat_grid(survey: Survey, look: Look) -> str:
    """An SVG of all cells, those that are not finished empty; every text is escaped."""
    scored = [cell for cell in survey.ordered if cell.hit is not None]
    top = scale_top(scored)
    width = max(LEFT + len(survey.layers) * CELL_WIDTH + 20, 760)
    height = TOP + len(survey.choices.methods) * CELL_HEIGHT + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="{escape(FONT)}" role="img" '
        f'aria-label="Hit rate of each method at each layer">',
        f'<rect width="{width}" height="{height}" fill="{look.paper}"/>',
        *_head(survey, scored, top, look),
        *_columns(survey, look),
        *_rows(survey, top, look),
        *_foot(survey, height, look),
        "</svg>",
    ]
    return "\n".join(parts)


def scale_top(scored: list[SurveyCell]) -> float:
    """The hit rate at the scale's end: the highest, rounded up to a tenth."""
    highest = max((cell.hit or 0.0 for cell in scored), default=0.0)
    return max(LEAST_TOP, math.ceil(highest * 10 - 1e-9) / 10)


def colour_of(share: float) -> tuple[int, int, int]:
    """The colour at this share (0 to 1) of the scale."""
    place = min(max(share, 0.0), 1.0) * (len(STOPS) - 1)
    low = min(int(place), len(STOPS) - 2)
    mixed = [
        round(a + (b - a) * (place - low)) for a, b in zip(STOPS[low], STOPS[low + 1], strict=True)
    ]
    return (mixed[0], mixed[1], mixed[2])


def ink_on(colour: tuple[int, int, int]) -> str:
    """Black or white, whichever stands out more on this colour (WCAG relative luminance)."""
    channels = [value / 255 for value in colour]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#ffffff"


def chance_of(scored: list[SurveyCell]) -> tuple[float, float] | None:
    """The lowest and the highest chance of the cells; they differ where cells lost rows."""
    values = [cell.overall["chance_hit"] for cell in scored]
    numbers = [value for value in values if isinstance(value, float)]
    return (min(numbers), max(numbers)) if numbers else None


def _head(survey: Survey, scored: list[SurveyCell], top: float, look: Look) -> Iterator[str]:
    choices = survey.choices
    over = f", {survey.headline}" if scored else ""
    title = f"Hit rate of {choices.model}, {choices.mode}{over}: methods by layers"
    yield _text((12, 24), title, look.ink, size=16, weight=600)
    for step in range(SCALE_STEPS):
        red, green, blue = colour_of(step / (SCALE_STEPS - 1))
        left = 12 + step * SCALE_WIDTH / SCALE_STEPS
        yield (
            f'<rect x="{left:.1f}" y="36" width="{SCALE_WIDTH / SCALE_STEPS + 0.5:.1f}" '
            f'height="12" fill="rgb({red},{green},{blue})"/>'
        )
    yield _text((12, 62), "0", look.quiet, size=11)
    yield _text((12 + SCALE_WIDTH, 62), f"{top:.1f}", look.quiet, size=11, anchor="end")
    chance = chance_of(scored)
    if chance is not None:
        place = 12 + SCALE_WIDTH * min(sum(chance) / 2 / top, 1.0)
        yield (
            f'<path d="M{place:.1f} 32V52" stroke="{look.accent}" stroke-width="2.5" '
            f'data-chance="{sum(chance) / 2:.4f}"/>'
        )
        words = f"{chance[0]:.2f}"
        words += "" if chance[1] - chance[0] < 0.005 else f" to {chance[1]:.2f}"
        note = f"chance {words}: what a random point hits"
        yield _text((12 + SCALE_WIDTH + 16, 46), note, look.accent, size=12)


def _columns(survey: Survey, look: Look) -> Iterator[str]:
    for number, layer in enumerate(survey.layers):
        middle = LEFT + (number + 0.5) * CELL_WIDTH
        rows, columns = layer.grid
        title = layer.title.split(" of ")[0]
        default = ", default" if layer.is_default else ""
        yield "<g>" + _title(f"{layer.title}: {layer.path}")
        yield _text((middle, TOP - 22), title, look.ink, size=12, anchor="middle", weight=600)
        grid = f"{rows} x {columns}{default}"
        yield _text((middle, TOP - 8), grid, look.quiet, size=10, anchor="middle") + "</g>"


def _rows(survey: Survey, top: float, look: Look) -> Iterator[str]:
    best = survey.best
    for row, method in enumerate(survey.choices.methods):
        y = TOP + row * CELL_HEIGHT
        name = title_of_method(method)
        yield _text((LEFT - 10, y + 26), name, look.ink, size=12, anchor="end", weight=600)
        if method in CONTROLS:
            yield _text((LEFT - 10, y + 41), "control", look.quiet, size=10, anchor="end")
        for column, layer in enumerate(survey.layers):
            x = LEFT + column * CELL_WIDTH
            cell = survey.cells.get((method, layer.path))
            yield from _cell(cell, (x, y), layer, top, look)
            if cell is not None and cell is best:
                yield _frame(x, y, look)


def _cell(
    cell: SurveyCell | None, place: tuple[int, int], layer: LayerChoice, top: float, look: Look
) -> Iterator[str]:
    x, y = place
    width, height = CELL_WIDTH - GAP, CELL_HEIGHT - GAP
    shape = f'x="{x}" y="{y}" width="{width}" height="{height}" rx="3"'
    if cell is None or cell.hit is None:
        words, reason = _empty(cell)
        yield f"<g>{_title(reason)}"
        yield f'<rect {shape} fill="none" stroke="{look.quiet}" stroke-dasharray="3 3"/>'
        yield _text((x + width / 2, y + 31), words, look.quiet, size=10, anchor="middle") + "</g>"
        return
    colour = colour_of(cell.hit / top)
    ink = ink_on(colour)
    line = cell.overall
    n_empty = line["n_no_evidence"]
    middle = x + width / 2
    key = escape(f"{cell.method} {cell.layer}")
    yield f'<g data-cell="{key}">{_title(_describe(cell, layer))}'
    yield f'<rect {shape} fill="rgb({colour[0]},{colour[1]},{colour[2]})"/>'
    yield _text((middle, y + 19), f"{cell.hit:.2f}", ink, size=15, anchor="middle", weight=700)
    yield _text((middle, y + 34), _interval(cell), ink, size=10, anchor="middle")
    rows = f"n {line['n_scored']}" + (f", {n_empty} empty" if n_empty else "")
    yield _text((middle, y + 48), rows, ink, size=10, anchor="middle") + "</g>"


def _empty(cell: SurveyCell | None) -> tuple[str, str]:
    """Word and reason of a cell without a number."""
    if cell is None:
        return "not finished", "not finished"
    if cell.status == "refused":
        return "no map", cell.reason
    return "no row", str(cell.overall.get("note", "no scored row"))


def _describe(cell: SurveyCell, layer: LayerChoice) -> str:
    line = cell.overall
    numbers = {
        "hit rate": line["hit"],
        "chance": line["chance_hit"],
        "IoU": line["iou"],
        "by shifted boxes": line["shift_null_iou"],
        "energy": line["energy_in_box"],
    }
    said = ", ".join(f"{name} {value:.3f}" for name, value in numbers.items() if value is not None)
    return f"{title_of_method(cell.method)} at {layer.title}: {said}; {line['note']}".rstrip("; ")


def _interval(cell: SurveyCell) -> str:
    low, high = cell.overall["hit_low"], cell.overall["hit_high"]
    if not isinstance(low, float) or not isinstance(high, float):
        return "no interval"
    return f"{low:.2f} to {high:.2f}"


def _frame(x: int, y: int, look: Look) -> str:
    return (
        f'<rect x="{x - 1}" y="{y - 1}" width="{CELL_WIDTH - GAP + 2}" rx="4" data-best="yes" '
        f'height="{CELL_HEIGHT - GAP + 2}" fill="none" stroke="{look.accent}" stroke-width="3"/>'
    )


def _foot(survey: Survey, height: int, look: Look) -> Iterator[str]:
    if survey.best is not None:
        said = "Framed: the best cell, chosen on this data; never a default."
        yield _text((12, height - 24), said, look.accent, size=12)
    said = "95 % intervals resample patients. n: scored rows; empty: maps without evidence."
    yield _text((12, height - 8), said, look.quiet, size=11)


def _text(
    at: tuple[float, float],
    words: str,
    fill: str,
    *,
    size: int,
    anchor: str = "start",
    weight: int = 400,
) -> str:
    return (
        f'<text x="{at[0]:g}" y="{at[1]:g}" fill="{fill}" font-size="{size}" '
        f'text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>'
    )


def _title(words: str) -> str:
    return f"<title>{escape(words)}</title>"
