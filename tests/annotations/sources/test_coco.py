from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from annotations.errors import UnknownSource
from annotations.importing import import_source
from annotations.sources.coco import load_coco
from annotations.sources.listing import Remark, Skipped, SourceImage, SourceItem
from annotations.store import Store
from annotations.workspace import create_workspace
from tests.annotations.sources.pictures import write_picture


def write_coco(path: Path, **changes: Any) -> Path:
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 40, "width": 60}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3.5, 4]}],
        "categories": [{"id": 7, "name": "Mass"}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")
    return path


def images_in(items: list[SourceItem]) -> list[SourceImage]:
    return [item for item in items if isinstance(item, SourceImage)]


def test_boxes_become_corners_and_keep_the_size_they_were_drawn_on(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    write_coco(tmp_path / "coco.json")

    (image,) = images_in(list(load_coco(tmp_path)))

    assert image.readings[0].boxes[0].corners == (1.0, 2.0, 4.5, 6.0)
    assert image.readings[0].boxes[0].term == "Mass"
    assert image.annotated_size == (40, 60)


def test_pictures_lie_beside_the_file_or_anywhere_below(tmp_path: Path) -> None:
    beside = write_picture(tmp_path / "sub" / "a.png")
    elsewhere = write_picture(tmp_path / "more" / "b.png")
    images = [{"id": "x", "file_name": "sub/a.png"}, {"id": "y", "file_name": "images/b.png"}]
    write_coco(tmp_path / "coco.json", images=images, annotations=[])

    assert [image.path for image in images_in(list(load_coco(tmp_path)))] == [beside, elsewhere]


def test_a_file_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    write_picture(tmp_path / "secret.png")
    write_picture(tmp_path / "data" / "a.png")
    images = [
        {"id": 1, "file_name": "../secret.png"},
        {"id": 2, "file_name": str(tmp_path / "secret.png")},
        {"id": 3, "file_name": "a.png"},
    ]
    write_coco(tmp_path / "data" / "coco.json", images=images, annotations=[])

    items = list(load_coco(tmp_path / "data"))

    assert [image.name for image in images_in(items)] == ["a.png"]
    assert len([item for item in items if isinstance(item, Skipped)]) == 2


def test_each_split_of_a_folder_is_read_and_other_json_left_alone(tmp_path: Path) -> None:
    for part in ("train", "valid"):
        write_picture(tmp_path / part / f"{part}.png")
        write_coco(
            tmp_path / part / "_annotations.coco.json",
            images=[{"id": 1, "file_name": f"{part}.png"}],
        )
    (tmp_path / "other.json").write_text("[1, 2]", encoding="utf-8")

    items = list(load_coco(tmp_path))

    assert [image.name for image in images_in(items)] == ["train.png", "valid.png"]
    assert [item.text for item in items if isinstance(item, Remark)] == [
        "left alone: other.json has no list images, annotations, categories; "
        "expected COCO with images, annotations, categories"
    ]


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ({"image_id": 1, "category_id": 7}, "bbox None is not"),
        ({"image_id": 1, "category_id": 7, "bbox": [1, 2, 3]}, "bbox [1, 2, 3] is not"),
        ({"image_id": 1, "category_id": 7, "bbox": [1, 2, None, 3]}, "is not [x, y, width"),
        ({"image_id": 1, "category_id": 7, "bbox": [1, 2, float("nan"), 3]}, "is not [x, y"),
        ({"image_id": 1, "category_id": 7, "bbox": [1, 2, 10**400, 3]}, "is not [x, y"),
        ({"image_id": 1, "category_id": 7, "bbox": [1, 2, True, 3]}, "is not [x, y"),
        ({"image_id": 1, "category_id": 8, "bbox": [1, 2, 3, 4]}, "category_id 8 is not among"),
        ({"image_id": 5, "category_id": 7, "bbox": [1, 2, 3, 4]}, "image_id 5 is not among"),
        ("box", "not an object"),
    ],
)
def test_a_bad_annotation_is_skipped_with_its_reason(
    tmp_path: Path, annotation: object, reason: str
) -> None:
    write_picture(tmp_path / "a.png")
    good = {"image_id": 1.0, "category_id": "7", "bbox": [1, 2, 3, 4]}
    write_coco(tmp_path / "coco.json", annotations=[good, annotation])

    items = list(load_coco(tmp_path))

    (skipped,) = [item for item in items if isinstance(item, Skipped)]
    assert skipped.where == "coco.json, annotation 2"
    assert reason in skipped.reason
    assert len(images_in(items)[0].readings[0].boxes) == 1


