"""The table finding x mode: the number, its interval, how many maps and patients, in each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from audit_app.reports.audit_part import Shown
from audit_app.reports.audit_tables import MEASURES, TextTable, mode_words
from audit_app.reports.first_line import no_interval, patients
from audit_app.reports.html_parts import best_and_worst, mark, number

Row = Mapping[str, object]
BESIDE: Final = {
    "hit": (
        ("chance_hit", "Chance"),
        ("centre_hit", "Centre"),
        ("prior_hit", "Mean map"),
        ("human_hit", "Human ceiling"),
    ),
    "iou": (("shift_null_iou", "Chance"), ("human_iou", "Human ceiling")),
    "energy_in_box": (("chance_hit", "Chance"),),
}
DIGITS: Final = 2
NOTE: Final = (
    "In each row the best mode is blue, the worst red. In brackets the 95 % interval over "
    "patients. Chance: a random point, for IoU the mean over all shifts of the region, for energy "
    "a flat map. Centre: the picture's centre. Mean map: the mean of the maps of all other "
    "patients. Human ceiling: another reader of the same picture."
)


def grid_html(shown: Shown, measure: str, *, is_clickable: bool = False) -> str:
    """The table as HTML.

    Args:
        shown: One model and method.
        measure: A key of ``MEASURES``.
        is_clickable: Cells are buttons with the attributes data-finding and data-mode.
    """
    beside = _beside(shown, measure)
    head = "".join(
        f"<th>{escape(title)}</th>"
        for title in (*map(mode_words, shown.modes), *(title for _, title in beside))
    )
    body = "".join(_line(shown, measure, finding, is_clickable) for finding in shown.findings)
    return (
        f'<table class="agreement"><caption>{escape(MEASURES[measure])}</caption>'
        f"<tr><th>Finding</th>{head}</tr>{body}</table>"
    )


def grid_table(shown: Shown, measure: str) -> TextTable:
    """The same as texts; a cell's number, interval and counts on a line each."""
    beside = _beside(shown, measure)
    body, looks = [], []
    for finding in shown.findings:
        lines = _lines_of(shown, finding)
        cells = ["\n".join(_texts(line, measure)) if line else "no row" for line in lines]
        body.append((finding, *cells, *(_mean(lines, column) for column, _ in beside)))
        looks.append(("", *_marks(lines, measure), *("" for _ in beside)))
    head = ("Finding", *map(mode_words, shown.modes), *(title for _, title in beside))
    return TextTable(MEASURES[measure], head, tuple(body), NOTE, "No line.", tuple(looks))


def _line(shown: Shown, measure: str, finding: str, is_clickable: bool) -> str:
    lines = _lines_of(shown, finding)
    cells = [
        _cell(line, measure, look, is_clickable)
        for line, look in zip(lines, _marks(lines, measure), strict=True)
    ]
    cells += [f"<td>{_mean(lines, column)}</td>" for column, _ in _beside(shown, measure)]
    return f"<tr><td>{escape(finding)}</td>{''.join(cells)}</tr>"


def _marks(lines: Sequence[Row | None], measure: str) -> list[str]:
    """Which mode's cell is the best, which the worst."""
    # As printed: two cells that read the same must not look different.
    printed = [{measure: _as_printed(line[measure])} if line else {} for line in lines]
    found = best_and_worst(printed, measure, more_is_better=True)
    return [mark(place, found) for place in range(len(lines))]


def _cell(line: Row | None, measure: str, look: str, is_clickable: bool) -> str:
    if line is None:
        return '<td class="none">no row</td>'
    value, interval, counts = map(escape, _texts(line, measure))
    if is_clickable:
        value = (
            f'<button data-finding="{escape(str(line["finding"]))}" '
            f'data-mode="{escape(str(line["mode"]))}" title="Show its rows">{value}</button>'
        )
    return f'<td class="{look}">{value}<small>{interval}<br>{counts}</small></td>'


def _as_printed(value: object) -> float | None:
    return round(value, DIGITS) if isinstance(value, int | float) else None


def _texts(line: Row, measure: str) -> tuple[str, str, str]:
    """Value, interval or why there is none, and counts."""
    low, high = line[f"{measure}_low"], line[f"{measure}_high"]
    if line[measure] is None:
        interval = f"({line['note']})"
    elif low is None:
        interval = f"({no_interval(line)})"
    else:
        interval = f"({number(low, DIGITS)} to {number(high, DIGITS)})"
    counts = f"n {line['n_scored']}, {line['n_patients']} {patients(line['n_patients'])}"
    lost = [f"{line[f'n_{status}']} {word}" for status, word in LOST.items() if line[f"n_{status}"]]
    return number(line[measure], DIGITS), interval, ", ".join([counts, *lost])


LOST: Final = {
    "no_evidence": "empty",
    "not_visible": "not visible",
    "no_reference": "no reference",
    "invalid_input": "invalid",
}


def _lines_of(shown: Shown, finding: str) -> list[Row | None]:
    """One line for each mode, None where a mode has no row of this finding."""
    by_mode = {line["mode"]: line for line in shown.lines if line["finding"] == finding}
    return [by_mode.get(mode) for mode in shown.modes]


def _beside(shown: Shown, measure: str) -> Sequence[tuple[str, str]]:
    """The columns beside the modes that some line has a number for."""
    return [
        (column, title)
        for column, title in BESIDE[measure]
        if any(line.get(column) is not None for line in shown.lines)
    ]


def _mean(lines: Sequence[Row | None], column: str) -> str:
    """The mean over modes: they differ only where a mode's maps have no row."""
    values = [
        value
        for line in lines
        if line is not None and isinstance(value := line.get(column), int | float)
    ]
    return number(sum(values) / len(values), DIGITS) if values else "n/a"
