"""Small files that unfold to far more than their header says are refused at once."""

from __future__ import annotations

import resource
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from annotations.errors import UnreadableImage
from annotations.imaging import IsolatedLoader
from tests.annotations.imaging.handmade import dicom, noise

SIDE = 60_000  # 3.6 thousand million pixels


@pytest.fixture(scope="module")
def loader() -> Iterator[IsolatedLoader]:
    with IsolatedLoader(time_limit_s=20) as one:
        yield one


def refused(loader: IsolatedLoader, path: Path, whole: Path) -> str:
    """Why the file is refused; the next one is read by the same loader."""
    with pytest.raises(UnreadableImage) as caught:
        loader.load(path)
    assert loader.load(whole).size == (32, 48)
    return str(caught.value)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "whole.png"
    Image.fromarray(noise(8)).save(path)
    return path


def png_chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def test_a_png_of_many_pixels_in_few_bytes(
    tmp_path: Path, loader: IsolatedLoader, whole: Path
) -> None:
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(10_000_000), 9)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", rows)
        + png_chunk(b"IEND", b"")
    )  # fmt: skip
    assert "million" in refused(loader, path, whole)


def test_a_png_whose_text_unfolds_without_end(
    tmp_path: Path, loader: IsolatedLoader, whole: Path
) -> None:
    text = b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9)
    content = whole.read_bytes()
    path = tmp_path / "bomb.png"
    # Right behind the header chunk: 8 bytes of signature and 25 of IHDR.
    path.write_bytes(content[:33] + png_chunk(b"zTXt", text) + content[33:])
    assert "damaged" in refused(loader, path, whole)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_a_codestream_that_is_larger_than_its_header_says(
    tmp_path: Path, loader: IsolatedLoader, whole: Path, syntax: str
) -> None:
    header = dicom(noise(8))
    header.compress(syntax)
    path = tmp_path / "bomb.dcm"
    header.save_as(path, enforce_file_format=True)
    content = bytearray(path.read_bytes())
    if syntax == JPEG2000Lossless:
        # SIZ: marker, length, capabilities, then width and height, and those of a tile.
        start = content.index(b"\xff\x51") + 6
        struct.pack_into(">II", content, start, SIDE, SIDE)
        struct.pack_into(">II", content, start + 16, SIDE, SIDE)
    else:
        # SOF55: marker, length, precision, then height and width of two bytes each.
        start = content.index(b"\xff\xf7") + 5
        struct.pack_into(">HH", content, start, SIDE, SIDE)
    path.write_bytes(content)
    assert len(refused(loader, path, whole)) > 15


def test_of_runs_that_unfold_to_more_only_the_picture_is_kept(
    tmp_path: Path, loader: IsolatedLoader, whole: Path
) -> None:
    header = dicom(noise(8))
    header.compress(RLELossless)
    # One segment of runs of 128 bytes each: 64 million pixels from one million bytes.
    runs = b"\x81\x00" * 500_000
    frame = struct.pack("<16I", 1, 64, *([0] * 14)) + runs
    header.PixelData = encapsulate([frame])
    path = tmp_path / "bomb.dcm"
    header.save_as(path, enforce_file_format=True)
    assert loader.load(path).pixels.shape == (32, 48)
    assert loader.load(whole).size == (32, 48)


def test_none_of_them_was_unfolded_in_this_process() -> None:
    """The decoding child has a limit of its own; what counts is that this process stays small."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert peak < np.int64(SIDE) * SIDE
