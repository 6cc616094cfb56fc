"""Agreement over a set: one line per finding, mode and method, and the macro over findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

import numpy as np

from audit_app.audit_plan import patient_of
from audit_app.evaluation import SCORED, STATUSES, Row
from audit_app.metrics.bootstrap import Interval
from audit_app.metrics.macro import macro_mean
from audit_app.metrics.mean_draws import draw_means

MACRO: Final = "macro over findings"
POOLED: Final = "all regions"
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
    "human_hit",
    "human_iou",
    "human_pairs",
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
    by_finding: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        by_finding.setdefault((str(row["finding"]), *way_of(row)), []).append(row)
    draws = {"replicates": replicates, "seed": seed}
    lines = [_line(name, group, draws) for (name, *_), group in by_finding.items()]
    return lines + [_line(MACRO, group, draws) for group in by_way(rows).values()]


def way_of(row: Row) -> tuple[str, str, str]:
    """Model, mode and method of a row."""
    return (str(row["model"]), str(row["mode"]), str(row["method"]))


def by_way(rows: Iterable[Row]) -> dict[tuple[str, str, str], list[Row]]:
    """The rows of each model, mode and method, in the order in which they first appear."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault(way_of(row), []).append(row)
    return groups


def pool(rows: Sequence[Row], *, replicates: int, seed: int) -> Row:
    """One line over all rows of one mode and method, each counting once, whatever its finding.

    Its interval needs no row of every finding in a resample, so few readings have one too. The
    arguments are those of ``summarise``.
    """
    as_one = [{**row, "finding": POOLED} for row in rows]
    line = _line(POOLED, as_one, {"replicates": replicates, "seed": seed})
    return line | {"n_findings": len({row["finding"] for row in rows if row["status"] in SCORED})}


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
        "n_patients": len({patient_of_row(row) for row in scored}),
        "note": NO_SCORED_ROW,
        **draws,
    }
    return line | _numbers(scored, draws) if scored else line


def _numbers(scored: Sequence[Row], draws: dict[str, int]) -> Row:
    numbers: Row = {name: _macro_mean(scored, name) for name in SIDE_COLUMNS}
    numbers |= headline_intervals(scored, draws, groups=[row["finding"] for row in scored])
    return numbers | beyond_chance(numbers["hit"], numbers["chance_hit"])


def headline_intervals(
    scored: Sequence[Row], draws: Mapping[str, int], *, groups: Sequence[object] | None = None
) -> Row:
    """Hit, IoU and energy with their intervals, and why there is none.

    Args:
        scored: At least one row of status ok or no_evidence.
        draws: ``replicates`` and ``seed``.
        groups: One label per row, for the mean over groups; None: the mean over rows.
    """
    values = np.array([[cast(float, row[name]) for name in HEADLINES] for row in scored])
    drawn = draw_means(values, [patient_of_row(row) for row in scored], groups=groups, **draws)
    facts: Row = {}
    for column, name in enumerate(HEADLINES):
        facts |= bounds(name, drawn.interval(column)) | {"note": drawn.interval(column).note}
    return facts


def bounds(name: str, interval: Interval) -> Row:
    """The cells of a number with its interval."""
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def beyond_chance(hit: object, chance: object) -> Row:
    """Lift and corrected hit rate; None where chance hits everything, or nothing."""
    if not isinstance(hit, float) or not isinstance(chance, float):
        return {"lift": None, "corrected": None}
    # With boxes over the whole field of view everything hits and nothing can be corrected.
    corrected = None if chance == 1 else (hit - chance) / (1 - chance)
    return {"lift": hit / chance if chance else None, "corrected": corrected}


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


def patient_of_row(row: Row) -> str:
    """The patient that a row belongs to."""
    return patient_of(str(row["patient_hash"]), str(row["image_id"]))
