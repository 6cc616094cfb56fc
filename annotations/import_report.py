"""What an import did, as lines for a person and as a CSV with every row."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotations.exports.cells import TABLE_ENCODING, escape_cell
from annotations.exports.exporter import unfinished_file
from annotations.sources.listing import Skipped
from annotations.texts import valid_text

N_LISTED: Final = 20
COLUMNS: Final = ("what", "where", "name", "detail")


@dataclass(frozen=True, slots=True)
class ImportedPicture:
    """One picture that was read."""

    where: str
    name: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import read, kept, mapped and left out."""

    kind: str
    pictures: tuple[ImportedPicture, ...]
    skipped: tuple[Skipped, ...]
    n_readings: int  # committed versions that were new
    n_regions: int  # boxes in them
    mapped: Mapping[str, str]  # term of the source -> finding of the workspace
    unmapped: Mapping[str, int]  # term kept as an extra finding -> number of boxes
    label_source: str  # name of the image-level labels, "" without
    n_labelled: int  # pictures with such labels
    remarks: tuple[str, ...]
    is_cancelled: bool
    elapsed_s: float

    @property
    def n_read(self) -> int:
        """Pictures that could be read."""
        return len(self.pictures)

    @property
    def n_new(self) -> int:
        """Pictures that the workspace did not hold before."""
        return sum(picture.is_new for picture in self.pictures)

    @property
    def n_unchanged(self) -> int:
        """Pictures that the workspace held before, with the same content."""
        return self.n_read - self.n_new

    def lines(self) -> list[str]:
        """The report for a person; the first 20 skipped entries stand in it."""
        return [valid_text(line) for line in (*self._summary(), *self._skipped_lines())]

    def _summary(self) -> Iterator[str]:
        yield (
            f"{self.kind}: {_many(self.n_read, 'picture')} read, {self.n_new:,} new and "
            f"{self.n_unchanged:,} known before, in {self.elapsed_s:.1f} s"
        )
        if self.is_cancelled:
            yield "cancelled: what was read until then is kept; import again to go on"
        yield f"{_many(self.n_readings, 'new reading')} with {_many(self.n_regions, 'region')}"
        if self.label_source:
            yield f"labels '{self.label_source}' on {_many(self.n_labelled, 'picture')}"
        for term, finding in self.mapped.items():
            yield f"finding '{term}' is '{finding}' here"
        for term, count in self.unmapped.items():
            yield (
                f"finding '{term}' ({_many(count, 'region')}) has no counterpart here and is kept "
                "under its own name"
            )
        yield from self.remarks

    def _skipped_lines(self) -> Iterator[str]:
        groups = Counter(entry.group for entry in self.skipped if entry.group)
        for group, count in groups.items():
            yield f"{count:,} {group}"
        if self.skipped:
            first = sorted(self.skipped, key=lambda entry: entry.group != "")[:N_LISTED]
            more = "" if len(first) == len(self.skipped) else f", the first {N_LISTED} of them"
            yield f"{len(self.skipped):,} skipped{more}:"
            yield from (f"  {entry.where}: {entry.reason}" for entry in first)

    def write_csv(self, path: Path) -> None:
        """Write every picture, skipped entry, term and remark; the file is for its owner only."""
        with unfinished_file(path) as part:
            part.touch(mode=0o600)
            with part.open("w", encoding=TABLE_ENCODING, newline="") as file:
                writer = csv.writer(file, lineterminator="\r\n")
                writer.writerow(COLUMNS)
                for row in self._rows():
                    writer.writerow([escape_cell(valid_text(cell)) for cell in row])

    def _rows(self) -> Iterator[tuple[str, str, str, str]]:
        for picture in self.pictures:
            yield ("new" if picture.is_new else "unchanged", picture.where, picture.name, "")
        for entry in self.skipped:
            yield ("skipped", entry.where, "", entry.reason)
        for term, finding in self.mapped.items():
            yield ("mapped", "", term, finding)
        for term, count in self.unmapped.items():
            yield ("not mapped", "", term, str(count))
        for remark in self.remarks:
            yield ("remark", "", "", remark)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
