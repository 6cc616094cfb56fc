"""Is the database file itself whole: read at once when it is small, beside the page when not."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Final

from annotations.errors import DamagedWorkspace
from annotations.store.connection import Connections

# A check of more would be felt at each start: a gigabyte takes about six seconds.
CHECKED_AT_ONCE_BYTES: Final = 64 * 1024**2


def quick_problems(connection: sqlite3.Connection) -> list[str]:
    """What SQLite's quick check finds, [] when the file is whole."""
    found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
    return [] if found == ["ok"] else found


def damage_mark(database: Path) -> Path:
    """The file that is there after damage was found in a database too large to check at once."""
    return database.with_name(database.name + ".damaged")


def check_soundness(connections: Connections) -> str:
    """What is damaged in the whole file, "" when nothing is; damage ends all writing."""
    problems = _problems_by_table(connections)
    if not problems:
        return ""
    found = "; ".join(problems)
    connections.forbid_writing(
        "nothing was saved: the database of this workspace is damaged. Stop and start the program: "
        "it then shows the way back to the last backup"
    )
    with contextlib.suppress(OSError):  # a failing disk; writing has ended already
        damage_mark(connections.database).write_text(found + "\n", encoding="utf-8")
    return found


def _problems_by_table(connections: Connections) -> list[str]:
    """Table by table: whoever saves something waits for one table at most."""
    with connections.read() as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    problems: list[str] = []
    for row in rows:
        quoted = str(row["name"]).replace("'", "''")
        try:
            with connections.read() as connection:
                found = connection.execute(f"PRAGMA quick_check('{quoted}')").fetchall()
            problems += [str(one[0]) for one in found if one[0] != "ok"]
        except DamagedWorkspace as error:
            problems.append(str(error))
    return problems[:5]
