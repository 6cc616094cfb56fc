"""Any radiograph file: which reader it needs, and what its bytes hash to."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from annotations.errors import UnreadableImage
from annotations.imaging.dicom import is_dicom, load_dicom
from annotations.imaging.radiograph import Radiograph
from annotations.imaging.raster import load_raster

RASTER_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
DICOM_SUFFIXES: Final = frozenset({".dcm", ".dicom", ".ima"})
CHUNK_BYTES: Final = 1 << 20


def load_radiograph(path: Path) -> Radiograph:
    """The radiograph in this file, decoded in this process.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableImage: With the reason, if it is no radiograph that can be read.
    """
    if path.stat().st_size == 0:
        raise UnreadableImage("the file is empty")
    if is_dicom(path) or path.suffix.lower() in DICOM_SUFFIXES:
        return load_dicom(path)
    return load_raster(path)


def is_image_file(path: Path) -> bool:
    """Whether the file may hold a radiograph, by its suffix, or by DICOM's magic word without one."""
    suffix = path.suffix.lower()
    if suffix in RASTER_SUFFIXES | DICOM_SUFFIXES:
        return True
    return suffix == "" and path.is_file() and is_dicom(path)


def file_sha256(path: Path) -> str:
    """SHA-256 of the file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
