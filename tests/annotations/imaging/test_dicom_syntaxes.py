from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from annotations.imaging import Radiograph, load_radiograph
from tests.annotations.imaging.handmade import dicom, noise, ramp, write, write_lossless_jpeg

LOSSLESS = [RLELossless, JPEGLSLossless, JPEG2000Lossless]


def compressed(path: Path, pixels: NDArray[Any], bits: int, syntax: UID, **how: Any) -> Radiograph:
    header = dicom(pixels, bits=bits)
    header.compress(syntax, **how)
    header.save_as(path, enforce_file_format=True)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax
    return load_radiograph(path)


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_lossless_compression_gives_every_pixel_back(
    tmp_path: Path, syntax: UID, bits: int
) -> None:
    pixels = noise(bits)
    radiograph = compressed(tmp_path / "film.dcm", pixels, bits, syntax)
    np.testing.assert_array_equal(radiograph.pixels, pixels)
    assert radiograph.bits == bits
    assert radiograph.flags == ()


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("bits", [12, 16])
def test_lossless_compression_keeps_the_sign(tmp_path: Path, syntax: UID, bits: int) -> None:
    stored = ramp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, dtype=np.int16)
    radiograph = compressed(tmp_path / "film.dcm", stored, bits, syntax)
    np.testing.assert_array_equal(radiograph.pixels + radiograph.value_offset, stored)


def test_near_lossless_compression_stays_within_its_error(tmp_path: Path) -> None:
    pixels = noise(12)
    radiograph = compressed(tmp_path / "film.dcm", pixels, 12, JPEGLSNearLossless, jls_error=2)
    assert 0 < np.abs(radiograph.pixels.astype(int) - pixels).max() <= 2
    assert radiograph.flags == ("lossy",)


def test_lossy_jpeg_2000_is_close(tmp_path: Path) -> None:
    pixels = ramp(0, 4095, size=(64, 64))
    radiograph = compressed(tmp_path / "film.dcm", pixels, 12, JPEG2000, j2k_psnr=[60])
    assert np.abs(radiograph.pixels.astype(int) - pixels).max() < 40


def test_baseline_jpeg_is_what_the_jpeg_library_gives(tmp_path: Path) -> None:
    picture = Image.fromarray(ramp(0, 255, size=(64, 64), dtype=np.uint8))
    picture.save(tmp_path / "film.jpg", quality=92)
    header = dicom(np.zeros((64, 64), np.uint8))
    header.PixelData = encapsulate([(tmp_path / "film.jpg").read_bytes()])
    header["PixelData"].is_undefined_length = True
    header.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    radiograph = load_radiograph(write(tmp_path / "film.dcm", header))
    with Image.open(tmp_path / "film.jpg") as image:
        np.testing.assert_array_equal(radiograph.pixels, np.asarray(image))
    assert radiograph.flags == ("lossy",)


@pytest.mark.parametrize("process", ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1"])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_lossless_jpeg_gives_every_pixel_back(tmp_path: Path, process: str, bits: int) -> None:
    pixels = noise(bits)
    path = write_lossless_jpeg(tmp_path / "film.dcm", pixels, bits=bits, process=process)
    np.testing.assert_array_equal(load_radiograph(path).pixels, pixels)
