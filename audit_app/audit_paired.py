"""Modes, models and methods against each other on the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, cast

import numpy as np

from audit_app.evaluation import SCORED, Row
from audit_app.metrics.holm import holm
from audit_app.metrics.mcnemar import mcnemar_exact
from audit_app.metrics.mean_draws import draw_means
from audit_app.reports.summary import HEADLINES, MACRO, POOLED, patient_of_row

NO_COMMON_ROW: Final = "no row was scored for both"
PAIRED_COLUMNS: Final = (
    "run_id",
    "compared",
    "first",
    "second",
    "model",
    "mode",
    "method",
    "finding",
    "metric",
    "n_rows",
    "n_patients",
    "first_value",
    "second_value",
    "difference",
    "low",
    "high",
    "p_bootstrap",
    "p_bootstrap_holm",
    "only_first",
    "only_second",
    "p_mcnemar",
    "p_mcnemar_holm",
    "note",
)
# What is compared, and the column that then differs between the two.
COMPARED: Final[Mapping[str, str]] = {"modes": "mode", "models": "model", "methods": "method"}
WAY: Final = ("model", "mode", "method")
Scored = dict[tuple[str, str], Row]
RowPair = tuple[Row, Row]


@dataclass(frozen=True, slots=True)
class Contest:
    """Two ways on their common rows; two of ``model``, ``mode`` and ``method`` are the same."""

    compared: str
    first: tuple[str, str, str]
    second: tuple[str, str, str]
    pairs: tuple[RowPair, ...]

    def labels(self) -> Row:
        """The columns that say what is compared."""
        place = WAY.index(COMPARED[self.compared])
        common: Row = dict(zip(WAY, self.first, strict=True))
        common[WAY[place]] = None
        return {
            "compared": self.compared,
            "first": self.first[place],
            "second": self.second[place],
            **common,
        }


def paired_rows(rows: Sequence[Row], *, replicates: int, seed: int) -> list[Row]:
    """The lines of paired.csv.

    Holm's correction covers all findings and pairs of one ``compared`` and metric; the lines over
    several findings are outside it.

    Args:
        rows: Agreement rows of one run.
        replicates: Of each bootstrap.
        seed: Of each bootstrap.
    """
    draws = {"replicates": replicates, "seed": seed}
    run_id = rows[0]["run_id"] if rows else None
    lines = [line for contest in contests(rows) for line in _contest_lines(contest, draws)]
    for compared in COMPARED:
        correct_families([line for line in lines if line["compared"] == compared])
    return [{"run_id": run_id, **line} for line in lines]


def contests(rows: Sequence[Row]) -> Iterator[Contest]:
    """Every two ways that differ in one thing, on the rows that were scored for both."""
    scored: dict[tuple[str, str, str], Scored] = {}
    for row in rows:
        way = (str(row["model"]), str(row["mode"]), str(row["method"]))
        group = scored.setdefault(way, {})
        if row["status"] in SCORED:
            group[str(row["reading_id"]), str(row["finding"])] = row
    for compared, column in COMPARED.items():
        place = WAY.index(column)
        for first, second in combinations(scored, 2):
            differs = [number for number in range(len(WAY)) if first[number] != second[number]]
            if differs == [place]:
                pairs = tuple(
                    (row, scored[second][key])
                    for key, row in scored[first].items()
                    if key in scored[second]
                )
                yield Contest(compared, first, second, pairs)


def _contest_lines(contest: Contest, draws: Mapping[str, int]) -> Iterator[Row]:
    parts: dict[str, list[RowPair]] = {}
    for pair in contest.pairs:
        parts.setdefault(str(pair[0]["finding"]), []).append(pair)
    every = list(contest.pairs)
    for finding, part in [*parts.items(), (MACRO, every), (POOLED, every)]:
        yield from difference_lines(finding, part, contest.labels(), draws)


def difference_lines(
    finding: str, pairs: Sequence[RowPair], labels: Row, draws: Mapping[str, int]
) -> Iterator[Row]:
    """One line per metric: the first's mean, the second's, and their difference.

    Args:
        finding: A finding, or ``MACRO`` for the mean over findings, or ``POOLED`` over rows.
        pairs: Rows of the same reading, image and finding that both were scored.
        labels: Columns that say what is compared.
        draws: ``replicates`` and ``seed``.
    """
    base: Row = dict.fromkeys(PAIRED_COLUMNS[1:]) | labels
    base |= {"finding": finding, "n_rows": len(pairs), "note": NO_COMMON_ROW}
    patients = [patient_of_row(row) for row, _ in pairs]
    base["n_patients"] = len(set(patients))
    if not pairs:
        yield from (base | {"metric": metric} for metric in HEADLINES)
        return
    values = [[cast(float, row[name]) for row in pair for name in HEADLINES] for pair in pairs]
    groups = [row["finding"] for row, _ in pairs] if finding == MACRO else None
    drawn = draw_means(np.array(values), patients, groups=groups, **draws)
    for place, metric in enumerate(HEADLINES):
        second = place + len(HEADLINES)
        paired = drawn.difference(place, second)
        line = base | {
            "metric": metric,
            "first_value": float(drawn.estimates[place]),
            "second_value": float(drawn.estimates[second]),
            "difference": paired.interval.estimate,
            "low": paired.interval.low,
            "high": paired.interval.high,
            "p_bootstrap": paired.p_value,
            "note": paired.interval.note,
        }
        yield line | _mcnemar(pairs) if metric == "hit" and finding != MACRO else line


def _mcnemar(pairs: Sequence[RowPair]) -> Row:
    first, second = ([cast(float, pair[place]["hit"]) for pair in pairs] for place in (0, 1))
    tested = mcnemar_exact(first, second)
    return {
        "only_first": tested.only_first,
        "only_second": tested.only_second,
        "p_mcnemar": tested.p_value,
    }


def correct_families(lines: Sequence[Row]) -> None:
    """Put Holm's p-values beside those of each metric; lines over several findings get none."""
    for metric in HEADLINES:
        family = [
            line
            for line in lines
            if line["metric"] == metric and line["finding"] not in (MACRO, POOLED)
        ]
        for name in ("p_bootstrap", "p_mcnemar"):
            adjusted = holm([cast("float | None", line[name]) for line in family])
            for line, p_value in zip(family, adjusted, strict=True):
                line[f"{name}_holm"] = p_value
