"""Pictures that Pillow opens without a word, and not as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from annotations.errors import UnreadableImage
from annotations.imaging import load_radiograph

ORIENTATION_TAG = 274
# As EXIF defines them: what the stored rows and columns look like when shown.
SHOWN = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.T,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].T,
    8: lambda stored: np.rot90(stored),
}


def uneven(dtype: Any) -> NDArray[Any]:
    """Different values everywhere, on a picture that is not square."""
    return (np.arange(12 * 20).reshape(12, 20) * (np.iinfo(dtype).max // 240)).astype(dtype)


@pytest.mark.parametrize("orientation", list(SHOWN))
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_that_lies_on_its_side_is_put_upright_however_it_is_compressed(
    tmp_path: Path, orientation: int, compression: str | None, dtype: Any
) -> None:
    stored = uneven(dtype)
    path = tmp_path / "side.tif"
    Image.fromarray(stored).save(
        path, compression=compression, tiffinfo={ORIENTATION_TAG: orientation}
    )

    shown = load_radiograph(path).pixels

    assert shown.dtype == dtype
    np.testing.assert_array_equal(shown, SHOWN[orientation](stored))


@pytest.mark.parametrize("orientation", list(SHOWN))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_that_lies_on_its_side_is_put_upright(
    tmp_path: Path, orientation: int, dtype: Any
) -> None:
    stored = uneven(dtype)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    path = tmp_path / "side.png"
    Image.fromarray(stored).save(path, exif=exif)

    np.testing.assert_array_equal(load_radiograph(path).pixels, SHOWN[orientation](stored))


@pytest.mark.parametrize("layout", ["contig", "separate"])
def test_a_colour_tiff_of_16_bits_is_refused_rather_than_cut_to_8(
    tmp_path: Path, layout: str
) -> None:
    plane = uneven(np.uint16)
    axis = 0 if layout == "separate" else 2
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, np.stack([plane] * 3, axis=axis), photometric="rgb", planarconfig=layout)

    with pytest.raises(UnreadableImage, match=r"16 bits per channel.*save it as 16-bit greyscale"):
        load_radiograph(path)


def test_a_tiff_of_real_numbers_is_refused_with_its_kind(tmp_path: Path) -> None:
    path = tmp_path / "real.tif"
    tifffile.imwrite(path, uneven(np.uint16).astype(np.float32))

    with pytest.raises(UnreadableImage, match="mode F; expected grey of 8 or 16 bit"):
        load_radiograph(path)


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_a_tiff_of_16_bits_keeps_each_value_in_either_byte_order(
    tmp_path: Path, byteorder: str
) -> None:
    stored = uneven(np.uint16)
    path = tmp_path / "order.tif"
    tifffile.imwrite(path, stored, byteorder=byteorder)

    radiograph = load_radiograph(path)

    assert (radiograph.bits, radiograph.pixels.dtype) == (16, np.uint16)
    np.testing.assert_array_equal(radiograph.pixels, stored)
