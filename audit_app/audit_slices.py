"""Agreement by reader, view, source, certainty, size of the region and what the model says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

import numpy as np

from audit_app.evaluation import SCORED, Row
from audit_app.reports.summary import (
    HEADLINES,
    NO_SCORED_ROW,
    beyond_chance,
    by_way,
    headline_intervals,
    patient_of_row,
)

TERCILES: Final = ("small", "middle", "large")
SLICE_COLUMNS: Final = (
    "run_id",
    "model",
    "mode",
    "method",
    "slice",
    "value",
    "detail",
    "n_rows",
    "n_scored",
    "n_patients",
    *(f"{name}{suffix}" for name in HEADLINES for suffix in ("", "_low", "_high")),
    "chance_hit",
    "lift",
    "corrected",
    "note",
)
# From a row and the limits of the terciles to the slice's value and a word about it.
SliceOf = Callable[[Row, tuple[float, float]], tuple[str, str]]


def slice_rows(rows: Sequence[Row], *, replicates: int, seed: int) -> list[Row]:
    """The lines of slices.csv: means over the rows of each slice, whatever their finding.

    Args:
        rows: Agreement rows of one run. Rows that were not scored count in ``n_rows`` only.
        replicates: Of each bootstrap.
        seed: Of each bootstrap.
    """
    limits = area_limits(rows)
    draws = {"replicates": replicates, "seed": seed}
    lines: list[Row] = []
    for group in by_way(rows).values():
        for name, value_of in SLICES.items():
            parts: dict[tuple[str, str], list[Row]] = {}
            for row in group:
                parts.setdefault(value_of(row, limits), []).append(row)
            lines += [_line(name, value, part, draws) for value, part in sorted(parts.items())]
    return lines


def area_limits(rows: Sequence[Row]) -> tuple[float, float]:
    """The two terciles of ``box_area_fraction`` over all scored rows; zeros without any."""
    areas = [cast(float, row["box_area_fraction"]) for row in rows if row["status"] in SCORED]
    if not areas:
        return (0.0, 0.0)
    low, high = np.quantile(areas, [1 / 3, 2 / 3])
    return (float(low), float(high))


def _line(name: str, value: tuple[str, str], part: list[Row], draws: Mapping[str, int]) -> Row:
    scored = [row for row in part if row["status"] in SCORED]
    line: Row = dict.fromkeys(SLICE_COLUMNS)
    line |= {column: part[0][column] for column in ("run_id", "model", "mode", "method")}
    line |= {
        "slice": name,
        "value": value[0],
        "detail": value[1],
        "n_rows": len(part),
        "n_scored": len(scored),
        "n_patients": len({patient_of_row(row) for row in scored}),
        "note": NO_SCORED_ROW,
    }
    if not scored:
        return line
    chance = float(np.mean([cast(float, row["chance_hit"]) for row in scored]))
    line |= headline_intervals(scored, draws) | {"chance_hit": chance}
    return line | beyond_chance(line["hit"], chance)


def _column(name: str) -> SliceOf:
    def value(row: Row, limits: tuple[float, float]) -> tuple[str, str]:
        del limits
        return str(row[name] or "not recorded"), ""

    return value


def _area(row: Row, limits: tuple[float, float]) -> tuple[str, str]:
    area = row["box_area_fraction"]
    low, high = limits
    if not isinstance(area, float):
        return "not scored", ""
    if area <= low:
        return TERCILES[0], f"up to {low:.4f} of the field of view"
    if area <= high:
        return TERCILES[1], f"{low:.4f} to {high:.4f} of the field of view"
    return TERCILES[2], f"above {high:.4f} of the field of view"


def _model_says(row: Row, limits: tuple[float, float]) -> tuple[str, str]:
    del limits
    words = {True: "positive", False: "negative", None: "not known"}
    said = row["model_positive"]
    return words[said if isinstance(said, bool) else None], "min-max of the picture's scores > 0.5"


SLICES: Final[Mapping[str, SliceOf]] = {
    "reader": _column("reader"),
    "view": _column("view"),
    "source": _column("source"),
    "certainty": _column("certainty"),
    "box_area": _area,
    "model_says": _model_says,
}
