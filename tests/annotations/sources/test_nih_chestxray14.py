from __future__ import annotations

from pathlib import Path

import pytest

from annotations.errors import UnknownSource
from annotations.sources.listing import Remark, Skipped, SourceImage
from annotations.sources.nih_chestxray14 import load_nih_chestxray14
from tests.annotations.sources.pictures import write_picture

HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"


def write_table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "BBox_List_2017.csv"
    path.write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def images_of(source: Path) -> dict[str, SourceImage]:
    return {
        item.name: item for item in load_nih_chestxray14(source) if isinstance(item, SourceImage)
    }


@pytest.mark.parametrize("header", [HEADER, "Image Index,Finding Label,Bbox [x,y,w,h]\n"])
def test_width_and_height_become_corners(tmp_path: Path, header: str) -> None:
    write_picture(tmp_path / "images_01" / "images" / "00000150_002.png")
    write_table(tmp_path, "00000150_002.png,Effusion,10.5,20,30.25,4,,,", header=header)

    image = images_of(tmp_path)["00000150_002.png"]

    (box,) = image.readings[0].boxes
    assert box.term == "Effusion"
    assert box.corners == (10.5, 20.0, 40.75, 24.0)
    assert box.where == "BBox_List_2017.csv, row 2"
    assert image.patient == "nih:00000150"
    assert image.readings[0].reader == ""


def test_pictures_without_a_box_are_imported_without_a_reading(tmp_path: Path) -> None:
    write_picture(tmp_path / "00000001_000.png")
    write_picture(tmp_path / "00000150_002.png")
    write_table(tmp_path, "00000150_002.png,Mass,1,2,3,4", "00000150_002.png,Nodule,5,6,7,8")

    images = images_of(tmp_path)

    assert list(images) == ["00000150_002.png", "00000001_000.png"]
    assert [box.term for box in images["00000150_002.png"].readings[0].boxes] == ["Mass", "Nodule"]
    assert images["00000001_000.png"].readings == ()


def test_bad_rows_are_named_and_the_good_ones_stay(tmp_path: Path) -> None:
    write_picture(tmp_path / "00000150_002.png")
    good = ["00000150_002.png,Mass,1,2,3,4"] * 36
    bad = [
        "00000150_002.png,Mass,nan,2,3,4",
        "00000150_002.png,Mass,1,2,3",
        "00000150_002.png,,1,2,3,4",
        "00099999_000.png,Mass,1,2,3,4",
    ]
    write_table(tmp_path, *good, *bad)

    items = list(load_nih_chestxray14(tmp_path))

    skipped = {item.where: item.reason for item in items if isinstance(item, Skipped)}
    assert skipped == {
        "BBox_List_2017.csv, row 38": "column 'x' holds 'nan'; expected a number",
        "BBox_List_2017.csv, row 39": "5 columns; expected 6",
        "BBox_List_2017.csv, row 40": "column 'Finding Label' is empty",
        "BBox_List_2017.csv, row 41": (
            "picture 00099999_000 is absent; put it below the folder and import again"
        ),
    }
    assert len(images_of(tmp_path)["00000150_002.png"].readings[0].boxes) == 36


def test_the_larger_of_two_files_of_one_picture_is_taken_and_said(tmp_path: Path) -> None:
    write_picture(tmp_path / "small" / "00000150_002.png", size=(10, 10))
    large = write_picture(tmp_path / "large" / "00000150_002.png", size=(80, 80))
    write_table(tmp_path, "00000150_002.png,Mass,1,2,3,4")

    items = list(load_nih_chestxray14(tmp_path))

    assert [item.path for item in items if isinstance(item, SourceImage)] == [large]
    assert any(
        "more than one file for 1 picture (for instance 00000150_002)" in item.text
        for item in items
        if isinstance(item, Remark)
    )


def test_a_link_to_nothing_does_not_stand_in_the_way_of_a_picture(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "images" / "00000150_002.png")
    (tmp_path / "00000150_002.png").symlink_to(tmp_path / "nowhere")
    write_table(tmp_path, "00000150_002.png,Mass,1,2,3,4")

    assert images_of(tmp_path)["00000150_002.png"].path == picture


def test_a_folder_without_the_table_is_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / "00000150_002.png")

    with pytest.raises(UnknownSource, match=r"no BBox_List_2017\.csv in .*give the file"):
        images_of(tmp_path)


@pytest.mark.real_data
def test_all_984_official_rows_are_accounted_for(shared_data: Path) -> None:
    items = list(load_nih_chestxray14(shared_data / "nih_chestxray14"))

    images = [item for item in items if isinstance(item, SourceImage)]
    boxes = sum(len(reading.boxes) for image in images for reading in image.readings)
    absent = [item for item in items if isinstance(item, Skipped)]
    assert boxes + len(absent) == 984
    assert {entry.group for entry in absent} == {
        "rows of BBox_List_2017.csv name a picture that is absent"
    }
    assert {image.name for image in images if image.readings} == {
        "00000150_002.png",
        "00000211_016.png",
        "00000468_017.png",
        "00000032_037.png",
    }
    assert sum(not image.readings for image in images) == 4


def test_hidden_pictures_and_other_files_are_said_but_not_the_table(tmp_path: Path) -> None:
    write_picture(tmp_path / "00000150_002.png")
    write_picture(tmp_path / ".00000151_000.png")
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    write_table(tmp_path, "00000150_002.png,Mass,1,2,3,4")

    items = list(load_nih_chestxray14(tmp_path))

    skipped = [item for item in items if isinstance(item, Skipped)]
    assert [(one.where, one.reason) for one in skipped] == [
        (".00000151_000.png", "hidden file; rename it if it is a radiograph")
    ]
    assert [item.text for item in items if isinstance(item, Remark)] == [
        "1 other file left alone (1 .txt)"
    ]
