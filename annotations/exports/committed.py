"""The committed readings in the order in which every format writes them, and names for files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from annotations.cases import FIRST
from annotations.imaging.files import DICOM_SUFFIXES, RASTER_SUFFIXES
from annotations.records import CommittedReading, ImageRecord
from annotations.store import Store

_UNSAFE: Final = re.compile(r"[^\w.-]+")
_MAX_NAME: Final = 80


@dataclass(frozen=True, slots=True)
class ImageReadings:
    """One image with every committed version of every reader, by reader and commit number."""

    image: ImageRecord
    readings: tuple[CommittedReading, ...]

    def latest(self) -> tuple[CommittedReading, ...]:
        """The last committed version of each reader."""
        last = {reading.reader: reading for reading in self.readings}
        return tuple(last.values())


def list_readings(store: Store, occasions: Sequence[int] = (FIRST,)) -> Iterator[ImageReadings]:
    """Every image that somebody read, in the order in which the images came.

    Args:
        store: Of the workspace.
        occasions: Of ``cases.OCCASIONS``; by default neither repeats nor adjudications.
    """
    every = store.readings.committed(blinded_only=False, occasions=occasions)
    read = {reading.image_id for reading in every}
    for image in store.images.all():
        if image.image_id in read:
            readings = store.readings.of_image(image.image_id, occasions=occasions)
            in_order = sorted(
                readings,
                key=lambda one: (
                    one.reader,
                    one.occasion != FIRST,
                    one.occasion,
                    one.commit_number,
                ),
            )
            yield ImageReadings(image, tuple(in_order))


def finding_names(store: Store) -> list[str]:
    """The findings of the workspace, then those that only older readings know."""
    used = {
        region.finding: None
        for item in list_readings(store)
        for reading in item.readings
        for region in reading.regions
    }
    return list(dict.fromkeys([*store.findings(), *used]))


@dataclass(slots=True)
class Names:
    """Names for files and folders: one for each key, safe everywhere, none given twice."""

    given: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def of(self, key: str, wanted: str) -> str:
        """The name of this key, as near to ``wanted`` as can be."""
        if key not in self.given:
            stem = _UNSAFE.sub("_", wanted).strip("._")[:_MAX_NAME].strip("._") or "unnamed"
            name, number = stem, 1
            while name.casefold() in self.taken:  # some file systems ignore case
                number += 1
                name = f"{stem}-{number}"
            self.taken.add(name.casefold())
            self.given[key] = name
        return self.given[key]


def picture_stem(image: ImageRecord) -> str:
    """The picture's name without folders and image suffixes."""
    path = PurePosixPath(image.name)
    while path.suffix.lower() in RASTER_SUFFIXES | DICOM_SUFFIXES:
        path = path.with_suffix("")
    return path.name
