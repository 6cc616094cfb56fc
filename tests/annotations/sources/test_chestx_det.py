from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from annotations.errors import UnknownSource
from annotations.importing import import_source
from annotations.sources.chestx_det import load_chestx_det
from annotations.sources.listing import Remark, Skipped, SourceImage, SourceItem
from annotations.store import Store
from annotations.workspace import create_workspace
from tests.annotations.sources.pictures import write_picture

NODULE = [[30, 10], [35, 12], [34, 20], [28, 16]]


def write_file(folder: Path, *entries: object, name: str = "ChestX_Det_test.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(list(entries)), encoding="utf-8")
    return path


def entry(name: str = "1.png", **changes: Any) -> dict[str, Any]:
    values = {"file_name": name, "syms": ["Nodule"], "boxes": [[28, 10, 35, 20]],
              "polygons": [NODULE]}  # fmt: skip
    return {**values, **changes}


def images_in(items: list[SourceItem]) -> list[SourceImage]:
    return [item for item in items if isinstance(item, SourceImage)]


def test_boxes_and_polygons_of_an_entry_become_one_reading(tmp_path: Path) -> None:
    write_picture(tmp_path / "source" / "images" / "1.png")
    write_picture(tmp_path / "source" / "images" / "2.png", seed=1)
    empty = entry("2.png", syms=[], boxes=[], polygons=[])
    write_file(tmp_path / "source", entry(), empty)
    workspace = create_workspace(tmp_path / "ward", name="ward")
    with Store.open(workspace) as store:
        report = import_source(workspace, store, tmp_path / "source", "chestx-det", reader="R")
        (reading,) = store.readings.committed()

    assert (report.n_new, report.skipped) == (2, ())
    (region,) = reading.regions
    assert (region.finding, region.box.corners) == ("Lung Lesion", (28, 10, 35, 20))
    assert region.shape is not None
    assert region.shape.rings == (tuple((float(x), float(y)) for x, y in NODULE),)


def test_train_and_test_are_both_read(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    write_picture(tmp_path / "2.png", seed=1)
    write_file(tmp_path, entry("1.png"), name="ChestX_Det_train.json")
    write_file(tmp_path, entry("2.png"))

    images = images_in(list(load_chestx_det(tmp_path)))

    assert [(image.name, len(image.readings[0].boxes)) for image in images] == [
        ("2.png", 1), ("1.png", 1),
    ]  # fmt: skip


def test_the_older_files_without_polygons_are_read_as_boxes(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    old = entry()
    del old["polygons"]
    path = write_file(tmp_path, old, name="train.json")

    (image,) = images_in(list(load_chestx_det(path)))

    assert image.readings[0].boxes[0].shape is None
    assert image.readings[0].boxes[0].corners == (28.0, 10.0, 35.0, 20.0)


def test_a_polygon_that_is_none_leaves_its_box_and_is_said(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    write_file(tmp_path, entry(polygons=[[[1, 2]]]))

    items = list(load_chestx_det(tmp_path))

    assert images_in(items)[0].readings[0].boxes[0].shape is None
    remarks = [item.text for item in items if isinstance(item, Remark)]
    assert any(text.startswith("1 polygon not used, only the box:") for text in remarks)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (entry(boxes=[]), "1 syms, 0 boxes and 1 polygons"),
        (entry(polygons=5), "1 syms, 1 boxes and no list of polygons"),
        (entry(syms=[3]), "finding 3 in syms is no text"),
        (entry(boxes=[[1, 2, 3]]), "box [1, 2, 3] is not [x1, y1, x2, y2]"),
        (entry(boxes="x"), "syms or boxes is no list"),
        (5, "no file_name"),
    ],
)
def test_a_bad_entry_is_skipped_with_its_reason(tmp_path: Path, bad: object, reason: str) -> None:
    write_picture(tmp_path / "1.png")
    write_file(tmp_path, entry(), bad)

    items = list(load_chestx_det(tmp_path))

    (skipped,) = [item for item in items if isinstance(item, Skipped)]
    assert skipped.where == "ChestX_Det_test.json, entry 2"
    assert reason in skipped.reason
    assert len(images_in(items)[0].readings[0].boxes) == 1


@pytest.mark.parametrize("text", ["{", "[]", "[5]", '{"a": 1}'])
def test_another_file_is_refused_with_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ChestX_Det_test.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(UnknownSource, match=r"ChestX_Det_test\.json is no (JSON|list of entries)"):
        list(load_chestx_det(path))
