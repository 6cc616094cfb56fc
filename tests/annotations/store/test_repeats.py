"""A picture read twice by one reader; drafts without certainty; what makes readings dependent."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from annotations.cases import ADJUDICATION, FIRST, REPEAT, case_id_of
from annotations.errors import CaseHidden, IncompleteReading, ReadingLocked
from annotations.records import Edit, ImageRecord, Region
from annotations.regions import Box
from annotations.store import Store
from annotations.store.orders import OrderPlan

ALL = OrderPlan(repeat_percent=100)
NUMBERS = itertools.count(1)


def mark(store: Store, case_id: str, x: int = 10, certainty: str = "definite") -> int:
    region = Region(f"r{x}", "Edema", certainty, Box(x, 20, 60, 90))
    present = store.readings.get(case_id, "alice")
    edit = Edit(f"page-{case_id[-3:]}", next(NUMBERS), case_id, present.version, "put", region)
    return store.readings.apply(edit, "alice").version


def commit(store: Store, case_id: str, **options: bool) -> None:
    version = store.readings.get(case_id, "alice").version
    store.readings.commit(case_id, "alice", base_version=version, **options)


@pytest.fixture
def again(image: ImageRecord) -> str:
    return case_id_of(image.image_id, REPEAT)


def test_a_repeat_is_a_reading_of_its_own_that_starts_empty(
    store: Store, image: ImageRecord, again: str
) -> None:
    mark(store, image.image_id)
    commit(store, image.image_id)
    assert store.readings.open_case(again, "alice").regions == ()
    mark(store, again, 15)
    commit(store, again)
    first, second = store.readings.committed(occasions=(FIRST, REPEAT))
    assert first.reading_id != second.reading_id
    assert [one.regions[0].box.x_min for one in (first, second)] == [10, 15]
    assert [one.occasion for one in (first, second)] == [FIRST, REPEAT]
    assert second.blinded
    assert second.independent
    assert store.readings.committed() == [first]
    assert store.readings.of_image(image.image_id) == [first]
    assert store.check(files=False) == []


def test_a_repeat_waits_for_the_first_reading(store: Store, image: ImageRecord, again: str) -> None:
    with pytest.raises(CaseHidden, match="this case comes later"):
        store.readings.open_case(again, "alice")
    mark(store, image.image_id)
    with pytest.raises(CaseHidden, match="this case comes later"):
        mark(store, again)


def test_while_the_second_reading_is_open_the_first_is_neither_shown_nor_changed(
    store: Store, image: ImageRecord, again: str
) -> None:
    mark(store, image.image_id)
    commit(store, image.image_id)
    assert store.readings.open_case(image.image_id, "alice").commits == 1
    store.readings.open_case(again, "alice")
    for action in (store.readings.open_case, store.readings.reopen):
        with pytest.raises(CaseHidden, match="a second time"):
            action(image.image_id, "alice")
    mark(store, again)
    commit(store, again)
    assert store.readings.open_case(image.image_id, "alice").commits == 1
    kinds = [row.kind for row in store.log.rows(image_id=image.image_id)]
    assert kinds.count("open repeat") == 1


def test_the_heatmap_waits_for_a_repeat_that_is_planned(
    store: Store, image: ImageRecord, again: str
) -> None:
    store.orders.ensure("alice", ALL)
    mark(store, image.image_id)
    commit(store, image.image_id)
    with pytest.raises(ReadingLocked, match="shown later in this study"):
        store.readings.reveal(image.image_id, "alice")
    mark(store, again)
    commit(store, again)
    assert store.readings.reveal(image.image_id, "alice").revealed_at


def test_a_heatmap_seen_after_the_first_reading_unblinds_the_second(
    store: Store, image: ImageRecord, again: str
) -> None:
    mark(store, image.image_id)
    commit(store, image.image_id)
    store.readings.reveal(image.image_id, "alice")
    mark(store, again)
    commit(store, again)
    (second,) = store.readings.committed(blinded_only=False, occasions=(REPEAT,))
    assert not second.blinded


def test_what_is_committed_while_maps_are_open_counts_as_not_blinded(
    store: Store, image: ImageRecord
) -> None:
    mark(store, image.image_id)
    commit(store, image.image_id, maps_open=True)
    (reading,) = store.readings.committed(blinded_only=False)
    assert not reading.blinded
    assert store.readings.committed() == []


def test_a_map_seen_before_the_first_mark_is_not_forgotten_when_maps_are_locked_again(
    store: Store, image: ImageRecord
) -> None:
    store.readings.reveal(image.image_id, "alice", maps_open=True)
    mark(store, image.image_id)
    commit(store, image.image_id)
    assert not store.readings.committed(blinded_only=False)[0].blinded


def test_who_saw_another_reading_is_not_independent(store: Store, image: ImageRecord) -> None:
    mark(store, image.image_id)
    store.readings.note_seen_reading(image.image_id, "alice")
    commit(store, image.image_id)
    (reading,) = store.readings.committed()
    assert reading.blinded
    assert not reading.independent


def test_independence_cannot_be_changed_behind_the_log(
    store: Store, image: ImageRecord, raw: Callable[[], closing[sqlite3.Connection]]
) -> None:
    mark(store, image.image_id)
    store.readings.note_seen_reading(image.image_id, "alice")
    commit(store, image.image_id)
    with raw() as connection:
        with pytest.raises(sqlite3.IntegrityError, match="never changed"):
            connection.execute("UPDATE commits SET independent = 1")
        trigger = "commits_no_update"
        sql = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = ?", (trigger,)
        ).fetchone()[0]
        connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute("UPDATE commits SET independent = 1")
        connection.execute(sql)
    assert any("is not the one that the log tells of" in one for one in store.check(files=False))


def test_a_draft_may_leave_its_certainty_open_and_a_commit_may_not(
    store: Store, image: ImageRecord
) -> None:
    mark(store, image.image_id, certainty="")
    assert store.readings.get(image.image_id, "alice").regions[0].certainty == ""
    with pytest.raises(IncompleteReading, match=r"1 of 1 boxes have no certainty \(Edema\)"):
        commit(store, image.image_id)
    mark(store, image.image_id, certainty="possible")
    commit(store, image.image_id)
    assert store.readings.committed()[0].regions[0].certainty == "possible"


def test_an_adjudication_is_not_edited_as_a_reading(store: Store, image: ImageRecord) -> None:
    with pytest.raises(ReadingLocked, match="in the tab Adjudicate"):
        mark(store, case_id_of(image.image_id, ADJUDICATION))
