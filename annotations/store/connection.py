"""Connections to the database: one per thread, the same pragmas on each, explicit transactions."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from annotations.errors import DamagedWorkspace, StoreError

BUSY_TIMEOUT_S: Final = 10.0
_PRAGMAS: Final = (
    f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}",
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA synchronous = FULL",
    "PRAGMA recursive_triggers = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cache_size = -8192",
    # Only some builds of SQLite overwrite what is deleted unless they are told to.
    "PRAGMA secure_delete = ON",
)


class _ThreadConnection:
    """The connection of one thread; closed when the thread's storage goes."""

    def __init__(self, database: Path) -> None:
        self.connection = connect(database)
        self.is_reading = False
        self.close = weakref.finalize(self, self.connection.close)


def connect(database: Path) -> sqlite3.Connection:
    """A connection to an existing file with every pragma set; the caller closes it."""
    connection = sqlite3.connect(
        f"{database.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        # Each thread uses its own; only closing may come from another one.
        check_same_thread=False,
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma)
    except BaseException:
        connection.close()
        raise
    connection.row_factory = sqlite3.Row
    return connection


class Connections:
    """Read and write transactions on one database file, from any thread of this process."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self._local = threading.local()
        self._all: weakref.WeakSet[_ThreadConnection] = weakref.WeakSet()
        # Threads of one process queue here, fairly and at once; SQLite's own wait sleeps up to
        # 100 ms between tries and serves whoever comes by chance.
        self._write_lock = threading.Lock()
        self._guard = threading.Lock()
        self._pid = os.getpid()
        self._is_closed = False
        self._no_writing = ""

    def forbid_writing(self, reason: str) -> None:
        """Refuse every later write of this process with this sentence; reading goes on."""
        self._no_writing = reason

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection whose statements all see the same state of the database."""
        mine = self._mine()
        connection = mine.connection
        if connection.in_transaction:
            yield connection
            return
        with self._translated():
            connection.execute("BEGIN")
            mine.is_reading = True
            try:
                yield connection
            finally:
                mine.is_reading = False
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is stored on leaving, or nothing when an error passes.

        Inside another ``write`` of the same thread it is a savepoint of that one.

        Raises:
            DamagedWorkspace: Once writing was forbidden because of damage.
        """
        if self._no_writing:
            raise DamagedWorkspace(self._no_writing)
        mine = self._mine()
        if mine.is_reading:
            raise RuntimeError(
                "a write inside a read transaction would deadlock; end the read first"
            )
        with self._translated():
            if mine.connection.in_transaction:
                with _savepoint(mine.connection):
                    yield mine.connection
                return
            with self._queued(), immediate(mine.connection):
                yield mine.connection

    def close(self) -> None:
        """Close the connections of all threads; later use is refused."""
        with self._guard:
            self._is_closed = True
            for one in list(self._all):
                one.close()

    def _mine(self) -> _ThreadConnection:
        if self._is_closed:
            raise StoreError(f"the store {self.database} was closed; open it again")
        if os.getpid() != self._pid:
            raise StoreError(
                f"the store {self.database} was opened in another process (before a fork); "
                "open it again in this one"
            )
        mine = getattr(self._local, "connection", None)
        if isinstance(mine, _ThreadConnection):
            return mine
        with self._translated(), self._guard:
            mine = _ThreadConnection(self.database)
            self._all.add(mine)
        self._local.connection = mine
        return mine

    @contextlib.contextmanager
    def _queued(self) -> Iterator[None]:
        if not self._write_lock.acquire(timeout=BUSY_TIMEOUT_S):
            raise StoreError(_busy_sentence(self.database))
        try:
            yield
        finally:
            self._write_lock.release()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translate(error, self.database) from error


@contextlib.contextmanager
def immediate(connection: sqlite3.Connection) -> Iterator[None]:
    """A write transaction that is stored on leaving, or taken back when an error passes."""
    # Not a deferred BEGIN: that fails as "locked" when two readers want to write.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def _savepoint(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("SAVEPOINT part")
    try:
        yield
    except BaseException:
        # A full disk or an aborting trigger may have ended the whole transaction already.
        if connection.in_transaction:
            connection.execute("ROLLBACK TO part")
            connection.execute("RELEASE part")
        raise
    connection.execute("RELEASE part")


def translate(error: sqlite3.Error, database: Path) -> StoreError | DamagedWorkspace:
    """The sentence for what SQLite reports."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(_busy_sentence(database))
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DamagedWorkspace(
            f"the database {database} is damaged ({error}); it was left as it is: "
            "copy the workspace away and restore the newest backup"
        )
    if primary == sqlite3.SQLITE_IOERR:
        return StoreError(
            f"nothing was saved in {database}: the disk reports an error ({error}); it may be "
            "full, taken away or failing"
        )
    if primary == sqlite3.SQLITE_FULL:
        return StoreError(f"nothing was saved in {database}: the disk is full; free some space")
    if primary == sqlite3.SQLITE_READONLY:
        return StoreError(
            f"nothing was saved: {database} may not be written; check its permissions"
        )
    if primary == sqlite3.SQLITE_CANTOPEN:
        return StoreError(f"the database {database} cannot be opened; is it there and readable?")
    return StoreError(f"the database {database} refused this: {error}")


def _busy_sentence(database: Path) -> str:
    return (
        f"nothing was saved: another user of the database {database} kept it locked for more than "
        f"{BUSY_TIMEOUT_S:.0f} s; try again"
    )
