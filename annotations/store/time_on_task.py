"""Time on task: how long somebody was at work on a reading, as the operation log tells it.

Each edit, each decision of an adjudication and each commit holds the milliseconds of work since the
one before it. The page measures them: without pauses, and only while the case can be seen.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from annotations.errors import InvalidRegion

LONGEST_MS: Final = 24 * 60 * 60 * 1000


def check_active(active_ms: int | None) -> None:
    """Refuse a time that nobody can have worked between two edits.

    Raises:
        InvalidRegion: If it is no whole number from 0 to a day; None, not measured, is none.
    """
    if active_ms is not None and (type(active_ms) is not int or not 0 <= active_ms <= LONGEST_MS):
        raise InvalidRegion(
            f"the time at work is {active_ms!r}; expected whole milliseconds from 0 to {LONGEST_MS}"
        )


def active_details(active_ms: int | None) -> dict[str, object]:
    """What a row of the log says of it: nothing where nothing was measured."""
    return {} if active_ms is None else {"active_ms": active_ms}


def time_until_commits(connection: sqlite3.Connection, reading_id: str) -> dict[int, int]:
    """Milliseconds from the first look to each commit, by commit number; only what was measured."""
    rows = connection.execute(
        "SELECT * FROM (SELECT kind, json_extract(details, '$.commit_number') AS commit_number, "
        "sum(json_extract(details, '$.active_ms')) OVER (ORDER BY seq) AS active_ms "
        "FROM log WHERE subject = ?) WHERE kind = 'commit' AND active_ms IS NOT NULL",
        (reading_id,),
    )
    return {int(row["commit_number"]): int(row["active_ms"]) for row in rows}
