"""A table of labels: ``path,patient,split,<findings...>``, one row per picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotations.errors import AnnotationError
from annotations.findings import resolve_finding, unknown_finding_message
from annotations.imaging import file_sha256
from annotations.sources.listing import Skipped
from annotations.sources.tables import Row, read_table
from audit_app.errors import AuditError

FIXED_COLUMNS: Final = ("path", "patient", "split")
PARTS: Final[Mapping[str, str]] = {
    "": "",
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
}
POSITIVE: Final = 1.0
NEGATIVE: Final = 0.0
UNCERTAIN: Final = (2.0, -1.0)


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One usable row."""

    where: str
    path: str
    patient: str
    part: str
    positive: frozenset[str]


@dataclass(frozen=True, slots=True)
class LabelTable:
    """What a table of labels says.

    Attributes:
        findings: In the order of the workspace.
        rows: In the order of the table.
        left_out: Rows that were not used, with the reason.
        remarks: How values were read.
        n_uncertain: By finding, how many values were 2 or -1.
        sha256: Of the file.
    """

    findings: tuple[str, ...]
    rows: tuple[LabelRow, ...]
    left_out: tuple[str, ...]
    remarks: tuple[str, ...]
    n_uncertain: Mapping[str, int]
    sha256: str


class _UnusableRow(Exception):
    """Why a row takes no part."""


def read_label_file(path: Path, known: Sequence[str], uncertain: str) -> LabelTable:
    """The labels of a CSV.

    1 is positive, 0 is not. 2 and -1 are uncertain and follow the rule. A blank cell says that
    nothing was mentioned and is not positive; a row of blanks alone is an image without labels and
    is left out.

    Args:
        path: UTF-8, with the column ``path`` and at least one finding of the workspace.
        known: The findings of the workspace.
        uncertain: ``not positive``, ``positive`` or ``leave out`` (the whole image).

    Raises:
        AuditError: If a column is no finding, a value is none of these, or a split has another
            name; the message quotes row and column.
    """
    rows = _rows_of(path)
    columns = _finding_columns(path, rows, known)
    reader = _RowReader(columns, uncertain)
    usable, left_out = (
        [],
        [f"{row.where}: {row.reason}" for row in rows if isinstance(row, Skipped)],
    )
    for row in rows:
        if isinstance(row, Row):
            try:
                usable.append(reader.read(row))
            except _UnusableRow as reason:
                left_out.append(f"{row.where}: {reason}")
    present = set(columns.values())
    return LabelTable(
        findings=tuple(name for name in known if name in present),
        rows=tuple(usable),
        left_out=tuple(left_out),
        remarks=tuple(reader.remarks(uncertain)),
        n_uncertain=dict(reader.n_uncertain),
        sha256=file_sha256(path),
    )


def read_split_file(path: Path) -> list[tuple[str, str]]:
    """(path, part) of each row of a CSV ``path,split``.

    Raises:
        AuditError: If the table cannot be read or a part has another name than the three.
    """
    return [
        (row.text("path"), _part(row))
        for row in _rows_of(path, ("path", "split"))
        if isinstance(row, Row) and row.text("path")
    ]


def _rows_of(path: Path, required: tuple[str, ...] = ("path",)) -> list[Row | Skipped]:
    if not path.is_file():
        raise AuditError(
            f"{path} does not exist; give a CSV with the columns {', '.join(required)}"
        )
    try:
        return list(read_table(path, required))
    except AnnotationError as error:
        raise AuditError(str(error)) from None


def _finding_columns(
    path: Path, rows: Sequence[Row | Skipped], known: Sequence[str]
) -> dict[str, str]:
    """Column of the table to finding of the workspace."""
    first = next((row for row in rows if isinstance(row, Row)), None)
    if first is None:
        raise AuditError(f"{path.name} has no row that can be read; expected one row per picture")
    columns: dict[str, str] = {}
    for column in first.cells:
        if column in FIXED_COLUMNS:
            continue
        finding = resolve_finding(column, known)
        if finding is None:
            raise AuditError(
                f"{path.name} has the column '{column}': {unknown_finding_message(column, known)}; "
                f"remove or rename the column (others are {', '.join(FIXED_COLUMNS)})"
            )
        columns[column] = finding
    if not columns:
        raise AuditError(
            f"{path.name} has no column of a finding; expected path, patient, split and one column "
            f"each of {', '.join(known)}"
        )
    return columns


class _RowReader:
    """Reads rows by one rule and counts what the rule decided."""

    def __init__(self, columns: Mapping[str, str], uncertain: str) -> None:
        self.columns = columns
        self.uncertain = uncertain
        self.n_uncertain: Counter[str] = Counter()
        self.n_blank = 0

    def read(self, row: Row) -> LabelRow:
        """The row, or _UnusableRow with the reason."""
        path = row.text("path")
        if not path:
            raise _UnusableRow("column 'path' is empty")
        cells = {column: row.text(column) for column in self.columns}
        if not any(cells.values()):
            raise _UnusableRow("it has no label at all")
        positive = frozenset(
            self.columns[column] for column, text in cells.items() if self._is_positive(row, column)
        )
        self.n_blank += sum(not text for text in cells.values())
        return LabelRow(row.where, path, row.text("patient"), _part(row), positive)

    def _is_positive(self, row: Row, column: str) -> bool:
        text = row.text(column)
        if not text:
            return False
        try:
            value = row.number_in(column)
        except AnnotationError as error:
            raise AuditError(f"{row.where}: {error} (1, 0, -1, 2 or blank)") from None
        if value in (POSITIVE, NEGATIVE):
            return value == POSITIVE
        if value not in UNCERTAIN:
            raise AuditError(
                f"{row.where}: column '{column}' holds '{text}'; expected 1, 0, blank, or 2 or -1 "
                "for uncertain"
            )
        self.n_uncertain[self.columns[column]] += 1
        if self.uncertain == "leave out":
            raise _UnusableRow(f"'{self.columns[column]}' is uncertain ({text})")
        return self.uncertain == "positive"

    def remarks(self, rule: str) -> list[str]:
        """How values that are neither 1 nor 0 were read."""
        said = []
        total = self.n_uncertain.total()
        if total:
            meaning = "their images are left out" if rule == "leave out" else f"taken as {rule}"
            said.append(f"{total} uncertain values (2 or -1): {meaning}")
        if self.n_blank:
            said.append(f"{self.n_blank} blank values: not mentioned, taken as not positive")
        return said


def _part(row: Row) -> str:
    text = row.text("split").lower()
    if text not in PARTS:
        raise AuditError(
            f"{row.where}: split is '{row.text('split')}'; expected train, validation or test"
        )
    return PARTS[text]
