"""Agreement over a set: one line per finding, mode and method, and the macro over findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final, cast

import numpy as np

from audit_app.audit_plan import patient_of
from audit_app.evaluation import SCORED, STATUSES, Row
from audit_app.metrics.bootstrap import Interval, cluster_bootstrap
from audit_app.metrics.macro import macro_mean

MACRO: Final = "macro over findings"
NO_SCORED_ROW: Final = "no scored row"
HEADLINES: Final = ("hit", "iou", "energy_in_box")
SIDE_COLUMNS: Final = ("chance_hit", "centre_hit", "prior_hit", "shift_null_iou")
SUMMARY_COLUMNS: Final = (
    "run_id",
    "model",
    "mode",
    "method",
    "finding",
    "n_findings",
    "n_rows",
    "n_scored",
    "n_patients",
    *(f"n_{status}" for status in STATUSES),
    *(f"{name}{suffix}" for name in HEADLINES for suffix in ("", "_low", "_high")),
    *SIDE_COLUMNS,
    "lift",
    "corrected",
    "replicates",
    "seed",
    "note",
)


def summarise(rows: Sequence[Row], *, replicates: int, seed: int) -> list[Row]:
    """The lines of ``summary.csv``, in the order in which groups first appear, macro lines last.

    Means are over scored rows (status ok or no_evidence), each row counting once; ``n_patients``
    counts the patients of these. Intervals are 95 % percentile intervals of a bootstrap over
    patients. A macro is the mean over the findings that have a scored row; its ``lift`` and
    ``corrected`` follow from its own hit and chance. Resamples that hold no row of one of these
    findings are left out, and where they are many there is no interval and ``note`` says so.

    Args:
        rows: Agreement rows of one run.
        replicates: Of each bootstrap.
        seed: Of each bootstrap: all lines are drawn anew from it.
    """
    by_finding: dict[tuple[str, str, str], list[Row]] = {}
    by_method: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        mode, method = str(row["mode"]), str(row["method"])
        by_finding.setdefault((str(row["finding"]), mode, method), []).append(row)
        by_method.setdefault((mode, method), []).append(row)
    draws = {"replicates": replicates, "seed": seed}
    lines = [_line(name, group, draws) for (name, _, _), group in by_finding.items()]
    return lines + [_line(MACRO, group, draws) for group in by_method.values()]


def _line(finding: str, group: Sequence[Row], draws: dict[str, int]) -> Row:
    scored = [row for row in group if row["status"] in SCORED]
    counts = Counter(str(row["status"]) for row in group)
    line: Row = dict.fromkeys(SUMMARY_COLUMNS)
    line |= {name: group[0][name] for name in ("run_id", "model", "mode", "method")}
    line |= {f"n_{status}": counts[status] for status in STATUSES}
    line |= {
        "finding": finding,
        "n_findings": len({row["finding"] for row in scored}),
        "n_rows": len(group),
        "n_scored": len(scored),
        "n_patients": len({_patient(row) for row in scored}),
        "note": NO_SCORED_ROW,
        **draws,
    }
    return line | _numbers(scored, draws) if scored else line


def _numbers(scored: Sequence[Row], draws: dict[str, int]) -> Row:
    numbers: Row = {name: _macro_mean(scored, name) for name in SIDE_COLUMNS}
    for name in HEADLINES:
        interval = _interval(scored, name, draws)
        numbers |= {
            name: interval.estimate,
            f"{name}_low": interval.low,
            f"{name}_high": interval.high,
            "note": interval.note,
        }
    hit, chance = cast(float, numbers["hit"]), cast(float, numbers["chance_hit"])
    numbers["lift"] = hit / chance
    # With boxes over the whole field of view everything hits and nothing can be corrected.
    numbers["corrected"] = None if chance == 1 else (hit - chance) / (1 - chance)
    return numbers


def _interval(scored: Sequence[Row], name: str, draws: dict[str, int]) -> Interval:
    values = np.array([cast(float, row[name]) for row in scored])
    patients = [_patient(row) for row in scored]
    replicates, seed = draws["replicates"], draws["seed"]
    codes = _finding_codes(scored)
    if not any(codes):
        return cluster_bootstrap(values, patients, replicates=replicates, seed=seed)
    return cluster_bootstrap(
        np.column_stack([values, codes]),
        patients,
        statistic=partial(macro_mean, n_groups=max(codes) + 1),
        replicates=replicates,
        seed=seed,
    )


def _macro_mean(scored: Sequence[Row], name: str) -> float | None:
    """Mean over findings of the mean over their rows; rows without this number are left out."""
    kept = [row for row in scored if row[name] is not None]
    if not kept:
        return None
    values = np.array([cast(float, row[name]) for row in kept])
    codes = _finding_codes(kept)
    return macro_mean(np.column_stack([values, codes]), n_groups=max(codes) + 1)


def _finding_codes(rows: Sequence[Row]) -> list[int]:
    names = list(dict.fromkeys(row["finding"] for row in rows))
    number = {name: code for code, name in enumerate(names)}
    return [number[row["finding"]] for row in rows]


def _patient(row: Row) -> str:
    return patient_of(str(row["patient_hash"]), str(row["image_id"]))
