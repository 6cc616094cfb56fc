"""A real store in a temporary folder, and short ways to fill it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from annotations.findings import STUDY_FINDINGS
from annotations.records import Edit, ImageRecord, NewImage, Reading, Region
from annotations.regions import Box
from annotations.store import Store

MakeImage = Callable[..., NewImage]
Put = Callable[..., Reading]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "audit.sqlite"


@pytest.fixture
def store(database: Path) -> Iterator[Store]:
    with Store(database, STUDY_FINDINGS) as opened:
        yield opened


@pytest.fixture
def new_image() -> MakeImage:
    def make(name: str = "a.png", **changes: object) -> NewImage:
        values: dict[str, object] = {
            "path": f"/pictures/{name}",
            "origin": f"/pictures/{name}",
            "name": name,
            "source": "folder",
            "sha256": "a" * 64,
            "pixel_sha256": "b" * 64,
            "height": 200,
            "width": 100,
            "bits": 12,
            "photometric": "MONOCHROME2",
            "modality": "DX",
            "view": "PA",
            "spacing_mm": (0.14, 0.15),
            "patient_hash": "p1",
            "study_hash": "s1",
        }
        return NewImage(**{**values, **changes})

    return make


@pytest.fixture
def image(store: Store, new_image: MakeImage) -> ImageRecord:
    return store.images.add(new_image())[0]


@pytest.fixture
def region() -> Callable[..., Region]:
    def make(
        region_id: str = "r1",
        finding: str = "Edema",
        corners: tuple[int, int, int, int] = (10, 20, 30, 40),
        certainty: str = "definite",
        note: str = "",
    ) -> Region:
        return Region(region_id, finding, certainty, Box(*corners), note)

    return make


@pytest.fixture
def edit(image: ImageRecord) -> Callable[..., Edit]:
    """An edit of the one image, with the next sequence number of client "tab-1"."""
    numbers = iter(range(1, 10_000))

    def make(base_version: int, kind: str = "put", **values: object) -> Edit:
        given = {"client_id": "tab-1", "image_id": image.image_id, **values}
        given.setdefault("sequence", next(numbers))
        return Edit(base_version=base_version, kind=kind, **given)

    return make


@pytest.fixture
def put(store: Store, edit: Callable[..., Edit], region: Callable[..., Region]) -> Put:
    """Save one region on top of the present version."""

    def save(reader: str = "alice", **values: object) -> Reading:
        one = edit(0, region=region(**values))
        version = store.readings.get(one.image_id, reader).version
        return store.readings.apply(edit(version, region=region(**values)), reader)

    return save


@pytest.fixture
def raw(database: Path) -> Callable[[], closing[sqlite3.Connection]]:
    """A connection behind the store's back, without any of its pragmas."""

    def connect() -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(database, isolation_level=None))

    return connect
