"""The history of the schema. Imported only when a database is made or brought up to date."""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlite_utils import Database, Migrations

from annotations.store.edit_log import LogEntry, append
from annotations.store.schema import APPLICATION_ID, TABLES
from annotations.store.study_tables import add_study_tables
from annotations.store.triggers import write_triggers

MIGRATIONS: Final = Migrations("saliency-audit")


# Migrations are appended, never edited: a database that ran one will not run it again.
# SCHEMA_VERSION in schema.py counts them.
@MIGRATIONS()
def m001_tables(db: Database) -> None:
    """Every table of the first version."""
    for statement in TABLES:
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")


@MIGRATIONS()
def m002_shapes(db: Database) -> None:
    """Outlines of regions, as JSON; NULL for a region that is its box."""
    for table in ("regions", "commit_regions"):
        db.execute(f"ALTER TABLE {table} ADD COLUMN shape TEXT")


@MIGRATIONS()
def m003_studies(db: Database) -> None:
    """Repeats, an order for each reader, adjudication, certainty that is not said yet."""
    add_study_tables(db.conn)


def apply_migrations(connection: sqlite3.Connection, subject: str) -> None:
    """Run what is pending, make the triggers anew and log it, in the caller's transaction."""
    db = Database(connection, strict=True, execute_plugins=False)
    names = [migration.name for migration in MIGRATIONS.pending(db)]
    if not names:
        return
    MIGRATIONS.apply(db)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS.applied(db))}")
    write_triggers(connection)
    details = {"migrations": names, "sqlite_version": sqlite3.sqlite_version}
    append(connection, LogEntry("migrate", "", subject, details))
