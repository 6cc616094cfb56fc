"""A file straight to a model's grid: within the stated tolerance of decoding it whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.uid import JPEG2000Lossless

from annotations.errors import UnreadableImage
from annotations.imaging import IsolatedLoader, load_radiograph
from annotations.imaging.display import display_picture
from annotations.imaging.files import load_shrunk
from annotations.imaging.sample_pool import SamplePool, SampleRequest
from annotations.imaging.sampling import (
    MEAN_TOLERANCE,
    MOST_TOLERANCE,
    Sampling,
    sample_file,
)
from annotations.imaging.shrinking import shrink_for
from tests.annotations.imaging.handmade import dicom, table

SIZE = (1003, 861)  # no multiple of 2, 4 or 8


def film(size: tuple[int, int] = SIZE, bits: int = 8) -> np.ndarray:
    """A soft body with sharp ribs, a fine line and film grain."""
    rows, columns = np.mgrid[: size[0], : size[1]] / np.array(size)[:, None, None]
    body = np.exp(-((rows - 0.5) ** 2 + (columns - 0.45) ** 2) * 4)
    ribs = 0.12 * (np.sin(rows * 70 + columns * 12) > 0.6)
    line = 0.3 * (np.abs(columns - 0.3 - rows * 0.2) < 0.002)
    grain = np.random.default_rng(0).normal(0, 0.015, size)
    values = np.clip(0.75 * body + ribs + line + grain, 0, 1) * (2**bits - 1)
    return values.astype(np.uint8 if bits <= 8 else np.uint16)


def squash(size: tuple[int, int], to: int = 96) -> Sampling:
    return Sampling(image_size=size, resized=(to, to), offset=(0, 0), size=(to, to))


def crop(size: tuple[int, int], to: int = 96) -> Sampling:
    """Shortest edge to ``to``, then the middle."""
    height = round(size[0] * to / size[1])
    return Sampling(size, (height, to), ((height - to) // 2, 0), (to, to))


def pad(size: tuple[int, int], to: int = 96) -> Sampling:
    """Longest edge to ``to``, the rest filled."""
    width = round(size[1] * to / size[0])
    return Sampling(size, (to, width), (0, -((to - width) // 2)), (to, to), fill=7)


def write_jpeg(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path, format="JPEG", quality=92)
    return path


def write_wavelets(path: Path, header: FileDataset) -> Path:
    header.compress(JPEG2000Lossless)
    header.save_as(path, enforce_file_format=True)
    return path


def deep_dicom(bits: int = 12) -> FileDataset:
    header = dicom(film(bits=bits), bits=bits)
    header.WindowCenter, header.WindowWidth = 2 ** (bits - 1), 2**bits
    return header


def by_pillow(path: Path, sampling: Sampling) -> np.ndarray:
    """The grid from the whole picture, by Pillow's resize and plain slices."""
    picture = Image.fromarray(display_picture(load_radiograph(path)))
    height, width = sampling.resized
    resized = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
    (top, left), (rows, columns) = sampling.offset, sampling.size
    grid = np.full((rows, columns), sampling.fill, np.uint8)
    for row in range(rows):
        for column in range(columns):
            if 0 <= row + top < height and 0 <= column + left < width:
                grid[row, column] = resized[row + top, column + left]
    return grid


def assert_within_tolerance(found: np.ndarray, expected: np.ndarray) -> None:
    difference = np.abs(found.astype(int) - expected.astype(int))
    assert difference.mean() <= MEAN_TOLERANCE
    assert difference.max() <= MOST_TOLERANCE


def centroid(grid: np.ndarray) -> tuple[float, float]:
    rows, columns = np.mgrid[: grid.shape[0], : grid.shape[1]]
    weights = grid.astype(float)
    total = weights.sum()
    return float((rows * weights).sum() / total), float((columns * weights).sum() / total)


@pytest.fixture(scope="module")
def jpeg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jpeg(tmp_path_factory.mktemp("jpeg") / "film.jpg", film())


