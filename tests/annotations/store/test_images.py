from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import pytest

from annotations.errors import StoreError, UnknownFinding, UnknownRecord
from annotations.records import Edit, ImageRecord, NewImage, Region
from annotations.regions import Box
from annotations.store import Store

MakeImage = Callable[..., NewImage]
Raw = Callable[[], object]


@pytest.fixture
def six(store: Store, new_image: MakeImage) -> list[str]:
    """Six images; alice has read some of them, bob all: his must never show in her list."""
    names = ("a_1.png", "b%2.png", "c!3.png", "Ünder 4.png", "ab1.png", "a_6.png")
    ids = []
    for index, name in enumerate(names):
        source = "nih" if index % 2 else "folder"
        image, _ = store.images.add(new_image(name, source=source, view="AP"))
        ids.append(image.image_id)
        say(store, image.image_id, "bob", "Fracture")
    say(store, ids[1], "alice", "Edema")
    say(store, ids[3], "alice", "Edema", "Fracture")
    store.readings.import_committed(ids[5], "alice", "imported", [], True)
    return ids


def say(store: Store, image_id: str, reader: str, *findings: str) -> None:
    regions = [Region("", name, "definite", Box(1, 1, 5, 5)) for name in findings]
    store.readings.import_committed(image_id, reader, "imported", regions, False)


def found(store: Store, **filters: object) -> list[str]:
    return [row.image_id for row in store.images.worklist("alice", **filters).rows]


def test_an_added_image_comes_back_as_it_was_given(store: Store, new_image: MakeImage) -> None:
    given = new_image(
        "x.dcm",
        flags=("lossy", "secondary_capture"),
        facts={"Manufacturer": "ACME é"},
        history="cough",
        report="clear",
        spacing_mm=(0.1, 0.2),
    )
    stored, is_new = store.images.add(given)
    assert is_new
    assert {key: value for key, value in asdict(stored).items() if key in asdict(given)} == asdict(
        given
    )
    assert stored.size == (200, 100)
    assert store.images.get(stored.image_id) == stored
    assert store.images.by_origin(given.origin) == stored
    assert store.images.by_origin("/elsewhere") is None
    assert stored.added_at.endswith("+00:00")
    assert len(stored.added_at) == len("2025-01-01T00:00:00.000000+00:00")


def test_an_image_without_spacing_has_none(store: Store, new_image: MakeImage) -> None:
    assert store.images.add(new_image(spacing_mm=None))[0].spacing_mm is None


def test_adding_the_same_file_again_changes_nothing(store: Store, new_image: MakeImage) -> None:
    first, _ = store.images.add(new_image())
    assert store.images.add(new_image(source="other")) == (first, False)
    assert store.images.count() == 1


def test_a_file_that_changed_since_its_import_is_refused_by_name(
    store: Store, new_image: MakeImage
) -> None:
    store.images.add(new_image())
    with pytest.raises(StoreError, match=r"/pictures/a\.png changed since it was imported"):
        store.images.add(new_image(sha256="c" * 64))


def test_a_name_that_is_no_text_is_refused(store: Store, new_image: MakeImage) -> None:
    with pytest.raises(StoreError, match="not valid UTF-8"):
        store.images.add(new_image(name="bad\udcff.png"))
    with pytest.raises(StoreError, match="an image needs a name"):
        store.images.add(new_image(name=""))


def test_an_unknown_image_is_refused(store: Store) -> None:
    with pytest.raises(UnknownRecord, match="no image 'x'"):
        store.images.get("x")


def test_ids_are_opaque_and_differ(store: Store, six: list[str]) -> None:
    assert len(set(six)) == 6
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in six)
    assert [one.image_id for one in store.images.all()] == six
    assert store.images.sources() == ["folder", "nih"]
    assert list(store.images.names()) == six
    assert store.images.names()[six[1]] == "b%2.png"


