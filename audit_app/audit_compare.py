"""Two audits side by side on their common rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from audit_app.audit_paired import (
    PAIRED_COLUMNS,
    RowPair,
    correct_families,
    difference_lines,
)
from audit_app.audit_result import AuditResult, load_audit
from audit_app.errors import AuditError
from audit_app.evaluation import SCORED, Row
from audit_app.reports.audit_tables import p_words
from audit_app.reports.csv_files import write_csv
from audit_app.reports.first_line import no_interval, patients
from audit_app.reports.html_parts import number
from audit_app.reports.summary import MACRO, POOLED

COMPARISON_FILE: Final = "comparison.csv"
COMPARISON_COLUMNS: Final = tuple(
    name for name in PAIRED_COLUMNS if name not in ("run_id", "compared", "first", "second")
)
# Which rows of two audits speak of the same thing; the model is left out when each has one.
COMMON: Final = ("image_sha256", "reader", "finding", "mode", "method")
Key = tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Two audits on their common rows.

    Attributes:
        lines: One per finding, mode, method and metric, with macro and pooled lines.
        differences: Choices, weights and preprocessing that differ, one sentence each.
        n_common: Rows that were scored in both.
        n_first: Rows of the first audit that have no such row in the second.
        n_second: Rows of the second audit that have no such row in the first.
        n_changed: Rows in both whose reading says something else; they are not compared.
        n_unscored: Rows in both that were not scored in one of them; they are not compared.
    """

    lines: tuple[Row, ...]
    differences: tuple[str, ...]
    n_common: int
    n_first: int
    n_second: int
    n_changed: int
    n_unscored: int

    def sentences(self) -> list[str]:
        """For the command line: what is compared, then the hit rates."""
        told = [
            f"{self.n_common} common rows; {self.n_first} only in the first, {self.n_second} only "
            f"in the second, {self.n_changed} of readings that changed in between, "
            f"{self.n_unscored} not scored in both.",
            *self.differences,
        ]
        return told + [_describe(line) for line in self.lines if line["metric"] == "hit"]


def compare_audits(first: Path, second: Path) -> Comparison:
    """The two audits on the rows that both have: same picture, reader, reading, finding and way.

    Pictures are recognised by their content, so audits of two workspaces can be compared. Where
    each audit has one model, the two may have different names.

    Args:
        first: Folder of a finished audit.
        second: Another one.

    Raises:
        AuditError: If one is no finished audit, or no row is common to both.
    """
    one, other = load_audit(first), load_audit(second)
    by_model = len(_models(one)) > 1 or len(_models(other)) > 1
    names = (*COMMON, "model") if by_model else COMMON
    rows, others = _by_key(one, names), _by_key(other, names)
    both = [key for key in rows if key in others]
    same = [key for key in both if _reading(rows[key]) == _reading(others[key])]
    scored = [key for key in same if _is_scored(rows[key]) and _is_scored(others[key])]
    if not scored:
        raise AuditError(
            f"the audits in {first} and {second} have no scored row in common: {len(rows)} and "
            f"{len(others)} rows, {len(both)} of the same picture, reader, finding, mode and "
            f"method, {len(same)} of these of the same reading; audit the same readings with both"
        )
    return Comparison(
        lines=tuple(_lines([(rows[key], others[key]) for key in scored], one)),
        differences=tuple(_differences(one.provenance, other.provenance)),
        n_common=len(scored),
        n_first=len(rows) - len(both),
        n_second=len(others) - len(both),
        n_changed=len(both) - len(same),
        n_unscored=len(same) - len(scored),
    )


def write_comparison(out: Path, comparison: Comparison) -> None:
    """Write comparison.csv into a folder, made when absent."""
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / COMPARISON_FILE, COMPARISON_COLUMNS, comparison.lines)


def _models(result: AuditResult) -> list[str]:
    return list(dict.fromkeys(str(row["model"]) for row in result.rows))


def _by_key(result: AuditResult, names: Sequence[str]) -> dict[Key, Row]:
    return {tuple(str(row[name]) for name in names): row for row in result.rows}


def _reading(row: Row) -> object:
    return row["reading_sha256"]


def _is_scored(row: Row) -> bool:
    return row["status"] in SCORED


def _lines(pairs: Sequence[RowPair], one: AuditResult) -> list[Row]:
    """Lines by mode, method and finding; Holm's family is all findings and ways of one metric."""
    choices = one.provenance["choices"]
    draws = {"replicates": int(choices["replicates"]), "seed": int(choices["seed"])}
    ways: dict[tuple[str, str, str], list[RowPair]] = {}
    for pair in pairs:
        row, other = pair
        model = str(row["model"])
        if other["model"] != row["model"]:
            model = f"{row['model']} against {other['model']}"
        ways.setdefault((model, str(row["mode"]), str(row["method"])), []).append(pair)
    lines: list[Row] = []
    for way, group in ways.items():
        labels: Row = dict(zip(("model", "mode", "method"), way, strict=True))
        parts: dict[str, list[RowPair]] = {}
        for pair in group:
            parts.setdefault(str(pair[0]["finding"]), []).append(pair)
        for finding, part in [*parts.items(), (MACRO, group), (POOLED, group)]:
            lines += difference_lines(finding, part, labels, draws)
    correct_families(lines)
    return lines


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What was done differently, as far as it decides numbers."""
    told = []
    for name in ("choices", "weights", "preprocessing", "layers", "grid", "versions"):
        first, second = one.get(name), other.get(name)
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            told += [
                f"{name} {key}: {first.get(key)!r} and {second.get(key)!r}."
                for key in dict.fromkeys([*first, *second])
                if first.get(key) != second.get(key) and key not in ("owner", "report")
            ]
        elif first != second:
            told.append(f"{name}: {first!r} and {second!r}.")
    return told + _prompt_differences(one, other)


def _prompt_differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Which ways ask with other texts; the texts themselves stand in provenance.json."""
    first, second = one.get("prompts", {}), other.get("prompts", {})
    return [
        f"prompts of {way} differ; provenance.json holds them."
        for way in first
        if way in second and first[way] != second[way]
    ]


def _describe(line: Row) -> str:
    where = f"{line['model']} {line['mode']} {line['method']}, {line['finding']}"
    first, second, difference = (
        number(line[name], 2) for name in ("first_value", "second_value", "difference")
    )
    told = f"{where}: hit rate {first} and {second}, difference {difference}"
    rows = "row" if line["n_rows"] == 1 else "rows"
    counts = f"{line['n_rows']} {rows} of {line['n_patients']} {patients(line['n_patients'])}"
    if line["low"] is None:
        return f"{told} ({no_interval(line)}); {counts}."
    p_value = line["p_bootstrap_holm"]
    holm_words = "" if p_value is None else f", p {p_words(p_value)} after Holm"
    ends = f"{number(line['low'], 2)} to {number(line['high'], 2)}"
    return f"{told} (95 % {ends}{holm_words}); {counts}."
