from __future__ import annotations

import json
from pathlib import Path

from annotations.exports import export_readings
from annotations.shapes import parse_shape
from tests.annotations.exports.study import ELLIPSE, POLYGON, Study


def test_each_version_is_one_line_with_boxes_shapes_reader_and_certainty(
    study: Study, tmp_path: Path
) -> None:
    exported = export_readings(study.store, "jsonl", tmp_path / "readings.jsonl")

    text = (tmp_path / "readings.jsonl").read_text(encoding="ascii")
    lines = [json.loads(line) for line in text.splitlines()]
    assert exported.count == len(lines) == 4
    assert [(one["reading"]["reader"], one["reading"]["commit_number"]) for one in lines] == [
        ("B=1", 1), ("Dr. A", 1), ("Dr. A", 2), ("Dr. A", 1),
    ]  # fmt: skip
    assert lines[0]["reading"]["no_finding"] is True
    assert lines[0]["regions"] == []
    assert lines[1]["regions"] == [
        {
            "region_id": "r1", "finding": "Edema", "certainty": "probable",
            "box": [0, 2, 31, 24], "note": "Mrs X?", "shape": None,
        }
    ]  # fmt: skip
    assert parse_shape(lines[2]["regions"][1]["shape"]) == POLYGON
    assert parse_shape(lines[3]["regions"][0]["shape"]) == ELLIPSE
    assert lines[3]["image"]["sha256"] == study.png.sha256
