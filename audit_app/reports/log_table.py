"""The log as a table: for the page in words, for a file with every column."""

from __future__ import annotations

import csv
import io
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from annotations.records import LogRow
from audit_app.reports.csv_files import csv_cell

HEADERS: Final = ("No.", "When (UTC)", "Who", "What", "About", "Picture", "Details")
COLUMNS: Final = (
    "seq", "at", "actor", "kind", "subject", "image_id", "details", "previous_hash", "hash",
)  # fmt: skip
# What the kinds mean, where the word alone does not say it.
MEANINGS: Final[Mapping[str, str]] = {
    "put": "box saved",
    "delete": "box deleted",
    "no_finding": "No Finding set",
    "commit": "reading committed",
    "reopen": "reading reopened",
    "reveal": "heatmap revealed",
    "seen unread": "heatmap seen without an own reading",
    "import_reading": "reading imported",
    "view": "picture viewed",
    "migrate": "database brought up to date",
}
LONGEST_CELL: Final = 160


def kind_choices(kinds: Iterable[str]) -> list[tuple[str, str]]:
    """What a filter offers: words, and the kind that they stand for."""
    return sorted((MEANINGS.get(kind, kind), kind) for kind in kinds)


def shown_row(row: LogRow, names: Mapping[str, str]) -> list[str]:
    """One line of the page's table, all text.

    Args:
        row: The log's row.
        names: The pictures' names by id.
    """
    details = ", ".join(f"{key} {_short(value)}" for key, value in row.details.items())
    return [
        str(row.seq),
        row.at[:19].replace("T", " "),
        row.actor,
        MEANINGS.get(row.kind, row.kind),
        row.subject,
        names.get(row.image_id, row.image_id),
        _cut(details),
    ]


def csv_lines(rows: Iterable[LogRow]) -> Iterator[str]:
    """The table as CSV (RFC 4180), no cell a formula; pictures by their opaque id only."""
    yield BOM_UTF8.decode() + _line(COLUMNS)
    for row in rows:
        yield _line([csv_cell(_value(row, column)) for column in COLUMNS])


def _value(row: LogRow, column: str) -> object:
    value = getattr(row, column)
    if not isinstance(value, dict):
        return value
    return "; ".join(f"{key}={inner}" for key, inner in value.items())


def _line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()


def _short(value: object) -> str:
    return "..." if isinstance(value, dict | list) else str(value)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]} ..."
