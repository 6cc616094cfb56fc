from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from annotations.errors import UnreadableImage
from annotations.imaging import load_radiograph
from annotations.imaging.display import display_picture
from tests.annotations.imaging.handmade import noise, ramp

ORIENTATION = 0x0112


def write_png(
    path: Path, ihdr: tuple[int, int, int, int], rows: bytes, *before: tuple[bytes, bytes]
) -> Path:
    """A PNG by its chunks; ``ihdr`` is width, height, bit depth, colour type."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", *ihdr, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(chunk(*one) for one in before)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return path


def turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """What a viewer shows of stored pixels with this EXIF orientation, by the EXIF table."""
    return {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.T,
        6: np.rot90(pixels, -1),
        7: pixels[::-1, ::-1].T,
        8: np.rot90(pixels),
    }[orientation]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("bits", [8, 16])
def test_grey_pictures_keep_every_value(tmp_path: Path, suffix: str, bits: int) -> None:
    pixels = noise(bits)
    path = tmp_path / f"film{suffix}"
    Image.fromarray(pixels).save(path)
    radiograph = load_radiograph(path)
    assert radiograph.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(radiograph.pixels, pixels)
    assert radiograph.bits == bits
    assert radiograph.photometric == "MONOCHROME2"
    assert radiograph.size == (32, 48)
    assert radiograph.flags == ()
    assert radiograph.windows == ()
    assert radiograph.spacing_mm is None
    assert radiograph.identity.patient_id == ""


def test_a_sixteen_bit_png_is_neither_cut_nor_stretched(tmp_path: Path) -> None:
    # Values that differ only in their low byte: Pillow's convert("L") would lose them all.
    pixels = ramp(40_000, 40_200)
    Image.fromarray(pixels).save(tmp_path / "film.png")
    radiograph = load_radiograph(tmp_path / "film.png")
    assert len(np.unique(radiograph.pixels)) == 201
    assert len(np.unique(display_picture(radiograph))) > 190


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
def test_a_grey_jpeg_is_read_as_the_decoder_gives_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"film{suffix}"
    Image.fromarray(ramp(0, 255, dtype=np.uint8)).save(path, quality=90)
    radiograph = load_radiograph(path)
    with Image.open(path) as image:
        expected = np.asarray(image)
    np.testing.assert_array_equal(radiograph.pixels, expected)
    assert radiograph.flags == ("lossy",)


def test_a_tiff_that_is_compressed_as_jpeg_is_lossy_too(tmp_path: Path) -> None:
    picture = Image.fromarray(ramp(0, 255, dtype=np.uint8))
    picture.save(tmp_path / "jpeg.tif", compression="jpeg")
    picture.save(tmp_path / "lzw.tif", compression="tiff_lzw")
    assert load_radiograph(tmp_path / "jpeg.tif").flags == ("lossy",)
    assert load_radiograph(tmp_path / "lzw.tif").flags == ()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff_keeps_sixteen_bits(tmp_path: Path, compression: str) -> None:
    pixels = noise(16)
    Image.fromarray(pixels).save(tmp_path / "film.tif", compression=compression)
    np.testing.assert_array_equal(load_radiograph(tmp_path / "film.tif").pixels, pixels)


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_of_tiff_give_the_same_values(tmp_path: Path, order: Any) -> None:
    pixels = noise(16)
    tifffile.imwrite(tmp_path / "film.tif", pixels, byteorder=order, photometric="minisblack")
    radiograph = load_radiograph(tmp_path / "film.tif")
    np.testing.assert_array_equal(radiograph.pixels, pixels)
    assert radiograph.pixels.dtype == np.uint16


@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_whose_white_is_zero_shows_the_same_picture(tmp_path: Path, bits: int) -> None:
    pixels = noise(bits)
    top = 2**bits - 1
    tifffile.imwrite(tmp_path / "black.tif", pixels, photometric="minisblack")
    tifffile.imwrite(tmp_path / "white.tif", top - pixels, photometric="miniswhite")
    black, white = (load_radiograph(tmp_path / f"{name}.tif") for name in ("black", "white"))
    np.testing.assert_array_equal(display_picture(black), display_picture(white))
    stored = white.pixels if white.photometric == "MONOCHROME2" else top - white.pixels
    np.testing.assert_array_equal(stored, pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "b.tif", "c.png", "d.tif"])
def test_every_exif_orientation_is_applied_without_loss(
    tmp_path: Path, orientation: int, name: str
) -> None:
    pixels = noise(8 if name < "c" else 16)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(tmp_path / name, exif=exif)
    np.testing.assert_array_equal(
        load_radiograph(tmp_path / name).pixels, turned(pixels, orientation)
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_applied_to_jpeg(tmp_path: Path, orientation: int) -> None:
    pixels = ramp(0, 255, dtype=np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(pixels).save(tmp_path / "plain.jpg")
    plain = load_radiograph(tmp_path / "plain.jpg").pixels
    np.testing.assert_array_equal(
        load_radiograph(tmp_path / "turned.jpg").pixels, turned(plain, orientation)
    )


def test_three_equal_channels_become_one(tmp_path: Path) -> None:
    pixels = noise(8)
    Image.fromarray(np.dstack([pixels] * 3)).save(tmp_path / "film.png")
    radiograph = load_radiograph(tmp_path / "film.png")
    np.testing.assert_array_equal(radiograph.pixels, pixels)
    assert radiograph.bits == 8


def test_a_grey_picture_that_jpeg_stores_in_colour_is_grey(tmp_path: Path) -> None:
    pixels = ramp(0, 255, dtype=np.uint8)
    Image.fromarray(np.dstack([pixels] * 3)).save(tmp_path / "film.jpg", quality=95)
    found = load_radiograph(tmp_path / "film.jpg").pixels.astype(int)
    assert np.abs(found - pixels).max() <= 4


def test_one_coloured_corner_makes_it_a_colour_picture(tmp_path: Path) -> None:
    channels = np.dstack([noise(8)] * 3)
    channels[-1, -1] = (200, 100, 100)
    Image.fromarray(channels).save(tmp_path / "photo.png")
    with pytest.raises(UnreadableImage, match=r"in colour \(channels differ by up to 100 of 255\)"):
        load_radiograph(tmp_path / "photo.png")


def test_a_palette_of_greys_is_looked_up(tmp_path: Path) -> None:
    indices = noise(8) // 64
    greys = np.array([10, 240, 90, 3], dtype=np.uint8)
    picture = Image.fromarray(indices)
    picture.putpalette(np.repeat(greys, 3).tolist())
    picture.save(tmp_path / "film.png")
    with Image.open(tmp_path / "film.png") as image:
        assert image.mode == "P"
    np.testing.assert_array_equal(load_radiograph(tmp_path / "film.png").pixels, greys[indices])


def test_a_palette_of_colours_is_refused(tmp_path: Path) -> None:
    picture = Image.fromarray(noise(8) // 64)
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    picture.save(tmp_path / "chart.png")
    with pytest.raises(UnreadableImage, match="in colour"):
        load_radiograph(tmp_path / "chart.png")


@pytest.mark.parametrize("n_channels", [2, 4])
def test_an_opaque_alpha_channel_is_left_out(tmp_path: Path, n_channels: int) -> None:
    pixels = noise(8)
    alpha = np.full_like(pixels, 255)
    Image.fromarray(np.dstack([pixels] * (n_channels - 1) + [alpha])).save(tmp_path / "film.png")
    np.testing.assert_array_equal(load_radiograph(tmp_path / "film.png").pixels, pixels)


@pytest.mark.parametrize("n_channels", [2, 4])
def test_a_transparent_place_is_refused(tmp_path: Path, n_channels: int) -> None:
    pixels = noise(8)
    alpha = np.full_like(pixels, 255)
    alpha[3, 4] = 17
    Image.fromarray(np.dstack([pixels] * (n_channels - 1) + [alpha])).save(tmp_path / "film.png")
    with pytest.raises(UnreadableImage, match=r"transparent in places \(alpha down to 17 of 255\)"):
        load_radiograph(tmp_path / "film.png")


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    bits = noise(8) > 127
    Image.fromarray(bits).save(tmp_path / "film.png")
    np.testing.assert_array_equal(load_radiograph(tmp_path / "film.png").pixels, bits * 255)


@pytest.mark.parametrize(("colour_type", "n_channels"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bit_png_with_several_channels_is_refused(
    tmp_path: Path, colour_type: int, n_channels: int
) -> None:
    row = b"\0" + struct.pack(">H", 40_001) * (20 * n_channels)
    path = write_png(tmp_path / "film.png", (20, 20, 16, colour_type), row * 20)
    with pytest.raises(UnreadableImage, match="16 bits per channel and more than one channel"):
        load_radiograph(path)


def test_sixteen_bit_png_is_refused_wherever_its_header_chunk_stands(tmp_path: Path) -> None:
    # The bit depth must not be sought at a fixed place: Pillow reads chunks in any order.
    row = b"\0" + struct.pack(">H", 40_001) * 60
    path = write_png(tmp_path / "film.png", (20, 20, 16, 2), row * 20)
    content = path.read_bytes()
    header, rest = content[8:33], content[33:]
    text = b"tEXta\0b"
    chunk = struct.pack(">I", 3) + text + struct.pack(">I", zlib.crc32(text))
    path.write_bytes(content[:8] + chunk + header + rest)
    with pytest.raises(UnreadableImage, match="16 bits per channel"):
        load_radiograph(path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_colour_tiff_is_refused(tmp_path: Path, order: Any) -> None:
    channels = np.dstack([noise(16)] * 3)
    tifffile.imwrite(tmp_path / "film.tif", channels, photometric="rgb", byteorder=order)
    with pytest.raises(UnreadableImage, match="16 bits per channel"):
        load_radiograph(tmp_path / "film.tif")


def test_signed_bytes_are_refused_rather_than_wrapped(tmp_path: Path) -> None:
    pixels = ramp(-100, 100, dtype=np.int8)
    tifffile.imwrite(tmp_path / "film.tif", pixels, photometric="minisblack")
    with pytest.raises(UnreadableImage, match="signed bytes"):
        load_radiograph(tmp_path / "film.tif")


def test_negative_values_are_refused_with_their_range(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "film.tif", ramp(-7, 90, dtype=np.int16), photometric="minisblack")
    with pytest.raises(UnreadableImage, match=r"values from -7 to 90; expected 0 to 65535"):
        load_radiograph(tmp_path / "film.tif")


def test_real_numbers_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "film.tif", ramp(0, 1, dtype=np.float32), photometric="minisblack")
    with pytest.raises(UnreadableImage, match="mode F; expected grey of 8 or 16 bit"):
        load_radiograph(tmp_path / "film.tif")


def test_a_kind_of_tiff_that_is_not_read_is_not_called_something_else(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "film.tif", noise(16).astype(np.uint64), photometric="minisblack")
    with pytest.raises(UnreadableImage, match="of a kind that is not read; save it as greyscale"):
        load_radiograph(tmp_path / "film.tif")


def test_a_cmyk_jpeg_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([noise(8)] * 4), mode=None).convert("CMYK").save(tmp_path / "a.jpg")
    with pytest.raises(UnreadableImage, match="CMYK"):
        load_radiograph(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["pages.tif", "moving.png"])
def test_several_pictures_in_one_file_are_refused(tmp_path: Path, name: str) -> None:
    first, second = (Image.fromarray(noise(8, seed=seed)) for seed in (1, 2))
    first.save(tmp_path / name, save_all=True, append_images=[second])
    with pytest.raises(UnreadableImage, match="2 pictures; give one picture per file"):
        load_radiograph(tmp_path / name)


def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path) -> None:
    # No picture data at all: whoever decoded first would call it damaged.
    path = write_png(tmp_path / "film.png", (8001, 8000, 8, 0), b"")
    with pytest.raises(UnreadableImage, match="8001 x 8000 pixels; at most 64 million"):
        load_radiograph(path)


@pytest.mark.parametrize("side", [9_500, 30_000])
def test_a_decompression_bomb_is_refused(tmp_path: Path, side: int) -> None:
    path = write_png(tmp_path / "bomb.png", (side, side, 8, 0), bytes(1000))
    with pytest.raises(UnreadableImage, match="at most 64 million pixels are read"):
        load_radiograph(path)


@pytest.mark.parametrize("name", ["film.png", "film.jpg", "film.tif"])
def test_a_picture_that_is_cut_off_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Image.fromarray(noise(8, size=(200, 200))).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableImage, match="damaged"):
        load_radiograph(path)


def test_a_damaged_orientation_does_not_hide_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "film.jpg"
    Image.fromarray(noise(8)).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")
    assert load_radiograph(path).size == (32, 48)
