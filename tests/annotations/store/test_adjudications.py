"""Two readings become one: decisions, links to the parents, the log."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from annotations.cases import ADJUDICATION
from annotations.errors import (
    IncompleteReading,
    InvalidRegion,
    ReadingLocked,
    StaleEdit,
    StoreError,
    UnknownRecord,
)
from annotations.records import Adjudication, CommittedReading, ImageRecord, Region
from annotations.regions import Box
from annotations.store import Store
from annotations.store.adjudications import Verdict, result_id

READERS = ("anna", "bert")
HEART = Region("a1", "Cardiomegaly", "definite", Box(10, 20, 60, 90), "large")
FLUID = Region("a2", "Pleural Effusion", "probable", Box(5, 100, 40, 150))
OTHER_HEART = Region("b1", "Cardiomegaly", "possible", Box(12, 22, 60, 95))


@pytest.fixture
def parents(store: Store, image: ImageRecord) -> dict[str, CommittedReading]:
    give = store.readings.import_committed
    give(image.image_id, "anna", "imported", [HEART, FLUID], False)
    give(image.image_id, "bert", "imported", [OTHER_HEART], False)
    return {one.reader: one for one in store.readings.committed()}


@pytest.fixture
def begun(store: Store, image: ImageRecord, parents: object) -> Adjudication:
    del parents
    return store.adjudications.begin(image.image_id, "cleo", READERS)


def verdict(
    parents: dict[str, CommittedReading],
    region: Region,
    decision: str | None,
    edited: Region | None = None,
) -> Verdict:
    reader = "bert" if region.region_id == "b1" else "anna"
    return Verdict(parents[reader].reading_id, region.region_id, decision, edited)


def decide(store: Store, image: ImageRecord, one: Verdict) -> Adjudication:
    present = store.adjudications.get(image.image_id, "cleo")
    assert present is not None
    return store.adjudications.decide(
        image.image_id, "cleo", one, base_version=present.reading.version
    )


def test_the_time_at_work_on_an_adjudication_counts_until_each_commit(
    store: Store, image: ImageRecord, parents: dict[str, CommittedReading], begun: Adjudication
) -> None:
    first = replace(verdict(parents, HEART, "accept"), client_id="page", sequence=1, active_ms=2500)
    for _ in range(2):  # sent twice, counted once
        store.adjudications.decide(image.image_id, "cleo", first, base_version=0)
    decide(store, image, replace(verdict(parents, FLUID, "reject"), active_ms=400))
    last = decide(store, image, verdict(parents, OTHER_HEART, "reject"))  # not measured
    commit = store.adjudications.commit
    commit(image.image_id, "cleo", base_version=last.reading.version, active_ms=100)
    store.adjudications.reopen(image.image_id, "cleo")
    decide(store, image, replace(verdict(parents, FLUID, "accept"), active_ms=5000))
    commit(image.image_id, "cleo", base_version=last.reading.version + 1)

    assert store.readings.time_on_task(begun.reading.reading_id) == {1: 3000, 2: 8000}
    assert store.check(files=False) == []


@pytest.mark.parametrize("active_ms", [-1, 86_400_001, 1.5])
def test_a_time_that_no_adjudicator_can_have_worked_is_refused_and_nothing_is_saved(
    store: Store,
    image: ImageRecord,
    parents: dict[str, CommittedReading],
    begun: Adjudication,
    active_ms: Any,
) -> None:
    assert begun.undecided == 3
    with pytest.raises(InvalidRegion, match="the time at work is"):
        decide(store, image, replace(verdict(parents, HEART, "accept"), active_ms=active_ms))
    for region in (HEART, FLUID, OTHER_HEART):
        decide(store, image, verdict(parents, region, "accept"))
    with pytest.raises(InvalidRegion, match="the time at work is"):
        store.adjudications.commit(image.image_id, "cleo", base_version=3, active_ms=active_ms)
    kept = store.adjudications.get(image.image_id, "cleo")
    assert kept is not None
    assert (kept.reading.version, kept.reading.commits) == (3, 0)


def test_accepted_edited_and_rejected_regions_make_a_reading_of_its_own(
    store: Store, image: ImageRecord, parents: dict[str, CommittedReading], begun: Adjudication
) -> None:
    assert (begun.undecided, begun.reading.regions) == (3, ())
    decide(store, image, verdict(parents, HEART, "accept"))
    moved = replace(FLUID, box=Box(5, 90, 45, 150), certainty="definite")
    decide(store, image, verdict(parents, FLUID, "edit", moved))
    last = decide(store, image, verdict(parents, OTHER_HEART, "reject"))
    assert last.undecided == 0
    done = store.adjudications.commit(image.image_id, "cleo", base_version=last.reading.version)
    (kept,) = store.readings.committed(occasions=(ADJUDICATION,))
    assert kept.reader == "cleo"
    assert [replace(one, region_id="") for one in kept.regions] == [
        replace(HEART, region_id=""),
        replace(moved, region_id=""),
    ]
    assert (kept.blinded, kept.independent, kept.no_finding) == (True, False, False)
    assert store.adjudications.parents_of(kept.reading_id) == (parents["anna"], parents["bert"])
    assert {one.region_id: one.decision for one in done.decisions} == {
        "a1": "accept",
        "a2": "edit",
        "b1": "reject",
    }
    assert {one.region_id for one in kept.regions} == {
        result_id(parents["anna"].reading_id, one) for one in ("a1", "a2")
    }
    assert store.readings.committed() == list(parents.values())
    assert store.check(files=False) == []


def test_an_edit_that_changes_nothing_is_an_acceptance_and_a_decision_can_be_taken_back(
    store: Store, image: ImageRecord, parents: dict[str, CommittedReading], begun: Adjudication
) -> None:
    del begun
    same = decide(store, image, verdict(parents, HEART, "edit", HEART))
    assert [one.decision for one in same.decisions] == ["accept"]
    none = decide(store, image, verdict(parents, HEART, None))
    assert (none.decisions, none.reading.regions, none.undecided) == ((), (), 3)
    assert none.reading.version == 2


def test_every_region_must_be_decided_about_and_nothing_left_means_no_finding(
    store: Store, image: ImageRecord, parents: dict[str, CommittedReading], begun: Adjudication
) -> None:
    with pytest.raises(IncompleteReading, match="3 regions are not decided about"):
        store.adjudications.commit(image.image_id, "cleo", base_version=0)
    for region in (HEART, FLUID, OTHER_HEART):
        last = decide(store, image, verdict(parents, region, "reject"))
    store.adjudications.commit(image.image_id, "cleo", base_version=last.reading.version)
    (kept,) = store.readings.committed(occasions=(ADJUDICATION,))
    assert (kept.regions, kept.no_finding) == ((), True)
    with pytest.raises(ReadingLocked, match="reopen it"):
        decide(store, image, verdict(parents, HEART, "accept"))
    store.adjudications.reopen(image.image_id, "cleo")
    last = decide(store, image, verdict(parents, HEART, "accept"))
    store.adjudications.commit(image.image_id, "cleo", base_version=last.reading.version)
    (corrected,) = store.readings.committed(occasions=(ADJUDICATION,), latest=True)
    assert (corrected.no_finding, corrected.commit_number) == (False, 2)
    assert begun.reading.reading_id == corrected.reading_id


def test_a_decision_on_an_outdated_version_is_refused(
    store: Store, image: ImageRecord, parents: dict[str, CommittedReading], begun: Adjudication
) -> None:
    del begun
    decide(store, image, verdict(parents, HEART, "accept"))
    with pytest.raises(StaleEdit, match="made on version 0"):
        store.adjudications.decide(
            image.image_id, "cleo", verdict(parents, FLUID, "reject"), base_version=0
        )


def test_what_is_no_decision_is_refused(
    store: Store, image: ImageRecord, parents: dict[str, CommittedReading], begun: Adjudication
) -> None:
    del begun
    outside = replace(HEART, box=Box(10, 20, 500, 90))
    with pytest.raises(InvalidRegion, match="outside the picture"):
        decide(store, image, verdict(parents, HEART, "edit", outside))
    with pytest.raises(InvalidRegion, match="needs the region as it shall be"):
        decide(store, image, verdict(parents, HEART, "edit"))
    with pytest.raises(InvalidRegion, match="unknown decision 'maybe'"):
        decide(store, image, verdict(parents, HEART, "maybe"))
    with pytest.raises(UnknownRecord, match="no such region"):
        decide(store, image, Verdict(parents["bert"].reading_id, "a1", "accept"))


def test_only_two_readers_who_committed_can_be_adjudicated(
    store: Store, image: ImageRecord, parents: dict[str, CommittedReading]
) -> None:
    del parents
    begin = store.adjudications.begin
    with pytest.raises(StoreError, match="needs two readers; given: anna, anna"):
        begin(image.image_id, "cleo", ["anna", "anna"])
    with pytest.raises(StoreError, match="'dora' has committed no reading"):
        begin(image.image_id, "cleo", ["anna", "dora"])
    begin(image.image_id, "cleo", READERS)
    with pytest.raises(StoreError, match="begun with anna and bert"):
        begin(image.image_id, "cleo", ["anna", "dora"])


def test_the_parents_stay_those_that_were_adjudicated_when_a_reader_corrects_later(
    store: Store, image: ImageRecord, begun: Adjudication
) -> None:
    store.readings.import_committed(image.image_id, "bert", "imported", [FLUID], False)
    assert store.adjudications.begin(image.image_id, "cleo", READERS).parents == begun.parents


def test_who_adjudicated_a_picture_is_no_independent_reader_of_it_any_more(
    store: Store, image: ImageRecord, begun: Adjudication
) -> None:
    del begun
    assert [row.kind for row in store.log.rows(image_id=image.image_id)][:2] == [
        "adjudicate",
        "seen reading",
    ]
    give = store.adjudications.cases("cleo")
    assert [(one.readers, one.status) for one in give] == [(READERS, "draft")]
    assert store.adjudications.cases("dora")[0].status == "new"


def test_each_decision_is_in_the_log_with_before_and_after(
    store: Store, image: ImageRecord, parents: dict[str, CommittedReading], begun: Adjudication
) -> None:
    del begun
    decide(store, image, verdict(parents, HEART, "accept"))
    decide(store, image, verdict(parents, HEART, "reject"))
    row = store.log.rows(image_id=image.image_id)[0]
    assert (row.kind, row.actor) == ("decide", "cleo")
    before, after = row.details["before"], row.details["after"]
    assert isinstance(before, dict)
    assert before["decision"] == "accept"
    assert before["region"]["box"] == [10, 20, 60, 90]
    assert after == {"decision": "reject", "region": None}
