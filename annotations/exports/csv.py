"""The product's own table of committed readings; the data source ``csv`` reads it back.

UTF-8, RFC 4180 (CRLF, quoted where needed), one row per region; a reading without regions has one
row with ``no_finding`` 1. Every committed version of every reading is in it, in order. A text cell
that a spreadsheet would take for a formula (it begins with ``= + - @``, tab or return) has an
apostrophe in front, which the import takes away again.

=================  =============================================================================
column             content
=================  =============================================================================
image_name         what the worklist shows
image_path         where the pixels are read from
image_origin       where the picture was imported from (another path when it was copied in)
image_sha256       of the file; the import refuses a file that has changed
image_height       in pixels
image_width        in pixels
view               PA, AP, LATERAL, Frontal ... or empty
patient, study     keyed hashes; equal where the patient or study is the same
reader             name
reader_kind        person, imported or synthetic
reading_id         of the reading
commit_number      1 for the first committed version
committed_at       UTC
blinded            1 when no heatmap of the picture had been seen before this commit
imported           1 when the reading came from an import
no_finding         1 when the reader says that nothing is to be seen
region_id          of the region, or empty
finding            of the region; "No Finding" in the row of a reading without regions
certainty          definite, probable or possible
x_min ... y_max    integers, original pixels, half-open
note               free text of the region
=================  =============================================================================
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from annotations.exports.cells import escape_cell
from annotations.findings import NO_FINDING
from annotations.records import CommittedReading, ImageRecord, Region
from annotations.store import Store

COLUMNS: Final = (
    "image_name",
    "image_path",
    "image_origin",
    "image_sha256",
    "image_height",
    "image_width",
    "view",
    "patient",
    "study",
    "reader",
    "reader_kind",
    "reading_id",
    "commit_number",
    "committed_at",
    "blinded",
    "imported",
    "no_finding",
    "region_id",
    "finding",
    "certainty",
    "x_min",
    "y_min",
    "x_max",
    "y_max",
    "note",
)


def write_csv(store: Store, path: Path) -> int:
    """Write all committed readings to ``path`` and return the number of rows (without the header).

    The file appears under its name only when it is complete.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    n_rows = 0
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for row in list_rows(store):
            writer.writerow([escape_cell(value) for value in row])
            n_rows += 1
    unfinished.replace(path)
    return n_rows


def list_rows(store: Store) -> Iterator[tuple[str | int, ...]]:
    """The rows in the order of ``COLUMNS``: by image, reader and commit, numbers as numbers."""
    read = {reading.image_id for reading in store.readings.committed(blinded_only=False)}
    for image in store.images.all():
        if image.image_id in read:
            readings = store.readings.of_image(image.image_id)
            for reading in sorted(readings, key=lambda one: (one.reader, one.commit_number)):
                yield from _rows_of_reading(image, reading)


def _rows_of_reading(
    image: ImageRecord, reading: CommittedReading
) -> Iterator[tuple[str | int, ...]]:
    shared = (
        image.name,
        image.path,
        image.origin,
        image.sha256,
        image.height,
        image.width,
        image.view,
        image.patient_hash,
        image.study_hash,
        reading.reader,
        reading.reader_kind,
        reading.reading_id,
        reading.commit_number,
        reading.committed_at,
        int(reading.blinded),
        int(reading.imported),
        int(reading.no_finding),
    )
    if not reading.regions:
        yield (*shared, "", NO_FINDING if reading.no_finding else "", "", "", "", "", "", "")
    for region in reading.regions:
        yield (*shared, *_cells_of_region(region))


def _cells_of_region(region: Region) -> tuple[str | int, ...]:
    return (
        region.region_id,
        region.finding,
        region.certainty,
        *region.box.corners,
        region.note,
    )
