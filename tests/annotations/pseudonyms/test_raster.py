from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from annotations.errors import UnreadableImage
from annotations.imaging import load_radiograph
from annotations.pseudonyms.raster import pseudonymise_raster, strip_jpeg, strip_png

NAME = b"Erika Musterfrau"
GREY = np.tile(np.arange(48, dtype=np.uint8) * 5, (32, 1))
DEEP = GREY.astype(np.uint16) * 257


def exif(orientation: int = 1) -> Image.Exif:
    made = Image.Exif()
    made[274] = orientation
    made[270] = made[315] = NAME.decode()
    return made


def png(path: Path, pixels: np.ndarray = DEEP, orientation: int = 1) -> Path:
    text = PngImagePlugin.PngInfo()
    text.add_text("Patient", NAME.decode())
    text.add_itxt("Comment", NAME.decode(), zip=False)
    Image.fromarray(pixels).save(path, pnginfo=text, exif=exif(orientation), dpi=(254, 254))
    path.write_bytes(path.read_bytes() + NAME)  # behind the end
    return path


def jpeg(path: Path, orientation: int = 1, *, progressive: bool = False) -> Path:
    Image.fromarray(GREY).save(
        path, quality=92, comment=NAME, exif=exif(orientation), progressive=progressive
    )
    path.write_bytes(path.read_bytes() + NAME)
    return path


def tiff(path: Path, *, white_is_zero: bool = False) -> Path:
    tags: dict[int, str | int] = {270: NAME.decode(), 315: NAME.decode(), 305: NAME.decode()}
    if white_is_zero:
        tags[262] = 0
    Image.fromarray(DEEP).save(path, tiffinfo=tags)
    return path


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("kind", ["png8", "png16", "jpeg", "progressive", "tiff", "white is zero"])
def test_names_go_and_every_pixel_stays(tmp_path: Path, kind: str, orientation: int) -> None:
    sources = {
        "png8": lambda: png(tmp_path / "a.png", GREY, orientation),
        "png16": lambda: png(tmp_path / "a.png", DEEP, orientation),
        "jpeg": lambda: jpeg(tmp_path / "a.jpg", orientation),
        "progressive": lambda: jpeg(tmp_path / "a.jpg", orientation, progressive=True),
        "tiff": lambda: tiff(tmp_path / "a.tif"),
        "white is zero": lambda: tiff(tmp_path / "a.tif", white_is_zero=True),
    }
    source = sources[kind]()
    assert NAME in source.read_bytes()
    before = load_radiograph(source)
    copy = tmp_path / f"copy{source.suffix}"
    pseudonymise_raster(source, copy, before)
    content = copy.read_bytes()
    assert NAME not in content
    assert b"Erika" not in content
    after = load_radiograph(copy)
    assert np.array_equal(after.pixels, before.pixels)
    assert (after.photometric, after.bits) == (before.photometric, before.bits)
    with Image.open(copy) as image:
        kept = {tag: value for tag, value in image.getexif().items() if tag in (270, 305, 315)}
        assert kept == {}
        assert "comment" not in image.info
        assert "Patient" not in image.info


def test_a_thumbnail_in_a_jpeg_goes_too() -> None:
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "JPEG")
    content = buffer.getvalue()
    assert content[2:4] == b"\xff\xe0"
    jfif = content[6:18] + bytes((1, 1)) + b"RGB"  # a thumbnail of one pixel
    with_thumbnail = content[:2] + b"\xff\xe0\x00\x13" + jfif + content[20:]
    stripped = strip_jpeg(with_thumbnail)
    assert stripped[2:20] == content[2:18] + b"\0\0"
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO(stripped))), np.asarray(Image.open(io.BytesIO(content)))
    )


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    whole = png(tmp_path / "a.png").read_bytes()[: -len(NAME)]
    with pytest.raises(UnreadableImage, match="the PNG is cut off"):
        strip_png(whole[:-6])
    whole = jpeg(tmp_path / "a.jpg").read_bytes()[: -len(NAME)]
    for end in (3, 30, len(whole) // 2, len(whole) - 1):
        with pytest.raises(UnreadableImage, match="the JPEG is cut off"):
            strip_jpeg(whole[:end])
