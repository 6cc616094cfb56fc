"""Copies of the database that are known to be sound."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from annotations.errors import DamagedWorkspace, StoreError
from annotations.store.connection import Connections, translate

_STAMP: Final = "%Y%m%dT%H%M%S%f"
_PATTERN: Final = "????????T????????????Z.sqlite"  # what _STAMP makes: 8 digits, T, 12 digits


def write_backup(connections: Connections, to: Path) -> Path:
    """``to``, a checked copy of the database as it is now, readable by its owner only.

    Raises:
        StoreError: If there is such a file already, or it cannot be written.
        DamagedWorkspace: If the copy is not sound; it is removed again.
    """
    if to.exists():
        raise StoreError(f"{to} exists already; give another name for the backup")
    partial = to.with_name(to.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        _copy(connections, partial)
        partial.replace(to)
    except OSError as error:
        raise StoreError(f"the backup {to} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    return to


def backup_if_due(
    connections: Connections, folder: Path, *, every: timedelta, keep: int
) -> Path | None:
    """A new backup in the folder when the newest is older than ``every``; the oldest go.

    Args:
        connections: Of the database to copy.
        folder: Made when it is absent.
        every: The least time between two backups.
        keep: How many backups stay.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    present = list_backups(folder)
    moment = datetime.now(UTC)
    if present and moment.timestamp() - present[-1].stat().st_mtime < every.total_seconds():
        return None
    made = write_backup(connections, folder / f"{moment:{_STAMP}}Z.sqlite")
    for old in [*present, made][: -max(keep, 1)]:
        old.unlink()
    return made


def list_backups(folder: Path) -> list[Path]:
    """The backups that ``backup_if_due`` made, the oldest first; other files are not counted."""
    return sorted(folder.glob(_PATTERN))


def _copy(connections: Connections, to: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(to, isolation_level=None)) as copy:
            with connections.read() as source:
                source.backup(copy)
            found = [row[0] for row in copy.execute("PRAGMA integrity_check(5)")]
            dangling = copy.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.Error as error:
        raise translate(error, to) from error
    if found != ["ok"] or dangling:
        raise DamagedWorkspace(
            f"the database {connections.database} is damaged: its copy fails the check "
            f"({'; '.join(found)}; {len(dangling)} dangling rows); no backup was kept"
        )
