"""A workspace of any size: one real reading, made many by SQL, with a log that holds together."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from annotations.records import NewImage, Region
from annotations.regions import Box
from annotations.store import Store
from annotations.store.connection import connect, immediate
from annotations.store.edit_log import LogEntry, append
from annotations.store.encoding import load_object
from annotations.workspace import Workspace, create_workspace

READER = "reader 0"
SIDE = 2000


def new_image(number: int) -> NewImage:
    """An image whose file is nowhere; nothing here decodes it."""
    place = f"/pictures/{number:07d}.png"
    return NewImage(
        path=place,
        origin=place,
        name=f"{number:07d}.png",
        source="folder",
        sha256="a" * 64,
        pixel_sha256="b" * 64,
        height=SIDE,
        width=SIDE,
        bits=12,
        photometric="MONOCHROME2",
        modality="DX",
        view="PA",
        spacing_mm=None,
        patient_hash="p",
        study_hash="s",
    )


def big_workspace(root: Path, *, n_images: int, n_regions: int) -> Workspace:
    """A workspace with so many images, each read once, with equally many regions each."""
    workspace = create_workspace(root, name="big", synthetic=True)
    finding = workspace.settings.findings[0]
    each = [
        Region(f"box-{index}", finding, "definite", Box(index, index, index + 100, index + 100))
        for index in range(n_regions // n_images)
    ]
    with Store.open(workspace) as store:
        first, _ = store.images.add(new_image(0))
        store.readings.import_committed(first.image_id, READER, "imported", each, False)
    with closing(connect(workspace.database)) as connection, immediate(connection):
        _multiply(connection, n_images)
        _log(connection, n_images)
    return workspace


def _multiply(connection: sqlite3.Connection, n_images: int) -> None:
    """The one image and its reading, copied until there are so many."""
    connection.execute("CREATE TEMP TABLE numbers (n INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO numbers VALUES (?)", ((n,) for n in range(1, n_images)))
    image, reading = "printf('%032x', n)", "printf('reading-%07d', n)"
    place, name = "printf('/pictures/%07d.png', n)", "printf('%07d.png', n)"
    names = {"path": place, "origin": place, "name": name, "name_key": name}
    # Rows of equal tables stand together, as they would after an import.
    _copy(connection, "images", {"seq": "NULL", "image_id": image, **names})
    _copy(connection, "readings", {"reading_id": reading, "image_id": image})
    _copy(connection, "regions", {"seq": "NULL", "reading_id": reading})
    _copy(connection, "commits", {"reading_id": reading})
    _copy(connection, "commit_regions", {"reading_id": reading})


def _copy(connection: sqlite3.Connection, table: str, changed: dict[str, str]) -> None:
    columns = [row["name"] for row in connection.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(changed.get(column, f"one.{column}") for column in columns)
    connection.execute(
        f"INSERT INTO {table} SELECT {values} FROM numbers, "
        f"(SELECT * FROM {table} WHERE rowid IN (SELECT rowid FROM {table})) AS one ORDER BY n"
    )


def _log(connection: sqlite3.Connection, n_images: int) -> None:
    row = connection.execute("SELECT * FROM log WHERE kind = 'import_reading'").fetchone()
    details = load_object(row["details"])
    for n in range(1, n_images):
        append(
            connection,
            LogEntry("import_reading", READER, f"reading-{n:07d}", details, image_id=f"{n:032x}"),
        )