def test_the_worklist_pages_in_the_order_of_the_import(store: Store, six: list[str]) -> None:
    page = store.images.worklist("alice", limit=2, offset=3)
    assert [row.image_id for row in page.rows] == six[3:5]
    assert (page.n_matching, page.n_images, page.n_read) == (6, 6, 3)
    assert (page.rows[0].status, page.rows[0].n_regions) == ("committed", 2)
    assert (page.rows[1].status, page.rows[1].n_regions) == ("new", 0)
    assert store.images.worklist("alice", offset=99).rows == ()


def test_the_worklist_shows_nothing_of_other_readers(store: Store, six: list[str]) -> None:
    assert found(store, status="committed") == [six[1], six[3], six[5]]
    assert found(store, finding="Fracture") == [six[3]]
    page = store.images.worklist("carol", status="new")
    assert (page.n_matching, page.n_read) == (6, 0)


def test_the_worklist_filters_by_status_source_finding_and_name(
    store: Store, six: list[str]
) -> None:
    assert found(store, status="new") == [six[0], six[2], six[4]]
    assert found(store, status="draft") == []
    assert found(store, source="nih") == [six[1], six[3], six[5]]
    assert found(store, finding="edema") == [six[1], six[3]]
    assert found(store, finding="No Finding") == [six[5]]
    assert found(store, search="a_") == [six[0], six[5]]
    assert found(store, search="%") == [six[1]]
    assert found(store, search="!") == [six[2]]
    assert found(store, search="üNDER") == [six[3]]
    assert found(store, search="  ") == six
    assert found(store, search="' OR 1=1 --") == []
    assert found(store, source="nih", status="committed", finding="Edema", search="2") == [six[1]]


@pytest.mark.parametrize("common", [0, 1_000_000])
def test_a_status_that_many_have_is_filtered_as_one_that_few_have(
    store: Store, six: list[str], common: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.readings.apply(Edit("page", 1, six[2], 0, "no_finding", no_finding=True), "alice")
    monkeypatch.setattr("annotations.store.worklist.COMMON_FROM", common)
    expected = {"new": [0, 4], "draft": [2], "committed": [1, 3, 5], "revised": []}
    for status, places in expected.items():
        page = store.images.worklist("alice", limit=1, offset=1, status=status)
        assert [row.image_id for row in page.rows] == [six[place] for place in places[1:2]]
        assert (page.n_matching, page.n_images, page.n_read) == (len(places), 6, 3)
        assert found(store, status=status) == [six[place] for place in places]
        first = store.images.first("alice", status=status)
        assert first == (six[places[0]] if places else None)


def test_the_worklist_filters_by_view_and_by_who_committed(
    store: Store, six: list[str], new_image: MakeImage
) -> None:
    lateral = store.images.add(new_image("lateral.png", view="LATERAL"))[0].image_id
    unknown = store.images.add(new_image("unknown.png", view=""))[0].image_id
    assert store.images.views() == ["AP", "LATERAL"]
    assert found(store, view="LATERAL") == [lateral]
    assert found(store, view="AP", source="nih", search="a") == [six[5]]
    assert found(store, read_by="bob") == six
    assert found(store, read_by="alice", status="committed", view="AP") == [six[1], six[3], six[5]]
    assert found(store, read_by="nobody") == []
    assert found(store, status="new", read_by="bob") == [six[0], six[2], six[4]]
    assert unknown in found(store)


def test_the_times_of_the_last_commits_are_those_of_own_new_cases(
    store: Store, six: list[str]
) -> None:
    for number, image_id in enumerate((six[0], six[2], six[4])):
        edit = Edit(f"c{number}", 1, image_id, 0, "no_finding", no_finding=True)
        store.readings.apply(edit, "alice")
        store.readings.commit(image_id, "alice", base_version=1)
    store.readings.reopen(six[0], "alice")
    store.readings.commit(six[0], "alice", base_version=1)  # a correction is no new case
    first = [
        one.committed_at for one in store.readings.committed(readers=["alice"]) if not one.imported
    ]
    assert store.images.commit_times("alice") == sorted(first, reverse=True)
    assert store.images.commit_times("alice", limit=2) == sorted(first, reverse=True)[:2]
    assert store.images.commit_times("bob") == []


def test_wrong_filters_are_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="unknown status 'old'; known: new, draft"):
        found(store, status="old")
    with pytest.raises(UnknownFinding):
        found(store, finding="Oedem")
    with pytest.raises(StoreError, match="must not be negative"):
        found(store, offset=-1)


