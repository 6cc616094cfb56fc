"""The demo workspace: what it holds when it opens for the first time, all of it or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotations.store import Store
from annotations.workspace import Workspace, open_workspace
from audit_app.demo import FINDINGS, LABELS, MODELS, N_IMAGES, N_READ, READER, create_demo
from audit_app.errors import AuditError


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A demo of few pictures: each takes half a second to draw."""
    root = tmp_path_factory.mktemp("demo") / "new"
    with pytest.MonkeyPatch.context() as fewer:
        fewer.setattr("audit_app.demo.N_READ", 4)
        create_demo(root, progress=lambda *_: False, n_images=6)
    return open_workspace(root)


@pytest.fixture
def store(demo: Workspace) -> Iterator[Store]:
    with Store.open(demo) as opened:
        yield opened


def test_the_demo_says_that_it_is_synthetic(demo: Workspace, store: Store) -> None:
    assert demo.settings.synthetic
    assert demo.settings.findings == FINDINGS
    assert [(one.name, one.kind) for one in store.readers.all()] == [(READER, "synthetic")]
    assert all("synthetic" in image.flags for image in store.images.all())


def test_the_first_pictures_are_read_and_all_lie_in_the_workspace(
    demo: Workspace, store: Store
) -> None:
    assert (N_READ, N_IMAGES) == (15, 60)
    images = store.images.all()
    assert len(images) == len({image.patient_hash for image in images}) == 6
    assert all(Path(image.path).parent == demo.images for image in images)
    assert store.check() == []
    read = [reading.image_id for reading in store.readings.committed()]
    assert read == [image.image_id for image in images[:4]]


def test_labels_and_readings_of_one_picture_say_the_same(store: Store) -> None:
    labels = store.labels.all(LABELS)
    for reading in store.readings.committed():
        said = {region.finding for region in reading.regions} or {"No Finding"}
        present = {name for name, is_there in labels[reading.image_id].items() if is_there}
        assert said == present


def test_both_models_are_there_and_an_audit_of_each_waits(store: Store) -> None:
    assert set(store.models.all()) == set(MODELS) == {"demo-cnn", "demo-vit"}
    waiting = store.jobs.recent()
    assert Counter((job.kind, job.status) for job in waiting) == {("audit", "queued"): 2}
    assert {job.params["model"] for job in waiting} == set(MODELS)


def test_what_stands_at_the_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("mine", encoding="utf-8")
    for place in ("file", "folder"):
        with pytest.raises(AuditError, match="is not empty; give a new folder"):
            create_demo(tmp_path / place, progress=lambda *_: False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_demo_that_was_interrupted_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(*_: object) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_demo(tmp_path / "demo", progress=interrupt)
    assert list(tmp_path.iterdir()) == []
