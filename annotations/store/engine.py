"""Which SQLite keeps the data."""

from __future__ import annotations

import sqlite3


def sqlite_version() -> str:
    """The version of the SQLite library."""
    return sqlite3.sqlite_version
