from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from annotations.errors import StoreError
from annotations.records import ImageRecord, Reading
from annotations.store import Store

Raw = Callable[[], closing[sqlite3.Connection]]
Put = Callable[..., Reading]

TRIGGERS = (
    "log_no_update",
    "log_no_delete",
    "log_no_replace",
    "log_follows",
    "commits_no_update",
    "commits_no_delete",
    "commits_no_replace",
    "commit_regions_no_update",
    "commit_regions_no_delete",
    "commit_regions_no_replace",
)
LOG_COLUMNS = (
    "seq, at, kind, actor, subject, image_id, client_id, sequence, details, previous_hash, hash"
)


@pytest.fixture
def written(store: Store, put: Put) -> Reading:
    """Three edits and a commit: log rows 2, 3, 4 and 5 (row 1 tells of the new database)."""
    for name in ("r1", "r2", "r3"):
        reading = put(region_id=name)
    return store.readings.commit(reading.image_id, "alice", base_version=reading.version)


def tamper(raw: Raw, *statements: str) -> None:
    """What somebody with the file and SQLite can do: drop the triggers, change, restore them."""
    with raw() as connection:
        kept = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = kept.fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)


@pytest.mark.usefixtures("written")
def test_the_chain_recomputed_by_hand_is_the_stored_one(raw: Raw) -> None:
    with raw() as connection:
        cursor = connection.execute("SELECT * FROM log ORDER BY seq")
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
    previous = "0" * 64
    for number, row in enumerate(rows, start=1):
        stored = row.pop("hash")
        assert row["seq"] == number
        assert row["previous_hash"] == previous
        text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        previous = hashlib.sha256(text.encode("utf-8")).hexdigest()
        assert stored == previous
    assert [row["kind"] for row in rows] == ["migrate", "put", "put", "put", "commit"]


def test_an_untouched_log_has_no_problems(store: Store, written: Reading) -> None:
    assert store.log.verify() == []
    assert store.log.head()[0] == 5
    assert store.log.head()[1] == store.log.rows(limit=1)[0].hash
    assert {row.subject for row in store.log.rows(written.image_id)} == {written.reading_id}


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log SET actor = 'mallory' WHERE seq = 3",
        "UPDATE log SET at = '2020-01-01T00:00:00.000000+00:00' WHERE seq = 3",
        "UPDATE log SET details = replace(details, 'Edema', 'Fracture') WHERE seq = 3",
        "UPDATE log SET client_id = 'other' WHERE seq = 3",
        "UPDATE log SET details = details || ' ' WHERE seq = 3",
    ],
)
def test_a_changed_row_is_named(store: Store, raw: Raw, statement: str) -> None:
    tamper(raw, statement)
    [problem] = store.log.verify()
    assert problem.startswith("log row 3 (put by '")
    assert "its hash does not match" in problem


@pytest.mark.usefixtures("written")
def test_a_changed_row_with_a_hash_made_to_fit_breaks_the_next_link(store: Store, raw: Raw) -> None:
    row = next(row for row in store.log.rows() if row.seq == 3)
    content = {
        "seq": 3, "at": row.at, "kind": row.kind, "actor": "mallory", "subject": row.subject,
        "image_id": row.image_id, "client_id": row.client_id, "sequence": row.sequence,
        "details": json.dumps(
            row.details, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ),
        "previous_hash": row.previous_hash,
    }  # fmt: skip
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    forged = hashlib.sha256(text.encode()).hexdigest()
    tamper(raw, f"UPDATE log SET actor = 'mallory', hash = '{forged}' WHERE seq = 3")
    assert store.log.verify() == ["log row 4 does not follow the row before it"]


@pytest.mark.usefixtures("written")
def test_a_removed_row_is_noticed_by_its_gap(store: Store, raw: Raw) -> None:
    tamper(raw, "DELETE FROM log WHERE seq = 3")
    problems = store.log.verify()
    assert problems[0] == "log row 3 missing before row 4"
    assert problems[1] == "log row 4 does not follow the row before it"
    assert "the log tells of 2 edits" in problems[2]


@pytest.mark.usefixtures("written")
def test_a_log_cut_off_at_the_end_is_noticed_even_after_new_rows(store: Store, raw: Raw) -> None:
    tamper(raw, "DELETE FROM log WHERE seq = 5")
    problems = store.log.verify()
    assert problems[0] == "the log ends at row 4, but row 5 existed"
    assert "3 edits and 0 commits" in problems[1]
    store.log.add("export", "alice", "out.csv", {})
    assert store.log.verify()[0] == "log row 5 missing before row 6"


@pytest.mark.usefixtures("written")
def test_a_change_of_the_working_copy_past_the_log_is_noticed(store: Store, raw: Raw) -> None:
    with raw() as connection:
        connection.execute("UPDATE readings SET version = version - 1")
    [problem] = store.log.verify()
    assert "has version 2 and 1 commits (1 kept), but the log tells of 3 edits" in problem


