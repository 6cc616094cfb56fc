"""The log as those who look after a workspace ask it."""

from __future__ import annotations

import pytest

from annotations.errors import StoreError, UnknownRecord
from annotations.records import ImageRecord
from annotations.store import Store
from annotations.store.trail import LogFilter


@pytest.fixture
def filled(store: Store) -> Store:
    store.log.add("sign in", "anna", "anna", {"address": "10.0.0.1"})
    store.log.add("sign in", "berta", "berta", {"address": "10.0.0.2"})
    store.log.add("export", "anna", "csv", {"count": 3})
    return store


def kinds(store: Store, **asked: str) -> list[str]:
    return [row.kind for row in store.trail.find(LogFilter(**asked), limit=100)]


def test_each_field_narrows_the_rows_and_the_newest_come_first(filled: Store) -> None:
    assert kinds(filled) == ["export", "sign in", "sign in", "migrate"]
    assert kinds(filled, actor="anna") == ["export", "sign in"]
    assert kinds(filled, kind="sign in", actor="berta") == ["sign in"]
    assert kinds(filled, text="10.0.0.2") == ["sign in"]
    assert kinds(filled, text="CSV") == ["export"]
    assert filled.trail.count(LogFilter(kind="sign in")) == 2
    assert filled.trail.kinds() == ["export", "migrate", "sign in"]


def test_days_are_whole_and_in_utc(filled: Store) -> None:
    today = filled.log.rows(limit=1)[0].at[:10]
    assert len(kinds(filled, since=today, until=today)) == 4
    assert kinds(filled, since="2999-01-01") == []
    assert kinds(filled, until="2001-01-01") == []


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "' OR 1=1 --"])
def test_what_is_no_day_is_refused_with_the_form_of_one(filled: Store, day: str) -> None:
    with pytest.raises(StoreError, match="YYYY-MM-DD"):
        filled.trail.find(LogFilter(since=day), limit=1)


@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE log; --",
        '" OR ""="',
        "%sqlite%",
        "a_dit",
        "\\",
        "a' UNION SELECT * FROM accounts",
    ],
)
def test_sql_in_a_field_is_text_that_is_looked_for(filled: Store, text: str) -> None:
    for field in ("kind", "actor", "text"):
        assert kinds(filled, **{field: text}) == []
    filled.log.add("export", "anna", text, {})
    assert kinds(filled, text=text) == ["export"]
    assert filled.log.verify() == []


def test_all_rows_come_in_pages_without_a_gap(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("annotations.store.trail._PAGE", 2)
    numbers = [row.seq for row in filled.trail.each(LogFilter())]
    assert numbers == [4, 3, 2, 1]


def test_a_view_is_kept_once_for_each_person_picture_and_subject(
    store: Store, image: ImageRecord
) -> None:
    assert store.trail.note_view("anna", image.image_id, "picture")
    assert not store.trail.note_view("anna", image.image_id, "picture")
    assert store.trail.note_view("berta", image.image_id, "picture")
    assert store.trail.note_view("anna", image.image_id, "reading of berta")
    viewed = store.trail.find(LogFilter(kind="view"), limit=10)
    assert [(row.actor, row.subject) for row in viewed] == [
        ("anna", "reading of berta"), ("berta", "picture"), ("anna", "picture"),
    ]  # fmt: skip
    assert {row.image_id for row in viewed} == {image.image_id}


def test_a_view_of_no_picture_is_refused(store: Store) -> None:
    with pytest.raises(UnknownRecord):
        store.trail.note_view("anna", "nothing", "picture")


def test_a_picture_is_found_by_its_name_and_by_its_id(store: Store, image: ImageRecord) -> None:
    store.trail.note_view("anna", image.image_id, "picture")
    assert kinds(store, text=image.name.upper()) == ["view"]
    assert kinds(store, text=image.image_id) == ["view"]
    assert store.trail.image_names({image.image_id, "nothing"}) == {image.image_id: image.name}


@pytest.mark.parametrize("kind", ["password changed", "account disabled", "signed out everywhere"])
def test_the_last_row_that_ended_an_accounts_sessions_is_found(filled: Store, kind: str) -> None:
    assert filled.trail.sessions_ended("anna") == 0
    row = filled.log.add(kind, "command line", "anna", {})
    filled.log.add("sign in", "anna", "anna", {})
    assert filled.trail.sessions_ended("anna") == row
    assert filled.trail.sessions_ended("berta") == 0
