"""Tables as CSV files: UTF-8, RFC 4180, and no cell that a spreadsheet runs as a formula."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from annotations.exports.cells import TABLE_ENCODING, escape_cell
from annotations.exports.exporter import unfinished_file


def csv_cell(value: object) -> str:
    """The cell's text: nothing for None, true/false, numbers in full, text made harmless.

    Where a spreadsheet would read a formula the text gets an apostrophe; numbers stay as they are.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return escape_cell(str(value))


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write the columns of these rows; the file appears whole or not at all.

    Raises:
        KeyError: If a row lacks a column.
    """
    with unfinished_file(path) as part, part.open("w", encoding=TABLE_ENCODING, newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow([csv_cell(column) for column in columns])
        writer.writerows([csv_cell(row[column]) for column in columns] for row in rows)
        file.flush()
        os.fsync(file.fileno())
