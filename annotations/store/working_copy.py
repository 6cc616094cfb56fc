"""The rows of a reading as it stands now."""

from __future__ import annotations

import sqlite3
import uuid
from dataclasses import replace

from annotations.cases import Case
from annotations.records import Reading, Region
from annotations.store.encoding import now
from annotations.store.regions import region_of, region_values


def load_reading(connection: sqlite3.Connection, case: Case, reader: str) -> Reading:
    """The reading, or an empty one with status "new" that is stored nowhere."""
    row = connection.execute(
        "SELECT * FROM readings WHERE image_id = ? AND reader = ? AND occasion = ?",
        (case.image_id, reader, case.occasion),
    ).fetchone()
    if row is None:
        return Reading(
            reading_id="",
            image_id=case.image_id,
            reader=reader,
            status="new",
            version=0,
            is_open=True,
            no_finding=False,
            regions=(),
            commits=0,
            revealed_at=None,
            updated_at=None,
            occasion=case.occasion,
        )
    regions = connection.execute(
        "SELECT * FROM regions WHERE reading_id = ? ORDER BY seq", (row["reading_id"],)
    )
    return Reading(
        reading_id=row["reading_id"],
        image_id=case.image_id,
        reader=reader,
        status=row["status"],
        version=row["version"],
        is_open=bool(row["is_open"]),
        no_finding=bool(row["no_finding"]),
        regions=tuple(region_of(region) for region in regions),
        commits=row["commits"],
        revealed_at=row["revealed_at"],
        updated_at=row["updated_at"],
        imported=bool(row["imported"]),
        occasion=case.occasion,
    )


def create_reading(connection: sqlite3.Connection, new: Reading) -> Reading:
    """The same reading, now a draft with an id and a row."""
    created = replace(new, reading_id=str(uuid.uuid4()), status="draft", updated_at=now())
    connection.execute(
        "INSERT INTO readings (reading_id, image_id, reader, status, version, is_open, no_finding, "
        "commits, imported, updated_at, occasion) "
        "VALUES (?, ?, ?, 'draft', 0, 1, 0, 0, ?, ?, ?)",
        (
            created.reading_id,
            created.image_id,
            created.reader,
            int(created.imported),
            created.updated_at,
            created.occasion,
        ),
    )
    return created


def set_columns(connection: sqlite3.Connection, reading_id: str, **values: int | str) -> None:
    """Write these columns of the reading, and the moment."""
    columns = ", ".join(f"{name} = :{name}" for name in values)
    connection.execute(
        f"UPDATE readings SET {columns}, updated_at = :updated_at WHERE reading_id = :reading_id",
        {**values, "updated_at": now(), "reading_id": reading_id},
    )


def put_region(
    connection: sqlite3.Connection, reading_id: str, region: Region, version: int
) -> None:
    """Write the region, in the place of the one with the same id."""
    connection.execute(
        "INSERT INTO regions (region_id, finding, certainty, x_min, y_min, x_max, y_max, note, "
        "shape, reading_id, version, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (reading_id, region_id) DO UPDATE SET finding = excluded.finding, "
        "certainty = excluded.certainty, x_min = excluded.x_min, y_min = excluded.y_min, "
        "x_max = excluded.x_max, y_max = excluded.y_max, note = excluded.note, "
        "shape = excluded.shape, "
        "version = excluded.version, updated_at = excluded.updated_at",
        (*region_values(region), reading_id, version, now()),
    )
