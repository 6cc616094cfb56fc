"""What a reader saw of an image besides the picture: maps, and readings of others."""

from __future__ import annotations

import sqlite3
from typing import Final

from annotations.store.edit_log import LogEntry, append

SEEN_UNREAD: Final = "seen unread"  # a map, without an own committed reading
SEEN_READING: Final = "seen reading"  # a reading of somebody else
OPENED_REPEAT: Final = "open repeat"  # the picture a second time


def has_seen(connection: sqlite3.Connection, kind: str, image_id: str, reader: str) -> bool:
    """Whether the log has such a row of this reader and image."""
    found = connection.execute(
        "SELECT 1 FROM log WHERE image_id = ? AND kind = ? AND actor = ?", (image_id, kind, reader)
    )
    return found.fetchone() is not None


def note_seen(connection: sqlite3.Connection, kind: str, image_id: str, reader: str) -> None:
    """Keep that it was seen; once is enough."""
    if not has_seen(connection, kind, image_id, reader):
        append(connection, LogEntry(kind, reader, image_id, image_id=image_id))


def has_seen_map(connection: sqlite3.Connection, image_id: str, reader: str) -> bool:
    """Whether this reader saw a heatmap of the image, on whatever occasion."""
    revealed = connection.execute(
        "SELECT 1 FROM readings WHERE image_id = ? AND reader = ? AND revealed_at IS NOT NULL",
        (image_id, reader),
    ).fetchone()
    return revealed is not None or has_seen(connection, SEEN_UNREAD, image_id, reader)
