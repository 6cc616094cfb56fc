"""The triggers that keep what must never change: the log and the committed versions."""

from __future__ import annotations

import sqlite3
from typing import Final

from annotations.store.schema import FIRST_HASH


def _forbid(table: str, action: str) -> str:
    return (
        f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} rows are never changed or removed'); END"
    )


# A REPLACE removes the old row without any DELETE trigger where recursive_triggers is off,
# so an INSERT that would replace one is refused as well.
TRIGGERS: Final[dict[str, str]] = {
    **{
        f"{table}_no_{action.lower()}": _forbid(table, action)
        for table in ("log", "commits", "commit_regions")
        for action in ("UPDATE", "DELETE")
    },
    "log_no_replace": (
        "CREATE TRIGGER log_no_replace BEFORE INSERT ON log "
        "WHEN EXISTS (SELECT 1 FROM log WHERE seq = NEW.seq) OR EXISTS (SELECT 1 FROM log "
        "WHERE client_id <> '' AND client_id = NEW.client_id AND actor = NEW.actor "
        "AND sequence = NEW.sequence) "
        "BEGIN SELECT RAISE(ABORT, 'log rows are never replaced'); END"
    ),
    "log_follows": (
        "CREATE TRIGGER log_follows BEFORE INSERT ON log "
        "WHEN NEW.previous_hash IS NOT "
        f"coalesce((SELECT hash FROM log ORDER BY seq DESC LIMIT 1), '{FIRST_HASH}') "
        "BEGIN SELECT RAISE(ABORT, 'a log row must hold the hash of the row before it'); END"
    ),
    "commits_no_replace": (
        "CREATE TRIGGER commits_no_replace BEFORE INSERT ON commits "
        "WHEN EXISTS (SELECT 1 FROM commits WHERE reading_id = NEW.reading_id "
        "AND commit_number = NEW.commit_number) "
        "BEGIN SELECT RAISE(ABORT, 'commits rows are never replaced'); END"
    ),
    "commit_regions_no_replace": (
        "CREATE TRIGGER commit_regions_no_replace BEFORE INSERT ON commit_regions "
        "WHEN EXISTS (SELECT 1 FROM commit_regions WHERE reading_id = NEW.reading_id "
        "AND commit_number = NEW.commit_number AND position = NEW.position) "
        "OR NEW.position NOT BETWEEN 0 AND (SELECT n_regions - 1 FROM commits WHERE "
        "reading_id = NEW.reading_id AND commit_number = NEW.commit_number) "
        "BEGIN SELECT RAISE(ABORT, 'a commit takes no other regions than its own'); END"
    ),
}


def write_triggers(connection: sqlite3.Connection) -> None:
    """Make every trigger anew, in the caller's transaction."""
    # transform() of sqlite-utils drops the triggers of the table that it rewrites.
    for name, sql in TRIGGERS.items():
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        connection.execute(sql)


def trigger_problems(connection: sqlite3.Connection) -> list[str]:
    """A sentence for each trigger that is missing or not as this version wrote it."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    present = {row["name"]: row["sql"] for row in rows}
    missing = [f"the trigger {name} is missing" for name in TRIGGERS if name not in present]
    changed = [
        f"the trigger {name} was changed"
        for name, sql in TRIGGERS.items()
        if name in present and present[name] != sql
    ]
    extra = [f"the trigger {name} is not ours" for name in present if name not in TRIGGERS]
    return missing + changed + extra
