"""Cells of exported tables that no spreadsheet takes for a formula."""

from __future__ import annotations

import re
from typing import Final

# With the mark at its beginning, without which Excel takes a file for the old code page of its
# computer; pandas passes over it.
TABLE_ENCODING: Final = "utf-8-sig"

_SIGNS: Final = "=+\\-@\uff1d\uff0b\uff0d\uff20"


def _beginnings(mark: str) -> re.Pattern[str]:
    """Where a formula would begin, behind this mark; also one behind blanks and quotes.

    At the text's start, and where a spreadsheet begins another cell although we do not: a German
    Excel splits at semicolons and, as it then sees no quoted cell, at line ends; others at tabs.
    """
    return re.compile(
        rf"\A{mark}(?=['\" ]*[{_SIGNS}\t\r\n])|(?<=[;\t\r\n]){mark}(?=['\" ]*[{_SIGNS}])"
    )


_RISKY: Final = _beginnings("")
_ESCAPED: Final = _beginnings("'")


def escape_cell(value: str | int) -> str:
    """The cell's text, with an apostrophe where a spreadsheet would see a formula begin.

    Apostrophes that were there already are doubled up in the same place, so nothing is lost.
    """
    return _RISKY.sub("'", value) if isinstance(value, str) else str(value)


def unescape_cell(text: str) -> str:
    """The text before ``escape_cell``."""
    return _ESCAPED.sub("", text)
