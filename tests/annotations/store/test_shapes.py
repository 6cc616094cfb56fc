from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlite_utils import Database

from annotations.errors import DamagedWorkspace, InvalidRegion
from annotations.findings import STUDY_FINDINGS
from annotations.records import Edit, ImageRecord, Reading, Region
from annotations.regions import Box, shape_box
from annotations.shapes import Shape
from annotations.store import Store
from annotations.store.edit_log import LogEntry, append
from annotations.store.migrations import MIGRATIONS
from annotations.store.schema import SCHEMA_VERSION
from annotations.store.triggers import write_triggers

Raw = Callable[[], closing[sqlite3.Connection]]
Put = Callable[..., Reading]
POLYGON = Shape("polygon", (((10.5, 20), (40, 22.25), (25, 90)),))
# What version 1 hashed: the canonical JSON of a reading, which knew no shapes.
OLD_CONTENT = (
    '{"no_finding":false,"regions":[{"box":[10,20,30,40],"certainty":"definite",'
    '"finding":"Edema","note":""}]}'
)


def shaped(shape: Shape = POLYGON, **changes: object) -> Region:
    values = {"region_id": "r1", "finding": "Edema", "certainty": "possible",
              "box": shape_box(shape, (200, 100)), "note": "", "shape": shape}  # fmt: skip
    return Region(**{**values, **changes})


