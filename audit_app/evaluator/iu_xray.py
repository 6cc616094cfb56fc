"""IU-Xray as the study used it: its whole table, and which of its pictures are not here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotations.errors import AnnotationError
from annotations.records import ImageRecord
from annotations.sources.iu_xray import FRONTAL, PROJECTIONS, REPORTS
from annotations.sources.iu_xray_labels import N_STUDY_REPORTS, labels_of_mesh, split_of_study
from annotations.sources.iu_xray_release import kaggle_name
from annotations.sources.listing import picture_key
from annotations.sources.tables import Row, read_table

FOLDERS_UP: Final = 4


@dataclass(frozen=True, slots=True)
class StudyPicture:
    """One picture of the study.

    Attributes:
        uid: Of the report.
        name: As the import names it: the Kaggle name without suffixes.
        part: train, validation or test.
        is_radiologist: One of the 15.
        labels: By the MeSH rule; empty when the reports' table was not given.
    """

    uid: str
    name: str
    part: str
    is_radiologist: bool
    labels: dict[str, bool]


def study_pictures(projections: Path, reports: Path | None = None) -> tuple[StudyPicture, ...]:
    """The study's picture of each report, in the order of the table.

    Args:
        projections: ``indiana_projections.csv``.
        reports: ``indiana_reports.csv``, for the labels.

    Raises:
        AnnotationError: If a table cannot be read.
    """
    chosen: dict[str, str] = {}
    for row in read_table(projections, ("uid", "filename", "projection")):
        if isinstance(row, Row) and row.text("projection") == FRONTAL:
            chosen.setdefault(row.text("uid"), picture_key(row.text("filename")))
    mesh: dict[str, str] = {}
    if reports is not None:
        rows = read_table(reports, ("uid", "MeSH"))
        mesh = {row.text("uid"): row.text("MeSH") for row in rows if isinstance(row, Row)}
    split = split_of_study(list(chosen))
    return tuple(
        StudyPicture(
            uid=uid,
            name=name,
            part=split.parts.get(uid, ""),
            is_radiologist=uid in split.radiologist,
            labels=labels_of_mesh(mesh[uid]) if uid in mesh else {},
        )
        for uid, name in chosen.items()
    )


def find_tables(images: Iterable[ImageRecord]) -> tuple[Path, Path | None] | None:
    """The projections' table beside or above the pictures, and the reports' table beside it."""
    looked_at: set[Path] = set()
    for image in images:
        for folder in list(Path(image.origin).parents)[:FOLDERS_UP]:
            if folder in looked_at:
                continue
            looked_at.add(folder)
            if (folder / PROJECTIONS).is_file():
                reports = folder / REPORTS
                return folder / PROJECTIONS, reports if reports.is_file() else None
    return None


def missing_pictures(images: Iterable[ImageRecord]) -> tuple[tuple[str, ...], str]:
    """The names of the study's pictures that are not here, and a sentence about them."""
    here = {kaggle_name(image.name): image for image in images}
    try:
        tables = find_tables(here.values())
        listed = study_pictures(tables[0]) if tables else ()
    except AnnotationError as error:
        return (), f"which of the study's pictures are missing is not known: {error}"
    if not listed:
        return (), (
            f"which of the study's {N_STUDY_REPORTS:,} pictures are missing is not known, because "
            f"{PROJECTIONS} does not lie beside the pictures"
        )
    absent = tuple(one.name for one in listed if one.name not in here)
    counts = ", ".join(
        f"{sum(one.part == part and one.name not in here for one in listed)} of "
        f"{sum(one.part == part for one in listed)} {part}"
        for part in ("train", "validation", "test")
    )
    whole = "the study's" if len(listed) == N_STUDY_REPORTS else "the table's"
    return absent, f"{len(absent):,} of {whole} {len(listed):,} pictures are missing ({counts})"
