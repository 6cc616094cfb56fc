"""Long jobs as rows: asked for by the page, run by the worker, watched by anybody."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Final, get_args

from annotations.errors import StoreError, UnknownRecord
from annotations.records import FinalStatus, Job
from annotations.store.connection import Connections
from annotations.store.encoding import dump_object, load_object, now

_RESUMABLE: Final = ("interrupted", "failed", "cancelled")


class Jobs:
    """The queue; safe between threads and processes."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def submit(self, kind: str, params: Mapping[str, object], owner: str) -> Job:
        """The new job, queued."""
        if not kind:
            raise StoreError("a job needs a kind; it was empty")
        with self._connections.write() as connection:
            cursor = connection.execute(
                "INSERT INTO jobs (kind, params, owner, status, done, total, message, result, "
                "created_at, cancel_requested) VALUES (?, ?, ?, 'queued', 0, 0, '', '{}', ?, 0)",
                (kind, dump_object(params, "params"), owner, now()),
            )
            return _find(connection, int(cursor.lastrowid or 0))

    def get(self, job_id: int) -> Job:
        """The job with this number.

        Raises:
            UnknownRecord: If there is none.
        """
        with self._connections.read() as connection:
            return _find(connection, job_id)

    def find(self, job_id: int | None) -> Job | None:
        """The job with this number; None when there is none, or none any more."""
        with self._connections.read() as connection:
            row = connection.execute("SELECT * FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
        return None if row is None else _job(row)

    def count_active(self, owner: str, kinds: Sequence[str]) -> int:
        """How many jobs of this owner and these kinds wait or run."""
        where, values = _of_kinds(kinds)
        with self._connections.read() as connection:
            row = connection.execute(
                "SELECT count(*) FROM jobs WHERE status IN ('queued', 'running') AND owner = ? "
                f"AND {where}",
                (owner, *values),
            ).fetchone()
        return int(row[0])

    def recent(self, limit: int = 20, kinds: Sequence[str] | None = None) -> list[Job]:
        """The newest jobs first, of these kinds when they are given."""
        where, values = _of_kinds(kinds)
        with self._connections.read() as connection:
            rows = connection.execute(
                f"SELECT * FROM jobs WHERE {where} ORDER BY job_id DESC LIMIT ?", (*values, limit)
            )
            return [_job(row) for row in rows]

    def claim(self, kinds: Sequence[str] | None, pid: int, pid_started: float) -> Job | None:
        """The oldest queued job, now running in this process; None when nothing waits."""
        where, values = _of_kinds(kinds)
        with self._connections.read() as connection:
            # Asked without the write lock first: a worker that polls must not hold up the readers.
            waits = connection.execute(
                f"SELECT 1 FROM jobs WHERE status = 'queued' AND {where} LIMIT 1", values
            ).fetchone()
        if waits is None:
            return None
        with self._connections.write() as connection:
            row = connection.execute(
                f"SELECT job_id FROM jobs WHERE status = 'queued' AND {where} "
                "ORDER BY job_id LIMIT 1",
                values,
            ).fetchone()
            if row is None:
                return None
            connection.execute(
                "UPDATE jobs SET status = 'running', started_at = ?, finished_at = NULL, pid = ?, "
                "pid_started = ? WHERE job_id = ?",
                (now(), pid, pid_started, row["job_id"]),
            )
            return _find(connection, row["job_id"])

    def progress(self, job_id: int, done: int, total: int, message: str) -> bool:
        """Whether the job should stop: its cancel was requested, or it runs no longer."""
        with self._connections.write() as connection:
            job = _find(connection, job_id)
            if job.status != "running":
                return True
            connection.execute(
                "UPDATE jobs SET done = ?, total = ?, message = ? WHERE job_id = ?",
                (done, total, message, job_id),
            )
            return job.cancel_requested

    def finish(
        self, job_id: int, status: FinalStatus, result: Mapping[str, object], message: str
    ) -> Job:
        """The job with its end: done, failed or cancelled.

        Raises:
            StoreError: If the job is not running, or the status is no end.
        """
        if status not in get_args(FinalStatus):
            known = ", ".join(get_args(FinalStatus))
            raise StoreError(f"a job cannot end as '{status}'; known: {known}")
        with self._connections.write() as connection:
            job = _find(connection, job_id)
            if job.status != "running":
                raise StoreError(
                    f"job {job_id} is {job.status}, not running; it cannot be finished"
                )
            connection.execute(
                "UPDATE jobs SET status = ?, result = ?, message = ?, finished_at = ?, pid = NULL, "
                "pid_started = NULL WHERE job_id = ?",
                (status, dump_object(result, "result"), message, now(), job_id),
            )
            return _find(connection, job_id)

    def cancel(self, job_id: int) -> Job:
        """The job: cancelled while it waits, asked to stop while it runs, else unchanged."""
        with self._connections.write() as connection:
            job = _find(connection, job_id)
            if job.status == "queued":
                connection.execute(
                    "UPDATE jobs SET status = 'cancelled', cancel_requested = 1, finished_at = ? "
                    "WHERE job_id = ?",
                    (now(), job_id),
                )
            if job.status == "running":
                connection.execute(
                    "UPDATE jobs SET cancel_requested = 1 WHERE job_id = ?", (job_id,)
                )
            return _find(connection, job_id)

    def resume(self, job_id: int) -> Job:
        """The job, queued again with its parameters and what it had stored.

        Raises:
            StoreError: If it is waiting, running or done.
        """
        with self._connections.write() as connection:
            job = _find(connection, job_id)
            if job.status not in _RESUMABLE:
                raise StoreError(
                    f"job {job_id} is {job.status}; only one that is "
                    f"{', '.join(_RESUMABLE[:-1])} or {_RESUMABLE[-1]} can be resumed"
                )
            connection.execute(
                "UPDATE jobs SET status = 'queued', cancel_requested = 0, finished_at = NULL, "
                "message = '', pid = NULL, pid_started = NULL WHERE job_id = ?",
                (job_id,),
            )
            return _find(connection, job_id)

    def mark_interrupted(self, is_alive: Callable[[int, float], bool]) -> list[int]:
        """The running jobs whose process is gone; they are now "interrupted".

        Args:
            is_alive: Of (pid, start time of the process): whether that process still runs.
        """
        with self._connections.read() as connection:
            running = connection.execute(
                "SELECT job_id, pid, pid_started FROM jobs WHERE status = 'running' ORDER BY job_id"
            ).fetchall()
        dead = [row for row in running if not is_alive(row["pid"], row["pid_started"])]
        marked = []
        for row in dead:
            with self._connections.write() as connection:
                # The same process still: it may have ended and the job been claimed meanwhile.
                cursor = connection.execute(
                    "UPDATE jobs SET status = 'interrupted', finished_at = ?, "
                    "message = 'the worker ended before the job did' WHERE job_id = ? "
                    "AND status = 'running' AND pid = ? AND pid_started = ?",
                    (now(), row["job_id"], row["pid"], row["pid_started"]),
                )
                if cursor.rowcount:
                    marked.append(int(row["job_id"]))
        return marked

    def forget(self, kinds: Sequence[str], *, keep: int) -> int:
        """How many ended jobs of these kinds were removed: all but the newest ``keep`` of them."""
        where, values = _of_kinds(kinds)
        ended = f"{where} AND status NOT IN ('queued', 'running')"
        with self._connections.write() as connection:
            return connection.execute(
                f"DELETE FROM jobs WHERE job_id IN (SELECT job_id FROM jobs WHERE {ended} "
                "ORDER BY job_id DESC LIMIT -1 OFFSET ?)",
                (*values, keep),
            ).rowcount

    def worker(self) -> tuple[int, float] | None:
        """(pid, start time) of the worker process that reported last, if one did."""
        with self._connections.read() as connection:
            row = connection.execute("SELECT pid, pid_started FROM worker").fetchone()
        return None if row is None else (int(row["pid"]), float(row["pid_started"]))

    def worker_seen_at(self) -> str | None:
        """When the worker reported last."""
        with self._connections.read() as connection:
            row = connection.execute("SELECT seen_at FROM worker").fetchone()
        return None if row is None else str(row["seen_at"])

    def set_worker(self, pid: int, pid_started: float) -> None:
        """Report this process as the worker."""
        with self._connections.write() as connection:
            connection.execute(
                "INSERT INTO worker VALUES (1, ?, ?, ?) ON CONFLICT (only) DO UPDATE SET "
                "pid = excluded.pid, pid_started = excluded.pid_started, "
                "seen_at = excluded.seen_at",
                (pid, pid_started, now()),
            )

    def retire_worker(self, pid: int) -> bool:
        """Whether this worker may end, because no job waits; it is then no longer known.

        In one transaction: a job that is queued before keeps the worker, one that is queued
        after finds none and so starts another.
        """
        with self._connections.write() as connection:
            waits = connection.execute("SELECT 1 FROM jobs WHERE status = 'queued' LIMIT 1")
            if waits.fetchone() is not None:
                return False
            connection.execute("DELETE FROM worker WHERE pid = ?", (pid,))
            return True


def _of_kinds(kinds: Sequence[str] | None) -> tuple[str, tuple[str, ...]]:
    if kinds is None:
        return "TRUE", ()
    return f"kind IN ({', '.join('?' * len(kinds))})", tuple(kinds)


def _find(connection: sqlite3.Connection, job_id: int) -> Job:
    row = connection.execute("SELECT * FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        raise UnknownRecord(f"there is no job {job_id} in this workspace")
    return _job(row)


def _job(row: sqlite3.Row) -> Job:
    return Job(
        job_id=row["job_id"],
        kind=row["kind"],
        params=load_object(row["params"]),
        owner=row["owner"],
        status=row["status"],
        done=row["done"],
        total=row["total"],
        message=row["message"],
        result=load_object(row["result"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        cancel_requested=bool(row["cancel_requested"]),
    )
