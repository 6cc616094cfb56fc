"""Radiograph files: PNG, JPEG, TIFF and DICOM to pixels, geometry and greys."""

from __future__ import annotations

from annotations.imaging.files import file_sha256, is_image_file, load_radiograph
from annotations.imaging.isolation import IsolatedLoader
from annotations.imaging.radiograph import Radiograph, pixel_sha256

__all__ = [
    "IsolatedLoader",
    "Radiograph",
    "file_sha256",
    "is_image_file",
    "load_radiograph",
    "pixel_sha256",
]
