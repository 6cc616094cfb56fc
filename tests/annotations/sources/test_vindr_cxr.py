from __future__ import annotations

from pathlib import Path

import pytest

from annotations.errors import UnknownSource
from annotations.sources.listing import Remark, Skipped, SourceImage, SourceItem
from annotations.sources.vindr_cxr import load_vindr_cxr
from tests.annotations.sources.pictures import write_dicom, write_picture

HEADER = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max"


def load(
    folder: Path, *rows: str, header: str = HEADER, name: str = "train.csv"
) -> list[SourceItem]:
    (folder / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return list(load_vindr_cxr(folder))


def only_image(items: list[SourceItem]) -> SourceImage:
    (image,) = [item for item in items if isinstance(item, SourceImage)]
    return image


def test_each_reader_has_an_own_reading(tmp_path: Path) -> None:
    write_dicom(tmp_path / "train" / "50a4.dicom")

    image = only_image(
        load(
            tmp_path,
            "50a4,Aortic enlargement,0,R10,1,2,30.5,40",
            "50a4,Nodule/Mass,8,R9,3,4,5,6",
            "50a4,Cardiomegaly,3,R10,7,8,9,10",
            "50a4,No finding,14,R8,,,,",
        )
    )

    said = {one.reader: ([box.term for box in one.boxes], one.no_finding) for one in image.readings}
    assert said == {
        "R10": (["Aortic enlargement", "Cardiomegaly"], False),
        "R9": (["Nodule/Mass"], False),
        "R8": ([], True),
    }
    assert image.readings[0].boxes[0].corners == (1.0, 2.0, 30.5, 40.0)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_pictures_may_have_been_converted(tmp_path: Path, suffix: str) -> None:
    write_picture(tmp_path / f"50a4{suffix}")

    assert only_image(load(tmp_path, "50a4,No finding,14,R8,,,,")).name == f"50a4{suffix}"


def test_the_layout_of_the_other_release_is_read_by_column_names(tmp_path: Path) -> None:
    write_picture(tmp_path / "50a4.png")

    image = only_image(
        load(
            tmp_path,
            "50a4,R3,ILD,1,2,3,4",
            header="image_id,rad_id,class_name,x_min,y_min,x_max,y_max",
            name="annotations_train.csv",
        )
    )

    assert image.readings[0].reader == "R3"


def test_the_training_table_comes_first_and_the_other_one_is_said(tmp_path: Path) -> None:
    write_picture(tmp_path / "50a4.png")
    (tmp_path / "annotations_test.csv").write_text("image_id\n", encoding="utf-8")

    items = load(tmp_path, "50a4,ILD,5,R3,1,2,3,4", name="annotations_train.csv")

    assert only_image(items).readings[0].boxes[0].where == "annotations_train.csv, row 2"
    assert [item.text for item in items if isinstance(item, Remark)] == [
        "annotations_test.csv beside annotations_train.csv was not read; "
        "give the file itself to import it"
    ]


def test_no_finding_beside_a_box_of_the_same_reader_is_said(tmp_path: Path) -> None:
    write_picture(tmp_path / "50a4.png")

    items = load(tmp_path, "50a4,Edema,1,R3,1,2,3,4", "50a4,No finding,14,R3,,,,")

    assert [(item.where, item.reason) for item in items if isinstance(item, Skipped)] == [
        ("train.csv, row 3", "'No finding' beside 1 boxes of the same reader; the boxes count")
    ]
    assert only_image(items).readings[0].no_finding is False


def test_a_box_without_corners_and_an_absent_picture_are_skipped(tmp_path: Path) -> None:
    write_picture(tmp_path / "50a4.png")

    items = load(
        tmp_path, "50a4,Edema,1,R3,,,,", "gone,Edema,1,R3,1,2,3,4", "50a4,Edema,1,R3,1,2,3,4"
    )

    reasons = {item.where: item.reason for item in items if isinstance(item, Skipped)}
    assert reasons["train.csv, row 2"] == "column 'x_min' holds ''; expected a number"
    assert reasons["train.csv, row 3"].startswith("picture gone is absent")
    assert len(only_image(items).readings[0].boxes) == 1


def test_a_table_without_class_names_is_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / "50a4.png")

    with pytest.raises(UnknownSource, match=r"train\.csv has no column class_name"):
        load(tmp_path, "50a4,1,2,3,4", header="image_id,x_min,y_min,x_max,y_max")


def test_a_hidden_picture_is_said(tmp_path: Path) -> None:
    write_picture(tmp_path / "50a4.png")
    write_picture(tmp_path / ".50a5.png")

    items = load(tmp_path, "50a4,ILD,5,R3,1,2,3,4")

    assert [item.where for item in items if isinstance(item, Skipped)] == [".50a5.png"]
