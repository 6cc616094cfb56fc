"""Two versions of an audit's table, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from audit_app.audit_result import TABLES, TEXT_COLUMNS
from audit_app.evaluation import Row
from audit_app.verification import is_same

# What names a row of each table.
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "rows": ("image_id", "reading_id", "finding", "model", "mode", "method"),
    "controls": ("image_id", "reading_id", "finding", "model", "mode", "method", "control"),
    "reveal": ("image_id", "reading_id", "finding", "model", "mode", "method"),
    "readers": ("measure", "finding", "first", "second", "model", "mode", "method"),
    "summary": ("finding", "model", "mode", "method"),
    "slices": ("slice", "value", "model", "mode", "method"),
    "control_summary": ("finding", "control", "model", "mode", "method"),
    "reliance": ("finding", "model", "mode"),
    "paired": ("finding", "metric", "compared", "first", "second", "model", "mode", "method"),
}
# Other libraries may give the same numbers: said, and no problem by itself.
REMARKED: Final = frozenset({"versions"})


def table_problems(
    name: str, written: Sequence[Row], again: Sequence[Row], tolerance: float
) -> list[str]:
    """A sentence for each cell that differs, and each row that one of the two lacks.

    Args:
        name: A key of ``TABLES``.
        written: As the file has it.
        again: As it was computed again.
        tolerance: Of numbers.
    """
    file, columns = TABLES[name]
    rest = {_key(name, row): row for row in again}
    problems = []
    if len(rest) != len(again) or len({_key(name, row) for row in written}) != len(written):
        problems.append(f"{file}: two rows have the same key; one of them was copied or changed")
    for line, row in enumerate(written, start=2):
        key = _key(name, row)
        other = rest.pop(key, None)
        where = f"{file} line {line} ({', '.join(part for part in key if part)})"
        if other is None:
            problems.append(f"{where}: no such row follows")
            continue
        problems += [
            f"{where}: {column} is {_shown(row[column])} in the file, {_shown(other[column])} "
            "recomputed"
            for column in columns
            if column not in REMARKED
            and not is_same(row[column], _as_read(column, other[column]), tolerance=tolerance)
        ]
    problems += [f"{file}: the row {', '.join(filter(None, key))} is missing" for key in rest]
    return problems


def _key(name: str, row: Row) -> tuple[str, ...]:
    return tuple("" if row[column] is None else str(row[column]) for column in KEYS[name])


def _as_read(column: str, value: object) -> object:
    """The value as it comes back from a file."""
    return str(value) if column in TEXT_COLUMNS and value is not None else value


def _shown(value: object) -> str:
    return "empty" if value in (None, "") else str(value)
