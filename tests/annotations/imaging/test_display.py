from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.pixels import apply_modality_lut, apply_voi, apply_windowing

from annotations.imaging import Radiograph, load_radiograph
from annotations.imaging.display import (
    default_window,
    display_picture,
    display_table,
    full_range,
    presets,
    robust_window,
)
from annotations.imaging.radiograph import LookupTable, Window
from tests.annotations.imaging.handmade import dicom, noise, ramp, set_pixels, table, write


def loaded(tmp_path: Path, header: FileDataset) -> Radiograph:
    return load_radiograph(write(tmp_path / "film.dcm", header))


def pydicom_greys(header: FileDataset, stored: NDArray[Any], index: int) -> NDArray[np.float64]:
    """The greys 0 to 255 by pydicom's windowing, whose output range is that of its input."""
    shown = apply_windowing(apply_modality_lut(stored, header), header, index)
    low, high = 0.0, 2.0**header.BitsStored - 1
    if header.PixelRepresentation:
        low, high = -(2.0 ** (header.BitsStored - 1)), 2.0 ** (header.BitsStored - 1) - 1
    slope, intercept = float(header.RescaleSlope), float(header.RescaleIntercept)
    low, high = low * slope + intercept, high * slope + intercept
    return np.asarray((shown - low) / (high - low) * 255)


def radiograph_of(pixels: NDArray[Any], bits: int, **fields: Any) -> Radiograph:
    return Radiograph(pixels=pixels, photometric="MONOCHROME2", bits=bits, **fields)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(
    ("slope", "intercept"), [("1", "0"), ("2", "-100"), ("0.25", "7.5"), ("-1", "4000")]
)
@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_windows_show_what_pydicom_shows(
    tmp_path: Path, function: str, slope: str, intercept: str, dtype: Any
) -> None:
    stored = ramp(-1900 if dtype is np.int16 else 0, 2040, dtype=dtype)
    header = dicom(stored, bits=12)
    header.RescaleSlope, header.RescaleIntercept = slope, intercept
    values = apply_modality_lut(stored, header)
    middle, spread = round(float(np.median(values))), float(np.ptp(values))
    header.WindowCenter = [middle, middle + 20.5]
    header.WindowWidth = [round(spread / 2), 30]
    header.VOILUTFunction = function
    radiograph = loaded(tmp_path, header)
    for index, window in enumerate(radiograph.windows):
        expected = pydicom_greys(header, stored, index)
        found = display_picture(radiograph, window).astype(float)
        assert np.abs(found - expected).max() <= 1
        assert np.ptp(found) > 240
    assert len(radiograph.windows) == 2


@pytest.mark.parametrize("slope", ["1", "0.5", "-1"])
def test_the_narrowest_linear_window_is_a_step(tmp_path: Path, slope: str) -> None:
    header = dicom(ramp(0, 2000), bits=12)
    header.RescaleSlope, header.RescaleIntercept = slope, "100"
    header.WindowCenter, header.WindowWidth = 400, 1
    radiograph = loaded(tmp_path, header)
    values = radiograph.pixels * radiograph.value_scale + radiograph.value_offset
    np.testing.assert_array_equal(display_picture(radiograph), np.where(values > 399.5, 255, 0))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT"])
