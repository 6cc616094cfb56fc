"""VinDr-CXR: ``train.csv`` (Kaggle) or ``annotations_train.csv`` (PhysioNet), several readers.

Columns by name: image_id, class_name, x_min, y_min, x_max, y_max, and rad_id where readers are told
apart (the test set is a consensus without it). Corners in pixels of the original DICOM pictures; a
"No finding" row has empty corners.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from annotations.sources.boxes import BoxRows, gather_rows, is_no_finding, match_pictures
from annotations.sources.listing import (
    Remark,
    Source,
    SourceBox,
    SourceItem,
    check_exists,
    find_file,
    picture_key,
)
from annotations.sources.tables import Row, read_table

TABLES: Final = ("train.csv", "annotations_train.csv", "test.csv", "annotations_test.csv")
REQUIRED: Final = ("image_id", "class_name", "x_min", "y_min", "x_max", "y_max")
ALIASES: Final[Mapping[str, str]] = {
    "nodule/mass": "Lung Lesion",
    "infiltration": "Lung Opacity",
    "pleural thickening": "Pleural Other",
    "rib fracture": "Fracture",
    "clavicle fracture": "Fracture",
}


def load_vindr_cxr(source: Path) -> Iterator[SourceItem]:
    """The pictures that the table names, each with one reading per reader, then the others."""
    source = check_exists(source)
    table = find_file(source, TABLES, "the VinDr import")
    root = source if source.is_dir() else table.parent
    beside = [table.with_name(name) for name in TABLES if source.is_dir()]
    others = [other for other in beside if other != table and other.is_file()]
    for other in others:
        yield Remark(
            f"{other.name} beside {table.name} was not read; give the file itself to import it"
        )
    rows = BoxRows()
    yield from gather_rows(read_table(table, REQUIRED), _add_row, rows)
    yield from match_pictures(rows, root, [table], said=others)


def _add_row(rows: BoxRows, row: Row) -> None:
    picture = picture_key(row.required("image_id"))
    term = row.required("class_name")
    reader = row.text("rad_id")
    if is_no_finding(term):
        rows.add_no_finding(picture, reader, row.where)
        return
    x_min, y_min, x_max, y_max = row.numbers_in(REQUIRED[2:])
    box = SourceBox(term, (x_min, y_min, x_max, y_max), where=row.where)
    rows.add_box(picture, reader, box)


SOURCE: Final = Source(
    kind="vindr",
    load=load_vindr_cxr,
    aliases=ALIASES,
    description="VinDr-CXR: train.csv with the boxes of several readers, and its pictures",
)
