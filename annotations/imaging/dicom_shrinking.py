"""JPEG and JPEG 2000 inside DICOM, decoded at a part of their size by Pillow."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, Jpeg2KImagePlugin
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit

from annotations.imaging.shrinking import Box, Size, shrink_for

WAVELETS: Final = frozenset({JPEG2000, JPEG2000Lossless})
START_OF_CODESTREAM: Final = b"\xff\x4f\xff\x51"
SIZE_MARKER: Final = 0xFF51
CODING_MARKER: Final = 0xFF52
TILE_MARKER: Final = 0xFF90
REVERSIBLE: Final = 1


@dataclass(frozen=True, eq=False)
class ShrunkValues:
    """Stored values at a part of their number; ``box`` as ``Shrunk`` has it."""

    values: NDArray[Any]
    box: Box


def shrunken_values(header: Dataset, least: Size) -> ShrunkValues | None:
    """The stored values of a compressed picture, shrunk; None where they must be decoded whole.

    Whole is decoded what an average of stored values would say wrongly: values that go through a
    modality table, signed ones, those with padding, and deep ones whose window is found from the
    distribution of the pixels.
    """
    size = (int(header.Rows), int(header.Columns))
    shrink = shrink_for(size, least)
    syntax = header.file_meta.TransferSyntaxUID
    if shrink == 1 or not _may_be_averaged(header):
        return None
    if syntax == JPEGBaseline8Bit:
        return _shrunken_jpeg(get_frame(header.PixelData, 0, number_of_frames=1), size, shrink)
    if syntax in WAVELETS:
        content = get_frame(header.PixelData, 0, number_of_frames=1)
        return _shrunken_wavelets(content, size, shrink)
    return None


def _may_be_averaged(header: Dataset) -> bool:
    has_window = bool(header.get("WindowCenter")) or bool(header.get("VOILUTSequence"))
    return (
        not header.get("ModalityLUTSequence")
        and not header.get("PixelRepresentation", 0)
        and header.get("PixelPaddingValue") is None
        and (has_window or int(header.BitsStored) <= 8)
    )


def _shrunken_jpeg(content: bytes, size: Size, shrink: int) -> ShrunkValues | None:
    height, width = size
    with Image.open(BytesIO(content), formats=["JPEG"]) as image:
        if image.mode != "L" or image.size != (width, height):
            return None
        image.draft("L", (width // shrink, height // shrink))
        values = np.asarray(image)
    return ShrunkValues(values, (0.0, 0.0, width / shrink, height / shrink))


def _shrunken_wavelets(content: bytes, size: Size, shrink: int) -> ShrunkValues | None:
    """The low-pass band of a grey JPEG 2000 picture.

    Its sample k stands at pixel k * shrink, not in the middle of ``shrink`` pixels, so the picture
    reaches from before the first sample to behind the last; the border is repeated once for that.
    """
    stream = _Codestream.of(content)
    if stream is None or stream.size != size:
        return None
    levels = min(shrink.bit_length() - 1, stream.levels)
    if stream.is_reversible:
        levels -= levels % 2  # else half a grey of the rounding below would be left
    if levels == 0:
        return None
    image = _LowPassFile(BytesIO(content))
    if image.mode not in {"L", "I;16"}:
        return None
    image.leave_out(levels)
    values = np.asarray(image)
    # Pillow moves values up until their highest bit is the highest of 8 or 16.
    values = values >> (8 * values.dtype.itemsize - stream.bits)
    if stream.is_reversible:
        # Whole-number wavelets round a quarter up per level and direction, wherever pixels differ.
        values = np.maximum(values, levels // 2) - levels // 2
    step = 2**levels
    first = 0.5 - 0.5 / step + 1
    box = (first, first, first + size[1] / step, first + size[0] / step)
    return ShrunkValues(np.pad(values, 1, mode="edge"), box)


class _LowPassFile(Jpeg2KImagePlugin.Jpeg2KImageFile):
    """Pillow's JPEG 2000 reader, whose own ``reduce`` fails where the decoder rounds a side up."""

    def leave_out(self, levels: int) -> None:
        """Decode without the finest wavelet levels."""
        width, height = (-(-side // 2**levels) for side in self.size)
        (tile,) = self.tile
        given: Any = tile.args
        codec, _, layers, descriptor, length = given
        self._size = (width, height)
        arguments = (codec, levels, layers, descriptor, length)
        self.tile = [tile._replace(extents=(0, 0, width, height), args=arguments)]


@dataclass(frozen=True, slots=True)
class _Codestream:
    """What a JPEG 2000 main header says (ISO/IEC 15444-1, annex A)."""

    size: Size
    bits: int
    levels: int
    is_reversible: bool

    @classmethod
    def of(cls, content: bytes) -> _Codestream | None:
        """None unless it is a plain codestream of one unsigned component that begins at 0."""
        segments = _segments(content)
        sizes, coding = segments.get(SIZE_MARKER, b""), segments.get(CODING_MARKER, b"")
        if len(sizes) < 37 or len(coding) < 10:
            return None
        width, height, left, top = (int.from_bytes(sizes[i : i + 4]) for i in (2, 6, 10, 14))
        n_components, depth = int.from_bytes(sizes[34:36]), sizes[36]
        if n_components != 1 or left or top or depth & 0x80:
            return None
        return cls((height, width), depth + 1, coding[5], coding[9] == REVERSIBLE)


def _segments(content: bytes) -> dict[int, bytes]:
    """Marker to the bytes behind its length, up to the first tile."""
    if not content.startswith(START_OF_CODESTREAM):
        return {}
    found: dict[int, bytes] = {}
    place = 2
    while place + 4 <= len(content):
        marker = int.from_bytes(content[place : place + 2])
        length = int.from_bytes(content[place + 2 : place + 4])
        if marker == TILE_MARKER or length < 2:
            break
        found.setdefault(marker, content[place + 4 : place + 2 + length])
        place += 2 + length
    return found