def test_a_window_by_the_standards_own_numbers(function: str) -> None:
    # PS3.3 C.11.2.1.2: LINEAR, c = 2048, w = 4096 maps 0 to the least and 4095 to the most grey;
    # LINEAR_EXACT does so with 0 and 4096.
    radiograph = radiograph_of(np.zeros((16, 16), np.uint16), 13)
    window = Window(2048, 4096, "test", function)  # type: ignore[arg-type]
    greys = display_table(radiograph, window)
    top = 4095 if function == "LINEAR" else 4096
    assert (greys[0], greys[top], greys[top // 2]) == (0, 255, 127 if top == 4095 else 128)
    assert (greys[top:] == 255).all()
    assert (np.diff(greys.astype(int)) >= 0).all()


def test_the_sigmoid_by_its_formula() -> None:
    greys = display_table(
        radiograph_of(np.zeros((16, 16), np.uint8), 8), Window(100, 40, "test", "SIGMOID")
    )
    assert greys[100] == 128  # 255 / 2
    assert greys[110] == round(255 / (1 + np.exp(-1.0)))
    assert greys[60] == round(255 / (1 + np.exp(4.0)))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("width", [1e-6, 1.0, 1e9])
def test_no_window_divides_by_zero_or_overflows(function: Any, width: float) -> None:
    radiograph = radiograph_of(np.zeros((16, 16), np.uint16), 16)
    greys = display_table(radiograph, Window(1000, width, "test", function))
    assert greys.shape == (65536,)
    assert (np.diff(greys.astype(int)) >= 0).all()


@pytest.mark.parametrize(
    ("slope", "intercept", "first"), [("1", "0", 100), ("2", "-500", 0), ("-1", "4095", 50)]
)
def test_voi_tables_show_what_pydicom_shows(
    tmp_path: Path, slope: str, intercept: str, first: int
) -> None:
    stored = ramp(0, 4095)
    header = dicom(stored, bits=12)
    header.RescaleSlope, header.RescaleIntercept = slope, intercept
    entries = (4095 * np.linspace(0, 1, 3000) ** 0.5).round().astype(int).tolist()
    header.VOILUTSequence = table(first, entries, bits=12)
    expected = apply_voi(apply_modality_lut(stored, header).astype(int), header) / 4095 * 255
    radiograph = loaded(tmp_path, header)
    assert default_window(radiograph) is radiograph.voi_luts[0]
    found = display_picture(radiograph).astype(float)
    assert np.abs(found - expected).max() <= 0.5 + 1e-9
    assert found.max() == 255


def test_a_voi_table_may_begin_below_zero(tmp_path: Path) -> None:
    header = dicom(np.array([[-3, -2, -1, 0, 1]] * 20, np.int16).repeat(4, axis=1))
    header.VOILUTSequence = table(-2, [10, 128, 255], bits=8, vr="SS")
    assert display_picture(loaded(tmp_path, header))[0, ::4].tolist() == [10, 10, 128, 255, 255]


def test_a_voi_table_of_packed_bytes_is_read_byte_by_byte(tmp_path: Path) -> None:
    header = dicom(np.array([[0, 1, 2, 3]] * 20, np.uint8).repeat(4, axis=1))
    header.VOILUTSequence = table(0, [0] * 4, bits=8)
    header.VOILUTSequence[0].LUTData = bytes([3, 60, 130, 255])
    assert display_picture(loaded(tmp_path, header))[0, ::4].tolist() == [3, 60, 130, 255]


def test_the_tables_explanation_is_the_presets_name(tmp_path: Path) -> None:
    header = dicom(noise(12), bits=12)
    header.VOILUTSequence = table(0, [0, 4095], bits=12)
    header.VOILUTSequence.append(table(0, [4095, 0], bits=12)[0])
    header.VOILUTSequence[0].LUTExplanation = "NORMAL"
    names = [one.name for one in presets(loaded(tmp_path, header))]
    assert names == ["NORMAL", "File table 2", "Full range", "Robust"]


def test_presets_of_the_file_come_first(tmp_path: Path) -> None:
    header = dicom(noise(12), bits=12)
    header.WindowCenter, header.WindowWidth = [100, 200], [50, 60]
    header.WindowCenterWidthExplanation = ["A", "B"]
    radiograph = loaded(tmp_path, header)
    assert [one.name for one in presets(radiograph)] == ["A", "B", "Full range", "Robust"]
    assert default_window(radiograph) is radiograph.windows[0]


@pytest.mark.parametrize("bits", [8, 12])
def test_inverted_pixels_in_monochrome1_give_the_same_picture(tmp_path: Path, bits: int) -> None:
    pixels = noise(bits)
    header = dicom(pixels, bits=bits)
    header.WindowCenter, header.WindowWidth = 2.0 ** (bits - 1), 2**bits
    black_is_zero = display_picture(loaded(tmp_path, header))
    header.PhotometricInterpretation = "MONOCHROME1"
    set_pixels(header, (2**bits - 1 - pixels).astype(pixels.dtype), bits=bits)
    white_is_zero = display_picture(loaded(tmp_path, header))
    np.testing.assert_array_equal(white_is_zero, black_is_zero)


def test_the_inversion_follows_the_window(tmp_path: Path) -> None:
    # A narrow window off the centre: inverted before it, the picture would be another one.
    pixels = noise(12)
    header = dicom(pixels, bits=12)
    header.WindowCenter, header.WindowWidth = 700, 300
    plain = display_picture(loaded(tmp_path, header))
    header.PhotometricInterpretation = "MONOCHROME1"
    np.testing.assert_array_equal(display_picture(loaded(tmp_path, header)), 255 - plain)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_reader_may_turn_black_and_white_over_once_more(photometric: Any) -> None:
    radiograph = Radiograph(noise(8), photometric, 8)
    np.testing.assert_array_equal(
        display_table(radiograph, invert=True), 255 - display_table(radiograph)
    )


def test_eight_bit_pictures_are_shown_as_they_are(tmp_path: Path) -> None:
    pixels = ramp(60, 90, dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "film.png")
    np.testing.assert_array_equal(display_picture(load_radiograph(tmp_path / "film.png")), pixels)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_full_range_spans_exactly_what_the_bits_allow(bits: int) -> None:
    radiograph = radiograph_of(noise(bits), bits)
    greys = display_table(radiograph, full_range(radiograph))
    assert len(greys) == 2**bits
    expected = np.rint(np.arange(2**bits) / (2**bits - 1) * 255)
    np.testing.assert_array_equal(greys, expected)


def test_a_deep_picture_without_a_window_uses_the_robust_one(tmp_path: Path) -> None:
    # 1 % of the pixels at the very top: over the full range the rest would be all but black.
    pixels = ramp(900, 1900)
    pixels.ravel()[-4:] = 65_535
    Image.fromarray(pixels).save(tmp_path / "film.png")
    radiograph = load_radiograph(tmp_path / "film.png")
    assert default_window(radiograph) == robust_window(radiograph)
    picture = display_picture(radiograph)
    assert 100 < np.median(picture) < 155
    assert display_picture(radiograph, full_range(radiograph)).mean() < 10


@pytest.mark.parametrize("seed", range(8))
def test_the_robust_window_has_numpys_percentiles(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits = int(rng.integers(9, 17))
    size = tuple(int(one) for one in rng.integers(16, 60, 2))
    pixels = (rng.beta(2, 5, size) * (2**bits - 1)).astype(np.uint16)
    low, high = np.percentile(pixels, [0.5, 99.5])
    window = robust_window(radiograph_of(pixels, bits))
    assert window.center == pytest.approx((low + high) / 2, abs=1e-9)
    assert window.width == pytest.approx(high - low, abs=1e-9)


def test_padding_does_not_count_for_the_robust_window() -> None:
    pixels = ramp(1000, 2000, size=(40, 40))
    pixels[:20] = 0
    inner = np.percentile(pixels[20:], [0.5, 99.5])
    window = robust_window(radiograph_of(pixels, 12, padding=0))
    assert window.center == pytest.approx(inner.mean())
    assert robust_window(radiograph_of(pixels, 12)).center < 1100


@pytest.mark.parametrize("value", [0, 700, 4095])
@pytest.mark.parametrize("padding", [None, 700])
def test_constant_pixels_show_one_grey(value: int, padding: int | None) -> None:
    radiograph = radiograph_of(np.full((20, 20), value, np.uint16), 12, padding=padding)
    for preset in presets(radiograph):
        assert len(np.unique(display_picture(radiograph, preset))) == 1


def test_a_table_is_as_long_as_the_bits_say_and_clips_at_white() -> None:
    radiograph = radiograph_of(noise(8), 8)
    greys = display_table(radiograph, LookupTable(3, np.array([0, 9, 40], np.uint16), 4, "test"))
    assert greys.shape == (256,)
    assert greys[:7].tolist() == [0, 0, 0, 0, 153, 255, 255]  # 9 of 15, and 40 is above white
