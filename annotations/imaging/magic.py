"""Is this a DICOM file: asked of many files, and without waiting for pydicom's import."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PREAMBLE_BYTES: Final = 128
MAGIC: Final = b"DICM"


def is_dicom(path: Path) -> bool:
    """Whether the file has DICOM's magic word behind its preamble."""
    with path.open("rb") as file:
        return file.read(PREAMBLE_BYTES + len(MAGIC))[PREAMBLE_BYTES:] == MAGIC
