"""NIH ChestX-ray14: ``BBox_List_2017.csv`` and the pictures anywhere below its folder.

The header ``Image Index,Finding Label,Bbox [x,y,w,h],,,`` is not one cell per column, so the
columns go by position. Boxes are top-left corner and size in pixels of the 1024 x 1024 pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from annotations.sources.boxes import (
    BoxRows,
    corners_of,
    gather_rows,
    is_no_finding,
    match_pictures,
)
from annotations.sources.listing import (
    Source,
    SourceBox,
    SourceItem,
    check_exists,
    find_file,
    picture_key,
)
from annotations.sources.tables import Row, read_table

TABLE: Final = "BBox_List_2017.csv"
COLUMNS: Final = ("Image Index", "Finding Label", "x", "y", "w", "h")
ALIASES: Final[Mapping[str, str]] = {
    "effusion": "Pleural Effusion",
    "infiltrate": "Lung Opacity",
    "infiltration": "Lung Opacity",
    "mass": "Lung Lesion",
    "nodule": "Lung Lesion",
    "pleural thickening": "Pleural Other",
}
# Patients are numbered up to 30805; a date in a hospital's own file names must not become one.
_NAME: Final = re.compile(r"(000[0-3]\d{4})_\d{3}(?!\d)")


def load_nih_chestxray14(source: Path) -> Iterator[SourceItem]:
    """The pictures with their boxes, first those of the table, then those without a box."""
    source = check_exists(source)
    table = find_file(source, (TABLE,), "the NIH import")
    root = source if source.is_dir() else table.parent
    rows = BoxRows()
    yield from gather_rows(read_table(table, COLUMNS[:2], columns=COLUMNS), _add_row, rows)
    yield from match_pictures(rows, root, [table], nih_patient)


def _add_row(rows: BoxRows, row: Row) -> None:
    picture = picture_key(row.required("Image Index"))
    term = row.required("Finding Label")
    if is_no_finding(term):
        rows.add_no_finding(picture, "", row.where)
        return
    corners = corners_of(row.numbers_in(COLUMNS[2:]))
    rows.add_box(picture, "", SourceBox(term, corners, where=row.where))


def nih_patient(name: str) -> str | None:
    """The patient in a file name of this data set (``00013118_008.png``), or None.

    Copies of its pictures are in many collections; without this, the pictures of one patient would
    count as different patients there.
    """
    found = _NAME.match(Path(name).name)
    return f"nih:{found.group(1)}" if found else None


SOURCE: Final = Source(
    kind="nih",
    load=load_nih_chestxray14,
    aliases=ALIASES,
    description="NIH ChestX-ray14: BBox_List_2017.csv and its pictures",
)
