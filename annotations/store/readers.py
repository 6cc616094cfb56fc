"""Who reads: persons, imported readers and the synthetic reader of the demo."""

from __future__ import annotations

import sqlite3
from typing import get_args

from annotations.errors import StoreError
from annotations.records import Reader, ReaderKind
from annotations.store.connection import Connections
from annotations.store.encoding import now


class Readers:
    """The known readers."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def ensure(self, name: str, kind: ReaderKind = "person") -> Reader:
        """The reader with this name, added when there was none.

        Raises:
            StoreError: If the name is empty, or belongs to the other side of synthetic and real.
        """
        with self._connections.write() as connection:
            return ensure_reader(connection, name, kind)

    def all(self) -> list[Reader]:
        """Every reader in the order in which they came."""
        with self._connections.read() as connection:
            rows = connection.execute("SELECT name, kind FROM readers ORDER BY rowid")
            return [Reader(row["name"], row["kind"]) for row in rows]


def ensure_reader(connection: sqlite3.Connection, name: str, kind: ReaderKind) -> Reader:
    """As ``Readers.ensure``, in the caller's transaction.

    A person whose readings were imported before becomes a person; each commit keeps its own mark.
    """
    if not name.strip():
        raise StoreError("a reader needs a name; it was empty")
    if kind not in get_args(ReaderKind):
        raise StoreError(
            f"unknown kind of reader '{kind}'; known: {', '.join(get_args(ReaderKind))}"
        )
    row = connection.execute("SELECT kind FROM readers WHERE name = ?", (name,)).fetchone()
    if row is None:
        connection.execute("INSERT INTO readers VALUES (?, ?, ?)", (name, kind, now()))
        return Reader(name, kind)
    known: ReaderKind = row["kind"]
    if "synthetic" in (known, kind) and known != kind and kind != "imported":
        raise StoreError(f"the name '{name}' belongs to a reader of kind {known}; choose another")
    if known == "imported" and kind == "person":
        connection.execute("UPDATE readers SET kind = 'person' WHERE name = ?", (name,))
        return Reader(name, "person")
    return Reader(name, known)
