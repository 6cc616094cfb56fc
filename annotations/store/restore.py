"""Putting a backup in the place of the database, without losing what was there."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from annotations.errors import DamagedWorkspace, StoreError
from annotations.store.backup import (
    list_backups,
    open_read_only,
    soundness_problem,
    write_backup,
)
from annotations.store.soundness import damage_mark
from annotations.workspace_lock import hold_alone

if TYPE_CHECKING:
    from annotations.workspace import Workspace

_JOURNAL_ENDINGS: Final = ("-journal", "-wal", "-shm")
KIND: Final = "restore"


@dataclass(frozen=True, slots=True)
class BackupFacts:
    """What one backup holds.

    Attributes:
        path: Where it lies.
        made_at: When, by the computer's clock.
        n_bytes: Its size.
        n_images: How many images it knows.
        n_committed: How many committed versions of readings.
        n_log: How many rows of the log.
        problem: Why it cannot be restored; "" when it can.
    """

    path: Path
    made_at: datetime
    n_bytes: int
    n_images: int
    n_committed: int
    n_log: int
    problem: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Attributes:
        backup: What was restored.
        aside: Where the replaced database lies now; None when there was none.
        n_log: Rows of the log that the backup holds.
        n_later: Rows of the log that only the replaced database holds; None when it cannot be read.
    """

    backup: Path
    aside: Path | None
    n_log: int
    n_later: int | None


def describe_backups(folder: Path) -> list[BackupFacts]:
    """Every backup in the folder, the newest first, each read and checked."""
    return [describe_backup(path) for path in reversed(list_backups(folder))]


def describe_backup(path: Path) -> BackupFacts:
    """What this backup holds, and whether it is sound."""
    facts = path.stat()
    made_at = datetime.fromtimestamp(facts.st_mtime, UTC)
    problem = soundness_problem(path)
    counts = (0, 0, 0) if problem else _counts(path)
    return BackupFacts(path, made_at, facts.st_size, *counts, problem)


def newest_sound_backup(folder: Path) -> Path | None:
    """The newest backup that may be restored."""
    return next((one for one in reversed(list_backups(folder)) if not soundness_problem(one)), None)


def restore_backup(workspace: Workspace, backup: Path, *, actor: str) -> Restored:
    """Put a backup in the place of the database; what was there is moved into the backups' folder.

    The log of the restored database says that it was, by whom, and what it replaced.

    Raises:
        WorkspaceError: If the workspace is open anywhere.
        DamagedWorkspace: If the backup is not sound; then nothing was changed.
        StoreError: If the files cannot be written or moved.
    """
    problem = soundness_problem(backup)
    if problem:
        raise DamagedWorkspace(f"the backup {backup} was not restored: {problem}; choose another")
    with hold_alone(workspace.root):
        (_, _, n_log) = _counts(backup)
        n_later = _rows_only_in(workspace.database, backup)
        partial = workspace.database.with_name(workspace.database.name + ".restored")
        try:
            partial.unlink(missing_ok=True)
            write_backup(backup, partial)
            aside = _move_aside(workspace)
            partial.replace(workspace.database)
            damage_mark(workspace.database).unlink(missing_ok=True)
            _sync_folder(workspace.root)
        except OSError as error:
            raise StoreError(
                f"the backup could not be put in place: {error.strerror}; nothing is lost, all "
                f"files are in {workspace.root} and {workspace.backups}"
            ) from error
    done = Restored(backup, aside, n_log, n_later)
    _log(workspace, done, actor)
    return done


def _move_aside(workspace: Workspace) -> Path | None:
    """Where the database went with its journal, which would otherwise be rolled into the backup."""
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    aside = workspace.backups / f"replaced-{stamp}Z.sqlite"
    was_there = workspace.database.exists()
    if was_there:
        workspace.database.replace(aside)
    for ending in _JOURNAL_ENDINGS:
        journal = workspace.database.with_name(workspace.database.name + ending)
        if journal.exists():
            journal.replace(aside.with_name(aside.name + ending))
    return aside if was_there else None


def _log(workspace: Workspace, done: Restored, actor: str) -> None:
    from annotations.store import Store

    with Store.open(workspace) as store:
        details: dict[str, object] = {
            "rows_in_backup": done.n_log,
            "rows_only_in_replaced": done.n_later,
            "replaced": done.aside.name if done.aside else None,
        }
        store.log.add(KIND, actor, done.backup.name, details)


def _counts(database: Path) -> tuple[int, int, int]:
    """Images, committed versions and log rows of a sound database."""
    with contextlib.closing(open_read_only(database)) as connection:
        n_images, n_committed, n_log = (
            int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
            for table in ("images", "commits", "log")
        )
    return n_images, n_committed, n_log


def _rows_only_in(database: Path, backup: Path) -> int | None:
    """How many log rows a database has that the backup has not; None when it cannot be read.

    It may be damaged. Each row's hash covers all rows before it, so that the two logs are the same
    up to the last row whose hashes are equal.
    """
    if not database.is_file():
        return None
    try:
        with (
            contextlib.closing(open_read_only(database)) as mine,
            contextlib.closing(open_read_only(backup)) as other,
        ):
            low, last = 0, _last_row(mine)
            high = min(last, _last_row(other))
            while low < high:
                middle = (low + high + 1) // 2
                same = _hash_of(mine, middle) == _hash_of(other, middle)
                low, high = (middle, high) if same else (low, middle - 1)
            return last - low
    except sqlite3.Error:
        return None


def _last_row(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(seq), 0) FROM log").fetchone()[0])


def _hash_of(connection: sqlite3.Connection, seq: int) -> str:
    row = connection.execute("SELECT hash FROM log WHERE seq = ?", (seq,)).fetchone()
    return str(row[0]) if row else ""


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself last through a power failure; Windows cannot and need not."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
