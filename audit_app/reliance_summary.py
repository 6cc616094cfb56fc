"""Does the model use what readers marked? Drops of the score, by finding and together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

import numpy as np

from audit_app.evaluation import Row
from audit_app.metrics.mean_draws import draw_means
from audit_app.reliance_test import FALLBACKS
from audit_app.reports.summary import MACRO, POOLED, bounds, by_way, patient_of_row

NOT_TESTED: Final = "no row has an equally large place elsewhere in the lungs"
_NUMBERS: Final = ("drop_region", "drop_elsewhere", "difference")
RELIANCE_COLUMNS: Final = (
    "run_id",
    "model",
    "mode",
    "finding",
    "fill",
    "score_kind",
    "n_rows",
    "n_patients",
    *(f"{name}{suffix}" for name in _NUMBERS for suffix in ("", "_low", "_high")),
    "p_value",
    "uses_region",
    "n_left_out",
    "n_outside_lungs",
    "note",
)


def reliance_summary(rows: Sequence[Row], *, fill: str, replicates: int, seed: int) -> list[Row]:
    """The lines of reliance.csv; none when the test was left out.

    The drops do not depend on the saliency method, so each reading and finding counts once for
    each model and mode. ``uses_region`` says whether filling the region lowers the score more than
    filling a place elsewhere does: the interval of the paired difference lies above 0. Rows whose
    place elsewhere had to lie outside of the lungs are left out: ``n_outside_lungs`` of the
    ``n_left_out``.

    Args:
        rows: Agreement rows of one run.
        fill: How regions were filled; "" when the test was left out.
        replicates: Of each bootstrap.
        seed: Of each bootstrap.
    """
    if not fill:
        return []
    draws = {"replicates": replicates, "seed": seed}
    lines: list[Row] = []
    for group in _once(rows).values():
        parts: dict[str, list[Row]] = {}
        for row in group:
            parts.setdefault(str(row["finding"]), []).append(row)
        parts |= {MACRO: group, POOLED: group}
        lines += [_line(finding, part, fill, draws) for finding, part in parts.items()]
    return lines


def _once(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """The rows of the first method of each model and mode."""
    kept: dict[tuple[str, str], list[Row]] = {}
    for (model, mode, _), group in by_way(rows).items():
        kept.setdefault((model, mode), group)
    return kept


def _line(finding: str, part: Sequence[Row], fill: str, draws: Mapping[str, int]) -> Row:
    names = ("score_drop_region", "score_drop_elsewhere")
    placed = [row for row in part if all(row[name] is not None for name in names)]
    tested = [row for row in placed if row["reliance_note"] not in FALLBACKS]
    line: Row = dict.fromkeys(RELIANCE_COLUMNS)
    line |= {name: part[0][name] for name in ("run_id", "model", "mode", "score_kind")}
    line |= {
        "finding": finding,
        "fill": fill,
        "n_rows": len(tested),
        "n_patients": len({patient_of_row(row) for row in tested}),
        "n_left_out": len(part) - len(tested),
        "n_outside_lungs": len(placed) - len(tested),
        "note": NOT_TESTED,
    }
    if not tested:
        return line
    values = np.array([[cast(float, row[name]) for name in names] for row in tested])
    groups = [row["finding"] for row in tested] if finding == MACRO else None
    drawn = draw_means(values, [patient_of_row(row) for row in tested], groups=groups, **draws)
    paired = drawn.difference(0, 1)
    low = paired.interval.low
    return line | {
        **bounds("drop_region", drawn.interval(0)),
        **bounds("drop_elsewhere", drawn.interval(1)),
        **bounds("difference", paired.interval),
        "p_value": paired.p_value,
        "uses_region": None if low is None else low > 0,
        "note": paired.interval.note,
    }
