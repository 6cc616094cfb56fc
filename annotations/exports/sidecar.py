"""A table beside the files of formats that have no place for reader, certainty and version."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from annotations.exports.cells import TABLE_ENCODING, escape_cell
from annotations.exports.committed import ImageReadings, Names, list_readings, picture_stem
from annotations.records import CommittedReading, ImageRecord, Region
from annotations.store import Store

SIDECAR: Final = "regions.csv"
COLUMNS: Final = (
    "file", "position", "image_name", "image_path", "image_sha256", "reader", "reader_kind",
    "reading_id", "commit_number", "committed_at", "blinded", "imported", "no_finding", "region_id",
    "finding", "certainty",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlacedReading:
    """The last version of one reader on one image, and which file it goes to."""

    image: ImageRecord
    reading: CommittedReading
    path: PurePosixPath  # below the export's folder


@dataclass(slots=True)
class Sidecar:
    """Rows that say who marked what, by file and position in it (from 1; 0 for No Finding)."""

    rows: list[tuple[str | int, ...]] = field(default_factory=list)

    def add(self, placed: PlacedReading) -> None:
        """Keep one row per region, or one for a reading without any."""
        if not placed.reading.regions:
            self.rows.append(_row(placed, 0, None))
        for position, region in enumerate(placed.reading.regions, start=1):
            self.rows.append(_row(placed, position, region))

    def write(self, folder: Path) -> None:
        """Write the table into the export's folder."""
        with (folder / SIDECAR).open("w", encoding=TABLE_ENCODING, newline="") as file:
            writer = csv.writer(file, lineterminator="\r\n")
            writer.writerow(COLUMNS)
            writer.writerows([escape_cell(cell) for cell in row] for row in self.rows)


def place_latest(store: Store, subfolder: str, suffix: str) -> Iterator[PlacedReading]:
    """The last committed version of each reader on each image, in ``READER/subfolder/PICTURE``.

    These formats hold one statement per picture, so every reader has a folder. A name that several
    pictures share is numbered.
    """
    readers, stems = Names(), Names()
    for item in list_readings(store):
        stem = stems.of(item.image.image_id, picture_stem(item.image))
        for reading in item.latest():
            folder = PurePosixPath(readers.of(reading.reader, reading.reader), subfolder)
            yield PlacedReading(item.image, reading, folder / f"{stem}{suffix}")


def superseded(store: Store) -> tuple[str, ...]:
    """A sentence when there are earlier versions, which these formats leave out."""
    n_earlier = sum(_count_earlier(item) for item in list_readings(store))
    if not n_earlier:
        return ()
    versions = "version" if n_earlier == 1 else "versions"
    return (
        f"{n_earlier} earlier {versions} left out: this format holds the last one of each reader; "
        "csv, jsonl and coco hold all",
    )


def outlines_left_out(n_outlines: int) -> tuple[str, ...]:
    """A sentence when some regions have an outline, of which these formats hold the box."""
    if not n_outlines:
        return ()
    return (f"{n_outlines} outlines written as boxes; csv, jsonl and coco hold the outlines",)


def _count_earlier(item: ImageReadings) -> int:
    return len(item.readings) - len(item.latest())


def _row(placed: PlacedReading, position: int, region: Region | None) -> tuple[str | int, ...]:
    image, reading = placed.image, placed.reading
    marked = (
        ("", "", "") if region is None else (region.region_id, region.finding, region.certainty)
    )
    return (
        str(placed.path),
        position,
        image.name,
        image.path,
        image.sha256,
        reading.reader,
        reading.reader_kind,
        reading.reading_id,
        reading.commit_number,
        reading.committed_at,
        int(reading.blinded),
        int(reading.imported),
        int(reading.no_finding),
        *marked,
    )
