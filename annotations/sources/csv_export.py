"""The product's own CSV (``annotations.exports.csv``), read back without loss.

Rows of one picture, reader and commit number make one committed reading. A picture is looked for at
its path, then below the folder of the table by name and SHA-256, so that a table can travel with
its pictures. Every reading that comes in this way is marked as imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from annotations.cases import ADJUDICATION, FIRST, OCCASIONS, REPEAT
from annotations.errors import InvalidRegion, UnknownSource
from annotations.exports.cells import unescape_cell
from annotations.findings import NO_FINDING
from annotations.imaging import file_sha256
from annotations.records import CERTAINTIES, Certainty, ReaderKind
from annotations.shapes import Shape, parse_shape
from annotations.sources.boxes import contradiction, is_no_finding
from annotations.sources.listing import (
    Skipped,
    Source,
    SourceBox,
    SourceImage,
    SourceItem,
    SourceReading,
    absent_picture,
    check_exists,
    list_images,
)
from annotations.sources.tables import Row, RowError, read_table

REQUIRED: Final = ("image_path", "reader", "finding", "x_min", "y_min", "x_max", "y_max")
ORDER: Final = (FIRST, REPEAT, ADJUDICATION)
KINDS: Final[dict[str, ReaderKind]] = {
    "": "imported",
    "person": "person",
    "imported": "imported",
    "synthetic": "synthetic",
}


@dataclass(slots=True)
class ReadingRows:
    """The rows of one committed version of one reading."""

    first: Row
    kind: ReaderKind
    blinded: bool
    independent: bool
    boxes: list[SourceBox] = field(default_factory=list)
    no_finding_at: str = ""


@dataclass(slots=True)
class PictureRows:
    """The rows of one picture: readings by reader, order of occasion and commit number."""

    first: Row
    readings: dict[tuple[str, int, int], ReadingRows] = field(default_factory=dict)


def load_csv_export(source: Path) -> Iterator[SourceItem]:
    """The pictures that the table names, with every committed version of their readings.

    Raises:
        UnknownSource: If the file is no such table.
    """
    source = check_exists(source)
    if not source.is_file():
        raise UnknownSource(f"{source} is a folder; give the CSV file that 'export --as csv' wrote")
    pictures: dict[tuple[str, str], PictureRows] = {}
    for row in read_table(source, REQUIRED):
        if isinstance(row, Skipped):
            yield row
            continue
        try:
            _add_row(pictures, row)
        except RowError as error:
            yield Skipped(row.where, str(error))
    finder = PictureFinder(source.parent)
    for picture in pictures.values():
        yield from _contradictions(picture)
        yield _image(picture, finder, source.name)


def _contradictions(picture: PictureRows) -> Iterator[Skipped]:
    """The "No Finding" rows of readings that also have a region."""
    for rows in picture.readings.values():
        if rows.no_finding_at and rows.boxes:
            yield contradiction(rows.no_finding_at, len(rows.boxes))


def _add_row(pictures: dict[tuple[str, str], PictureRows], row: Row) -> None:
    path = cell(row, "image_path") or cell(row, "image_origin")
    if not path:
        raise RowError("columns 'image_path' and 'image_origin' are empty")
    kind, commit, box = _parse_kind(row), _parse_commit(row), _parse_box(row)
    blinded = _parse_flag(row, "blinded", default=True)
    picture = pictures.setdefault((path, row.text("image_sha256")), PictureRows(row))
    independent = _parse_flag(row, "independent", default=True)
    key = (cell(row, "reader"), _parse_occasion(row), commit)
    reading = picture.readings.setdefault(key, ReadingRows(row, kind, blinded, independent))
    if box is not None:
        reading.boxes.append(box)
    else:
        reading.no_finding_at = row.where


def cell(row: Row, column: str) -> str:
    """The cell's text as it was before the export, spaces included."""
    return unescape_cell(row.raw(column))


def _parse_kind(row: Row) -> ReaderKind:
    kind = row.text("reader_kind")
    if kind not in KINDS:
        raise RowError(f"reader_kind '{kind}' is unknown; expected person, imported or synthetic")
    return KINDS[kind]


def _parse_occasion(row: Row) -> int:
    """The place in ``ORDER``: a repeat can only be kept after its first reading."""
    name = row.text("occasion") or OCCASIONS[FIRST]
    names = [OCCASIONS[one] for one in ORDER]
    if name not in names:
        raise RowError(f"occasion '{name}' is unknown; expected {', '.join(names)}")
    return names.index(name)


