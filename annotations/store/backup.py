"""Copies of the database that are known to be sound."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from annotations.errors import DamagedWorkspace, StoreError
from annotations.store.connection import Connections, translate
from annotations.store.rotation import BackupFile, expendable
from annotations.store.schema import APPLICATION_ID, SCHEMA_VERSION

_STAMP: Final = "%Y%m%dT%H%M%S%f"
_NAME: Final = re.compile(r"(\d{8}T\d{12})Z\.sqlite")  # what _STAMP makes
_IN_ONE_STEP_BYTES: Final = 64 * 1024**2
_STEP_PAGES: Final = 2000  # 8 MB: some milliseconds
_MAX_RESTARTS: Final = 3
_BEFORE_MIGRATION: Final = "before-schema-"


def write_backup(source: Connections | Path, to: Path) -> Path:
    """``to``, a checked copy of the database as it is now, readable by its owner only.

    Args:
        source: An open database, or a database file that is only read.
        to: A file that does not exist yet.

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
        _copy(source, partial)
        partial.replace(to)
    except OSError as error:
        raise StoreError(f"the backup {to} cannot be written: {error.strerror}") from error
    finally:
        # A disk that went away must not hide why the backup failed.
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return to


def backup_if_due(
    connections: Connections, folder: Path, *, every: timedelta, keep: int
) -> Path | None:
    """A new backup in the folder when the newest is older than ``every``; old ones go.

    Args:
        connections: Of the database to copy.
        folder: Made when it is absent.
        every: The least time between two backups.
        keep: How many of the newest stay; of older ones, see ``rotation``.

    Raises:
        StoreError: If it cannot be written.
        DamagedWorkspace: If the copy is not sound.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        present = list_backups(folder)
        moment = datetime.now(UTC)
        # One from the future was made while the clock was wrong; it must not stop new ones.
        age = moment - BackupFile.of(present[-1]).made_at if present else None
        if age is not None and timedelta(0) <= age < every:
            return None
        made = write_backup(connections, folder / f"{_next_stamp(present, moment)}Z.sqlite")
        for old in expendable([BackupFile.of(one) for one in [*present, made]], keep=keep):
            old.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"no backup can be made in {folder}: {error.strerror}; check its rights and the free "
            "space"
        ) from error
    return made


def backup_before_migration(database: Path, version: int) -> Path:
    """A checked copy of a database of an older version; it stays until somebody removes it."""
    folder = database.parent / "backups"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{database} is of an older version (schema {version}) and was left as it is: no "
            f"backup can be made in {folder}: {error.strerror}"
        ) from error
    stamp = f"{datetime.now(UTC):{_STAMP}}"
    return write_backup(database, folder / f"{_BEFORE_MIGRATION}{version}-{stamp}Z.sqlite")


def list_backups(folder: Path) -> list[Path]:
    """The backups that ``backup_if_due`` made, the oldest first; other files are not counted."""
    return sorted(one for one in folder.glob("*.sqlite") if _NAME.fullmatch(one.name))


def soundness_problem(backup: Path) -> str:
    """Why this file cannot stand in for a database of ours; "" when it can.

    It is only read: nothing is migrated, and no journal beside it is rolled back.
    """
    if not backup.is_file():
        return "there is no such file"
    try:
        with contextlib.closing(open_read_only(backup)) as connection:
            application_id = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if application_id != APPLICATION_ID:
                return "it is no database of this tool"
            if version > SCHEMA_VERSION:
                return (
                    f"a newer version of this tool wrote it (schema {version}, this version knows "
                    f"{SCHEMA_VERSION}); update the tool"
                )
            return "; ".join(_damage(connection))
    except sqlite3.Error as error:
        return f"it cannot be read ({error})"


def open_read_only(database: Path) -> sqlite3.Connection:
    """A connection that changes nothing, not even by rolling back a journal; the caller closes."""
    connection = sqlite3.connect(
        f"{database.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None
    )
    connection.row_factory = sqlite3.Row
    return connection


def _next_stamp(present: list[Path], moment: datetime) -> str:
    """A name that sorts behind all present ones, also after the clock was set back."""
    stamp = f"{moment:{_STAMP}}"
    last = _NAME.fullmatch(present[-1].name) if present else None
    if last is None or stamp > last[1]:
        return stamp
    after = datetime.strptime(last[1], _STAMP).replace(tzinfo=UTC) + timedelta(microseconds=1)
    return f"{after:{_STAMP}}"


def _copy(source: Connections | Path, to: Path) -> None:
    where = source if isinstance(source, Path) else source.database
    try:
        with contextlib.closing(sqlite3.connect(to, isolation_level=None)) as copy:
            if isinstance(source, Path):
                with contextlib.closing(_reader(source)) as connection:
                    connection.backup(copy)
            else:
                _copy_open(source, copy)
            damage = _damage(copy)
    except sqlite3.Error as error:
        raise translate(error, to) from error
    if damage:
        raise DamagedWorkspace(
            f"the database {where} is damaged: its copy fails the check "
            f"({'; '.join(damage)}); no backup was kept"
        )


def _copy_open(source: Connections, copy: sqlite3.Connection) -> None:
    """Copy a database that others write to, which wait while it is read.

    A large one is read in steps, between which they can write. A write makes SQLite begin again:
    where they write all the time it is copied in one step after some attempts.
    """
    with source.read() as connection:
        if source.database.stat().st_size > _IN_ONE_STEP_BYTES:
            with contextlib.suppress(_TooManyWrites):
                attempt = _Attempts()
                connection.backup(copy, pages=_STEP_PAGES, progress=attempt.note, sleep=0.002)
                return
        connection.backup(copy)


class _TooManyWrites(Exception):
    """The copy began anew too often."""


class _Attempts:
    def __init__(self) -> None:
        self._least_remaining = -1
        self._n_restarts = 0

    def note(self, _status: int, remaining: int, _total: int) -> None:
        """Count how often more remained to be copied than before."""
        if 0 <= self._least_remaining < remaining:
            self._n_restarts += 1
            if self._n_restarts > _MAX_RESTARTS:
                raise _TooManyWrites
        self._least_remaining = remaining


def _reader(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True, timeout=10)


def _damage(connection: sqlite3.Connection) -> list[str]:
    """What SQLite itself finds wrong; [] when nothing is."""
    found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
    damage = [] if found == ["ok"] else found
    n_dangling = len(connection.execute("PRAGMA foreign_key_check").fetchmany(1000))
    return damage + ([f"{n_dangling} dangling rows"] if n_dangling else [])
