from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from annotations.exports import export_readings
from annotations.exports.voc import voc_corners
from annotations.regions import Box
from tests.annotations.exports.study import Study


def test_the_first_pixel_of_the_picture_is_1_1_to_1_1() -> None:
    assert voc_corners(Box(0, 0, 1, 1)) == {"xmin": 1, "ymin": 1, "xmax": 1, "ymax": 1}


def test_the_whole_picture_is_1_to_width_and_1_to_height() -> None:
    assert voc_corners(Box(0, 0, 32, 24)) == {"xmin": 1, "ymin": 1, "xmax": 32, "ymax": 24}


def test_a_file_holds_size_objects_reader_certainty_and_version(
    study: Study, tmp_path: Path
) -> None:
    exported = export_readings(study.store, "voc", tmp_path / "voc")

    root = ET.parse(tmp_path / "voc" / "Dr._A" / "Annotations" / "chest.xml").getroot()
    assert exported.count == 3
    assert [root.findtext(f"size/{name}") for name in ("width", "height", "depth")] == [
        "32", "24", "1",
    ]  # fmt: skip
    assert root.findtext("filename") == "chest.dcm"
    assert root.findtext("reading/reader") == "Dr. A"
    assert root.findtext("reading/version") == "2"
    found = [
        (
            one.findtext("name"),
            one.findtext("certainty"),
            [int(one.findtext(f"bndbox/{name}", "")) for name in ("xmin", "ymin", "xmax", "ymax")],
        )
        for one in root.findall("object")
    ]
    assert found == [
        ("Edema", "probable", [1, 3, 31, 24]),
        ("Lung Lesion", "probable", [2, 3, 9, 14]),
    ]


def test_a_reading_without_findings_has_a_file_without_objects(
    study: Study, tmp_path: Path
) -> None:
    export_readings(study.store, "voc", tmp_path / "voc")

    root = ET.parse(tmp_path / "voc" / "B_1" / "Annotations" / "chest.xml").getroot()
    assert root.findall("object") == []
    assert root.findtext("reading/no_finding") == "1"
