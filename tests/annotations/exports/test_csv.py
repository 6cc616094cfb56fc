from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from annotations.cases import OCCASIONS
from annotations.exports import EXPORTERS, export_readings
from annotations.exports.cells import escape_cell, unescape_cell
from annotations.exports.csv import COLUMNS, write_csv
from annotations.findings import STUDY_FINDINGS
from annotations.importing import import_source
from annotations.records import Edit, NewImage, Region
from annotations.regions import Box
from annotations.store import Store
from annotations.store.adjudications import Verdict
from annotations.workspace import create_workspace


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "audit.sqlite", STUDY_FINDINGS) as opened:
        yield opened


def add_image(store: Store, name: str = "a.png") -> str:
    new = NewImage(
        path=f"/data/{name}", origin=f"/data/{name}", name=name, source="folder",
        sha256=f"{name:0<64}", pixel_sha256="0" * 64, height=40, width=60, bits=8,
        photometric="MONOCHROME2", modality="", view="PA", spacing_mm=None,
        patient_hash="p", study_hash="s",
    )  # fmt: skip
    return store.images.add(new)[0].image_id


def region(finding: str, *, note: str = "", region_id: str = "r1") -> Region:
    return Region(region_id, finding, "probable", Box(1, 2, 3, 4), note)


def read_back(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_the_table_of_exporters_holds_every_format() -> None:
    assert list(EXPORTERS) == ["csv", "jsonl", "coco", "yolo", "voc", "dicom-sr"]


def test_each_region_has_a_row_with_these_columns(store: Store, tmp_path: Path) -> None:
    image = add_image(store)
    regions = [region("Edema", note='a, "b"\nc'), region("Fracture", region_id="r2")]
    store.readings.import_committed(image, "Dr. A", "imported", regions, False)

    n_rows = write_csv(store, tmp_path / "out" / "readings.csv").count

    rows = read_back(tmp_path / "out" / "readings.csv")
    assert n_rows == len(rows) == 2
    assert tuple(rows[0]) == COLUMNS
    expected = {
        "image_name": "a.png", "image_path": "/data/a.png", "image_sha256": f"{'a.png':0<64}",
        "image_height": "40", "image_width": "60", "reader": "Dr. A", "reader_kind": "imported",
        "commit_number": "1", "blinded": "1", "imported": "1", "no_finding": "0",
        "region_id": "r1", "finding": "Edema", "certainty": "probable",
        "x_min": "1", "y_min": "2", "x_max": "3", "y_max": "4", "note": 'a, "b"\nc',
    }  # fmt: skip
    assert {key: rows[0][key] for key in expected} == expected


def test_a_reading_without_findings_and_later_versions_are_in_it(
    store: Store, tmp_path: Path
) -> None:
    image = add_image(store)
    edit = Edit("c", 1, image, 0, "no_finding", no_finding=True)
    drawn = store.readings.apply(edit, "Dr. B")
    store.readings.commit(image, "Dr. B", base_version=drawn.version)
    store.readings.reveal(image, "Dr. B")
    opened = store.readings.reopen(image, "Dr. B")
    undone = store.readings.apply(
        Edit("c", 2, image, opened.version, "no_finding", no_finding=False), "Dr. B"
    )
    changed = store.readings.apply(
        Edit("c", 3, image, undone.version, "put", region=region("Edema")), "Dr. B"
    )
    store.readings.commit(image, "Dr. B", base_version=changed.version)

    write_csv(store, tmp_path / "readings.csv")

    rows = read_back(tmp_path / "readings.csv")
    columns = ("commit_number", "blinded", "imported", "no_finding", "finding", "x_min")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        ("1", "1", "0", "1", "No Finding", ""),
        ("2", "0", "0", "0", "Edema", "1"),
    ]


def test_the_time_on_task_stands_beside_each_version(store: Store, tmp_path: Path) -> None:
    image = add_image(store)
    marked = region("Edema")
    store.readings.import_committed(image, "Dr. A", "imported", [marked], False)
    store.readings.apply(Edit("c", 1, image, 0, "put", region=marked, active_ms=61_500), "Dr. B")
    store.readings.commit(image, "Dr. B", base_version=1, active_ms=500)

    write_csv(store, tmp_path / "readings.csv")
    export_readings(store, "jsonl", tmp_path / "readings.jsonl")

    rows = read_back(tmp_path / "readings.csv")
    assert [(row["reader"], row["active_ms"]) for row in rows] == [
        ("Dr. A", ""),
        ("Dr. B", "62000"),
    ]
    lines = (tmp_path / "readings.jsonl").read_text(encoding="ascii").splitlines()
    assert [json.loads(one)["reading"]["active_ms"] for one in lines] == [None, 62_000]


def test_the_time_on_task_of_an_adjudication_is_exported_too(store: Store, tmp_path: Path) -> None:
    image = add_image(store)
    for reader in ("Dr. A", "Dr. B"):
        store.readings.import_committed(image, reader, "imported", [region("Edema")], False)
    begun = store.adjudications.begin(image, "Dr. C", ["Dr. A", "Dr. B"])
    for version, parent in enumerate(begun.parents):
        verdict = Verdict(
            parent.reading_id, parent.regions[0].region_id, "accept", active_ms=31_000
        )
        store.adjudications.decide(image, "Dr. C", verdict, base_version=version)
    store.adjudications.commit(image, "Dr. C", base_version=2, active_ms=700)

    write_csv(store, tmp_path / "readings.csv")
    export_readings(store, "jsonl", tmp_path / "readings.jsonl")

    rows = read_back(tmp_path / "readings.csv")
    assert {row["active_ms"] for row in rows if row["occasion"] == "adjudication"} == {"62700"}
    lines = (tmp_path / "readings.jsonl").read_text(encoding="ascii").splitlines()
    assert [json.loads(one)["reading"]["active_ms"] for one in lines] == [None, None, 62_700]


