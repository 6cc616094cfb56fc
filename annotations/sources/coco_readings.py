"""Our own COCO export (``annotations.exports.coco``), read back without loss.

Its list ``readings`` says who marked which annotations in which version. Pictures are looked for as
those of our CSV are: at their path, then below the file's folder by name and SHA-256.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotations.records import ReaderKind
from annotations.sources.coco_annotations import (
    Entry,
    id_key,
    is_number,
    parse_annotation,
    with_attributes,
    with_outline,
)
from annotations.sources.csv_export import KINDS, PictureFinder
from annotations.sources.listing import (
    Skipped,
    SourceBox,
    SourceImage,
    SourceItem,
    SourceReading,
    absent_picture,
)
from annotations.sources.tables import RowError


@dataclass(slots=True)
class OwnFile:
    """The lists of one file of ours, and what was made of them so far."""

    path: Path
    images: Sequence[Any]
    annotations: Sequence[Any]  # of all versions
    readings: Sequence[Any]
    names: Mapping[str, str]  # of the categories, by id
    boxes: dict[str, SourceBox] = field(default_factory=dict)  # by annotation id
    said: dict[str, list[tuple[str, int, SourceReading]]] = field(default_factory=dict)

    def load(self) -> Iterator[SourceItem]:
        """The pictures with every version of every reading."""
        name = self.path.name
        for position, entry in enumerate(self.annotations, start=1):
            yield from self._keep(self._add_box, entry, f"{name}, annotation {position}")
        for position, entry in enumerate(self.readings, start=1):
            yield from self._keep(self._add_reading, entry, f"{name}, reading {position}")
        finder = PictureFinder(self.path.parent)
        for position, entry in enumerate(self.images, start=1):
            where = f"{name}, image {position}"
            try:
                yield self._image(entry, where, finder)
            except RowError as error:
                yield Skipped(where, str(error))

    def _keep(self, add: Any, entry: object, where: str) -> Iterator[Skipped]:
        try:
            if not isinstance(entry, dict):
                raise RowError("not an object; the file is not as it was exported")
            add(entry, where)
        except RowError as error:
            yield Skipped(where, str(error))

    def _add_box(self, entry: Entry, where: str) -> None:
        box = parse_annotation(entry, self.names, where)
        if box is None:
            raise RowError("an annotation of the category No Finding; expected a reading of it")
        outlined, reason = with_outline(with_attributes(box, entry), entry)
        if reason:
            raise RowError(f"its outline cannot be used: {reason}")
        self.boxes[id_key(entry.get("id"))] = outlined

    def _add_reading(self, entry: Entry, where: str) -> None:
        ids = entry.get("annotation_ids")
        if not isinstance(ids, list):
            raise RowError(f"annotation_ids {ids!r} is no list")
        boxes = tuple(self.boxes[id_key(one)] for one in ids if id_key(one) in self.boxes)
        no_finding = _flag(entry, "no_finding")
        if not boxes and not no_finding:
            raise RowError("none of its annotations can be used")
        reading = SourceReading(
            reader=_text(entry, "reader"),
            boxes=boxes,
            no_finding=no_finding and not boxes,
            kind=_kind(entry),
            blinded=_flag(entry, "blinded"),
            where=where,
        )
        said = self.said.setdefault(id_key(entry.get("image_id")), [])
        said.append((reading.reader, _whole(entry, "commit_number"), reading))

    def _image(self, entry: object, where: str, finder: PictureFinder) -> SourceItem:
        if not isinstance(entry, dict) or not isinstance(entry.get("file_name"), str):
            return Skipped(where, "no file_name; the file is not as it was exported")
        place = str(entry.get("path") or entry["file_name"])
        sha256 = str(entry.get("sha256", ""))
        if not sha256:
            # The path may lead anywhere; the hash makes sure that it is what was exported.
            return Skipped(where, "no sha256; the file is not as it was exported")
        path = finder.find(place, sha256)
        if path is None:
            return absent_picture(where, place, self.path.name)
        patient, study = str(entry.get("patient", "")), str(entry.get("study", ""))
        said = sorted(self.said.get(id_key(entry.get("id")), ()), key=lambda one: one[:2])
        return SourceImage(
            path=path,
            name=entry["file_name"] or path.name,
            where=where,
            # As the CSV has it: one patient stays one, whichever file brings the picture.
            patient=f"csv:{patient}" if patient else None,
            study=f"csv:{study}" if study else None,
            view=str(entry.get("view", "")),
            readings=tuple(reading for _, _, reading in said),
            annotated_size=(_whole(entry, "height"), _whole(entry, "width")),
            origin=str(entry.get("origin", "")),
            sha256=sha256,
        )


def _text(entry: Entry, name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise RowError(f"{name} {value!r} is no text")
    return value


def _whole(entry: Entry, name: str) -> int:
    value: Any = entry.get(name)
    if not is_number(value) or int(value) != value or value < 1:
        raise RowError(f"{name} {value!r} is no whole number from 1 up")
    return int(value)


def _flag(entry: Entry, name: str) -> bool:
    value = entry.get(name)
    if not isinstance(value, bool):
        raise RowError(f"{name} {value!r} is neither true nor false")
    return value


def _kind(entry: Entry) -> ReaderKind:
    kind = _text(entry, "reader_kind")
    if kind not in KINDS:
        raise RowError(f"reader_kind '{kind}' is unknown; expected person, imported or synthetic")
    return KINDS[kind]
