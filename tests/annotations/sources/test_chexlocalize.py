from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.draw import polygon2mask

from annotations.errors import UnknownSource
from annotations.importing import import_source
from annotations.regions import outline_mask
from annotations.sources.chexlocalize import load_chexlocalize
from annotations.sources.listing import Remark, Skipped, SourceImage, SourceItem
from annotations.store import Store
from annotations.workspace import create_workspace
from tests.annotations.sources.pictures import write_picture

KEY = "patient64541_study1_view1_frontal"
HEART = [[[10.5, 5.25], [30.25, 6.5], [28, 30.75]], [[20.5, 20], [50, 22], [45, 35.5]]]


def write_file(folder: Path, content: object, name: str = "gt_annotations_val.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def entry(**findings: Any) -> dict[str, Any]:
    return {"img_size": [40, 60], **{name.replace("_", " "): one for name, one in findings.items()}}


def images_in(items: list[SourceItem]) -> list[SourceImage]:
    return [item for item in items if isinstance(item, SourceImage)]


def test_each_contour_is_a_region_with_its_outline(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "CheXpert" / "valid" / "patient64541" / "study1"
                            / "view1_frontal.jpg")  # fmt: skip
    write_file(tmp_path, {KEY: entry(Cardiomegaly=HEART, Airspace_Opacity=HEART[:1])})

    (image,) = images_in(list(load_chexlocalize(tmp_path)))

    assert image.path == picture
    assert (image.name, image.patient, image.annotated_size) == (
        f"{KEY}.jpg", "chexpert:patient64541", (40, 60),
    )  # fmt: skip
    (reading,) = image.readings
    assert [box.term for box in reading.boxes] == ["Cardiomegaly"] * 2 + ["Airspace Opacity"]
    assert reading.boxes[0].shape is not None
    assert reading.boxes[0].shape.rings == (tuple((float(x), float(y)) for x, y in HEART[0]),)
    assert reading.boxes[0].corners == (10.5, 5.25, 30.25, 30.75)


def test_an_import_keeps_contours_as_one_union_of_masks_with_their_boxes(tmp_path: Path) -> None:
    write_picture(tmp_path / "source" / f"{KEY}.png")
    write_file(tmp_path / "source", {KEY: entry(Airspace_Opacity=HEART)})
    workspace = create_workspace(tmp_path / "ward", name="ward")
    with Store.open(workspace) as store:
        report = import_source(workspace, store, tmp_path / "source", "chexlocalize", reader="R")
        (reading,) = store.readings.committed()

    assert report.mapped == {"Airspace Opacity": "Lung Opacity"}
    assert [region.box.corners for region in reading.regions] == [(10, 5, 31, 31), (20, 20, 50, 36)]
    # scikit-image counts (row, column) from the first pixel's centre.
    expected = [polygon2mask((40, 60), np.array(one)[:, ::-1] - 0.5) for one in HEART]
    mask = outline_mask([region.outline for region in reading.regions], (40, 60))
    assert (mask == expected[0] | expected[1]).all()


def test_pictures_without_contours_come_without_a_reading(tmp_path: Path) -> None:
    write_picture(tmp_path / f"{KEY}.jpg")
    write_picture(tmp_path / "patient9_study2_view1_frontal.jpg", seed=1)
    write_picture(tmp_path / "other.png", seed=2)
    write_file(tmp_path, {KEY: entry()})

    images = images_in(list(load_chexlocalize(tmp_path)))

    assert sorted(image.name for image in images) == [
        "other.png", f"{KEY}.jpg", "patient9_study2_view1_frontal.jpg",
    ]  # fmt: skip
    assert all(image.readings == () for image in images)


def test_a_bad_contour_is_skipped_with_its_place_and_the_others_stay(tmp_path: Path) -> None:
    write_picture(tmp_path / f"{KEY}.jpg")
    write_file(
        tmp_path, {KEY: entry(Edema=[[[1, 2], [3, 4]], HEART[0]]), "patient1_study1_x": entry()}
    )

    items = list(load_chexlocalize(tmp_path))

    reasons = [(item.where, item.reason) for item in items if isinstance(item, Skipped)]
    assert reasons[0][0] == f"gt_annotations_val.json, {KEY}, Edema 1"
    assert "each ring needs at least three" in reasons[0][1]
    assert "picture patient1_study1_x is absent" in reasons[1][1]
    assert len(images_in(items)[0].readings[0].boxes) == 1


def test_the_other_file_beside_it_is_named(tmp_path: Path) -> None:
    write_picture(tmp_path / f"{KEY}.jpg")
    for name in ("gt_annotations_val.json", "gt_annotations_test.json"):
        write_file(tmp_path, {KEY: entry()}, name)

    remarks = [item.text for item in load_chexlocalize(tmp_path) if isinstance(item, Remark)]

    assert any(text.startswith("gt_annotations_test.json beside") for text in remarks)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "is no object of pictures"),
        ({KEY: {"Edema": []}}, "no 'img_size'"),
        ({KEY: {"img_size": [0, 5]}}, "no 'img_size'"),
        ({KEY: {"Edema": {"size": [5, 5], "counts": "abc"}}}, "not the segmentations"),
    ],
)
def test_another_file_is_refused_with_a_sentence(
    tmp_path: Path, content: object, reason: str
) -> None:
    with pytest.raises(UnknownSource, match=r"gt_annotations_val\.json") as refused:
        list(load_chexlocalize(write_file(tmp_path, content)))
    assert reason in str(refused.value)
