from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from annotations.errors import (
    IncompleteReading,
    InvalidRegion,
    ReadingLocked,
    StaleEdit,
    StoreError,
    UnknownFinding,
    UnknownRecord,
)
from annotations.records import Edit, ImageRecord, Reading, Region
from annotations.regions import Box
from annotations.store import Store

MakeEdit = Callable[..., Edit]
MakeRegion = Callable[..., Region]
Put = Callable[..., Reading]


def commit(store: Store, reading: Reading) -> Reading:
    return store.readings.commit(reading.image_id, reading.reader, base_version=reading.version)


def test_a_reading_that_nobody_began_is_new_and_asking_for_it_writes_nothing(
    store: Store, image: ImageRecord
) -> None:
    reading = store.readings.get(image.image_id, "alice")
    assert (reading.status, reading.version, reading.reading_id) == ("new", 0, "")
    assert reading.is_open
    assert store.readers.all() == []
    assert [row.kind for row in store.log.rows()] == ["migrate"]


def test_a_saved_region_comes_back_at_the_same_integer_pixels(
    store: Store, image: ImageRecord, edit: MakeEdit, region: MakeRegion
) -> None:
    drawn = region(corners=(0, 0, 100, 200), certainty="possible", note="faint, 'left'")
    after = store.readings.apply(edit(0, region=drawn), "alice")
    assert after.regions == (drawn,)
    assert (after.status, after.version, after.is_open) == ("draft", 1, True)
    assert store.readings.get(image.image_id, "alice") == after


def test_an_edit_sent_twice_is_applied_once(
    store: Store, edit: MakeEdit, region: MakeRegion
) -> None:
    sent = edit(0, region=region())
    first = store.readings.apply(sent, "alice")
    again = store.readings.apply(sent, "alice")
    assert again == first
    assert again.version == 1
    assert len([row for row in store.log.rows() if row.kind == "put"]) == 1


def test_an_edit_sent_again_after_later_ones_gives_the_present_state(
    store: Store, edit: MakeEdit, region: MakeRegion
) -> None:
    sent = edit(0, region=region("r1"))
    store.readings.apply(sent, "alice")
    latest = store.readings.apply(edit(1, region=region("r2")), "alice")
    assert store.readings.apply(sent, "alice") == latest


def test_the_same_client_id_of_another_reader_does_not_swallow_an_edit(
    store: Store, edit: MakeEdit, region: MakeRegion
) -> None:
    sent = edit(0, region=region())
    store.readings.apply(sent, "alice")
    assert len(store.readings.apply(sent, "bob").regions) == 1


def test_an_edit_of_an_outdated_version_is_refused_with_the_present_reading(
    store: Store, edit: MakeEdit, region: MakeRegion
) -> None:
    present = store.readings.apply(edit(0, region=region("r1")), "alice")
    with pytest.raises(StaleEdit, match=r"version 0.*now at version 1") as refused:
        store.readings.apply(edit(0, region=region("r2"), client_id="tab-2"), "alice")
    assert refused.value.current == present
    assert store.readings.get(present.image_id, "alice") == present


def test_a_put_with_a_known_id_moves_the_region_and_logs_before_and_after(
    store: Store, put: Put
) -> None:
    put(region_id="r1", corners=(1, 1, 5, 5))
    moved = put(region_id="r1", corners=(2, 1, 6, 5))
    assert [one.box.corners for one in moved.regions] == [(2, 1, 6, 5)]
    details = store.log.rows(limit=1)[0].details
    assert details["before"]["box"] == [1, 1, 5, 5]
    assert details["after"]["box"] == [2, 1, 6, 5]
    assert details["seen_heatmap_before"] is False


def test_undoing_a_delete_puts_the_region_back_under_its_id(
    store: Store, put: Put, edit: MakeEdit, region: MakeRegion
) -> None:
    drawn = put(region_id="r1")
    emptied = store.readings.apply(edit(drawn.version, "delete", region_id="r1"), "alice")
    assert emptied.regions == ()
    undone = store.readings.apply(edit(emptied.version, region=region("r1")), "alice")
    assert undone.regions == drawn.regions
    assert undone.version == 3
    kinds = [row.kind for row in store.log.rows(undone.image_id)]
    assert kinds == ["put", "delete", "put"]


def test_deleting_a_region_that_is_not_there_is_refused(
    store: Store, put: Put, edit: MakeEdit
) -> None:
    drawn = put()
    with pytest.raises(UnknownRecord, match="no box 'r9'"):
        store.readings.apply(edit(drawn.version, "delete", region_id="r9"), "alice")


