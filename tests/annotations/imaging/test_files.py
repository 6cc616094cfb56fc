from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotations.errors import UnreadableImage
from annotations.imaging import file_sha256, is_image_file, load_radiograph, pixel_sha256
from tests.annotations.imaging.handmade import dicom, noise, write, write_bare


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(2_500_000)
    (tmp_path / "film.raw").write_bytes(content)
    assert file_sha256(tmp_path / "film.raw") == hashlib.sha256(content).hexdigest()


def test_the_hash_of_eight_bit_pixels_is_that_of_their_rows(tmp_path: Path) -> None:
    pixels = np.arange(20 * 30, dtype=np.uint8).reshape(20, 30)
    Image.fromarray(pixels).save(tmp_path / "film.png")
    by_hand = hashlib.sha256(bytes(number % 256 for number in range(600))).hexdigest()
    assert pixel_sha256(load_radiograph(tmp_path / "film.png")) == by_hand


def test_the_hash_of_sixteen_bit_pixels_takes_the_low_byte_first(tmp_path: Path) -> None:
    pixels = np.full((16, 16), 0x0102, dtype=np.uint16)
    write(tmp_path / "film.dcm", dicom(pixels))
    by_hand = hashlib.sha256(b"\x02\x01" * 256).hexdigest()
    assert pixel_sha256(load_radiograph(tmp_path / "film.dcm")) == by_hand


def test_the_same_pixels_have_one_hash_in_every_format(tmp_path: Path) -> None:
    pixels = noise(16)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "b.tif")
    write(tmp_path / "c.dcm", dicom(pixels))
    hashes = {pixel_sha256(load_radiograph(path)) for path in tmp_path.iterdir()}
    assert len(hashes) == 1


def test_an_empty_file_is_refused_as_empty(tmp_path: Path) -> None:
    (tmp_path / "film.png").touch()
    with pytest.raises(UnreadableImage, match="the file is empty"):
        load_radiograph(tmp_path / "film.png")


def test_a_missing_file_is_no_damaged_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_radiograph(tmp_path / "film.png")


def test_a_folder_is_refused_as_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="this is a folder"):
        load_radiograph(tmp_path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may read every file")
def test_a_file_without_rights_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    Image.fromarray(noise(8)).save(path)
    path.chmod(0)
    with pytest.raises(UnreadableImage, match="Permission denied"):
        load_radiograph(path)


@pytest.mark.parametrize("name", ["film.png", "film", "1.2.840.113"])
def test_dicom_is_known_by_its_content_whatever_its_name(tmp_path: Path, name: str) -> None:
    pixels = noise(12)
    write(tmp_path / name, dicom(pixels, bits=12))
    radiograph = load_radiograph(tmp_path / name)
    np.testing.assert_array_equal(radiograph.pixels, pixels)
    assert radiograph.modality == "DX"


def test_a_jpeg_named_png_is_read(tmp_path: Path) -> None:
    Image.fromarray(noise(8)).save(tmp_path / "film.png", format="JPEG")
    assert load_radiograph(tmp_path / "film.png").flags == ("lossy",)


@pytest.mark.parametrize("suffix", [".dcm", ".dicom", ".ima"])
def test_a_png_named_as_dicom_is_refused_and_the_name_is_blamed(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"film{suffix}"
    Image.fromarray(noise(8)).save(path, format="PNG")
    with pytest.raises(UnreadableImage, match=rf"name ends in '\{suffix}', but .* no DICOM"):
        load_radiograph(path)


def test_text_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "film.png").write_text("not a picture\n" * 20)
    with pytest.raises(UnreadableImage, match="no PNG, JPEG, TIFF or DICOM picture"):
        load_radiograph(tmp_path / "film.png")


@pytest.mark.parametrize("implicit", [True, False])
def test_a_bare_data_set_without_preamble_is_read(tmp_path: Path, implicit: bool) -> None:
    pixels = noise(12)
    path = write_bare(tmp_path / "old.dcm", dicom(pixels, bits=12), implicit=implicit)
    assert path.read_bytes()[:2] == b"\x08\x00"
    radiograph = load_radiograph(path)
    np.testing.assert_array_equal(radiograph.pixels, pixels)
    assert radiograph.view == "PA"


def test_a_file_whose_meta_has_no_preamble_is_read(tmp_path: Path) -> None:
    pixels = noise(12)
    whole = write(tmp_path / "whole.dcm", dicom(pixels, bits=12)).read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[132:])
    np.testing.assert_array_equal(load_radiograph(tmp_path / "cut.dcm").pixels, pixels)


def test_image_files_are_known_by_suffix_or_magic_word(tmp_path: Path) -> None:
    magic = bytes(128) + b"DICM"
    contents = {
        "a.png": (b"", True),
        "b.JPG": (b"", True),
        "c.TIFF": (b"", True),
        "d.dcm": (b"", True),
        "e.IMA": (b"", True),
        "f": (magic, True),
        "1.2.840.99": (magic, True),
        "g": (b"text", False),
        "h.txt": (magic, False),
        "1.2.840.98": (b"text", False),
    }
    for name, (content, _) in contents.items():
        (tmp_path / name).write_bytes(content)
    found = {name: is_image_file(tmp_path / name) for name in contents}
    assert found == {name: expected for name, (_, expected) in contents.items()}
