"""A model's maps against its controls on the same rows: do the maps say anything?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

import numpy as np

from audit_app.controls import RANDOMCAM
from audit_app.evaluation import SCORED, Row
from audit_app.metrics.bootstrap import Interval
from audit_app.metrics.mean_draws import MeanDraws, draw_means
from audit_app.reports.summary import MACRO, POOLED, bounds, by_way, patient_of_row

CONTROL_SUMMARY_COLUMNS: Final = (
    "run_id",
    "model",
    "mode",
    "method",
    "finding",
    "control",
    "n_rows",
    "n_patients",
    "hit",
    "hit_low",
    "hit_high",
    "model_hit",
    "model_hit_low",
    "model_hit_high",
    "difference",
    "difference_low",
    "difference_high",
    "p_value",
    "overlaps",
    "note",
)
RowKey = tuple[str, str]
Pair = tuple[Row, Row]


def control_summary(
    rows: Sequence[Row], controls: Sequence[Row], *, replicates: int, seed: int
) -> list[Row]:
    """The lines of control_summary.csv.

    Each line compares rows that were scored for the model and for the control. ``overlaps`` says
    whether the two intervals of the hit rate share a number; it is empty where one of them is
    missing.

    Args:
        rows: Agreement rows of one run.
        controls: Its control rows.
        replicates: Of each bootstrap.
        seed: Of each bootstrap.
    """
    draws = {"replicates": replicates, "seed": seed}
    known = _by_control(controls)
    names = dict.fromkeys(str(row["control"]) for row in controls)
    lines: list[Row] = []
    for (model, mode, method), group in by_way(rows).items():
        for name in names:
            against = known.get((name, model, mode, RANDOMCAM if name == RANDOMCAM else method), {})
            pairs = [
                (row, against[_key(row)])
                for row in group
                if row["status"] in SCORED and _key(row) in against
            ]
            lines += _lines(name, pairs, draws)
    return lines


def _by_control(controls: Sequence[Row]) -> dict[tuple[str, str, str, str], dict[RowKey, Row]]:
    known: dict[tuple[str, str, str, str], dict[RowKey, Row]] = {}
    for row in controls:
        if row["status"] in SCORED:
            where = tuple(str(row[name]) for name in ("control", "model", "mode", "method"))
            known.setdefault((where[0], where[1], where[2], where[3]), {})[_key(row)] = row
    return known


def _key(row: Row) -> RowKey:
    return (str(row["reading_id"]), str(row["finding"]))


def _lines(control: str, pairs: Sequence[Pair], draws: Mapping[str, int]) -> list[Row]:
    """One line per finding, the macro and all rows together; none without a row."""
    if not pairs:
        return []
    parts: dict[str, list[Pair]] = {}
    for pair in pairs:
        parts.setdefault(str(pair[0]["finding"]), []).append(pair)
    lines = [_line(finding, control, part, draws) for finding, part in parts.items()]
    return [
        *lines,
        _line(MACRO, control, pairs, draws),
        _line(POOLED, control, pairs, draws),
    ]


def _line(finding: str, control: str, pairs: Sequence[Pair], draws: Mapping[str, int]) -> Row:
    own = [row for row, _ in pairs]
    values = [(cast(float, row["hit"]), cast(float, other["hit"])) for row, other in pairs]
    patients = [patient_of_row(row) for row in own]
    groups = [row["finding"] for row in own] if finding == MACRO else None
    drawn = draw_means(np.array(values), patients, groups=groups, **draws)
    line: Row = {name: own[0][name] for name in ("run_id", "model", "mode", "method")}
    line |= {"finding": finding, "control": control}
    line |= {"n_rows": len(pairs), "n_patients": len(set(patients))}
    return line | _numbers(drawn)


def _numbers(drawn: MeanDraws) -> Row:
    model, control = drawn.interval(0), drawn.interval(1)
    paired = drawn.difference(0, 1)
    return {
        **bounds("hit", control),
        **bounds("model_hit", model),
        **bounds("difference", paired.interval),
        "p_value": paired.p_value,
        "overlaps": _overlap(model, control),
        "note": control.note or model.note,
    }


def _overlap(one: Interval, other: Interval) -> bool | None:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return None
    return one.low <= other.high and other.low <= one.high