def _parse_commit(row: Row) -> int:
    text = row.text("commit_number") or "1"
    if not text.isdecimal():
        raise RowError(f"commit_number '{text}' is not a whole number")
    return int(text)


def _parse_flag(row: Row, column: str, *, default: bool) -> bool:
    text = row.text(column).lower()
    values = {"": default, "1": True, "true": True, "0": False, "false": False}
    if text not in values:
        raise RowError(f"column '{column}' holds '{text}'; expected 1 or 0")
    return values[text]


def _parse_box(row: Row) -> SourceBox | None:
    """The region of the row; None when the row says "No Finding"."""
    finding = cell(row, "finding")
    says_nothing = _parse_flag(row, "no_finding", default=False)
    if is_no_finding(finding) or (says_nothing and not finding.strip()):
        return None
    if says_nothing:
        raise RowError(f"no_finding is 1 beside the finding '{finding}'; expected one of the two")
    if not finding.strip():
        raise RowError(f"column 'finding' is empty; expected a finding or {NO_FINDING}")
    certainty = _parse_certainty(row.text("certainty") or "definite")
    x_min, y_min, x_max, y_max = row.numbers_in(REQUIRED[3:])
    return SourceBox(
        term=finding,
        corners=(x_min, y_min, x_max, y_max),
        certainty=certainty,
        where=row.where,
        note=cell(row, "note"),
        region_id=cell(row, "region_id"),
        shape=_parse_shape(row.text("shape")),
    )


def _parse_shape(text: str) -> Shape | None:
    try:
        return parse_shape(json.loads(text)) if text else None
    except (ValueError, RecursionError):
        raise RowError(f"column 'shape' holds '{text[:80]}'; expected JSON or nothing") from None
    except InvalidRegion as error:
        raise RowError(f"column 'shape': {error}") from None


def _parse_certainty(text: str) -> Certainty:
    for certainty in CERTAINTIES:
        if text == certainty:
            return certainty
    raise RowError(f"certainty '{text}' is unknown; expected {', '.join(CERTAINTIES)}")


@dataclass(slots=True)
class PictureFinder:
    """Finds the pictures of a table that may have travelled."""

    folder: Path
    by_name: dict[str, list[Path]] | None = None

    def find(self, path_text: str, sha256: str) -> Path | None:
        """The file at this path, else one of this name and hash below the table's folder."""
        path = Path(path_text)
        path = path if path.is_absolute() else self.folder / path
        if path.is_file():
            return path
        if self.by_name is None:
            self.by_name = {}
            for entry in list_images(self.folder):
                if isinstance(entry, Path):
                    self.by_name.setdefault(entry.name, []).append(entry)
        # The path may have been written on another system.
        name = path_text.replace("\\", "/").rsplit("/", 1)[-1]
        same = self.by_name.get(name, [])
        return next((found for found in same if not sha256 or file_sha256(found) == sha256), None)


def _image(picture: PictureRows, finder: PictureFinder, table: str) -> SourceItem:
    row = picture.first
    path_text = cell(row, "image_path") or cell(row, "image_origin")
    sha256 = row.text("image_sha256").lower()
    path = finder.find(path_text, sha256)
    if path is None:
        return absent_picture(row.where, path_text, table)
    patient, study = row.text("patient"), row.text("study")
    return SourceImage(
        path=path,
        name=cell(row, "image_name") or path.name,
        where=row.where,
        patient=f"csv:{patient}" if patient else None,
        study=f"csv:{study}" if study else None,
        view=cell(row, "view"),
        readings=tuple(_readings(picture)),
        annotated_size=_size(row),
        origin=cell(row, "image_origin"),
        sha256=sha256,
    )


def _size(row: Row) -> tuple[int, int] | None:
    height, width = row.text("image_height"), row.text("image_width")
    return (int(height), int(width)) if height.isdecimal() and width.isdecimal() else None


def _readings(picture: PictureRows) -> Iterator[SourceReading]:
    for (reader, place, _), rows in sorted(picture.readings.items(), key=lambda item: item[0]):
        yield SourceReading(
            reader=reader,
            boxes=tuple(rows.boxes),
            no_finding=bool(rows.no_finding_at) and not rows.boxes,
            kind=rows.kind,
            blinded=rows.blinded,
            where=rows.first.where,
            occasion=ORDER[place],
            independent=rows.independent,
        )


SOURCE: Final = Source(
    kind="csv",
    load=load_csv_export,
    aliases={},
    description="readings that 'export --as csv' wrote, with the pictures they name",
)
