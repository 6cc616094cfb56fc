from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.draw import polygon2mask

from annotations.exports import export_readings
from annotations.importing import import_source
from annotations.sources.coco import load_coco
from annotations.sources.listing import Skipped
from annotations.store import Store
from annotations.workspace import create_workspace
from tests.annotations.exports.study import Study, content


@pytest.fixture
def exported(study: Study, tmp_path: Path) -> dict[str, Any]:
    export_readings(study.store, "coco", tmp_path / "out" / "readings.json")
    loaded: dict[str, Any] = json.loads((tmp_path / "out" / "readings.json").read_text("utf-8"))
    return loaded


def test_a_half_open_box_is_its_corner_and_size(exported: dict[str, Any]) -> None:
    boxes = [one for one in exported["earlier_annotations"] if not one["segmentation"]]

    assert [one["bbox"] for one in boxes] == [[0, 2, 31, 22]]
    assert boxes[0]["area"] == 31 * 22
    assert boxes[0]["iscrowd"] == 0


def test_polygons_are_flat_lists_and_their_area_is_that_of_the_mask(
    exported: dict[str, Any],
) -> None:
    (polygon,) = [
        one for one in exported["annotations"]
        if one["segmentation"] and "ellipse" not in one["attributes"]
    ]  # fmt: skip
    masks = [
        polygon2mask((24, 32), np.column_stack([flat[1::2], flat[::2]]) - 0.5)
        for flat in np.array(polygon["segmentation"], dtype=object)
    ]

    assert polygon["segmentation"] == [
        [1.25, 2.0, 9.0, 2.5, 9.0, 8.0],
        [3.0, 10.0, 6.0, 10.0, 6.0, 14.0, 3.0, 13.0],
    ]
    assert polygon["bbox"] == [1, 2, 8, 12]
    assert polygon["area"] == int((masks[0] | masks[1]).sum())


def test_an_ellipse_is_a_polygon_with_its_axes_beside_it(exported: dict[str, Any]) -> None:
    (ellipse,) = [one for one in exported["annotations"] if "ellipse" in one["attributes"]]
    (flat,) = ellipse["segmentation"]

    assert ellipse["attributes"]["ellipse"] == [
        [[7.0, 13.0], [7.0, 7.0], [2.0, 10.0], [12.0, 10.0]]
    ]
    # Every point satisfies the ellipse's equation: centre (7, 10), half axes 5 and 3.
    xs, ys = np.array(flat[::2]), np.array(flat[1::2])
    assert (((xs - 7) / 5) ** 2 + ((ys - 10) / 3) ** 2).tolist() == pytest.approx([1.0] * 72)
    assert ellipse["bbox"] == [2, 7, 10, 6]


def test_the_last_version_of_each_reader_is_what_a_training_tool_sees(
    exported: dict[str, Any], study: Study
) -> None:
    names = {one["id"]: one["name"] for one in exported["categories"]}
    seen = sorted(names[one["category_id"]] for one in exported["annotations"])

    assert seen == ["Edema", "Lung Lesion", "Mira's own finding", "Pneumothorax"]
    assert [names[one["category_id"]] for one in exported["earlier_annotations"]] == ["Edema"]
    assert list(names.values()) == list(study.store.findings())
    ids = [one["id"] for one in exported["annotations"] + exported["earlier_annotations"]]
    assert len(ids) == len(set(ids)) == 5
    said = [
        (one["reader"], one["commit_number"], one["blinded"], one["no_finding"], one["is_latest"])
        for one in exported["readings"]
    ]
    assert said == [
        ("B=1", 1, True, True, True),
        ("Dr. A", 1, True, False, False),
        ("Dr. A", 2, False, False, True),
        ("Dr. A", 1, True, False, True),
    ]


def test_every_annotation_tells_its_reader_certainty_and_version(exported: dict[str, Any]) -> None:
    attributes = [one["attributes"] for one in exported["annotations"]]

    assert {one["reader"] for one in attributes} == {"Dr. A"}
    assert sorted(one["commit_number"] for one in attributes) == [1, 1, 2, 2]
    assert {one["certainty"] for one in attributes} == {"probable"}


@pytest.mark.parametrize("kind", ["csv", "coco"])
def test_an_export_comes_back_without_loss(study: Study, tmp_path: Path, kind: str) -> None:
    table = tmp_path / f"readings.{'csv' if kind == 'csv' else 'json'}"
    export_readings(study.store, kind, table)
    other = create_workspace(tmp_path / "other", name="other")
    with Store.open(other) as copy:
        report = import_source(other, copy, table, kind)

        assert report.skipped == ()
        assert content(copy) == content(study.store)
        assert copy.check() == []
        kinds = {reader.name: reader.kind for reader in copy.readers.all()}
        assert kinds == {reader.name: reader.kind for reader in study.store.readers.all()}
        again = import_source(other, copy, table, kind)
        assert (again.n_readings, again.n_new) == (0, 0)


def test_an_export_finds_its_pictures_after_both_moved(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "there" / "readings.json"
    export_readings(study.store, "coco", path)
    content_ = json.loads(path.read_text("utf-8"))
    for image in content_["images"]:
        shutil.copy(image["path"], tmp_path / "there" / Path(image["path"]).name)
        image["path"] = f"/gone/{Path(image['path']).name}"
    path.write_text(json.dumps(content_), encoding="utf-8")

    items = list(load_coco(path))

    assert [item.path.parent for item in items if hasattr(item, "path")] == [tmp_path / "there"] * 2


def test_our_export_without_a_hash_may_not_name_files_anywhere(
    study: Study, tmp_path: Path
) -> None:
    path = tmp_path / "readings.json"
    export_readings(study.store, "coco", path)
    content_ = json.loads(path.read_text("utf-8"))
    content_["images"][0]["sha256"] = ""
    path.write_text(json.dumps(content_), encoding="utf-8")

    reasons = [item.reason for item in load_coco(path) if isinstance(item, Skipped)]

    assert reasons == ["no sha256; the file is not as it was exported"]