@pytest.mark.usefixtures("written")
def test_a_removed_reading_is_noticed(store: Store, raw: Raw, written: Reading) -> None:
    tamper(raw, "DELETE FROM regions", "DELETE FROM commit_regions", "DELETE FROM commits",
           "DELETE FROM readings")  # fmt: skip
    assert f"reading {written.reading_id} is gone, but the log tells of it" in store.log.verify()


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_missing_trigger_is_named(store: Store, raw: Raw, trigger: str) -> None:
    with raw() as connection:
        connection.execute(f"DROP TRIGGER {trigger}")
    assert store.log.verify() == [f"the trigger {trigger} is missing"]


@pytest.mark.usefixtures("written")
def test_a_trigger_that_does_nothing_is_no_trigger(store: Store, raw: Raw) -> None:
    with raw() as connection:
        connection.execute("DROP TRIGGER log_no_update")
        connection.execute("CREATE TRIGGER log_no_update BEFORE UPDATE ON log BEGIN SELECT 1; END")
    assert store.log.verify() == ["the trigger log_no_update was changed"]


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("recursive_triggers", ["ON", "OFF"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log SET actor = 'x' WHERE seq = 2",
        "DELETE FROM log WHERE seq = 2",
        "DELETE FROM log",
        f"INSERT OR REPLACE INTO log SELECT {LOG_COLUMNS} FROM log WHERE seq = 2",
        f"INSERT OR REPLACE INTO log SELECT {LOG_COLUMNS.replace('seq, at', 'NULL, at')} "
        "FROM log WHERE seq = 2",
        "INSERT INTO log (at, kind, actor, subject, image_id, client_id, sequence, details, "
        "previous_hash, hash) VALUES ('', '', '', '', '', '', 0, '{}', 'no such hash', '')",
        "UPDATE OR REPLACE log SET seq = 2 WHERE seq = 3",
        "UPDATE commits SET blinded = 0",
        "DELETE FROM commits",
        "INSERT OR REPLACE INTO commits SELECT * FROM commits",
        "UPDATE commit_regions SET x_max = x_max + 1",
        "DELETE FROM commit_regions WHERE position = 0",
        "INSERT OR REPLACE INTO commit_regions SELECT * FROM commit_regions",
        "INSERT INTO commit_regions SELECT reading_id, commit_number, 3, 'r4', finding, certainty, "
        "x_min, y_min, x_max, y_max, note, shape FROM commit_regions WHERE position = 0",
        "INSERT INTO commit_regions SELECT reading_id, commit_number, -1, 'r4', finding, "
        "certainty, x_min, y_min, x_max, y_max, note, shape FROM commit_regions WHERE position = 0",
    ],
)
def test_plain_sql_cannot_change_what_is_kept(
    store: Store, raw: Raw, statement: str, recursive_triggers: str
) -> None:
    with raw() as connection:
        connection.execute(f"PRAGMA recursive_triggers = {recursive_triggers}")
        before = [*connection.iterdump()]
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
        assert [*connection.iterdump()] == before
    assert store.check(files=False) == []


def test_other_events_are_logged_with_their_details(store: Store, image: ImageRecord) -> None:
    number = store.log.add("export", "alice", "out.csv", {"rows": 3, "share": 0.5, "of": ["a", 1]})
    row = store.log.rows(limit=1)[0]
    assert (row.seq, row.kind, row.actor, row.subject) == (number, "export", "alice", "out.csv")
    assert row.details == {"rows": 3, "share": 0.5, "of": ["a", 1]}
    assert store.log.rows(image.image_id) == []


def test_events_of_the_readings_cannot_be_added_from_outside(store: Store) -> None:
    for kind in ("put", "commit", "reveal"):
        with pytest.raises(StoreError, match="written by the readings only"):
            store.log.add(kind, "mallory", "x", {})


@pytest.mark.parametrize(
    ("details", "sentence"),
    [
        ({"a": float("nan")}, "details.a is nan; the log takes finite numbers only"),
        ({"a": [1, float("inf")]}, "is inf"),
        ({"a": object()}, "details.a is of type object"),
        ({1: "a"}, "has the key 1; expected text keys"),
    ],
)
def test_details_without_a_canonical_form_are_refused(
    store: Store, details: dict[str, object], sentence: str
) -> None:
    with pytest.raises(StoreError, match=sentence):
        store.log.add("import", "alice", "x", details)
    assert store.log.verify() == []


def test_the_newest_rows_come_first_and_no_more_than_asked(store: Store) -> None:
    for number in range(5):
        store.log.add("import", "alice", f"file {number}", {})
    assert [row.subject for row in store.log.rows(limit=2)] == ["file 4", "file 3"]


def test_a_refused_edit_leaves_no_row_behind(store: Store, put: Put) -> None:
    put()
    before = store.log.head()
    with pytest.raises(Exception, match="unknown finding"):
        put(finding="Nonsense")
    assert store.log.head() == before


def test_a_log_longer_than_one_page_is_verified_to_its_end(store: Store, raw: Raw) -> None:
    with store.batch():
        for number in range(4500):
            store.log.add("import", "alice", str(number), {})
    assert store.log.verify() == []
    tamper(raw, "UPDATE log SET subject = 'x' WHERE seq = 4400")
    [problem] = store.log.verify()
    assert problem.startswith("log row 4400 ")
