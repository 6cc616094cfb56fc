"""A small workspace with readings of every form: boxes, outlines, versions, No Finding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from annotations.importing import import_source
from annotations.records import Edit, ImageRecord, Region
from annotations.regions import Box, shape_box
from annotations.shapes import Shape
from annotations.store import Store
from annotations.workspace import Workspace, create_workspace
from tests.annotations.sources.pictures import write_dicom, write_picture

POLYGON = Shape("polygon", (((1.25, 2), (9, 2.5), (9, 8)), ((3, 10), (6, 10), (6, 14), (3, 13))))
ELLIPSE = Shape("ellipse", (((7, 13), (7, 7), (2, 10), (12, 10)),))


@dataclass(frozen=True)
class Study:
    """The workspace, its store and its two pictures."""

    workspace: Workspace
    store: Store
    dicom: ImageRecord
    png: ImageRecord


def region(
    region_id: str = "r1",
    finding: str = "Edema",
    *,
    corners: tuple[int, int, int, int] = (0, 2, 31, 24),
    shape: Shape | None = None,
    note: str = "",
) -> Region:
    """One region; its box is that of the shape where there is one (on a picture of 24 x 32)."""
    box = Box(*corners) if shape is None else shape_box(shape, (24, 32))
    return Region(region_id, finding, "probable", box, note, shape)


def build_study(folder: Path) -> Study:
    """A DICOM and a PNG picture, read by two readers.

    Reader ``Dr. A`` marked the DICOM picture, saw a heatmap and corrected it; ``B=1`` said No
    Finding to it. ``Dr. A`` marked the PNG picture, with outlines.
    """
    write_dicom(folder / "source" / "chest.dcm")
    write_picture(folder / "source" / "film.png", size=(24, 32))
    workspace = create_workspace(folder / "ward", name="ward")
    store = Store.open(workspace)
    import_source(workspace, store, folder / "source", "folder")
    by_name = {image.name: image for image in store.images.all()}
    study = Study(workspace, store, by_name["chest.dcm"], by_name["film.png"])
    _read(study)
    return study


def _read(study: Study) -> None:
    readings, dicom = study.store.readings, study.dicom.image_id
    drawn = readings.apply(Edit("c", 1, dicom, 0, "put", region=region(note="Mrs X?")), "Dr. A")
    readings.commit(dicom, "Dr. A", base_version=drawn.version)
    readings.reveal(dicom, "Dr. A")
    opened = readings.reopen(dicom, "Dr. A")
    second = region("r2", "Lung Lesion", shape=POLYGON)
    drawn = readings.apply(Edit("c", 2, dicom, opened.version, "put", region=second), "Dr. A")
    readings.commit(dicom, "Dr. A", base_version=drawn.version)
    readings.import_committed(dicom, "B=1", "imported", [], True)
    marks = [region("r3", "Pneumothorax", shape=ELLIPSE), region("r4", "Mira's own finding")]
    study.store.add_finding("Mira's own finding")
    readings.import_committed(study.png.image_id, "Dr. A", "imported", marks, False)


def content(store: Store) -> list[tuple[object, ...]]:
    """All that an export must bring back: who said what, in which version, on which picture."""
    return [
        (
            image.sha256, image.name, image.view, image.size, one.reader, one.commit_number,
            one.blinded, one.no_finding, one.regions, one.content_sha256,
        )
        for image in store.images.all()
        for one in sorted(
            store.readings.of_image(image.image_id), key=lambda one: (one.reader, one.commit_number)
        )
    ]  # fmt: skip
