"""Cells of exported tables that no spreadsheet takes for a formula."""

from __future__ import annotations

import re
from typing import Final

_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED: Final = re.compile(r"'+[=+\-@\t\r]")


def escape_cell(value: str | int) -> str:
    """The cell's text, with an apostrophe in front where a spreadsheet would see a formula.

    Apostrophes that were there already are doubled up in the same place, so nothing is lost.
    """
    text = str(value)
    return f"'{text}" if isinstance(value, str) and _FORMULA.match(text) else text


def unescape_cell(text: str) -> str:
    """The text before ``escape_cell``."""
    return text[1:] if _ESCAPED.match(text) else text
