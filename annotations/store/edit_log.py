"""The append-only log: who did what when, each row holding the hash of the row before."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from annotations.errors import StoreError
from annotations.records import LogRow
from annotations.store.connection import Connections
from annotations.store.encoding import load_object, now, sha256_of, strict_details
from annotations.store.schema import FIRST_HASH
from annotations.store.triggers import trigger_problems

# Rows of these kinds are written by the readings only, in the edit's own transaction.
EDIT_KINDS: Final = ("put", "delete", "no_finding", "decide")
READING_KINDS: Final = (
    *EDIT_KINDS, "commit", "reopen", "reveal", "import_reading", "adjudicate"
)  # fmt: skip
_PAGE: Final = 2000
_MAX_PROBLEMS: Final = 100


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What is to be logged; number, time and hashes are added on writing."""

    kind: str
    actor: str
    subject: str
    details: Mapping[str, object] = field(default_factory=dict)
    image_id: str = ""
    client_id: str = ""
    sequence: int = 0


def append(connection: sqlite3.Connection, entry: LogEntry) -> int:
    """The number of the new row, written in the caller's transaction."""
    last = connection.execute("SELECT hash FROM log ORDER BY seq DESC LIMIT 1").fetchone()
    # Not the last row's number: a row that was cut off at the end must leave a gap.
    used = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone()
    row = {
        "seq": (used[0] if used else 0) + 1,
        "at": now(),
        "kind": entry.kind,
        "actor": entry.actor,
        "subject": entry.subject,
        "image_id": entry.image_id,
        "client_id": entry.client_id,
        "sequence": entry.sequence,
        "details": strict_details(entry.details),
        "previous_hash": last[0] if last else FIRST_HASH,
    }
    connection.execute(
        "INSERT INTO log (seq, at, kind, actor, subject, image_id, client_id, sequence, details, "
        "previous_hash, hash) VALUES (:seq, :at, :kind, :actor, :subject, :image_id, :client_id, "
        ":sequence, :details, :previous_hash, :hash)",
        {**row, "hash": sha256_of(row)},
    )
    return int(str(row["seq"]))


class EditLog:
    """The log as the rest of the program sees it."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def add(self, kind: str, actor: str, subject: str, details: Mapping[str, object]) -> int:
        """The number of the row that records this event (import, export, audit, account, ...).

        Raises:
            StoreError: For a kind that belongs to the readings, or details without a JSON form.
        """
        if kind in READING_KINDS:
            raise StoreError(f"the log kind '{kind}' is written by the readings only; use another")
        with self._connections.write() as connection:
            return append(connection, LogEntry(kind, actor, subject, details))

    def rows(self, image_id: str | None = None, limit: int = 100) -> list[LogRow]:
        """The newest rows first; of one image when it is given."""
        where, values = ("", ()) if image_id is None else ("WHERE image_id = ?", (image_id,))
        with self._connections.read() as connection:
            found = connection.execute(
                f"SELECT * FROM log {where} ORDER BY seq DESC LIMIT ?", (*values, limit)
            )
            return [_log_row(row) for row in found]

    def about(self, kind: str, subject: str, limit: int = 100) -> list[LogRow]:
        """The newest rows of this kind about this subject."""
        with self._connections.read() as connection:
            found = connection.execute(
                "SELECT * FROM log WHERE subject = ? AND kind = ? ORDER BY seq DESC LIMIT ?",
                (subject, kind, limit),
            )
            return [_log_row(row) for row in found]

    def head(self) -> tuple[int, str]:
        """Number and hash of the last row: written elsewhere, it anchors the whole chain."""
        with self._connections.read() as connection:
            last = connection.execute(
                "SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1"
            ).fetchone()
        return (last["seq"], last["hash"]) if last else (0, FIRST_HASH)

    def verify(self) -> list[str]:
        """A sentence for each place where the log is not as it was written; [] when it is.

        Checked: triggers, every row's own hash, its link to the row before, the numbering, and
        that the readings have as many versions and commits as the log says.
        """
        with self._connections.read() as connection:
            problems = trigger_problems(connection)
        problems += self._chain_problems()
        with self._connections.read() as connection:
            problems += _count_problems(connection)
        return problems

    def _chain_problems(self) -> list[str]:
        problems: list[str] = []
        seq, previous = 0, FIRST_HASH
        for row in self._all_rows():
            problems += _row_problems(row, seq, previous)
            if len(problems) >= _MAX_PROBLEMS:
                return [*problems, f"the check of the log stopped after {len(problems)} problems"]
            seq, previous = row["seq"], row["hash"]
        with self._connections.read() as connection:
            used = connection.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'log'"
            ).fetchone()
            last = connection.execute("SELECT coalesce(max(seq), 0) FROM log").fetchone()[0]
        if last >= seq and (used[0] if used else 0) != last:
            problems.append(f"the log ends at row {last}, but row {used[0] if used else 0} existed")
        return problems

    def _all_rows(self) -> Iterator[sqlite3.Row]:
        """All rows in order, in pages: one long read would hold up the writers."""
        seq = 0
        while True:
            with self._connections.read() as connection:
                page = connection.execute(
                    "SELECT * FROM log WHERE seq > ? ORDER BY seq LIMIT ?", (seq, _PAGE)
                ).fetchall()
            if not page:
                return
            yield from page
            seq = page[-1]["seq"]


def _row_problems(row: sqlite3.Row, seq: int, previous: str) -> list[str]:
    problems = []
    if row["seq"] != seq + 1:
        gone = f"row {seq + 1}" if row["seq"] == seq + 2 else f"rows {seq + 1} to {row['seq'] - 1}"
        problems.append(f"log {gone} missing before row {row['seq']}")
    if row["previous_hash"] != previous:
        problems.append(f"log row {row['seq']} does not follow the row before it")
    content = {key: row[key] for key in row.keys() if key != "hash"}  # noqa: SIM118 - a sqlite3.Row iterates over values
    if sha256_of(content) != row["hash"]:
        problems.append(
            f"log row {row['seq']} ({row['kind']} by '{row['actor']}' at {row['at']}) "
            "is not as it was written: its hash does not match"
        )
    return problems


def _count_problems(connection: sqlite3.Connection) -> list[str]:
    """Readings whose versions or commits are not those that the log tells of."""
    rows = connection.execute(
        "SELECT reading_id, version, commits, (SELECT count(*) FROM log WHERE subject = reading_id "
        f"AND kind IN ({_marks(EDIT_KINDS)})) AS edits, (SELECT count(*) FROM log WHERE "
        "subject = reading_id AND kind IN ('commit', 'import_reading')) AS committed, "
        "(SELECT count(*) FROM commits WHERE commits.reading_id = readings.reading_id) AS kept "
        "FROM readings WHERE version <> edits OR commits <> committed OR commits <> kept LIMIT 100",
        EDIT_KINDS,
    )
    problems = [
        f"reading {row['reading_id']} has version {row['version']} and {row['commits']} commits "
        f"({row['kept']} kept), but the log tells of {row['edits']} edits and "
        f"{row['committed']} commits"
        for row in rows
    ]
    gone = connection.execute(
        f"SELECT DISTINCT subject FROM log WHERE kind IN ({_marks(READING_KINDS)}) "
        "AND subject NOT IN (SELECT reading_id FROM readings) LIMIT 100",
        READING_KINDS,
    )
    return problems + [f"reading {row[0]} is gone, but the log tells of it" for row in gone]


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _log_row(row: sqlite3.Row) -> LogRow:
    return LogRow(**{**dict(row), "details": load_object(row["details"])})
