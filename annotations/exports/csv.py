"""The product's own table of committed readings; the data source ``csv`` reads it back.

UTF-8, RFC 4180 (CRLF, quoted where needed), one row per region; a reading without regions has one
row with ``no_finding`` 1. Every committed version of every reading is in it, in order. Text that
a spreadsheet would take for a formula (``= + - @``, tab or line end at its start; the signs also
behind a semicolon, tab or line end) has an apostrophe in front, which the import takes away again.

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
shape              JSON of the polygon or ellipse that a source drew inside the box, or empty
occasion           reading; repeat (a second reading by the same reader); adjudication
independent        1 when the reader had seen no other reading of the picture before this commit
parents            of an adjudication: reading_id/commit_number of each reading it was made from
active_ms          time on task: milliseconds at work on the case until this commit, without pauses;
                   empty where it was not measured, and not read back by an import
=================  =============================================================================
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from annotations.cases import OCCASIONS
from annotations.exports.cells import TABLE_ENCODING, escape_cell
from annotations.exports.committed import list_readings
from annotations.exports.exporter import Exported, Exporter, unfinished_file
from annotations.findings import NO_FINDING
from annotations.records import CommittedReading, ImageRecord, Region
from annotations.shapes import shape_value
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
    "shape",
    "occasion",
    "independent",
    "parents",
    "active_ms",
)


def write_csv(store: Store, path: Path) -> Exported:
    """Write all committed readings to ``path``, one row per region, below a header."""
    n_rows = 0
    with unfinished_file(path) as unfinished, _opened(unfinished) as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for row in list_rows(store):
            writer.writerow([escape_cell(value) for value in row])
            n_rows += 1
    return Exported(n_rows, "rows")


def _opened(path: Path) -> TextIO:
    return path.open("w", encoding=TABLE_ENCODING, newline="")


def list_rows(store: Store) -> Iterator[tuple[str | int, ...]]:
    """The rows in the order of ``COLUMNS``: by image, reader and commit, numbers as numbers."""
    for item in list_readings(store, tuple(OCCASIONS)):
        for reading in item.readings:
            circumstances = _cells_of_circumstances(store, reading)
            for row in _rows_of_reading(item.image, reading):
                yield (*row, *circumstances)


def _cells_of_circumstances(store: Store, reading: CommittedReading) -> tuple[str | int, ...]:
    parents = store.adjudications.parents_of(reading.reading_id)
    links = " ".join(f"{parent.reading_id}/{parent.commit_number}" for parent in parents)
    active_ms = store.readings.time_on_task(reading.reading_id).get(reading.commit_number, "")
    return (OCCASIONS[reading.occasion], int(reading.independent), links, active_ms)


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
        yield (*shared, "", NO_FINDING if reading.no_finding else "", "", "", "", "", "", "", "")
    for region in reading.regions:
        yield (*shared, *_cells_of_region(region))


def _cells_of_region(region: Region) -> tuple[str | int, ...]:
    return (
        region.region_id,
        region.finding,
        region.certainty,
        *region.box.corners,
        region.note,
        ""
        if region.shape is None
        else json.dumps(shape_value(region.shape), separators=(",", ":")),
    )


EXPORTER: Final = Exporter(
    kind="csv",
    write=write_csv,
    description="every version of every reading, one row per region; can be imported again",
    suffix=".csv",
)