def test_boxes_are_refused_while_no_finding_is_ticked(
    store: Store, edit: MakeEdit, region: MakeRegion
) -> None:
    ticked = store.readings.apply(edit(0, "no_finding", no_finding=True), "alice")
    assert ticked.no_finding
    with pytest.raises(InvalidRegion, match="says 'No Finding', which excludes boxes"):
        store.readings.apply(edit(1, region=region()), "alice")
    unticked = store.readings.apply(edit(1, "no_finding", no_finding=False), "alice")
    assert store.readings.apply(edit(unticked.version, region=region()), "alice").regions


def test_no_finding_is_refused_while_there_are_boxes(
    store: Store, put: Put, edit: MakeEdit
) -> None:
    drawn = put()
    with pytest.raises(InvalidRegion, match="exclude each other, and this reading has 1 box;"):
        store.readings.apply(edit(drawn.version, "no_finding", no_finding=True), "alice")
    assert not store.readings.get(drawn.image_id, "alice").no_finding


def test_no_finding_is_not_a_box(store: Store, edit: MakeEdit, region: MakeRegion) -> None:
    with pytest.raises(InvalidRegion, match="cannot be marked 'No Finding'"):
        store.readings.apply(edit(0, region=region(finding="no finding")), "alice")


@pytest.mark.parametrize("corners", [(-1, 0, 5, 5), (0, -1, 5, 5), (0, 0, 101, 5), (0, 0, 5, 201)])
def test_a_box_outside_the_picture_is_refused_and_quoted(
    store: Store, edit: MakeEdit, region: MakeRegion, corners: tuple[int, int, int, int]
) -> None:
    with pytest.raises(InvalidRegion) as refused:
        store.readings.apply(edit(0, region=region(corners=corners)), "alice")
    assert str(corners) in str(refused.value)
    assert "100 x 200" in str(refused.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"certainty": "sure"}, "unknown certainty 'sure'; known: definite, probable, possible"),
        ({"note": "x" * 2001}, "a note of 2001 characters; at most 2000"),
        ({"note": "half a smile \ud83d"}, "the note holds half a character"),
        ({"region_id": ""}, "region id '' is not valid"),
        ({"region_id": "a'; DROP TABLE log"}, "is not valid"),
        ({"box": Box(1.5, 2, 3, 4)}, "no whole numbers"),
        ({"box": Box(True, 2, 3, 4)}, "no whole numbers"),
    ],
)
def test_what_a_region_may_not_hold_is_refused(
    store: Store,
    edit: MakeEdit,
    region: MakeRegion,
    change: dict[str, object],
    sentence: str,
) -> None:
    with pytest.raises(InvalidRegion, match=sentence):
        store.readings.apply(edit(0, region=replace(region(), **change)), "alice")
    assert store.readers.all() == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"client_id": ""}, "client id '' is not valid"),
        ({"sequence": -1}, "sequence number -1"),
        ({"sequence": 1.0}, "sequence number 1.0"),
        ({"kind": "drop"}, "unknown edit kind 'drop'; known: put, delete, no_finding"),
        ({"region": None}, "holds no region"),
        ({"kind": "delete", "region_id": ""}, "region id '' is not valid"),
    ],
)
def test_an_incomplete_edit_is_refused(
    store: Store,
    edit: MakeEdit,
    region: MakeRegion,
    change: dict[str, object],
    sentence: str,
) -> None:
    with pytest.raises(InvalidRegion, match=sentence):
        store.readings.apply(replace(edit(0, region=region()), **change), "alice")


def test_an_unknown_finding_is_refused_with_the_nearest_one(
    store: Store, edit: MakeEdit, region: MakeRegion
) -> None:
    with pytest.raises(UnknownFinding, match="did you mean 'Pleural Effusion'"):
        store.readings.apply(edit(0, region=region(finding="Plural Efusion")), "alice")


def test_a_finding_is_saved_as_the_workspace_spells_it(put: Put) -> None:
    assert put(finding="pleural_effusion").regions[0].finding == "Pleural Effusion"


def test_an_edit_of_an_unknown_image_is_refused(
    store: Store, edit: MakeEdit, region: MakeRegion
) -> None:
    with pytest.raises(UnknownRecord, match="no image 'nowhere'"):
        store.readings.apply(replace(edit(0, region=region()), image_id="nowhere"), "alice")


def test_readers_have_separate_readings_of_one_image(store: Store, put: Put) -> None:
    put("alice", corners=(1, 1, 5, 5))
    put("bob", corners=(2, 2, 6, 6))
    image_id = store.images.all()[0].image_id
    assert store.readings.get(image_id, "alice").regions[0].box == Box(1, 1, 5, 5)
    assert store.readings.get(image_id, "bob").regions[0].box == Box(2, 2, 6, 6)