@pytest.fixture(scope="module")
def wavelets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wavelets(tmp_path_factory.mktemp("wavelets") / "film.dcm", deep_dicom())


@pytest.mark.parametrize("frame", [squash, crop, pad])
def test_a_shrunken_jpeg_gives_the_grid_within_the_tolerance(
    jpeg: Path, frame: Callable[[tuple[int, int]], Sampling]
) -> None:
    sampling = frame(SIZE)
    assert load_shrunk(jpeg, sampling.least).radiograph.size == (251, 216)  # a quarter, rounded up
    assert_within_tolerance(sample_file(jpeg, sampling), by_pillow(jpeg, sampling))


@pytest.mark.parametrize("frame", [squash, crop, pad])
def test_shrunken_wavelets_give_the_grid_within_the_tolerance(
    wavelets: Path, frame: Callable[[tuple[int, int]], Sampling]
) -> None:
    sampling = frame(SIZE)
    # A quarter, rounded up, and one repeated pixel on each side.
    assert load_shrunk(wavelets, sampling.least).radiograph.size == (253, 218)
    assert_within_tolerance(sample_file(wavelets, sampling), by_pillow(wavelets, sampling))


@pytest.mark.parametrize("bits", [8, 10, 15, 16])
def test_wavelets_of_any_depth_keep_their_greys(tmp_path: Path, bits: int) -> None:
    path = write_wavelets(tmp_path / "film.dcm", deep_dicom(bits))
    sampling = squash(SIZE)
    assert load_shrunk(path, sampling.least).radiograph.size == (253, 218)
    assert_within_tolerance(sample_file(path, sampling), by_pillow(path, sampling))


