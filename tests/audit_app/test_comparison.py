"""Who may compare what, what that leaves behind, and the numbers beside a map."""

from __future__ import annotations

import base64
import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotations.errors import ReadingLocked
from annotations.importing import import_source
from annotations.records import Edit, ImageRecord, Region
from annotations.regions import Box
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.comparison import (
    MODES,
    Selection,
    full_pane,
    heat_layer,
    open_reading,
    peak_px,
    readable_cases,
)
from audit_app.errors import AuditError
from audit_app.map_cache import CachedMaps, MapRequest, cache_file, prune, read_maps, write_maps
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.settings import Settings
from model_store.preprocessing import frame_geometry

READER = Visitor("mira", "reader")
OTHER = Visitor("tom", "reader")
AUDITOR = Visitor("ada", "auditor")
BOX = Box(40, 60, 80, 100)


@pytest.fixture
def services(tmp_path: Path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    values = np.random.default_rng(0).integers(0, 256, (200, 120), dtype=np.uint8)
    Image.fromarray(values).save(folder / "one.png")
    workspace = create_workspace(tmp_path / "w", name="w")
    with Store.open(workspace) as store:
        import_source(workspace, store, folder, "folder")
        yield Services(workspace, store, Settings())


@pytest.fixture
def image_id(services: Services) -> str:
    return services.store.images.all()[0].image_id


def draw(services: Services, image_id: str, reader: str) -> int:
    region = Region("11111111-1111-4111-8111-111111111111", "Edema", "definite", BOX)
    edit = Edit(f"{reader}-page", 1, image_id, 0, "put", region=region)
    return services.store.readings.apply(edit, reader).version


def commit(services: Services, image_id: str, reader: str) -> None:
    version = draw(services, image_id, reader)
    services.store.readings.commit(image_id, reader, base_version=version)


def selection(image_id: str, reader: str) -> Selection:
    return Selection(image_id, reader, "Edema", "model", "gradcam")


def test_maps_stay_locked_until_the_reading_is_committed(services, image_id) -> None:
    draw(services, image_id, "mira")
    with pytest.raises(ReadingLocked):
        open_reading(services, READER, selection(image_id, "mira"))
    services.store.readings.commit(image_id, "mira", base_version=1)
    assert open_reading(services, READER, selection(image_id, "mira")).regions[0].box == BOX
    assert services.store.readings.get(image_id, "mira").revealed_at is not None


def test_a_reader_never_sees_another_readers_reading(services, image_id) -> None:
    commit(services, image_id, "mira")
    assert readable_cases(services, OTHER) == []
    with pytest.raises(AuditError, match="another reader's"):
        open_reading(services, OTHER, selection(image_id, "mira"))
    assert [one.reader for one in readable_cases(services, AUDITOR)] == ["mira"]


def test_an_auditor_with_a_draft_of_their_own_must_commit_first(services, image_id) -> None:
    commit(services, image_id, "mira")
    draw(services, image_id, "ada")
    with pytest.raises(ReadingLocked, match="commit your own reading"):
        open_reading(services, AUDITOR, selection(image_id, "mira"))


def test_who_saw_the_maps_before_reading_is_not_blinded_any_more(services, image_id) -> None:
    commit(services, image_id, "mira")
    open_reading(services, AUDITOR, selection(image_id, "mira"))
    assert services.store.readings.get(image_id, "ada").status == "new"
    commit(services, image_id, "ada")
    blinded = {one.reader: one.blinded for one in services.store.readings.of_image(image_id)}
    assert blinded == {"mira": True, "ada": False}
    kinds = [row.kind for row in services.store.log.rows(image_id=image_id)]
    assert kinds.count("seen unread") == 1


def test_the_maximum_is_marked_at_its_original_pixel_for_each_preprocessing() -> None:
    for kind in ("crop", "pad", "squash"):
        geometry = frame_geometry(kind, (200, 120), (20, 20))
        left, top, right, bottom = geometry.input_window
        saliency = np.zeros((20, 20), np.float32)
        row, column = (top + bottom) // 2 + 3, (left + right) // 2 - 2
        saliency[row, column] = 1.0
        x_px, y_px = peak_px(saliency, geometry, fake_image(200, 120))
        box = (x_px - 0.01, y_px - 0.01, x_px + 0.01, y_px + 0.01)
        x_min, y_min, x_max, y_max = geometry.to_input(box)
        assert (int((x_min + x_max) / 2), int((y_min + y_max) / 2)) == (column, row)


def test_a_maximum_in_the_padding_is_not_the_one_that_is_marked() -> None:
    geometry = frame_geometry("pad", (200, 100), (20, 20))
    saliency = np.zeros((20, 20), np.float32)
    saliency[10, 0] = 5.0  # padding: the picture begins at column 5
    saliency[4, 8] = 1.0
    assert peak_px(saliency, geometry, fake_image(200, 100)) == [35.0, 45.0]


def test_the_heat_layer_is_the_min_max_normalised_map() -> None:
    geometry = frame_geometry("squash", (200, 120), (2, 2))
    layer = heat_layer(np.array([[0, 1], [2, 4]], np.float32), geometry, fake_image(200, 120))
    assert list(base64.b64decode(layer["values_b64"])) == [0, 64, 128, 255]
    assert layer["box"] == [0.0, 0.0, 120.0, 200.0]
    assert layer["status"] == "ok"


def test_an_empty_map_is_no_evidence_and_never_a_hit() -> None:
    geometry = frame_geometry("squash", (200, 120), (20, 20))
    maps = CachedMaps(
        maps=np.zeros((1, 20, 20), np.float32),
        scores=np.array([0.5], np.float32),
        findings=("Edema",),
        geometry=geometry,
        provenance={},
    )
    region = Region("r", "Edema", "definite", Box(0, 0, 12, 20))
    pane = full_pane("Zero-shot", "Edema", maps, [region], fake_image(200, 120))
    assert pane["heat"]["status"] == "no_evidence"
    assert pane["heat"]["peak"] is None
    assert dict(pane["numbers"])["Hit"] == "0.000"


def test_maps_come_back_from_the_cache_as_they_were_put_in(services, image_id) -> None:
    image = services.store.images.get(image_id)
    request = MapRequest(image, "m", "zs", "gradcam", ("Edema",))
    path = cache_file(services.workspace, request, {"name": "m"})
    assert read_maps(path) is None
    maps = CachedMaps(
        maps=np.random.default_rng(0).random((1, 8, 8), dtype=np.float32),
        scores=np.array([0.25], np.float32),
        findings=("Edema",),
        geometry=frame_geometry("crop", (200, 120), (8, 8)),
        provenance={"layer": "x"},
    )
    write_maps(path, maps)
    back = read_maps(path)
    assert back is not None
    assert (back.maps == maps.maps).all()
    assert (back.findings, back.geometry, back.provenance) == (
        maps.findings,
        maps.geometry,
        maps.provenance,
    )


def test_another_entry_mode_or_head_leads_to_another_file(services, image_id) -> None:
    image = services.store.images.get(image_id)
    places = set()
    for mode in MODES:
        for entry in ({"name": "m"}, {"name": "m", "layer": "x"}):
            request = MapRequest(image, "m", mode, "gradcam", ("Edema",))
            places.add(cache_file(services.workspace, request, entry))
    head = services.workspace.models / "m" / "lp.safetensors"
    head.parent.mkdir(parents=True)
    head.write_bytes(b"weights")
    request = MapRequest(image, "m", "lp", "gradcam", ("Edema",))
    places.add(cache_file(services.workspace, request, {"name": "m"}))
    assert len(places) == 7


def test_the_cache_forgets_what_was_not_used_for_longest(tmp_path: Path) -> None:
    for number in range(5):
        file = tmp_path / f"{number}.npz"
        file.write_bytes(b"x" * 100)
        os.utime(file, (number, number))
    prune(tmp_path, max_bytes=250)
    assert sorted(file.name for file in tmp_path.glob("*.npz")) == ["3.npz", "4.npz"]


def fake_image(height: int, width: int) -> ImageRecord:
    """A record of this size; everything else is left empty."""
    texts = {one.name: "" for one in fields(ImageRecord) if one.type == "str"}
    rest = {"bits": 8, "spacing_mm": None, "flags": (), "facts": {}}
    return ImageRecord(**texts, **rest, height=height, width=width)