def test_a_commit_closes_the_reading_and_keeps_what_it_said(store: Store, put: Put) -> None:
    drawn = put()
    done = commit(store, drawn)
    assert (done.status, done.commits, done.is_open) == ("committed", 1, False)
    [kept] = store.readings.of_image(drawn.image_id)
    assert kept.regions == drawn.regions
    assert (kept.commit_number, kept.blinded, kept.imported) == (1, True, False)
    assert (kept.reader, kept.reader_kind) == ("alice", "person")


def test_a_committed_reading_refuses_edits_until_it_is_reopened(
    store: Store, put: Put, edit: MakeEdit, region: MakeRegion
) -> None:
    done = commit(store, put())
    with pytest.raises(ReadingLocked, match=r"was committed \(version 1\); reopen"):
        store.readings.apply(edit(done.version, region=region("r2")), "alice")
    with pytest.raises(ReadingLocked):
        commit(store, done)
    opened = store.readings.reopen(done.image_id, "alice")
    assert opened.is_open
    assert opened.status == "committed"
    assert store.readings.apply(edit(done.version, region=region("r2")), "alice").version == 2


def test_a_reading_that_says_nothing_cannot_be_committed(
    store: Store, image: ImageRecord, put: Put, edit: MakeEdit
) -> None:
    with pytest.raises(IncompleteReading, match="no box and does not say 'No Finding'"):
        store.readings.commit(image.image_id, "alice", base_version=0)
    drawn = put()
    emptied = store.readings.apply(edit(drawn.version, "delete", region_id="r1"), "alice")
    with pytest.raises(IncompleteReading):
        commit(store, emptied)
    ticked = store.readings.apply(edit(emptied.version, "no_finding", no_finding=True), "alice")
    assert commit(store, ticked).status == "committed"


def test_a_commit_of_an_outdated_version_is_refused(store: Store, put: Put) -> None:
    put()
    drawn = put(region_id="r2")
    with pytest.raises(StaleEdit) as refused:
        store.readings.commit(drawn.image_id, "alice", base_version=1)
    assert refused.value.current == drawn


def test_the_heatmap_stays_hidden_until_the_first_commit(
    store: Store, image: ImageRecord, put: Put
) -> None:
    with pytest.raises(ReadingLocked, match="hidden until this reading is committed"):
        store.readings.reveal(image.image_id, "alice")
    put()
    with pytest.raises(ReadingLocked):
        store.readings.reveal(image.image_id, "alice")


def test_what_is_committed_after_the_reveal_is_marked_and_the_first_version_stays(
    store: Store, put: Put
) -> None:
    first = commit(store, put(corners=(1, 1, 5, 5)))
    revealed = store.readings.reveal(first.image_id, "alice")
    assert revealed.revealed_at is not None
    assert store.readings.reveal(first.image_id, "alice").revealed_at == revealed.revealed_at
    store.readings.reopen(first.image_id, "alice")
    changed = put(corners=(2, 2, 6, 6))
    assert store.log.rows(limit=1)[0].details["seen_heatmap_before"] is True
    assert commit(store, changed).status == "revised"

    [blinded] = store.readings.committed()
    assert (blinded.commit_number, blinded.regions[0].box) == (1, Box(1, 1, 5, 5))
    [last] = store.readings.committed(latest=True, blinded_only=False)
    assert (last.commit_number, last.blinded) == (2, False)
    assert last.regions[0].box == Box(2, 2, 6, 6)
    [last_blinded] = store.readings.committed(latest=True)
    assert last_blinded.commit_number == 1
    assert [one.commit_number for one in store.readings.of_image(first.image_id)] == [1, 2]


def test_a_revision_before_any_reveal_is_blinded_too(store: Store, put: Put) -> None:
    first = commit(store, put())
    store.readings.reopen(first.image_id, "alice")
    commit(store, put(region_id="r2"))
    [last] = store.readings.committed(latest=True)
    assert (last.commit_number, last.blinded, len(last.regions)) == (2, True, 2)


def test_reopening_what_is_open_changes_nothing(store: Store, image: ImageRecord, put: Put) -> None:
    assert store.readings.reopen(image.image_id, "alice").status == "new"
    drawn = put()
    assert store.readings.reopen(image.image_id, "alice") == drawn
    assert "reopen" not in [row.kind for row in store.log.rows()]


def test_an_imported_reading_is_committed_once(
    store: Store, image: ImageRecord, region: MakeRegion
) -> None:
    boxes = [region("", corners=(1, 1, 5, 5)), region("", "Fracture", (7, 7, 9, 9))]
    one = (image.image_id, "NIH", "imported")
    assert store.readings.import_committed(*one, boxes, False)
    assert not store.readings.import_committed(*one, boxes[::-1], False)
    [kept] = store.readings.committed()
    assert (kept.imported, kept.reader_kind, kept.commit_number) == (True, "imported", 1)
    assert [one.box for one in kept.regions] == [Box(1, 1, 5, 5), Box(7, 7, 9, 9)]
    reading = store.readings.get(image.image_id, "NIH")
    assert reading.imported
    assert (reading.status, reading.is_open, len(reading.regions)) == ("committed", False, 2)


