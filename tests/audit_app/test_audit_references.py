"""What maps are compared with: consensus by counting pixels, adjudications, revised readings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from annotations.records import Edit, Region
from annotations.regions import Box
from annotations.store.adjudications import Verdict
from audit_app.audit_plan import AuditChoices, plan_audit
from audit_app.audit_references import chosen_readings, find_revisions, mask_boxes
from audit_app.errors import AuditError
from tests.audit_app.small_study import Study, make_study

HEART = (8, 12, 22, 28)


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    made = make_study(tmp_path)
    yield made
    made.store.close()


def test_boxes_of_a_mask_share_no_pixel_and_together_are_the_mask() -> None:
    mask = np.random.default_rng(0).random((30, 22)) < 0.6
    mask[10:14] = True
    count = np.zeros(mask.shape, dtype=int)
    for box in mask_boxes(mask):
        x_min, y_min, x_max, y_max = box.corners
        count[y_min:y_max, x_min:x_max] += 1
    np.testing.assert_array_equal(count, mask)
    assert mask_boxes(np.zeros((4, 5), dtype=bool)) == []
    assert mask_boxes(np.ones((4, 5), dtype=bool)) == [Box(0, 0, 5, 4)]


def test_the_consensus_is_each_pixel_that_more_than_half_of_the_readers_marked(
    study: Study,
) -> None:
    image = study.add_image("a", "Doe")
    marked = {"R1": HEART, "R2": (10, 14, 26, 30), "R3": (0, 0, 12, 20)}
    for reader, box in marked.items():
        study.read(image, reader, {"Cardiomegaly": [box]})
    study.read(image, "R4", {})  # read it and saw nothing: one vote against
    plan = plan_audit(study.store, AuditChoices("tiny", reference="consensus"))
    (case,) = (case for one in plan.images for case in one.cases)
    votes = np.zeros((40, 30), dtype=int)
    for x_min, y_min, x_max, y_max in marked.values():
        votes[y_min:y_max, x_min:x_max] += 1
    expected = votes * 2 > 4
    found = np.zeros((40, 30), dtype=bool)
    for region in case.reading.regions:
        x_min, y_min, x_max, y_max = region.box.corners
        found[y_min:y_max, x_min:x_max] = True
    np.testing.assert_array_equal(found, expected)
    assert case.reading.reader == "consensus of 4 readers"
    assert case.reading.reading_id.startswith("consensus-")


def test_a_consensus_needs_two_readers_and_says_so(study: Study) -> None:
    study.read(study.add_image("a", "Doe"), "R1", {"Cardiomegaly": [HEART]})
    with pytest.raises(AuditError, match="1 images were read by one reader alone"):
        plan_audit(study.store, AuditChoices("tiny", reference="consensus"))


def test_an_adjudication_is_what_maps_are_compared_with_when_it_is_asked_for(
    study: Study,
) -> None:
    image = study.add_image("a", "Doe")
    with pytest.raises(AuditError, match="adjudicate readings first"):
        plan_audit(study.store, AuditChoices("tiny", reference="adjudicated"))
    study.read(image, "R1", {"Cardiomegaly": [HEART]})
    study.read(image, "R2", {"Cardiomegaly": [(1, 1, 9, 9)]})
    table = study.store.adjudications
    begun = table.begin(image.image_id, "cleo", ("R1", "R2"))
    for parent, decision in zip(begun.parents, ("accept", "reject"), strict=True):
        for region in parent.regions:
            verdict = Verdict(parent.reading_id, region.region_id, decision)
            begun = table.decide(
                image.image_id, "cleo", verdict, base_version=begun.reading.version
            )
    table.commit(image.image_id, "cleo", base_version=begun.reading.version)
    plan = plan_audit(study.store, AuditChoices("tiny", reference="adjudicated"))
    (case,) = (case for one in plan.images for case in one.cases)
    assert case.reading.reader == "cleo"
    assert [region.box.corners for region in case.reading.regions] == [HEART]
    readers = plan_audit(study.store, AuditChoices("tiny"))
    assert {case.reading.reader for one in readers.images for case in one.cases} == {"R1", "R2"}


def test_only_what_was_committed_again_after_a_map_was_seen_is_a_revision(study: Study) -> None:
    seen, unseen = (study.add_image(name, name) for name in ("seen", "unseen"))
    study.store.readers.ensure("R1")
    readings = study.store.readings
    region = Region("r", "Cardiomegaly", "definite", Box(*HEART))
    moved = Region("r", "Cardiomegaly", "definite", Box(10, 14, 24, 30))
    for number, image in enumerate((seen, unseen)):
        first = readings.apply(Edit("page", 3 * number, image.image_id, 0, "put", region), "R1")
        readings.commit(image.image_id, "R1", base_version=first.version)
        if image is seen:
            readings.reveal(image.image_id, "R1")
        opened = readings.reopen(image.image_id, "R1")
        edit = Edit("page", 3 * number + 1, image.image_id, opened.version, "put", moved)
        again = readings.apply(edit, "R1")
        readings.commit(image.image_id, "R1", base_version=again.version)
    (revision,) = find_revisions(study.store, None)
    assert revision.before.image_id == seen.image_id
    assert [one.commit_number for one in (revision.before, revision.after)] == [1, 2]
    assert revision.after.regions[0].box == moved.box
    chosen = chosen_readings(study.store, reference="readers", latest=False, readers=None)
    assert list(chosen.revisions_of(["Cardiomegaly"])) == [seen.image_id]
    assert chosen.revisions_of(["Fracture"]) == {}
