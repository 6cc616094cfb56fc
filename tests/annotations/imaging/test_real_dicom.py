"""The ten shared DICOM files do what the README beside them says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_modality_lut, apply_windowing

from annotations.errors import UnreadableImage
from annotations.imaging import IsolatedLoader, Radiograph, load_radiograph, pixel_sha256
from annotations.imaging.display import default_window, display_picture, presets

pytestmark = pytest.mark.real_data

READ = {
    "chest_cr_monochrome1_10bit": ((440, 440), 10, "MONOCHROME1", "CR", "PA"),
    "chest_cr_monochrome1_15bit_jpeg2000": ((1955, 1841), 15, "MONOCHROME1", "CR", "PA"),
    "chest_cr_monochrome1_jpegls": ((1955, 1841), 15, "MONOCHROME1", "CR", "PA"),
    "chest_cr_monochrome1_8bit_jpeg_same_picture": ((1024, 1024), 8, "MONOCHROME1", "CR", "PA"),
    "chest_cr_monochrome2_8bit_jpeg": ((1024, 1024), 8, "MONOCHROME2", "CR", "PA"),
    "chest_dx_8bit_no_window": ((1024, 1024), 8, "MONOCHROME2", "DX", ""),
    "constant_pixels": ((256, 256), 16, "MONOCHROME2", "OT", ""),
    "cr_monochrome1_jpeglossless_modality_lut": ((1576, 1976), 10, "MONOCHROME1", "CR", ""),
}
# Named by hand: what lies in the corner (air or collimator) and in the middle (the spine).
CHESTS = [
    "chest_cr_monochrome1_10bit",
    "chest_cr_monochrome1_15bit_jpeg2000",
    "chest_cr_monochrome1_jpegls",
    "chest_cr_monochrome2_8bit_jpeg",
    "chest_dx_8bit_no_window",
]


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "dicom"


def load(folder: Path, name: str) -> Radiograph:
    return load_radiograph(folder / f"{name}.dcm")


def test_every_file_of_the_folder_is_known_here(folder: Path) -> None:
    refused = {"mr_with_overlays", "rgb_two_frames"}
    assert {path.stem for path in folder.glob("*.dcm")} == set(READ) | refused


@pytest.mark.parametrize("name", READ)
def test_size_bits_and_kind_are_those_of_the_readme(folder: Path, name: str) -> None:
    radiograph = load(folder, name)
    found = (
        radiograph.size,
        radiograph.bits,
        radiograph.photometric,
        radiograph.modality,
        radiograph.view,
    )
    assert found == READ[name]
    assert radiograph.pixels.dtype == (np.uint8 if radiograph.bits == 8 else np.uint16)


def test_the_mr_is_refused_for_its_modality(folder: Path) -> None:
    with pytest.raises(UnreadableImage, match="modality MR is no projection radiograph"):
        load(folder, "mr_with_overlays")


def test_the_colour_file_is_refused_for_its_frames(folder: Path) -> None:
    with pytest.raises(UnreadableImage, match="2 frames; a radiograph is a single one"):
        load(folder, "rgb_two_frames")


@pytest.mark.parametrize(
    "name",
    [
        "chest_cr_monochrome1_10bit",
        "chest_cr_monochrome1_15bit_jpeg2000",
        "chest_cr_monochrome1_jpegls",
    ],
)
def test_the_files_own_window_shows_what_pydicom_shows(folder: Path, name: str) -> None:
    header = pydicom.dcmread(folder / f"{name}.dcm")
    shown = apply_windowing(apply_modality_lut(header.pixel_array, header), header)
    expected = 255 - shown / (2**header.BitsStored - 1) * 255  # all three are MONOCHROME1
    found = display_picture(load(folder, name)).astype(float)
    assert np.abs(found - expected).max() <= 1


def test_jpeg_2000_and_jpeg_ls_show_the_same_film(folder: Path) -> None:
    first, second = (
        display_picture(load(folder, f"chest_cr_monochrome1_{name}")).astype(int)
        for name in ("15bit_jpeg2000", "jpegls")
    )
    # Both are lossy.
    assert np.abs(first - second).max() <= 4
    assert np.abs(first - second).mean() < 0.5


def test_the_modality_table_is_applied_entry_by_entry(folder: Path) -> None:
    name = "cr_monochrome1_jpeglossless_modality_lut"
    header = pydicom.dcmread(folder / f"{name}.dcm")
    entries = np.frombuffer(header.ModalityLUTSequence[0].LUTData, "<u2")
    pixels = load(folder, name).pixels
    np.testing.assert_array_equal(pixels, entries[header.pixel_array])
    assert not np.array_equal(pixels, header.pixel_array)


def test_the_jpeg_pair_differs_in_photometric_interpretation_alone(folder: Path) -> None:
    """Measured: byte-identical pixel data, so that by PS3.3 C.7.6.3.1.2 they are negatives."""
    first = load(folder, "chest_cr_monochrome2_8bit_jpeg")
    second = load(folder, "chest_cr_monochrome1_8bit_jpeg_same_picture")
    assert pixel_sha256(first) == pixel_sha256(second)
    np.testing.assert_array_equal(display_picture(second), 255 - display_picture(first))


@pytest.mark.parametrize("name", CHESTS)
def test_chests_are_shown_with_bright_bone_and_dark_lungs(folder: Path, name: str) -> None:
    picture = display_picture(load(folder, name)).astype(float)
    height, width = picture.shape
    rows = slice(int(0.3 * height), int(0.5 * height))
    spine = np.median(picture[rows, int(0.45 * width) : int(0.55 * width)])
    lungs = [
        np.median(picture[rows, int(left * width) : int((left + 0.12) * width)])
        for left in (0.18, 0.68)
    ]
    assert spine > max(lungs) + 20
    assert picture.std() > 25


def test_constant_pixels_show_one_grey_in_every_preset(folder: Path) -> None:
    radiograph = load(folder, "constant_pixels")
    assert "constant" in radiograph.flags
    for preset in presets(radiograph):
        assert len(np.unique(display_picture(radiograph, preset))) == 1


def test_the_film_without_a_window_is_shown_over_its_full_range(folder: Path) -> None:
    radiograph = load(folder, "chest_dx_8bit_no_window")
    assert default_window(radiograph).name == "Full range"
    np.testing.assert_array_equal(display_picture(radiograph), radiograph.pixels)


def test_spacing_of_nothing_is_no_spacing(folder: Path) -> None:
    assert load(folder, "chest_cr_monochrome1_jpegls").spacing_mm is None
    assert load(folder, "chest_cr_monochrome2_8bit_jpeg").spacing_mm == (0.168, 0.168)
    assert load(folder, "cr_monochrome1_jpeglossless_modality_lut").spacing_mm == (0.15, 0.15)


def test_the_child_process_reads_them_alike(folder: Path) -> None:
    with IsolatedLoader() as loader:
        for name in READ:
            here, there = load(folder, name), loader.load(folder / f"{name}.dcm")
            np.testing.assert_array_equal(there.pixels, here.pixels)
            assert there.facts == here.facts
            assert there.windows == here.windows
        for name in ("mr_with_overlays", "rgb_two_frames"):
            with pytest.raises(UnreadableImage, match=r"a radiograph is|no projection"):
                loader.load(folder / f"{name}.dcm")


def test_pictures_of_the_shared_collections_are_not_empty(shared_data: Path) -> None:
    paths = [
        *sorted((shared_data / "nih_chestxray14" / "images").glob("*.png"))[:4],
        *sorted((shared_data / "iu_xray" / "images").glob("*.jpg"))[:6],
    ]
    assert len(paths) == 10
    for path in paths:
        picture = display_picture(load_radiograph(path))
        assert picture.std() > 20
