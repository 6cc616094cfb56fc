from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from annotations.errors import UnknownSource
from annotations.sources.csv_export import load_csv_export
from annotations.sources.listing import Skipped, SourceImage, SourceItem
from tests.annotations.sources.pictures import write_picture

HEADER = (
    "image_path,image_sha256,reader,commit_number,blinded,no_finding,"
    "finding,certainty,x_min,y_min,x_max,y_max,note"
)


def load(folder: Path, *rows: str, header: str = HEADER) -> list[SourceItem]:
    path = folder / "readings.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return list(load_csv_export(path))


def images_in(items: list[SourceItem]) -> list[SourceImage]:
    return [item for item in items if isinstance(item, SourceImage)]


def reasons_in(items: list[SourceItem]) -> list[str]:
    return [item.reason for item in items if isinstance(item, Skipped)]


def test_versions_of_a_reading_come_in_the_order_of_their_commits(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")

    (image,) = images_in(
        load(
            tmp_path,
            "a.png,,B,10,0,0,Edema,possible,1,2,3,4,'=note",
            "a.png,,B,2,1,1,No Finding,,,,,,",
            "a.png,,A,1,1,0,Edema,definite,1,2,3,4,",
            "a.png,,B,10,0,0,Fracture,,5,6,7,8,",
        )
    )

    assert [
        (one.reader, one.no_finding, one.blinded, len(one.boxes)) for one in image.readings
    ] == [
        ("A", False, True, 1),
        ("B", True, True, 0),
        ("B", False, False, 2),
    ]
    box = image.readings[2].boxes[0]
    assert (box.note, box.certainty, box.corners) == ("=note", "possible", (1.0, 2.0, 3.0, 4.0))


def test_a_table_finds_its_pictures_after_both_moved(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "here" / "a.png")
    sha256 = hashlib.sha256(picture.read_bytes()).hexdigest()
    decoy = write_picture(tmp_path / "there" / "1" / "a.png", seed=5)
    moved = tmp_path / "there" / "2" / "a.png"
    moved.parent.mkdir(parents=True)
    shutil.move(picture, moved)

    for path in (str(picture), "C:\\data\\a.png"):
        rows = load(tmp_path / "there", f"{path},{sha256},A,1,1,0,Edema,definite,1,2,3,4,")
        assert [image.path for image in images_in(rows)] == [moved]
    assert decoy != moved


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.png,,A,1,1,0,Edema,sure,1,2,3,4,", "certainty 'sure' is unknown; expected definite"),
        ("a.png,,A,x,1,0,Edema,,1,2,3,4,", "commit_number 'x' is not a whole number"),
        ("a.png,,A,1,maybe,0,Edema,,1,2,3,4,", "column 'blinded' holds 'maybe'; expected 1 or 0"),
        ("a.png,,A,1,1,0,,,1,2,3,4,", "column 'finding' is empty"),
        ("a.png,,A,1,1,1,Edema,,1,2,3,4,", "no_finding is 1 beside the finding 'Edema'"),
        ("a.png,,A,1,1,0,Edema,,1,2,3,,", "column 'y_max' holds ''; expected a number"),
        (",,A,1,1,0,Edema,,1,2,3,4,", "are empty"),
        ("b.png,,A,1,1,0,Edema,,1,2,3,4,", "picture b.png is absent"),
        ("a.png,,A,1,1,0,Edema,,1,2,3,4", "12 columns; expected 13"),
    ],
)
def test_a_bad_row_is_skipped_and_the_others_stay(tmp_path: Path, row: str, reason: str) -> None:
    write_picture(tmp_path / "a.png")

    items = load(tmp_path, row, "a.png,,A,1,1,0,Edema,definite,1,2,3,4,")

    assert len(images_in(items)) == 1
    assert len(images_in(items)[0].readings[0].boxes) == 1
    assert len(reasons_in(items)) == 1
    assert reason in reasons_in(items)[0]


def test_a_table_of_one_s_own_needs_only_the_essential_columns(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")

    (image,) = images_in(
        load(
            tmp_path,
            "a.png,A,Edema,1,2,3,4",
            header="image_path,reader,finding,x_min,y_min,x_max,y_max",
        )
    )

    assert image.readings[0].boxes[0].certainty == "definite"
    assert image.readings[0].kind == "imported"
    assert image.readings[0].blinded is True


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownSource, match="is a folder; give the CSV file"):
        list(load_csv_export(tmp_path))


def test_a_no_finding_beside_regions_is_named_and_the_regions_count(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")

    items = load(
        tmp_path, "a.png,,A,1,1,0,Edema,definite,1,2,3,4,", "a.png,,A,1,1,1,No Finding,,,,,,"
    )

    assert [(one.where, one.reason) for one in items if isinstance(one, Skipped)] == [
        ("readings.csv, row 3", "'No finding' beside 1 boxes of the same reader; the boxes count")
    ]
    (reading,) = images_in(items)[0].readings
    assert (len(reading.boxes), reading.no_finding) == (1, False)
