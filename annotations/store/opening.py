"""Opening a database file: make it, bring it up to date, and refuse what cannot be trusted."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from annotations.errors import AnnotationError, DamagedWorkspace, WorkspaceError
from annotations.store.backup import backup_before_migration, list_backups
from annotations.store.connection import Connections, connect, immediate, translate
from annotations.store.placing import restored_file
from annotations.store.schema import APPLICATION_ID, SCHEMA_VERSION
from annotations.store.soundness import CHECKED_AT_ONCE_BYTES, damage_mark, quick_problems
from annotations.store.triggers import trigger_problems


def open_database(database: Path) -> Connections:
    """Connections to a database that is sound, up to date and has its triggers.

    Raises:
        DamagedWorkspace: If SQLite finds damage or a trigger is missing or changed.
        WorkspaceError: If the file is no database of ours, or a newer version wrote it.
        StoreError: If the file cannot be made or opened.
    """
    try:
        _refuse_lost(database)
        _create_file(database)
        with contextlib.closing(connect(database)) as connection:
            _check_sound(connection, database)
            _check_ours(connection, database)
            _migrate(connection, database)
            problems = trigger_problems(connection)
    except sqlite3.Error as error:
        raise _with_backup(translate(error, database), database) from error
    except OSError as error:
        raise WorkspaceError(f"{database} cannot be made: {error.strerror}") from error
    if problems:
        raise _with_backup(
            DamagedWorkspace(f"the database {database} lost its protection: {problems[0]}"),
            database,
        )
    return Connections(database)


def _refuse_lost(database: Path) -> None:
    """A database that was there must not begin anew without its readings and accounts."""
    if restored_file(database).exists():
        raise _with_backup(
            DamagedWorkspace(
                f"a restore of the database {database} was interrupted; give the command again: "
                f"launch.py restore {database.parent}"
            ),
            database,
        )
    if not database.exists() and list_backups(database.parent / "backups"):
        raise _with_backup(DamagedWorkspace(f"the database {database} is missing"), database)


def _create_file(database: Path) -> None:
    # SQLite gives the journal the mode of the database, so 600 here covers both.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(database, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _check_sound(connection: sqlite3.Connection, database: Path) -> None:
    """Read the whole file, unless it is so large that opening it would take seconds.

    Whoever serves a large one checks it afterwards (see ``soundness``); the mark of damage that
    was found then makes the next opening check it whole again.
    """
    if database.stat().st_size > CHECKED_AT_ONCE_BYTES and not damage_mark(database).exists():
        return
    problems = quick_problems(connection)
    if problems:
        raise _with_backup(
            DamagedWorkspace(
                f"the database {database} is damaged ({'; '.join(problems)}); it was left as it is"
            ),
            database,
        )
    damage_mark(database).unlink(missing_ok=True)


def _check_ours(connection: sqlite3.Connection, database: Path) -> None:
    # One transaction: another process may be making the tables right now.
    connection.execute("BEGIN")
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    connection.execute("ROLLBACK")
    if application_id != APPLICATION_ID and (application_id or tables):
        raise WorkspaceError(
            f"{database} is an SQLite database of another program; expected one made by this tool"
        )


def _migrate(connection: sqlite3.Connection, database: Path) -> None:
    version = _version(connection, database)
    if version == SCHEMA_VERSION:
        return
    if version > 0:
        backup_before_migration(database, version)
    # Imported here: sqlite-utils brings pandas along, 2 s that an up-to-date database can spare.
    from annotations.store.migrations import apply_migrations

    # A migration that makes a table anew drops the old one, which must not count as deleting its
    # rows; whether every link still leads somewhere is asked at the end.
    connection.execute("PRAGMA foreign_keys = OFF")
    with immediate(connection):
        # Asked again: another process may have migrated while this one waited.
        if _version(connection, database) < SCHEMA_VERSION:
            apply_migrations(connection, database.name)
            _check_links(connection, database)
    connection.execute("PRAGMA foreign_keys = ON")


def _check_links(connection: sqlite3.Connection, database: Path) -> None:
    broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        raise DamagedWorkspace(
            f"the database {database} cannot be brought up to date: a row of {broken[0]} points to "
            f"no row of {broken[2]}; it was left as it is"
        )


def _version(connection: sqlite3.Connection, database: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise WorkspaceError(
            f"the database {database} was written by a newer version of this tool (schema "
            f"{version}, this version knows {SCHEMA_VERSION}); update the tool to open it"
        )
    return version


def _with_backup(error: AnnotationError, database: Path) -> AnnotationError:
    """The same error, naming the newest backup where there is one."""
    backups = list_backups(database.parent / "backups")
    if not isinstance(error, DamagedWorkspace) or not backups:
        return error
    return DamagedWorkspace(f"{error}; the newest backup is {backups[-1]}")
