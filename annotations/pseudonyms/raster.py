"""PNG, JPEG and TIFF without their metadata; not a pixel changes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from PIL import Image

from annotations.errors import UnreadableImage
from annotations.imaging.radiograph import Radiograph

PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC: Final = b"\xff\xd8\xff"
# What decides the pixels; of the rest only the turned-picture mark is carried over.
PNG_KEPT: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
ORIENTATION: Final = 274
UPRIGHT: Final = 1
TIFF_PHOTOMETRIC: Final = 262
SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
COMMENT: Final = 0xFE
JFIF, ADOBE = 0xE0, 0xEE
APPLICATIONS: Final = range(0xE0, 0xF0)
RESTARTS: Final = range(0xD0, 0xD8)


def pseudonymise_raster(source: Path, target: Path, radiograph: Radiograph) -> None:
    """Write a copy with the pixels of the original and nothing else.

    Args:
        source: A PNG, JPEG or TIFF file that this program reads.
        target: A file that does not exist yet.
        radiograph: What ``source`` holds; a TIFF is written anew from it.

    Raises:
        UnreadableImage: If the file does not end as its kind must.
    """
    content = source.read_bytes()
    if content.startswith(PNG_MAGIC):
        stripped = strip_png(content, _orientation(source))
    elif content.startswith(JPEG_MAGIC):
        stripped = strip_jpeg(content, _orientation(source))
    else:
        _write_tiff(radiograph, target)
        return
    with target.open("xb") as file:
        file.write(stripped)


def strip_png(content: bytes, orientation: int = UPRIGHT) -> bytes:
    """The PNG with the chunks that decide its pixels, and no others.

    Source:
        PNG Specification, Third Edition, 5.3 and 11.
    """
    kept = [PNG_MAGIC]
    for kind, chunk in _png_chunks(content):
        if kind in PNG_KEPT:
            kept.append(chunk)
        if kind == b"IHDR" and orientation != UPRIGHT:
            kept.append(_png_chunk(b"eXIf", _orientation_only(orientation)))
    return b"".join(kept)


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, kind = len(PNG_MAGIC), b""
    while kind != b"IEND":
        if at + 12 > len(content):
            raise UnreadableImage("the PNG is cut off; copy it again from its source")
        (length,) = struct.unpack_from(">I", content, at)
        kind = content[at + 4 : at + 8]
        yield kind, content[at : at + 12 + length]
        at += 12 + length


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    import zlib

    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def strip_jpeg(content: bytes, orientation: int = UPRIGHT) -> bytes:
    """The JPEG without comments, application data, thumbnails and what follows its end.

    Source:
        ITU-T T.81 Annex B; JFIF 1.02; the colour transform stands in Adobe's APP14.
    """
    kept = [b"\xff\xd8"]
    if orientation != UPRIGHT:
        kept.append(_segment(0xE1, b"Exif\0\0" + _orientation_only(orientation)))
    for marker, part in _jpeg_parts(content):
        if marker == COMMENT:
            continue
        if marker in APPLICATIONS:
            kept.append(_kept_application(marker, part))
        else:
            kept.append(part)
    return b"".join(kept)


def _kept_application(marker: int, part: bytes) -> bytes:
    data = part[4:]
    if marker == JFIF and data.startswith(b"JFIF\0") and len(data) >= 12:
        return _segment(JFIF, data[:12] + b"\0\0")  # no thumbnail
    if marker == ADOBE and data.startswith(b"Adobe") and len(data) >= 12:
        return _segment(ADOBE, data[:12])
    return b""


def _segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def _jpeg_parts(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Each segment with its marker; a scan's coded data goes with its SOS."""
    at, marker = 2, SOI
    while marker != EOI:
        while content[at : at + 2] == b"\xff\xff":  # fill bytes
            at += 1
        if at + 2 > len(content) or content[at] != 0xFF:
            raise UnreadableImage("the JPEG is cut off or damaged; copy it again from its source")
        marker = content[at + 1]
        end = _end_of_segment(content, at, marker)
        yield marker, content[at:end]
        at = end


def _end_of_segment(content: bytes, at: int, marker: int) -> int:
    if marker == EOI:
        return at + 2
    if at + 4 > len(content):
        raise UnreadableImage("the JPEG is cut off; copy it again from its source")
    end: int = at + 2 + struct.unpack_from(">H", content, at + 2)[0]
    return _end_of_scan(content, end) if marker == SOS else end


def _end_of_scan(content: bytes, at: int) -> int:
    """Where the next marker stands: coded data holds FF only before 00 and restart markers."""
    while True:
        at = content.find(b"\xff", at)
        if at < 0 or at + 1 >= len(content):
            raise UnreadableImage("the JPEG is cut off; copy it again from its source")
        following = content[at + 1]
        if following not in (0x00, 0xFF) and following not in RESTARTS:
            return at
        at += 1 if following == 0xFF else 2


def _orientation(path: Path) -> int:
    with Image.open(path) as image:
        return int(image.getexif().get(ORIENTATION, UPRIGHT))


def _orientation_only(orientation: int) -> bytes:
    """An Exif block that says how the picture lies, and nothing else."""
    entry = struct.pack(">HHIHH", ORIENTATION, 3, 1, orientation, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)


def _write_tiff(radiograph: Radiograph, target: Path) -> None:
    is_white_zero = radiograph.photometric == "MONOCHROME1"
    tags = {TIFF_PHOTOMETRIC: 0} if is_white_zero else {}
    with target.open("xb") as file:
        Image.fromarray(radiograph.pixels).save(
            file, "TIFF", compression="tiff_adobe_deflate", tiffinfo=tags
        )