def test_an_imported_reading_that_changed_becomes_a_new_version_and_the_old_one_stays_known(
    store: Store, image: ImageRecord, region: MakeRegion
) -> None:
    one = (image.image_id, "NIH", "imported")
    old, new = [region("", corners=(1, 1, 5, 5))], [region("", corners=(2, 2, 6, 6))]
    assert store.readings.import_committed(*one, old, False)
    assert store.readings.import_committed(*one, new, False)
    assert not store.readings.import_committed(*one, old, False)
    assert store.readings.committed()[0].commit_number == 1
    assert store.readings.committed(latest=True)[0].regions[0].box == Box(2, 2, 6, 6)


def test_an_import_never_overwrites_what_a_person_read_here(
    store: Store, put: Put, region: MakeRegion
) -> None:
    done = commit(store, put())
    same = [region("other-id")]
    assert not store.readings.import_committed(done.image_id, "alice", "imported", same, False)
    other = [region("r2", corners=(0, 0, 9, 9))]
    with pytest.raises(StoreError, match=r"'alice' has an own reading .* differs"):
        store.readings.import_committed(done.image_id, "alice", "imported", other, False)
    assert store.readings.get(done.image_id, "alice") == done


def test_an_import_that_says_nothing_or_contradicts_itself_is_refused(
    store: Store, image: ImageRecord, region: MakeRegion
) -> None:
    one = (image.image_id, "NIH", "imported")
    with pytest.raises(IncompleteReading):
        store.readings.import_committed(*one, [], False)
    with pytest.raises(InvalidRegion, match="exclude each other"):
        store.readings.import_committed(*one, [region()], True)
    with pytest.raises(StoreError, match="'r1' stands twice"):
        store.readings.import_committed(*one, [region(), region()], False)
    assert store.readings.committed() == []


def test_a_person_may_correct_a_reading_that_was_imported_under_the_same_name(
    store: Store, put: Put, image: ImageRecord, region: MakeRegion
) -> None:
    store.readings.import_committed(image.image_id, "alice", "imported", [region()], False)
    store.readings.reopen(image.image_id, "alice")
    own = commit(store, put(region_id="r2"))
    assert not own.imported
    assert [one.imported for one in store.readings.of_image(image.image_id)] == [True, False]
    assert store.log.verify() == []


def test_an_import_made_after_seeing_heatmaps_is_not_blinded(
    store: Store, image: ImageRecord, region: MakeRegion
) -> None:
    store.readings.import_committed(
        image.image_id, "x", "imported", [region()], False, blinded=False
    )
    assert store.readings.committed() == []
    assert len(store.readings.committed(blinded_only=False)) == 1


def test_committed_readings_are_filtered_by_finding_reader_and_image(
    store: Store, new_image: Callable[..., object], region: MakeRegion
) -> None:
    first, second = (store.images.add(new_image(name))[0].image_id for name in ("1.png", "2.png"))
    add = store.readings.import_committed
    add(first, "a", "imported", [region(finding="Edema"), region("r2", "Fracture")], False)
    add(first, "b", "imported", [], True)
    add(second, "a", "imported", [region(finding="Fracture")], False)

    def found(**wanted: object) -> list[tuple[str, str]]:
        return [(one.image_id, one.reader) for one in store.readings.committed(**wanted)]

    assert found() == [(first, "a"), (first, "b"), (second, "a")]
    assert store.readings.count_committed() == 3
    assert found(findings=["edema"]) == [(first, "a")]
    assert found(findings=["Fracture"]) == [(first, "a"), (second, "a")]
    assert found(findings=["No Finding"]) == [(first, "b")]
    assert found(readers=["b"]) == [(first, "b")]
    assert found(readers=[]) == []
    assert found(image_ids=[second], readers=["a", "b"]) == [(second, "a")]
    assert len(store.readings.committed(findings=["Edema"])[0].regions) == 2
    with pytest.raises(UnknownFinding):
        found(findings=["Oedem"])


def test_the_content_hash_is_that_of_the_canonical_json_written_out_by_hand(
    store: Store, image: ImageRecord, region: MakeRegion
) -> None:
    store.readings.import_committed(
        image.image_id, "x", "imported", [region("id", "Edema", (1, 2, 3, 4), note="ä")], False
    )
    text = (
        '{"no_finding":false,"regions":[{"box":[1,2,3,4],"certainty":"definite",'
        '"finding":"Edema","note":"ä"}]}'
    )
    expected = hashlib.sha256(text.encode("utf-8")).hexdigest()
    assert store.readings.committed()[0].content_sha256 == expected