@pytest.mark.parametrize("kind", ["jpeg", "wavelets"])
def test_a_spot_stays_where_it_is_to_a_hundredth_of_a_grid_pixel(tmp_path: Path, kind: str) -> None:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    spot = (240 * np.exp(-((rows - 300) ** 2 + (columns - 620) ** 2) / 4000)).astype(np.uint8)
    if kind == "jpeg":
        path = write_jpeg(tmp_path / "film.jpg", spot)
    else:
        path = write_wavelets(tmp_path / "film.dcm", dicom(spot, bits=8))
    sampling = squash(SIZE)
    assert load_shrunk(path, sampling.least).radiograph.size[0] < SIZE[0] / 3
    found, expected = centroid(sample_file(path, sampling)), centroid(by_pillow(path, sampling))
    assert found == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_what_cannot_be_shrunk_gives_the_very_grid(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"film.{suffix}"
    Image.fromarray(film(bits=16)).save(path)
    for sampling in (squash(SIZE), crop(SIZE), pad(SIZE)):
        np.testing.assert_array_equal(sample_file(path, sampling), by_pillow(path, sampling))


def test_a_picture_that_lies_on_its_side_is_decoded_whole(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    path = tmp_path / "film.jpg"
    Image.fromarray(film()).save(path, quality=92, exif=exif)
    turned = (SIZE[1], SIZE[0])
    shrunk = load_shrunk(path, (96, 96))
    assert (shrunk.size, shrunk.radiograph.size) == (turned, turned)
    sampling = squash(turned)
    np.testing.assert_array_equal(sample_file(path, sampling), by_pillow(path, sampling))


def with_modality_table(header: FileDataset) -> None:
    header.ModalityLUTSequence = table(0, list(range(4096)), bits=12)


def with_padding(header: FileDataset) -> None:
    header.PixelPaddingValue = 0


def without_window(header: FileDataset) -> None:
    del header.WindowCenter
    del header.WindowWidth


def signed(header: FileDataset) -> None:
    header.PixelRepresentation = 1


@pytest.mark.parametrize("change", [with_modality_table, with_padding, without_window, signed])
def test_values_that_must_not_be_averaged_are_decoded_whole(
    tmp_path: Path, change: Callable[[FileDataset], None]
) -> None:
    header = deep_dicom()
    change(header)
    path = write_wavelets(tmp_path / "film.dcm", header)
    assert load_shrunk(path, (96, 96)).radiograph.size == SIZE


def test_a_codestream_that_is_cut_off_is_refused_as_when_it_is_read_whole(
    tmp_path: Path, wavelets: Path
) -> None:
    content = wavelets.read_bytes()
    path = tmp_path / "film.dcm"
    path.write_bytes(content[: len(content) // 3])
    with pytest.raises(UnreadableImage) as whole:
        load_radiograph(path)
    with pytest.raises(UnreadableImage) as part:
        sample_file(path, squash(SIZE))
    assert str(part.value) == str(whole.value)


def test_decoding_never_leaves_fewer_pixels_than_asked_for() -> None:
    assert shrink_for((1000, 800), None) == 1
    assert shrink_for((1000, 800), (101, 100)) == 8
    assert shrink_for((1000, 799), (101, 100)) == 4
    assert shrink_for((1000, 800), (126, 100)) == 4
    assert shrink_for((1000, 800), (501, 100)) == 1


def test_a_changed_file_and_one_of_another_size_are_refused(jpeg: Path) -> None:
    with pytest.raises(UnreadableImage, match="changed since it was imported"):
        sample_file(jpeg, squash(SIZE), sha256="0" * 64)
    with pytest.raises(UnreadableImage, match="861 x 1003, but it was imported with 800 x 1000"):
        sample_file(jpeg, squash((1000, 800)))


def test_a_sampling_that_makes_no_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="resample is 'nearest'; expected one of bicubic"):
        Sampling((9, 9), (3, 3), (0, 0), (3, 3), "nearest")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="empty side"):
        Sampling((9, 9), (0, 3), (0, 0), (3, 3))


def test_the_child_gives_the_same_grid_and_the_same_refusals(jpeg: Path, wavelets: Path) -> None:
    with IsolatedLoader() as loader:
        for path in (jpeg, wavelets):
            sampling = pad(SIZE)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            grid = loader.sample(path, sampling, sha256=digest)
            np.testing.assert_array_equal(grid, sample_file(path, sampling))
        with pytest.raises(UnreadableImage, match="changed since"):
            loader.sample(jpeg, squash(SIZE), sha256="0" * 64)
        assert loader.load(jpeg).size == SIZE


def test_the_pool_keeps_the_order_and_names_no_file_in_its_reasons(tmp_path: Path) -> None:
    requests, expected = [], []
    for number in range(40):
        path = tmp_path / f"DOE_JOHN_{number}.png"
        if number % 7 == 3:
            path.write_bytes(b"\x89PNG\r\n\x1a\n nothing")
        elif number % 7 != 5:
            Image.fromarray(np.full((20, 20), number, np.uint8)).save(path)
        requests.append(SampleRequest(path, squash((20, 20), 8), ""))
        expected.append(None if number % 7 in (3, 5) else number)
    with SamplePool(2) as pool:
        found = list(pool.samples(requests))
    assert [None if isinstance(one, str) else int(one[4, 4]) for one in found] == expected
    reasons = [one for one in found if isinstance(one, str)]
    assert any("missing" in reason for reason in reasons)
    assert not any("DOE" in reason for reason in reasons)


@pytest.mark.real_data
def test_real_films_stay_within_the_tolerance(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "dicom"
    films = [
        folder / "chest_cr_monochrome1_15bit_jpeg2000.dcm",
        folder / "chest_cr_monochrome2_8bit_jpeg.dcm",
        folder / "chest_cr_monochrome1_8bit_jpeg_same_picture.dcm",
    ]
    for source in sorted((shared_data / "iu_xray" / "full_size").glob("*.png")):
        pixels = np.asarray(Image.open(source).convert("L"))
        films.append(write_jpeg(tmp_path / f"{source.stem}.jpg", pixels))
    for path in films:
        size = load_radiograph(path).size
        for sampling in (crop(size, 224), squash(size, 224)):
            assert load_shrunk(path, sampling.least).radiograph.size[0] < size[0]
            assert_within_tolerance(sample_file(path, sampling), by_pillow(path, sampling))