def test_an_image_without_boxes_has_no_reading_unless_a_category_says_no_finding(
    tmp_path: Path,
) -> None:
    for name in ("a.png", "b.png"):
        write_picture(tmp_path / name)
    write_coco(
        tmp_path / "coco.json",
        images=[{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        categories=[{"id": 0, "name": "No Finding"}],
        annotations=[{"image_id": 2, "category_id": 0}],
    )

    first, second = images_in(list(load_coco(tmp_path)))

    assert first.readings == ()
    assert second.readings[0].no_finding is True


def test_a_picture_listed_twice_is_imported_once(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "a.png"}]
    write_coco(tmp_path / "coco.json", images=images)

    items = list(load_coco(tmp_path))

    assert len(images_in(items)) == 1
    assert [item.reason for item in items if isinstance(item, Skipped)] == [
        "picture is listed twice; import each JSON file on its own, with --reader"
    ]


@pytest.mark.parametrize("content", ["{", "[]", '{"images": 1}', "[" * 100_000])
def test_a_file_that_is_no_coco_is_refused_with_a_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "coco.json"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(UnknownSource, match=r"coco\.json (is no JSON|has no list)"):
        list(load_coco(path))


@pytest.mark.real_data
def test_the_shared_coco_set_has_20_pictures_and_112_boxes(shared_data: Path) -> None:
    folder = shared_data / "nih_mass_nodule_coco"
    content = json.loads((folder / "annotations_coco.json").read_text(encoding="utf-8"))

    images = images_in(list(load_coco(folder)))

    boxes = [box for image in images for reading in image.readings for box in reading.boxes]
    assert (len(images), len(boxes)) == (20, 112)
    assert sum(c[2] - c[0] for c in (box.corners for box in boxes)) == pytest.approx(
        sum(entry["bbox"][2] for entry in content["annotations"])
    )


def one_annotation(tmp_path: Path, **changes: Any) -> tuple[Any, list[SourceItem]]:
    """The region that one annotation becomes, and everything that the source yields."""
    write_picture(tmp_path / "a.png")
    base = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 8, 6]}
    write_coco(tmp_path / "coco.json", annotations=[{**base, **changes}])
    items = list(load_coco(tmp_path))
    return images_in(items)[0].readings[0].boxes[0], items


def test_polygons_of_a_segmentation_are_kept_as_the_outline(tmp_path: Path) -> None:
    flat = [[1, 2, 9, 2.5, 9, 8], [3, 10, 6, 10, 6, 14]]

    box, _ = one_annotation(tmp_path, segmentation=flat)

    assert box.shape.kind == "polygon"
    assert box.shape.rings == (
        ((1.0, 2.0), (9.0, 2.5), (9.0, 8.0)),
        ((3.0, 10.0), (6.0, 10.0), (6.0, 14.0)),
    )


def test_a_rectangle_drawn_as_a_polygon_is_imported_as_its_box(tmp_path: Path) -> None:
    one_annotation(tmp_path / "source", segmentation=[[1, 2, 9, 2, 9, 8, 1, 8]])
    workspace = create_workspace(tmp_path / "ward", name="ward")
    with Store.open(workspace) as store:
        import_source(workspace, store, tmp_path / "source", "coco")
        (reading,) = store.readings.committed()

    assert [(one.box.corners, one.shape) for one in reading.regions] == [((1, 2, 9, 8), None)]


def test_the_outline_decides_where_bbox_and_polygon_differ(tmp_path: Path) -> None:
    one_annotation(tmp_path / "source", segmentation=[[10, 10, 30, 10, 20, 25.5]])
    workspace = create_workspace(tmp_path / "ward", name="ward")
    with Store.open(workspace) as store:
        import_source(workspace, store, tmp_path / "source", "coco")
        (reading,) = store.readings.committed()

    assert reading.regions[0].box.corners == (10, 10, 30, 26)


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ({"size": [40, 60], "counts": "abc"}, "it is run-length encoded"),
        ([[1, 2, 3, 4, 5]], "it is no list of lists x1, y1"),
        ([[1, 2, 3, 4]], "each ring needs at least three"),
        ([[1, 2, 3, 4, 5, None]], "expected [x, y]"),
        ("x", "it is no list of lists"),
    ],
)
def test_an_outline_that_cannot_be_used_leaves_the_box_and_is_said(
    tmp_path: Path, segmentation: object, reason: str
) -> None:
    box, items = one_annotation(tmp_path, segmentation=segmentation)

    assert (box.shape, box.corners) == (None, (1.0, 2.0, 9.0, 8.0))
    remarks = [item.text for item in items if isinstance(item, Remark)]
    assert any(
        text.startswith("1 outline in coco.json not used, only the box:") and reason in text
        for text in remarks
    )


def test_a_hidden_picture_is_said(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    write_picture(tmp_path / ".b.png")
    write_coco(tmp_path / "coco.json", images=[{"id": 1, "file_name": "a.png"}])

    items = list(load_coco(tmp_path))

    assert [item.where for item in items if isinstance(item, Skipped)] == [".b.png"]
    assert not [item for item in items if isinstance(item, Remark)]
