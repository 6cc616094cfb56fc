"""What a radiograph's file says of itself, as the store takes it."""

from __future__ import annotations

from pathlib import Path

from annotations.imaging import Radiograph, pixel_sha256
from annotations.records import NewImage


def describe_image(path: Path, radiograph: Radiograph, *, source: str, sha256: str) -> NewImage:
    """The image under its file's name and place, of no known patient and study.

    Args:
        path: The file, absolute.
        radiograph: What it holds.
        source: Key of the table SOURCES, or another word for where it came from.
        sha256: Of the file.
    """
    height, width = radiograph.size
    return NewImage(
        path=str(path),
        origin=str(path),
        name=path.name,
        source=source,
        sha256=sha256,
        pixel_sha256=pixel_sha256(radiograph),
        height=height,
        width=width,
        bits=radiograph.bits,
        photometric=radiograph.photometric,
        modality=radiograph.modality,
        view=radiograph.view,
        spacing_mm=radiograph.spacing_mm,
        patient_hash="",
        study_hash="",
        flags=radiograph.flags,
        facts=dict(radiograph.facts),
    )
