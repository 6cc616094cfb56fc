from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from annotations.errors import ExportRefused
from annotations.exports import export_readings
from annotations.exports.yolo import yolo_numbers
from annotations.regions import Box
from tests.annotations.exports.study import Study


def test_a_box_by_hand() -> None:
    # 40 wide, 20 high; box over columns 10-29 and rows 5-9.
    assert yolo_numbers(Box(10, 5, 30, 10), (20, 40)) == (0.5, 0.375, 0.5, 0.25)


def test_the_corners_come_back_from_the_printed_numbers_on_any_picture() -> None:
    rng = random.Random(5)
    for _ in range(2000):
        height, width = rng.randint(16, 9000), rng.randint(16, 9000)
        x_min, y_min = rng.randrange(width), rng.randrange(height)
        box = Box(x_min, y_min, rng.randint(x_min + 1, width), rng.randint(y_min + 1, height))
        x, y, w, h = (float(f"{one:.10f}") for one in yolo_numbers(box, (height, width)))
        corners = ((x - w / 2) * width, (y - h / 2) * height,
                   (x + w / 2) * width, (y + h / 2) * height)  # fmt: skip
        assert tuple(round(one) for one in corners) == box.corners


def test_each_reader_has_label_files_classes_and_a_table_of_the_rest(
    study: Study, tmp_path: Path
) -> None:
    exported = export_readings(study.store, "yolo", tmp_path / "yolo")

    files = sorted(path.relative_to(tmp_path / "yolo").as_posix()
                   for path in (tmp_path / "yolo").rglob("*") if path.is_file())  # fmt: skip
    assert files == [
        "B_1/labels/chest.txt", "Dr._A/labels/chest.txt", "Dr._A/labels/film.txt",
        "data.yaml", "regions.csv",
    ]  # fmt: skip
    assert exported.count == 3
    assert (tmp_path / "yolo" / "B_1" / "labels" / "chest.txt").read_text() == ""
    classes = (tmp_path / "yolo" / "data.yaml").read_text(encoding="utf-8").splitlines()
    names = dict(line.strip().split(": ", 1) for line in classes[2:])
    assert classes[0] == f"nc: {len(names)}"
    assert names["13"] == '"Mira\'s own finding"'
    assert '"No Finding"' not in names.values()
    lines = (tmp_path / "yolo" / "Dr._A" / "labels" / "chest.txt").read_text().splitlines()
    assert [names[line.split()[0]] for line in lines] == ['"Edema"', '"Lung Lesion"']
    # Edema: columns 0-30 of 32, rows 2-23 of 24.
    assert lines[0].split()[1:] == ["0.4843750000", "0.5416666667", "0.9687500000", "0.9166666667"]
    assert exported.remarks == (
        "1 earlier version left out: this format holds the last one of each reader; csv, jsonl and "
        "coco hold all",
        "2 outlines written as boxes; csv, jsonl and coco hold the outlines",
    )


def test_the_table_tells_reader_certainty_and_version_of_each_line(
    study: Study, tmp_path: Path
) -> None:
    export_readings(study.store, "yolo", tmp_path / "yolo")

    with (tmp_path / "yolo" / "regions.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    said = [
        (row["file"], row["position"], row["reader"], row["commit_number"], row["certainty"])
        for row in rows
    ]
    assert said == [
        ("B_1/labels/chest.txt", "0", "B=1", "1", ""),
        ("Dr._A/labels/chest.txt", "1", "Dr. A", "2", "probable"),
        ("Dr._A/labels/chest.txt", "2", "Dr. A", "2", "probable"),
        ("Dr._A/labels/film.txt", "1", "Dr. A", "1", "probable"),
        ("Dr._A/labels/film.txt", "2", "Dr. A", "1", "probable"),
    ]
    assert rows[0]["no_finding"] == "1"


@pytest.mark.parametrize("kind", ["yolo", "voc", "dicom-sr"])
def test_a_folder_with_something_in_it_is_left_alone(
    study: Study, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "mine.txt").write_text("keep", encoding="utf-8")

    with pytest.raises(ExportRefused, match="is there already; give a new or an empty folder"):
        export_readings(study.store, kind, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