def write_version_1(database: Path) -> None:
    """A database as the first version left it, with one committed reading."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.row_factory = sqlite3.Row
    db = Database(connection, strict=True, execute_plugins=False)
    MIGRATIONS.apply(db, stop_before="m002_shapes")
    db.execute("PRAGMA user_version = 1")
    write_triggers(connection)
    digest = hashlib.sha256(OLD_CONTENT.encode()).hexdigest()
    region = {"region_id": "r1", "finding": "Edema", "certainty": "definite",
              "box": [10, 20, 30, 40], "note": ""}  # fmt: skip
    when = "2026-01-02T03:04:05.000006+00:00"
    for statement in (
        f"INSERT INTO patients VALUES ('p', '{when}')",
        f"INSERT INTO studies VALUES ('s', 'p', '{when}')",
        "INSERT INTO images VALUES (1, 'i1', '/a.png', '/a.png', 'a.png', 'a.png', 'folder', "
        "'aa', 'bb', 200, 100, 8, 'MONOCHROME2', '', '', NULL, NULL, 'p', 's', '[]', '{}', '', "
        f"'', '{when}')",
        f"INSERT INTO readers VALUES ('alice', 'person', '{when}')",
        "INSERT INTO readings VALUES ('x1', 'i1', 'alice', 'committed', 1, 0, 0, 1, 0, NULL, "
        f"'{when}')",
        "INSERT INTO regions VALUES (1, 'x1', 'r1', 'Edema', 'definite', 10, 20, 30, 40, '', 1, "
        f"'{when}')",
        f"INSERT INTO commits VALUES ('x1', 1, 1, '{when}', 1, 0, 0, 1, '{digest}')",
        "INSERT INTO commit_regions VALUES ('x1', 1, 0, 'r1', 'Edema', 'definite', 10, 20, 30, "
        "40, '')",
    ):
        connection.execute(statement)
    put = {"version": 1, "commits": 0, "seen_heatmap_before": False, "before": None,
           "after": region}  # fmt: skip
    append(connection, LogEntry("put", "alice", "x1", put, "i1", "tab-1", 1))
    kept = {"commit_number": 1, "version": 1, "blinded": True, "no_finding": False,
            "regions": [region], "content_sha256": digest}  # fmt: skip
    append(connection, LogEntry("commit", "alice", "x1", kept, "i1"))
    connection.close()


def test_a_database_of_the_first_version_opens_and_says_what_it_said(
    database: Path, raw: Raw
) -> None:
    write_version_1(database)
    with raw() as connection:
        log = connection.execute("SELECT * FROM log").fetchall()

    with Store(database, STUDY_FINDINGS) as store:
        (committed,) = store.readings.committed()
        assert committed.regions == (Region("r1", "Edema", "definite", Box(10, 20, 30, 40)),)
        assert committed.content_sha256 == hashlib.sha256(OLD_CONTENT.encode()).hexdigest()
        assert store.readings.get("i1", "alice").regions == committed.regions
        assert store.check(files=False) == []
        assert [row.kind for row in store.log.rows()] == ["migrate", "commit", "put"]
        assert store.log.rows()[0].details["migrations"] == ["m002_shapes", "m003_studies"]
        # And work goes on there.
        opened = store.readings.reopen("i1", "alice")
        edit = Edit("tab-2", 1, "i1", opened.version, "put", region=shaped())
        store.readings.commit(
            "i1", "alice", base_version=store.readings.apply(edit, "alice").version
        )
        assert store.check(files=False) == []
    with raw() as connection:
        assert connection.execute("SELECT * FROM log").fetchall()[: len(log)] == log
        assert connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION


def test_a_migrated_database_has_the_columns_of_a_new_one(store: Store, tmp_path: Path) -> None:
    old = tmp_path / "old.sqlite"
    write_version_1(old)
    Store(old, STUDY_FINDINGS).close()
    with closing(sqlite3.connect(old)) as one, closing(sqlite3.connect(store.database)) as two:
        for table in ("regions", "commit_regions"):
            columns = [c.execute(f"PRAGMA table_info({table})").fetchall() for c in (one, two)]
            assert columns[0] == columns[1]
            assert "shape" in [column[1] for column in columns[0]]


def test_a_shape_is_stored_logged_committed_and_read_back_exactly(
    store: Store, image: ImageRecord, edit: Callable[..., Edit]
) -> None:
    drawn = store.readings.apply(edit(0, region=shaped()), "alice")
    store.readings.commit(image.image_id, "alice", base_version=drawn.version)
    database = store.database
    store.close()

    with Store(database, STUDY_FINDINGS) as again:
        assert again.readings.get(image.image_id, "alice").regions == (shaped(),)
        (committed,) = again.readings.committed()
        assert committed.regions == (shaped(),)
        assert committed.regions[0].outline == POLYGON
        logged = next(row for row in again.log.rows() if row.kind == "put").details["after"]
        assert logged["shape"] == {
            "kind": "polygon",
            "rings": [[[10.5, 20.0], [40.0, 22.25], [25.0, 90.0]]],
        }
        assert again.check(files=False) == []


def test_a_shape_made_of_whole_numbers_keeps_its_hash_after_it_was_read_back(
    store: Store, image: ImageRecord
) -> None:
    whole = shaped(Shape("polygon", (((10, 20), (40, 22), (25, 90)),)))
    store.readings.import_committed(image.image_id, "R", "imported", [whole], False)

    assert store.check(files=False) == []
    assert not store.readings.import_committed(image.image_id, "R", "imported", [whole], False)


def test_readings_with_and_without_the_outline_are_different_statements(
    store: Store, image: ImageRecord
) -> None:
    plain = replace(shaped(), shape=None)
    store.readings.import_committed(image.image_id, "R", "imported", [shaped()], False)

    assert store.readings.import_committed(image.image_id, "R", "imported", [plain], False)
    assert len(store.readings.of_image(image.image_id)) == 2


def test_a_box_that_is_not_the_shapes_bounding_box_is_refused(
    store: Store, edit: Callable[..., Edit]
) -> None:
    moved = shaped(box=Box(11, 20, 41, 90))

    with pytest.raises(InvalidRegion, match=r"is not the bounding box \(10, 20, 40, 90\) of its"):
        store.readings.apply(edit(0, region=moved), "alice")


def test_an_edit_without_the_shape_drops_it_and_the_log_keeps_it(
    store: Store, edit: Callable[..., Edit]
) -> None:
    drawn = store.readings.apply(edit(0, region=shaped()), "alice")
    moved = replace(shaped(), box=Box(12, 20, 42, 90), shape=None)
    after = store.readings.apply(edit(drawn.version, region=moved), "alice")

    assert after.regions == (moved,)
    details = store.log.rows()[0].details
    assert details["before"]["shape"]["kind"] == "polygon"
    assert "shape" not in details["after"]


def test_a_stored_shape_that_was_damaged_is_refused_with_a_sentence(
    store: Store, image: ImageRecord, edit: Callable[..., Edit], raw: Raw
) -> None:
    store.readings.apply(edit(0, region=shaped()), "alice")
    with raw() as connection:
        broken = json.dumps({"kind": "polygon", "rings": []})
        connection.execute("UPDATE regions SET shape = ?", (broken,))

    with pytest.raises(DamagedWorkspace, match=r"outline of region r1 is not as it was written"):
        store.readings.get(image.image_id, "alice")
