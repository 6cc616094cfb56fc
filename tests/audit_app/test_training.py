"""Which images a training learns from, and which it holds back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotations.findings import NO_FINDING
from annotations.importing import import_source
from annotations.records import Region
from annotations.regions import Box
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.errors import AuditError
from audit_app.training import READINGS, label_source, labels_of, split_indices, training_set


@pytest.fixture
def store(tmp_path: Path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(12):
        values = np.full((32, 32), number * 20, np.uint8)
        Image.fromarray(values).save(folder / f"{number:02d}.png")
    workspace = create_workspace(tmp_path / "w", name="w", findings=["Edema", NO_FINDING])
    with Store.open(workspace) as opened:
        import_source(workspace, opened, folder, "folder")
        yield opened


def test_the_only_label_source_is_taken_and_several_must_be_named(store: Store) -> None:
    assert label_source(store, None) == READINGS
    image = store.images.all()[0]
    store.labels.set(image.image_id, "a", {"Edema": True})
    assert label_source(store, None) == "a"
    store.labels.set(image.image_id, "b", {"Edema": True})
    with pytest.raises(AuditError, match="several label sources: a, b"):
        label_source(store, None)
    with pytest.raises(AuditError, match="no labels named 'c'; there are: a, b"):
        label_source(store, "c")


def test_committed_readings_serve_as_labels(store: Store) -> None:
    first, second = store.images.all()[:2]
    region = Region("", "Edema", "definite", Box(1, 1, 9, 9))
    store.readings.import_committed(first.image_id, "mira", "imported", [region], False)
    store.readings.import_committed(second.image_id, "mira", "imported", [], True)
    assert labels_of(store, READINGS) == {
        first.image_id: {"Edema": True},
        second.image_id: {NO_FINDING: True},
    }


def test_the_split_of_the_source_is_kept_and_its_test_part_is_never_used(store: Store) -> None:
    images = store.images.all()
    parts = {
        image.image_id: ("train", "validation", "test")[number % 3]
        for number, image in enumerate(images)
    }
    train, held = split_indices(images, parts, seed=1)
    assert train == [0, 3, 6, 9]
    assert held == [1, 4, 7, 10]


def test_without_a_split_every_image_without_patient_counts_as_its_own(store: Store) -> None:
    images = store.images.all()
    assert {image.patient_hash for image in images} == {""}
    train, held = split_indices(images, {}, seed=1)
    assert len(held) == 2
    assert sorted(train + held) == list(range(12))
    assert split_indices(images, {}, seed=1) == (train, held)


def test_a_workspace_without_labels_says_what_to_do(store: Store) -> None:
    with pytest.raises(AuditError, match="import a set with labels, or commit readings first"):
        training_set(store, READINGS, seed=1)


def test_labels_of_a_training_set_follow_the_findings_of_the_store(store: Store) -> None:
    for number, image in enumerate(store.images.all()):
        values = {"Edema": number % 2 == 0, NO_FINDING: number % 2 == 1}
        store.labels.set(image.image_id, "a", values)
    data = training_set(store, "a", seed=1)
    assert data.findings == ("Edema", NO_FINDING)
    assert data.labels.tolist() == [[1.0, 0.0], [0.0, 1.0]] * 6
    assert data.picture(3).tolist() == np.full((32, 32), 60).tolist()
