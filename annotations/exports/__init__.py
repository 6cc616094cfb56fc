"""Formats in which readings leave the workspace: one module per format, all in ``EXPORTERS``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from annotations.errors import ExportRefused
from annotations.exports.csv import write_csv
from annotations.store import Store

EXPORTERS: Final[dict[str, Callable[[Store, Path], int]]] = {
    "csv": write_csv,
}


def export_readings(store: Store, kind: str, out: Path) -> int:
    """Write the readings in the format ``kind`` and say how many rows were written.

    Raises:
        ExportRefused: If the format is unknown or the file cannot be written.
    """
    if kind not in EXPORTERS:
        raise ExportRefused(f"unknown format '{kind}'; known: {', '.join(EXPORTERS)}")
    try:
        return EXPORTERS[kind](store, out)
    except OSError as error:
        raise ExportRefused(f"cannot write {out}: {error.strerror}; choose another place") from None