def test_the_position_is_the_line_in_the_filtered_list(store: Store, six: list[str]) -> None:
    for filters in ({}, {"source": "nih"}, {"status": "new"}, {"search": "a"}):
        ids = found(store, **filters)
        for image_id in six:
            expected = ids.index(image_id) if image_id in ids else None
            assert store.images.position("alice", image_id, **filters) == expected
    with pytest.raises(UnknownRecord):
        store.images.position("alice", "x")


def test_the_neighbour_is_the_next_matching_line(store: Store, six: list[str]) -> None:
    next_to = store.images.neighbour
    assert next_to("alice", six[0], 1) == six[1]
    assert next_to("alice", six[5], 1) is None
    assert next_to("alice", six[0], -1) is None
    assert next_to("alice", six[5], -2) == six[3]
    assert next_to("alice", six[1], 1, status="new") == six[2]
    assert next_to("alice", six[1], -1, status="new") == six[0]
    assert next_to("alice", six[0], 2, status="new") == six[4]
    with pytest.raises(StoreError, match="step 0"):
        next_to("alice", six[0], 0)
    with pytest.raises(UnknownRecord):
        next_to("alice", "x", 1)


def test_patients_and_studies_are_kept_once(
    store: Store, new_image: MakeImage, raw: Callable[..., object]
) -> None:
    for name, patient, study in (("1", "p", "s"), ("2", "p", "s"), ("3", "q", "s"), ("4", "", "")):
        store.images.add(new_image(name, patient_hash=patient, study_hash=study))
    with raw() as connection:
        patients = connection.execute("SELECT patient_hash FROM patients ORDER BY 1").fetchall()
        studies = connection.execute(
            "SELECT study_hash, patient_hash FROM studies ORDER BY 1, 2"
        ).fetchall()
    assert patients == [("",), ("p",), ("q",)]
    assert studies == [("", ""), ("s", "p"), ("s", "q")]


def test_labels_replace_the_earlier_ones_of_their_source(store: Store, image: ImageRecord) -> None:
    store.labels.set(image.image_id, "mesh", {"edema": True, "Fracture": False})
    store.labels.set(image.image_id, "csv", {"Pneumonia": True})
    store.labels.set(image.image_id, "mesh", {"Fracture": True, "Cardiomegaly": False})
    assert store.labels.all("mesh") == {image.image_id: {"Cardiomegaly": False, "Fracture": True}}
    assert list(store.labels.all("mesh")[image.image_id]) == ["Cardiomegaly", "Fracture"]
    assert store.labels.sources() == ["csv", "mesh"]
    assert store.labels.all("nothing") == {}
    with pytest.raises(UnknownRecord):
        store.labels.set("x", "mesh", {})
    with pytest.raises(UnknownFinding):
        store.labels.set(image.image_id, "mesh", {"Oedem": True})


def test_splits_are_kept_per_source(store: Store, image: ImageRecord) -> None:
    store.labels.set_split(image.image_id, "mesh", "train")
    store.labels.set_split(image.image_id, "mesh", "test")
    assert store.labels.splits("mesh") == {image.image_id: "test"}
    assert store.labels.splits("csv") == {}
    with pytest.raises(StoreError, match="unknown split 'dev'; known: train, validation, test"):
        store.labels.set_split(image.image_id, "mesh", "dev")
    with pytest.raises(UnknownRecord):
        store.labels.set_split("x", "mesh", "test")


def test_a_finding_that_an_import_brings_is_added_once(store: Store) -> None:
    before = store.findings()
    assert store.add_finding("Calcification ") == "Calcification"
    assert store.add_finding("CALCIFICATION") == "Calcification"
    assert store.add_finding("edema") == "Edema"
    assert store.findings() == (*before, "Calcification")
    with pytest.raises(StoreError, match="has no name"):
        store.add_finding(" _ ")
