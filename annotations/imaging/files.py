"""Any radiograph file: which reader it needs, and what its bytes hash to."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from annotations.errors import UnreadableImage
from annotations.imaging.magic import is_dicom
from annotations.imaging.radiograph import Radiograph
from annotations.imaging.raster import load_shrunk_raster
from annotations.imaging.shrinking import Shrunk, Size

RASTER_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
DICOM_SUFFIXES: Final = frozenset({".dcm", ".dicom", ".ima"})
CHUNK_BYTES: Final = 1 << 20


def load_radiograph(path: Path) -> Radiograph:
    """The radiograph in this file, decoded in this process.

    What the file holds decides, not its name: a DICOM file named ``.png`` is read as DICOM.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableImage: With the reason, if it is no radiograph that can be read.
    """
    return load_shrunk(path, None).radiograph


def load_shrunk(path: Path, least: Size | None) -> Shrunk:
    """The same, with fewer pixels where the decoder can leave some out.

    Args:
        path: The file.
        least: (H, W) below which the picture must not be shrunk; None: not at all.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableImage: As ``load_radiograph``.
    """
    try:
        return _load(path, least)
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UnreadableImage(f"the file cannot be opened ({reason}); check its rights") from None


def _load(path: Path, least: Size | None) -> Shrunk:
    if path.is_dir():
        raise UnreadableImage("this is a folder; give one file")
    if path.stat().st_size == 0:
        raise UnreadableImage("the file is empty; copy it again from its source")
    if is_dicom(path) or path.suffix.lower() in DICOM_SUFFIXES:
        # Imported here: the first page must not wait for pydicom.
        from annotations.imaging.dicom import load_shrunk_dicom

        return load_shrunk_dicom(path, least)
    return load_shrunk_raster(path, least)


def is_image_file(path: Path) -> bool:
    """Whether the file may hold a radiograph: by its suffix, or by DICOM's magic word.

    Scanners name files by their UID, so that what stands behind the last point is a number.
    """
    suffix = path.suffix.lower()
    if suffix in RASTER_SUFFIXES | DICOM_SUFFIXES:
        return True
    is_bare = suffix == "" or suffix[1:].isdigit()
    try:
        return is_bare and is_dicom(path)
    except OSError:
        return False


def file_sha256(path: Path) -> str:
    """SHA-256 of the file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
