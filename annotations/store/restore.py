"""Putting a backup in the place of the database, without losing what was there."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from annotations.errors import DamagedWorkspace, StoreError
from annotations.records import LogRow
from annotations.store.account_changes import account_changes, keep_disabled
from annotations.store.backup import (
    list_backups,
    open_read_only,
    soundness_problem,
    write_backup,
)
from annotations.store.placing import place
from annotations.workspace_lock import hold_alone

if TYPE_CHECKING:
    from annotations.store import Store
    from annotations.workspace import Workspace

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
        accounts: How the accounts differ, a sentence each; None when that cannot be read.
    """

    backup: Path
    aside: Path | None
    n_log: int
    n_later: int | None
    accounts: tuple[str, ...] | None

    def log_details(self) -> dict[str, object]:
        """For the row of the log."""
        return {
            "rows_in_backup": self.n_log,
            "rows_only_in_replaced": self.n_later,
            "replaced": self.aside.name if self.aside else None,
            "accounts": self.accounts,
        }


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


def restore_backup(
    workspace: Workspace,
    backup: Path,
    *,
    actor: str,
    called: str = "",
    events: Sequence[LogRow] = (),
) -> Restored:
    """Put a backup in the place of the database; what was there is kept in the backups' folder.

    The log of the restored database says that it was, by whom, and what it replaced. An account
    that the replaced database has disabled stays so; how others differ is said.

    Args:
        workspace: Which no page, worker or command has open, so that all sessions are over.
        backup: A sound one.
        actor: Who restores it.
        called: Its name for the log, where that is not the file's.
        events: What happened before on a page that could not write into this database.

    Raises:
        WorkspaceError: If the workspace is open anywhere.
        DamagedWorkspace: If the backup is not sound; then nothing was changed.
        StoreError: If the files cannot be written or moved.
    """
    problem = soundness_problem(backup)
    if problem:
        raise DamagedWorkspace(f"the backup {backup} was not restored: {problem}; choose another")
    database = workspace.database
    aside = workspace.backups / f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z.sqlite"
    with hold_alone(workspace.root):
        done = Restored(
            backup,
            aside if database.exists() else None,
            n_log=_counts(backup)[2],
            n_later=_rows_only_in(database, backup),
            accounts=account_changes(database, backup),
        )
        prepared = database.with_name(database.name + ".prepared")
        try:
            prepared.unlink(missing_ok=True)
            write_backup(backup, prepared)
            with _open(workspace, prepared) as store:
                for event in events:
                    details = {**event.details, "on_rescue_page_at": event.at}
                    store.log.add(event.kind, event.actor, event.subject, details)
                store.log.add(KIND, actor, called or backup.name, done.log_details())
                keep_disabled(store, database, actor)
            place(prepared, database, aside)
        except OSError as error:
            raise StoreError(
                f"the backup could not be put in place: {error.strerror}; nothing is lost, all "
                f"files are in {workspace.root} and {workspace.backups}"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                prepared.unlink(missing_ok=True)
    return done


def _open(workspace: Workspace, database: Path) -> Store:
    """The store of a copy, brought up to date where an older version wrote it."""
    from annotations.store import Store

    return Store(database, workspace.settings.findings)


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
