"""One edit from the panel: may it be applied, what it changes, and its row in the log."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import get_args

from annotations.errors import InvalidRegion, UnknownRecord
from annotations.findings import NO_FINDING
from annotations.records import Edit, EditKind, Reading, Region
from annotations.regions import Size
from annotations.store.edit_log import LogEntry, append
from annotations.store.regions import check_id, check_region, region_json
from annotations.store.time_on_task import active_details, check_active
from annotations.store.working_copy import put_region, set_columns


def check_edit(edit: Edit) -> None:
    """Refuse an edit that is incomplete in itself.

    Raises:
        InvalidRegion: If its ids, numbers or kind are not valid, or its region is missing.
    """
    check_sender(edit.client_id, edit.sequence)
    if edit.kind not in get_args(EditKind):
        raise InvalidRegion(
            f"unknown edit kind '{edit.kind}'; known: {', '.join(get_args(EditKind))}"
        )
    if edit.kind == "put" and edit.region is None:
        raise InvalidRegion("a 'put' edit holds no region; send the whole region after the change")
    if edit.kind == "delete":
        check_id(edit.region_id, "region id")
    check_active(edit.active_ms)


def check_sender(client_id: str, sequence: int) -> None:
    """Refuse what cannot tell one change from every other one.

    Raises:
        InvalidRegion: If the client's id or the number is not valid.
    """
    check_id(client_id, "client id")
    if type(sequence) is not int or not 0 <= sequence < 2**53:
        raise InvalidRegion(f"the sequence number {sequence!r} is no whole number from 0 up")


def was_applied(connection: sqlite3.Connection, reader: str, client_id: str, sequence: int) -> bool:
    """Whether this reader's client sent the change before and it was kept."""
    row = connection.execute(
        "SELECT 1 FROM log WHERE client_id <> '' AND actor = ? AND client_id = ? AND sequence = ?",
        (reader, client_id, sequence),
    ).fetchone()
    return row is not None


def write_edit(
    connection: sqlite3.Connection,
    edit: Edit,
    current: Reading,
    size: Size,
    known: Sequence[str],
) -> None:
    """Change the working copy and log it, in the caller's transaction."""
    version = current.version + 1
    details: dict[str, object] = {
        "version": version,
        "commits": current.commits,
        "seen_heatmap_before": current.revealed_at is not None,
        **active_details(edit.active_ms),
    }
    if edit.kind == "no_finding":
        details |= _write_no_finding(connection, edit, current)
    elif edit.kind == "delete":
        details |= _delete(connection, edit, current)
    else:
        details |= _put(connection, current, _checked(edit, current, size, known))
    set_columns(connection, current.reading_id, version=version, imported=0)
    append(
        connection,
        LogEntry(
            kind=edit.kind,
            actor=current.reader,
            subject=current.reading_id,
            details=details,
            image_id=current.image_id,
            client_id=edit.client_id,
            sequence=edit.sequence,
        ),
    )


def both_refused(n_regions: int) -> InvalidRegion:
    """The error for boxes and No Finding in one reading."""
    return InvalidRegion(
        f"'{NO_FINDING}' and boxes exclude each other, and this reading has {n_regions} "
        f"box{'es' if n_regions != 1 else ''}; delete the boxes before you tick '{NO_FINDING}'"
    )


def _checked(edit: Edit, current: Reading, size: Size, known: Sequence[str]) -> Region:
    if current.no_finding:
        raise InvalidRegion(
            f"this reading says '{NO_FINDING}', which excludes boxes; untick it before you draw"
        )
    if edit.region is None:  # check_edit refused this already
        raise InvalidRegion("a 'put' edit holds no region; send the whole region after the change")
    return check_region(edit.region, size, known)


def _put(connection: sqlite3.Connection, current: Reading, region: Region) -> dict[str, object]:
    before = _find(current, region.region_id)
    put_region(connection, current.reading_id, region, current.version + 1)
    return {"before": region_json(before) if before else None, "after": region_json(region)}


def _delete(connection: sqlite3.Connection, edit: Edit, current: Reading) -> dict[str, object]:
    before = _find(current, edit.region_id)
    if before is None:
        raise UnknownRecord(
            f"there is no box '{edit.region_id}' in this reading; it may be deleted"
        )
    connection.execute(
        "DELETE FROM regions WHERE reading_id = ? AND region_id = ?",
        (current.reading_id, edit.region_id),
    )
    return {"before": region_json(before), "after": None}


def _write_no_finding(
    connection: sqlite3.Connection, edit: Edit, current: Reading
) -> dict[str, object]:
    if edit.no_finding and current.regions:
        raise both_refused(len(current.regions))
    set_columns(connection, current.reading_id, no_finding=int(bool(edit.no_finding)))
    return {"before": current.no_finding, "after": bool(edit.no_finding)}


def _find(current: Reading, region_id: str) -> Region | None:
    return next((one for one in current.regions if one.region_id == region_id), None)
