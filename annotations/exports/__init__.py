"""Formats in which readings leave the workspace: one module per format, all in ``EXPORTERS``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from annotations.exports.csv import write_csv
from annotations.store import Store

EXPORTERS: Final[dict[str, Callable[[Store, Path], int]]] = {
    "csv": write_csv,
}
