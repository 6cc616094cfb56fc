"""Questions to the log: what happened, filtered; who viewed what; since when sessions are over."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from annotations.errors import StoreError
from annotations.records import LogRow
from annotations.store.connection import Connections
from annotations.store.edit_log import LogEntry, append
from annotations.store.encoding import load_object
from annotations.store.images import find_image

VIEW: Final = "view"
# After a row of one of these kinds, the sessions that its subject opened before are over.
SESSION_ENDING_KINDS: Final = ("password changed", "account disabled", "signed out everywhere")
SAME_VIEW: Final = timedelta(minutes=10)
_PAGE: Final = 2000


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which rows of the log; an empty field leaves its question open.

    Attributes:
        kind: What happened.
        actor: Who did it.
        since: First day, ``YYYY-MM-DD`` in UTC.
        until: Last day, ``YYYY-MM-DD`` in UTC.
        text: Stands somewhere in subject, details or the picture's name or id; case is ignored.
    """

    kind: str = ""
    actor: str = ""
    since: str = ""
    until: str = ""
    text: str = ""


class Trail:
    """The log as those who look after a workspace read it."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def find(self, asked: LogFilter, *, limit: int, before: int | None = None) -> list[LogRow]:
        """The newest rows first.

        Args:
            asked: Which rows.
            limit: How many at most.
            before: Only rows with a smaller number.

        Raises:
            StoreError: If a day is none.
        """
        where, values = _where(asked)
        if before is not None:
            where, values = f"{where} AND log.seq < :before", {**values, "before": before}
        with self._connections.read() as connection:
            rows = connection.execute(
                f"SELECT log.* FROM log WHERE {where} ORDER BY log.seq DESC LIMIT :limit",
                {**values, "limit": limit},
            ).fetchall()
        return [LogRow(**{**dict(row), "details": load_object(row["details"])}) for row in rows]

    def count(self, asked: LogFilter) -> int:
        """How many rows there are.

        Raises:
            StoreError: If a day is none.
        """
        where, values = _where(asked)
        with self._connections.read() as connection:
            row = connection.execute(f"SELECT count(*) FROM log WHERE {where}", values).fetchone()
        return int(row[0])

    def each(self, asked: LogFilter) -> Iterator[LogRow]:
        """All rows, the newest first, in pages: one long read would hold up the writers.

        Raises:
            StoreError: If a day is none.
        """
        before = None
        while page := self.find(asked, limit=_PAGE, before=before):
            yield from page
            before = page[-1].seq

    def kinds(self) -> list[str]:
        """The kinds of rows that there are, in alphabetical order."""
        with self._connections.read() as connection:
            rows = connection.execute("SELECT DISTINCT kind FROM log INDEXED BY log_by_subject")
            return sorted(str(row[0]) for row in rows)

    def image_names(self, image_ids: Collection[str]) -> dict[str, str]:
        """The names of these pictures, without those that there are not."""
        asked = json.dumps(sorted(image_ids))
        with self._connections.read() as connection:
            rows = connection.execute(
                "SELECT image_id, name FROM images WHERE image_id IN "
                "(SELECT value FROM json_each(?))",
                (asked,),
            )
            return {row["image_id"]: row["name"] for row in rows}

    def note_view(self, actor: str, image_id: str, subject: str) -> bool:
        """Keep that somebody was shown a picture.

        The same person, picture and subject within ten minutes is one view.

        Args:
            actor: Who was shown it.
            image_id: The picture.
            subject: What it was shown with, such as "reading" or the name of a reader.

        Returns:
            Whether a row was written.

        Raises:
            UnknownRecord: If there is no such picture.
        """
        with self._connections.read() as connection:
            find_image(connection, image_id)
            if _was_viewed(connection, actor, image_id, subject):
                return False
        with self._connections.write() as connection:
            append(connection, LogEntry(VIEW, actor, subject, image_id=image_id))
        return True

    def sessions_ended(self, name: str) -> int:
        """Number of the last row that ended this account's sessions; 0 when there is none.

        A row's number and not its time: clocks go wrong, the log's numbers do not.
        """
        marks = ", ".join("?" * len(SESSION_ENDING_KINDS))
        with self._connections.read() as connection:
            row = connection.execute(
                f"SELECT max(seq) FROM log WHERE subject = ? AND kind IN ({marks})",
                (name, *SESSION_ENDING_KINDS),
            ).fetchone()
        return int(row[0] or 0)


def _was_viewed(connection: sqlite3.Connection, actor: str, image_id: str, subject: str) -> bool:
    since = (datetime.now(UTC) - SAME_VIEW).isoformat(timespec="microseconds")
    row = connection.execute(
        "SELECT 1 FROM log WHERE image_id = ? AND kind = ? AND actor = ? AND subject = ? "
        "AND at >= ? LIMIT 1",
        (image_id, VIEW, actor, subject, since),
    ).fetchone()
    return row is not None


def _where(asked: LogFilter) -> tuple[str, dict[str, Any]]:
    clauses, values = ["1"], {}
    if asked.kind:
        clauses.append("log.kind = :kind")
        values["kind"] = asked.kind
    if asked.actor:
        clauses.append("log.actor = :actor")
        values["actor"] = asked.actor
    if asked.since:
        clauses.append("log.at >= :since")
        values["since"] = _day(asked.since).isoformat()
    if asked.until:
        clauses.append("log.at < :until")
        values["until"] = (_day(asked.until) + timedelta(days=1)).isoformat()
    if asked.text:
        clauses.append(
            "(instr(lower(log.subject), lower(:text)) OR instr(lower(log.details), lower(:text)) "
            "OR log.image_id = :text OR log.image_id IN "
            "(SELECT image_id FROM images WHERE instr(name_key, :folded)))"
        )
        values |= {"text": asked.text, "folded": asked.text.casefold()}
    return " AND ".join(clauses), values


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text.strip()[:10], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise StoreError(f"the day {text!r} is none; give it as YYYY-MM-DD") from None