def test_unread_images_drafts_and_an_empty_store_have_no_row(store: Store, tmp_path: Path) -> None:
    image = add_image(store)
    store.readings.apply(Edit("c", 1, image, 0, "put", region=region("Edema")), "Dr. B")

    assert write_csv(store, tmp_path / "readings.csv").count == 0
    assert (tmp_path / "readings.csv").read_text("utf-8-sig") == ",".join(COLUMNS) + "\n"


def test_no_text_cell_begins_like_a_formula(store: Store, tmp_path: Path) -> None:
    image = add_image(store)
    notes = [
        "=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", " =1", '"=1"', "'=1", "\uff1d1", "plain",
        "'quoted'", "a;=1", 'a;""=1', "a; -b", "a\n=1\r\n+1", "a;'=1", "- one\n- two",
    ]  # fmt: skip
    regions = [
        region("Edema", note=note, region_id=f"r{number}") for number, note in enumerate(notes)
    ]
    store.readings.import_committed(image, "=cmd()", "imported", regions, False)

    write_csv(store, tmp_path / "readings.csv")

    rows = read_back(tmp_path / "readings.csv")
    text = (tmp_path / "readings.csv").read_text(encoding="utf-8")
    # What is seen by who splits at commas, and by who splits at semicolons, tabs and line ends.
    cells = [cell for row in rows for cell in row.values()] + re.split("[;\t\r\n]", text)
    assert [
        cell
        for cell in cells
        if cell.lstrip('" ').startswith(tuple("=+-@\uff1d\uff0b\uff0d\uff20"))
    ] == []
    assert pd.read_csv(tmp_path / "readings.csv")["note"].tolist() == [row["note"] for row in rows]
    assert rows[0]["reader"] == "'=cmd()"
    assert [unescape_cell(row["note"]) for row in rows] == notes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "'",
        "''=",
        "a=",
        "=",
        "'-",
        "''",
        "'''@x",
        "-5",
        "a;'=1",
        ";\n'\t\"=",
        "\r\n'\uff20",
        "; '-1",
    ],
)
def test_escaping_is_undone_exactly(text: str) -> None:
    assert unescape_cell(escape_cell(text)) == text


def test_numbers_are_not_escaped() -> None:
    assert escape_cell(-5) == "-5"


def test_repeats_and_adjudications_are_told_apart_and_come_back(
    store: Store, tmp_path: Path
) -> None:
    image = add_image(store)
    give = store.readings.import_committed
    give(image, "anna", "imported", [region("Edema")], False)
    give(f"{image}-2", "anna", "imported", [region("Edema")], False)
    store.readings.note_seen_reading(image, "bert")
    give(image, "bert", "imported", [region("Fracture")], False)
    begun = store.adjudications.begin(image, "cleo", ["anna", "bert"])
    for parent in begun.parents:
        reject = Verdict(parent.reading_id, "r1", "reject")
        present = store.adjudications.get(image, "cleo")
        assert present is not None
        store.adjudications.decide(image, "cleo", reject, base_version=present.reading.version)
    store.adjudications.commit(image, "cleo", base_version=2)
    out = tmp_path / "readings.csv"
    assert export_readings(store, "csv", out).remarks == ()
    rows = {(row["reader"], row["occasion"]): row for row in read_back(out)}
    assert list(rows) == [
        ("anna", "reading"), ("anna", "repeat"), ("bert", "reading"), ("cleo", "adjudication"),
    ]  # fmt: skip
    assert [row["independent"] for row in rows.values()] == ["1", "1", "0", "0"]
    first, _, second, result = rows.values()
    assert result["parents"] == f"{first['reading_id']}/1 {second['reading_id']}/1"
    voc = export_readings(store, "voc", tmp_path / "voc")
    assert "2 repeats and adjudications left out: csv and jsonl hold them" in voc.remarks


def test_occasions_come_back_from_the_table(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.new("L", (60, 40)).save(picture)
    workspace = create_workspace(tmp_path / "w", name="w")
    with Store.open(workspace) as store:
        import_source(workspace, store, tmp_path, "folder")
        image = store.images.all()[0].image_id
        store.readings.note_seen_reading(image, "bert")
        for case_id, reader in ((image, "anna"), (f"{image}-2", "anna"), (image, "bert")):
            store.readings.import_committed(case_id, reader, "imported", [region("Edema")], False)
        write_csv(store, tmp_path / "readings.csv")
    again = create_workspace(tmp_path / "again", name="again")
    with Store.open(again) as store:
        import_source(again, store, tmp_path / "readings.csv", "csv")
        kept = store.readings.committed(occasions=tuple(OCCASIONS))
        assert [(one.reader, one.occasion, one.independent) for one in kept] == [
            ("anna", 1, True),
            ("anna", 2, True),
            ("bert", 1, False),
        ]
        import_source(again, store, tmp_path / "readings.csv", "csv")
        assert len(store.readings.committed(occasions=tuple(OCCASIONS))) == 3
