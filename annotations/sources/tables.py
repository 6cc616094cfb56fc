"""Rows of CSV files as people really save them: BOM, semicolons, CRLF, quotes, bad bytes."""

from __future__ import annotations

import codecs
import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotations.errors import AnnotationError, UnknownSource
from annotations.sources.listing import Skipped

_DELIMITERS: Final = (",", ";", "\t")
# Our own export may hold a note of 2,000 letters, each of them a line end.
_MAX_LINES_OF_A_ROW: Final = 2_500
_MAX_FIELD_CHARS: Final = 4_000_000


class RowError(AnnotationError):
    """A row that cannot be used; the message says which column and why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number as a spreadsheet shows it (the header is row 1), its cells by column."""

    number: int
    table: str
    cells: Mapping[str, str]
    decimal_comma: bool = False

    @property
    def where(self) -> str:
        """File and row, for messages."""
        return f"{self.table}, row {self.number}"

    def text(self, column: str) -> str:
        """The cell without surrounding spaces; "" when the table has no such column."""
        return self.cells.get(normalise_column(column), "").strip()

    def raw(self, column: str) -> str:
        """The cell exactly as written; "" when the table has no such column."""
        return self.cells.get(normalise_column(column), "")

    def required(self, column: str) -> str:
        """The cell, which must not be empty.

        Raises:
            RowError: If it is empty.
        """
        text = self.text(column)
        if not text:
            raise RowError(f"column '{column}' is empty")
        return text

    def number_in(self, column: str) -> float:
        """The finite number in the cell.

        Raises:
            RowError: If it is no finite number; the message quotes the cell.
        """
        text = self.text(column)
        try:
            value = float(text.replace(",", ".") if self.decimal_comma else text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise RowError(f"column '{column}' holds '{text}'; expected a number")
        return value

    def numbers_in(self, columns: Sequence[str]) -> list[float]:
        """The finite numbers in these cells, in this order."""
        return [self.number_in(column) for column in columns]


def normalise_column(name: str) -> str:
    """The column's name in lower case with underscores, as tables are looked up."""
    return "_".join(name.lower().replace("_", " ").split())


def read_table(
    path: Path,
    required: Sequence[str],
    *,
    columns: Sequence[str] | None = None,
) -> Iterator[Row | Skipped]:
    """The rows of a CSV file; a row that cannot be split into its columns comes as skipped.

    Args:
        path: UTF-8 (with or without BOM) or UTF-16 with BOM; comma, semicolon or tab.
        required: Columns that the header must have; case and order do not matter.
        columns: Names by position, for a table whose header is not one cell per column.

    Raises:
        UnknownSource: If the file is no such table; the message names the missing columns.
    """
    csv.field_size_limit(_MAX_FIELD_CHARS)
    lines = _split_lines(read_text(path), path)
    if not lines:
        raise UnknownSource(f"{path.name} is empty; expected a CSV with {', '.join(required)}")
    delimiter = _find_delimiter(lines[0])
    header = _drop_empty_tail(next(csv.reader([lines[0]], delimiter=delimiter), []), 0)
    missing = [name for name in required if normalise_column(name) not in _names(header)]
    if missing:
        raise UnknownSource(
            f"{path.name} has no column {', '.join(missing)}; its header is "
            f"'{lines[0].strip()[:200]}', expected {', '.join(required)}"
        )
    names = _names(columns or header)
    for number, cells in enumerate(_split_rows(lines[1:], delimiter, len(names)), start=2):
        where = f"{path.name}, row {number}"
        if isinstance(cells, str):
            yield Skipped(where, cells)
        elif cells:
            values = dict(zip(names, cells, strict=True))
            yield Row(number, path.name, values, decimal_comma=delimiter != ",")


def read_text(path: Path) -> str:
    """The text of a file; bytes that are no UTF-8 become surrogates, which rows are refused for.

    Raises:
        UnknownSource: If the file is not text at all or cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnknownSource(f"{path} cannot be read: {error.strerror}") from None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    if _is_binary(data[:4096]):
        raise UnknownSource(f"{path.name} is not a text file; save the table as CSV (UTF-8)")
    return data.decode("utf-8-sig", errors="surrogateescape")


def _is_binary(start: bytes) -> bool:
    """Whether a file that begins so is no text: a NUL alone may stand in a note, too."""
    first_line = start.partition(b"\n")[0]
    if b"\0" not in start or b"\0" in first_line:
        return b"\0" in start
    try:
        # Not to the end: the last character may be cut in two.
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return True
    return False


def _names(header: Sequence[str]) -> list[str]:
    return [normalise_column(name) for name in header]


def _split_lines(text: str, path: Path) -> list[str]:
    """Lines with their ends, split at CR, LF and CRLF only; the header must be clean text."""
    lines = list(io.StringIO(text, newline=""))
    if lines and not _is_clean(lines[0]):
        raise UnknownSource(f"{path.name} is not UTF-8 text; save it as 'CSV UTF-8'")
    return lines


def _find_delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def _is_clean(text: str) -> bool:
    return not any("\udc80" <= char <= "\udcff" for char in text)


def _drop_empty_tail(cells: list[str], at_least: int) -> list[str]:
    while len(cells) > at_least and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def _split_rows(lines: list[str], delimiter: str, n_columns: int) -> Iterator[list[str] | str]:
    """Each row's cells, or the reason why a line is no row.

    A quotation mark that is never closed would swallow the rest of the file; here it costs its
    own line only.
    """
    position = 0
    while position < len(lines):
        n_lines = _lines_of_row(lines, position)
        cells = _parse(lines[position : position + n_lines], delimiter, n_columns)
        if isinstance(cells, str) and n_lines > 1:
            n_lines = 1
            cells = _parse([lines[position]], delimiter, n_columns)
        yield cells
        position += n_lines


def _lines_of_row(lines: list[str], start: int) -> int:
    """How many lines the row has: as many as it takes to close its quotation marks."""
    n_quotes = 0
    for offset, line in enumerate(lines[start : start + _MAX_LINES_OF_A_ROW]):
        n_quotes += line.count('"')
        if n_quotes % 2 == 0:
            return offset + 1
    return 1


def _parse(lines: list[str], delimiter: str, n_columns: int) -> list[str] | str:
    text = "".join(lines)
    if not _is_clean(text):
        return "bytes that are not UTF-8; save the file as 'CSV UTF-8'"
    if not text.strip(delimiter + " \t\r\n"):
        return []
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        return f"broken quotation marks ({error})"
    cells = _drop_empty_tail(rows[0], n_columns) if len(rows) == 1 else []
    if len(cells) != n_columns:
        return f"{len(rows[0])} columns; expected {n_columns}"
    return cells
