"""Keeping a reading: its commit, and its rows of the log."""

from __future__ import annotations

import sqlite3

from annotations.records import Reading
from annotations.store import commits
from annotations.store.edit_log import LogEntry, append
from annotations.store.encoding import now
from annotations.store.regions import region_json
from annotations.store.time_on_task import active_details
from annotations.store.working_copy import set_columns


def snapshot_reading(current: Reading) -> commits.Snapshot:
    """What a commit of the working copy keeps; ``blinded`` by this reading's own reveal."""
    return commits.Snapshot(
        reading_id=current.reading_id,
        commit_number=current.commits + 1,
        version=current.version,
        committed_at=now(),
        blinded=current.revealed_at is None,
        imported=False,
        no_finding=current.no_finding,
        regions=current.regions,
    )


def keep_reading(
    connection: sqlite3.Connection,
    current: Reading,
    snapshot: commits.Snapshot,
    *,
    active_ms: int | None = None,
) -> None:
    """Write a commit and its row of the log, and close the reading."""
    commits.insert_snapshot(connection, snapshot)
    set_columns(
        connection,
        current.reading_id,
        status="committed" if snapshot.commit_number == 1 else "revised",
        is_open=0,
        commits=snapshot.commit_number,
        imported=int(snapshot.imported),
    )
    log_reading(
        connection,
        "import_reading" if snapshot.imported else "commit",
        current,
        {
            "commit_number": snapshot.commit_number,
            "version": snapshot.version,
            "blinded": snapshot.blinded,
            "independent": snapshot.independent,
            "occasion": current.occasion,
            "no_finding": snapshot.no_finding,
            "regions": [region_json(region) for region in snapshot.regions],
            "content_sha256": snapshot.content_sha256,
            **active_details(active_ms),
        },
    )


def log_reading(
    connection: sqlite3.Connection,
    kind: str,
    current: Reading,
    details: dict[str, object],
    *,
    sent: tuple[str, int] = ("", 0),
) -> None:
    """Put what happened to a reading into the log.

    Args:
        connection: Of the caller's transaction.
        kind: Of the row.
        current: The reading.
        details: Of the row.
        sent: Client id and number of a change that may be sent again.
    """
    entry = LogEntry(kind, current.reader, current.reading_id, details, current.image_id, *sent)
    append(connection, entry)
