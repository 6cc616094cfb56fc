"""The tables of a reading study: repeats, order per reader, adjudication. Added by m003."""

from __future__ import annotations

import sqlite3
from typing import Final

# SQLite cannot change a constraint of a table; a table that needs another one is made anew.
READINGS: Final = """CREATE TABLE new_readings (
        reading_id TEXT PRIMARY KEY,
        image_id TEXT NOT NULL REFERENCES images (image_id),
        reader TEXT NOT NULL REFERENCES readers (name),
        status TEXT NOT NULL CHECK (status IN ('draft', 'committed', 'revised')),
        version INTEGER NOT NULL CHECK (version >= 0),
        is_open INTEGER NOT NULL CHECK (is_open IN (0, 1)),
        no_finding INTEGER NOT NULL CHECK (no_finding IN (0, 1)),
        commits INTEGER NOT NULL CHECK (commits >= 0),
        imported INTEGER NOT NULL CHECK (imported IN (0, 1)),
        revealed_at TEXT,
        updated_at TEXT NOT NULL,
        occasion INTEGER NOT NULL DEFAULT 1 CHECK (occasion IN (0, 1, 2)),  -- cases.OCCASIONS
        UNIQUE (image_id, reader, occasion)
    ) STRICT"""
REGIONS: Final = """CREATE TABLE new_regions (
        seq INTEGER PRIMARY KEY,
        reading_id TEXT NOT NULL REFERENCES readings (reading_id),
        region_id TEXT NOT NULL,
        finding TEXT NOT NULL,
        -- '' while the reader of a draft has not said it; a commit needs it
        certainty TEXT NOT NULL CHECK (certainty IN ('', 'definite', 'probable', 'possible')),
        x_min INTEGER NOT NULL CHECK (x_min >= 0),
        y_min INTEGER NOT NULL CHECK (y_min >= 0),
        x_max INTEGER NOT NULL CHECK (x_max > x_min),
        y_max INTEGER NOT NULL CHECK (y_max > y_min),
        note TEXT NOT NULL,
        version INTEGER NOT NULL,
        updated_at TEXT NOT NULL,
        shape TEXT,
        UNIQUE (reading_id, region_id)
    ) STRICT"""
_READINGS_COLUMNS: Final = (
    "reading_id, image_id, reader, status, version, is_open, no_finding, commits, imported, "
    "revealed_at, updated_at"
)
_REGIONS_COLUMNS: Final = (
    "seq, reading_id, region_id, finding, certainty, x_min, y_min, x_max, y_max, note, version, "
    "updated_at, shape"
)
STATEMENTS: Final = (
    READINGS,
    f"INSERT INTO new_readings ({_READINGS_COLUMNS}) SELECT {_READINGS_COLUMNS} FROM readings",
    "DROP TABLE readings",
    "ALTER TABLE new_readings RENAME TO readings",
    "CREATE INDEX readings_by_reader ON readings (reader, status, occasion, image_id)",
    REGIONS,
    f"INSERT INTO new_regions ({_REGIONS_COLUMNS}) SELECT {_REGIONS_COLUMNS} FROM regions",
    "DROP TABLE regions",
    "ALTER TABLE new_regions RENAME TO regions",
    "CREATE INDEX regions_by_finding ON regions (finding, reading_id)",
    # 0 when the reader had seen another reading of the image, or could have.
    """ALTER TABLE commits ADD COLUMN
        independent INTEGER NOT NULL DEFAULT 1 CHECK (independent IN (0, 1))""",
    """CREATE TABLE worklist_orders (
        reader TEXT NOT NULL,
        place INTEGER NOT NULL CHECK (place >= 0),
        seq INTEGER NOT NULL REFERENCES images (seq),
        occasion INTEGER NOT NULL CHECK (occasion IN (1, 2)),
        PRIMARY KEY (reader, place),
        UNIQUE (reader, seq, occasion)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE worklist_plans (
        reader TEXT PRIMARY KEY,
        plan TEXT NOT NULL  -- what the order was made from; another one makes it anew
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE reading_parents (
        reading_id TEXT NOT NULL REFERENCES readings (reading_id),
        position INTEGER NOT NULL CHECK (position >= 0),
        parent_id TEXT NOT NULL,
        commit_number INTEGER NOT NULL,
        PRIMARY KEY (reading_id, position),
        UNIQUE (reading_id, parent_id),
        FOREIGN KEY (parent_id, commit_number) REFERENCES commits (reading_id, commit_number)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE decisions (
        reading_id TEXT NOT NULL REFERENCES readings (reading_id),
        parent_id TEXT NOT NULL,
        region_id TEXT NOT NULL,  -- of the parent's region
        decision TEXT NOT NULL CHECK (decision IN ('accept', 'edit', 'reject')),
        result_id TEXT NOT NULL,  -- of the region that came of it; '' when rejected
        decided_at TEXT NOT NULL,
        PRIMARY KEY (reading_id, parent_id, region_id),
        FOREIGN KEY (reading_id, parent_id) REFERENCES reading_parents (reading_id, parent_id)
    ) STRICT, WITHOUT ROWID""",
    "DROP INDEX images_in_order",
    "CREATE INDEX images_in_order ON images (seq, source, view, name_key, image_id)",
    "DROP INDEX images_by_source",
    "CREATE INDEX images_by_source ON images (source, seq, view, name_key, image_id)",
)


def add_study_tables(connection: sqlite3.Connection) -> None:
    """Run every statement; the connection must have its foreign keys off.

    With them on, dropping the old table of readings would count as deleting every reading.
    """
    for statement in STATEMENTS:
        connection.execute(statement)
