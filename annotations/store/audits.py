"""Audit runs and their rows."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from typing import get_args

from annotations.errors import StoreError, UnknownRecord
from annotations.records import AuditRun, FinalStatus
from annotations.store.connection import Connections
from annotations.store.encoding import dump_object, load_object, now


class Audits:
    """What audits were asked for, and what they gave."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def create(self, owner: str, choices: Mapping[str, object]) -> AuditRun:
        """The new run, running."""
        run_id = uuid.uuid4().hex
        with self._connections.write() as connection:
            connection.execute(
                "INSERT INTO audit_runs (run_id, created_at, owner, status, choices, summary) "
                "VALUES (?, ?, ?, 'running', ?, '{}')",
                (run_id, now(), owner, dump_object(choices, "choices")),
            )
            return _find(connection, run_id)

    def add_rows(self, run_id: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Keep these rows after the earlier ones, all or none of them.

        Raises:
            UnknownRecord: If there is no such run.
            StoreError: If a value has no JSON form.
        """
        texts = [dump_object(row, f"audit row {index}") for index, row in enumerate(rows)]
        with self._connections.write() as connection:
            _find(connection, run_id)
            connection.executemany(
                "INSERT INTO audit_rows (run_id, row) VALUES (?, ?)",
                [(run_id, text) for text in texts],
            )

    def rows(self, run_id: str) -> list[dict[str, object]]:
        """The rows of this run in the order in which they came.

        Raises:
            UnknownRecord: If there is no such run.
        """
        with self._connections.read() as connection:
            _find(connection, run_id)
            rows = connection.execute(
                "SELECT row FROM audit_rows WHERE run_id = ? ORDER BY seq", (run_id,)
            )
            return [load_object(row[0]) for row in rows]

    def finish(self, run_id: str, status: FinalStatus, summary: Mapping[str, object]) -> AuditRun:
        """The run with its end and its summary.

        Raises:
            UnknownRecord: If there is no such run.
            StoreError: If the status is no end.
        """
        if status not in get_args(FinalStatus):
            known = ", ".join(get_args(FinalStatus))
            raise StoreError(f"an audit cannot end as '{status}'; known: {known}")
        with self._connections.write() as connection:
            _find(connection, run_id)
            connection.execute(
                "UPDATE audit_runs SET status = ?, summary = ? WHERE run_id = ?",
                (status, dump_object(summary, "summary"), run_id),
            )
            return _find(connection, run_id)

    def restart(self, run_id: str) -> AuditRun:
        """The run, running again with the rows that it has, after its job was resumed.

        Raises:
            UnknownRecord: If there is no such run.
        """
        with self._connections.write() as connection:
            _find(connection, run_id)
            connection.execute(
                "UPDATE audit_runs SET status = 'running', summary = '{}' WHERE run_id = ?",
                (run_id,),
            )
            return _find(connection, run_id)

    def all(self) -> list[AuditRun]:
        """Every run, the newest first."""
        with self._connections.read() as connection:
            rows = connection.execute("SELECT * FROM audit_runs ORDER BY seq DESC")
            return [_run(row) for row in rows]

    def get(self, run_id: str) -> AuditRun:
        """The run with this id.

        Raises:
            UnknownRecord: If there is none.
        """
        with self._connections.read() as connection:
            return _find(connection, run_id)


def _find(connection: sqlite3.Connection, run_id: str) -> AuditRun:
    row = connection.execute("SELECT * FROM audit_runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        raise UnknownRecord(f"there is no audit run '{run_id}' in this workspace")
    return _run(row)


def _run(row: sqlite3.Row) -> AuditRun:
    return AuditRun(
        run_id=row["run_id"],
        created_at=row["created_at"],
        owner=row["owner"],
        status=row["status"],
        choices=load_object(row["choices"]),
        summary=load_object(row["summary"]),
    )
