"""The reading half of an import: terms to findings, corners to boxes, labels and splits."""

from __future__ import annotations

import copy
import re
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from annotations.cases import case_id_of
from annotations.errors import InvalidRegion, StoreError, UnknownFinding
from annotations.findings import resolve_finding
from annotations.records import ImageRecord, Region
from annotations.regions import parse_box, shape_box
from annotations.sources.listing import Skipped, Source, SourceBox, SourceImage, SourceReading
from annotations.store import Store
from annotations.store.labels import Split
from annotations.texts import is_valid_text

_NAMESPACE: Final = uuid.UUID("5c2f0b5e-8f0e-5d0a-9f57-0d6f1f6b7a11")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_TERM: Final = 100
_COUNTED: Final = ("n_readings", "n_regions", "n_labelled", "has_changed", "mapped", "unmapped")
_SPLITS: Final[dict[str, Split]] = {
    "train": "train",
    "validation": "validation",
    "test": "test",
}


class ReadingWriter:
    """Writes what a source says about stored pictures, and counts it."""

    def __init__(self, store: Store, findings: Sequence[str], source: Source, reader: str) -> None:
        self._store = store
        self._findings = findings
        self._source = source
        self._reader = reader
        self.n_readings = 0
        self.n_regions = 0
        self.n_labelled = 0
        self.has_changed = False
        self.mapped: dict[str, str] = {}
        self.unmapped: Counter[str] = Counter()
        self._unknown_labels: Counter[str] = Counter()
        label_source = source.label_source
        self._labels = store.labels.all(label_source) if label_source else {}
        self._splits: dict[str, dict[str, Split]] = {}

    def counts(self) -> dict[str, object]:
        """What was counted so far, for ``set_back``."""
        return {name: copy.copy(getattr(self, name)) for name in _COUNTED}

    def set_back(self, counts: Mapping[str, object]) -> None:
        """Forget what was counted since: its transaction was taken back."""
        for name, value in counts.items():
            setattr(self, name, value)

    def write(self, item: SourceImage, image: ImageRecord) -> Iterator[Skipped]:
        """Keep labels, split and readings of the picture; gives what could not be kept."""
        self._write_labels(item, image)
        if not item.readings:
            return
        if item.annotated_size not in (None, image.size):
            yield Skipped(item.where, _size_reason(item, image))
            return
        kept: set[tuple[str, object]] = set()
        for reading in item.readings:
            reader = reading.reader.strip() or self._reader
            regions: list[Region] = []
            for entry in self._regions(reading, image, reader):
                if isinstance(entry, Skipped):
                    yield entry
                else:
                    regions.append(entry)
            if not regions and not reading.no_finding:
                continue
            statement = (f"{reading.occasion} {reader}", _content(regions))
            if statement in kept:
                yield Skipped(reading.where, _repeated_reason(reader))
                continue
            kept.add(statement)
            yield from self._keep(image, replace(reading, reader=reader), regions)

    def _keep(
        self, image: ImageRecord, reading: SourceReading, regions: list[Region]
    ) -> Iterator[Skipped]:
        try:
            if not reading.independent:
                self._store.readings.note_seen_reading(image.image_id, reading.reader)
            is_new = self._store.readings.import_committed(
                case_id_of(image.image_id, reading.occasion),
                reading.reader,
                reading.kind,
                regions,
                not regions,
                blinded=reading.blinded,
            )
        except (StoreError, InvalidRegion, UnknownFinding) as error:
            yield Skipped(reading.where, f"reading of '{reading.reader}' not kept: {error}")
            return
        if is_new:
            self.has_changed = True
            self.n_readings += 1
            self.n_regions += len(regions)

    def _regions(
        self, reading: SourceReading, image: ImageRecord, reader: str
    ) -> Iterator[Region | Skipped]:
        ids: set[str] = set()
        for position, box in enumerate(reading.boxes):
            try:
                region = self._region(box, image)
            except InvalidRegion as error:
                yield Skipped(box.where or reading.where, str(error))
                continue
            if not region.region_id or region.region_id in ids:
                made = uuid.uuid5(_NAMESPACE, f"{image.sha256}|{reader}|{position}|{region.box}")
                region = replace(region, region_id=str(made))
            ids.add(region.region_id)
            yield region

    def _region(self, box: SourceBox, image: ImageRecord) -> Region:
        shape = None if box.shape is None or box.shape.is_rectangle else box.shape
        size = image.size
        place = parse_box(box.corners, size) if shape is None else shape_box(shape, size)
        finding = self._finding(box.term)
        region_id = box.region_id if _ID.fullmatch(box.region_id) else ""
        return Region(region_id, finding, box.certainty, place, box.note, shape)

    def _finding(self, term: str) -> str:
        """The finding for a term of the source; an extra one where the workspace has none."""
        name = " ".join(term.split())
        if not name or len(name) > _MAX_TERM:
            raise InvalidRegion(
                f"finding '{name[:_MAX_TERM]}' has no or more than {_MAX_TERM} letters"
            )
        if not is_valid_text(name):
            raise InvalidRegion(f"finding {name!r} is no valid UTF-8; save the file as UTF-8")
        known = resolve_finding(name, self._findings, self._source.aliases)
        if known is not None:
            self.mapped[name] = known
            return known
        self.unmapped[name] += 1
        return self._store.add_finding(name)

    def _write_labels(self, item: SourceImage, image: ImageRecord) -> None:
        source = self._source.label_source
        if item.labels and source:
            self.n_labelled += 1
            labels = self._known_labels(item)
            if labels and self._labels.get(image.image_id) != labels:
                self._store.labels.set(image.image_id, source, labels)
                self._labels[image.image_id] = labels
                self.has_changed = True
        if item.split and source:
            self._write_split(image, source, item.split)
        if item.subset:
            # A named selection is kept as a split of its own that holds only its pictures.
            self._write_split(image, item.subset, item.split or "test")

    def _known_labels(self, item: SourceImage) -> dict[str, bool]:
        labels: dict[str, bool] = {}
        for term, value in item.labels.items():
            finding = resolve_finding(term, self._findings)
            if finding is None:
                self._unknown_labels[term] += 1
            else:
                labels[finding] = value
        return labels

    def _write_split(self, image: ImageRecord, source: str, part: str) -> None:
        known = self._splits.setdefault(source, self._store.labels.splits(source))
        if known.get(image.image_id) != part:
            self._store.labels.set_split(image.image_id, source, _SPLITS[part])
            known[image.image_id] = _SPLITS[part]
            self.has_changed = True

    def remarks(self) -> Iterator[str]:
        """One sentence for labels that the workspace has no finding for."""
        if self._unknown_labels:
            names = ", ".join(self._unknown_labels)
            yield f"labels left out because the workspace has no such finding: {names}"


def _content(regions: Sequence[Region]) -> frozenset[tuple[object, ...]]:
    counts = Counter((one.finding, one.certainty, one.outline, one.note) for one in regions)
    return frozenset((*content, count) for content, count in counts.items())


def _repeated_reason(reader: str) -> str:
    return f"this version of '{reader}' says the same as an earlier one; it is kept once"


def _size_reason(item: SourceImage, image: ImageRecord) -> str:
    height, width = item.annotated_size or (0, 0)
    return (
        f"boxes were drawn on {width} x {height} pixels (width x height), the picture has "
        f"{image.width} x {image.height}; it is imported without boxes: give the original picture"
    )
