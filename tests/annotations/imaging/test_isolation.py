from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.uid import RLELossless

from annotations.errors import UnreadableImage
from annotations.imaging import IsolatedLoader, Radiograph, load_radiograph
from tests.annotations.imaging.handmade import (
    dicom,
    noise,
    ramp,
    table,
    write,
    write_lossless_jpeg,
)


@pytest.fixture(scope="module")
def loader() -> Iterator[IsolatedLoader]:
    with IsolatedLoader() as one:
        yield one


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.png"
    Image.fromarray(noise(8)).save(path)
    return path


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A progressive JPEG whose last pass over 16 million pixels is asked for 400 times."""
    path = tmp_path_factory.mktemp("endless") / "film.jpg"
    Image.new("L", (4000, 4000), 90).save(path, progressive=True, quality=50)
    content = path.read_bytes()
    last_pass = content[content.rindex(b"\xff\xda") : -2]
    path.write_bytes(content[:-2] + last_pass * 400 + content[-2:])
    return path


def children() -> list[psutil.Process]:
    """The decoding processes that this one started."""
    return [
        child
        for child in psutil.Process().children()
        if child.is_running() and "annotations.imaging.decoder" in " ".join(child.cmdline())
    ]


def described(radiograph: Radiograph) -> dict[str, Any]:
    """Everything but the arrays, for comparison."""
    return asdict(replace(radiograph, pixels=np.zeros((1, 1), np.uint8), voi_luts=())) | {
        "pixels": None
    }


def rich_dicom() -> FileDataset:
    header = dicom(ramp(-900, 900, dtype=np.int16))
    header.RescaleSlope, header.RescaleIntercept = "1.5", "-3"
    header.WindowCenter, header.WindowWidth = [10, 20.5], [100, 300]
    header.WindowCenterWidthExplanation = ["LUNG", "KNOCHEN"]
    header.VOILUTSequence = table(0, list(range(0, 4096, 7)), bits=12)
    header.VOILUTSequence.append(table(5, [3, 2, 1], bits=8)[0])
    header.PixelSpacing, header.PixelPaddingValue = [0.2, 0.3], -900
    header.BurnedInAnnotation = "YES"
    return header


def write_png(path: Path) -> None:
    Image.fromarray(noise(8)).save(path, format="PNG")


def write_deep_png(path: Path) -> None:
    Image.fromarray(noise(16)).save(path, format="PNG")


def write_jpeg(path: Path) -> None:
    Image.fromarray(noise(8)).save(path, format="JPEG")


def write_deep_tiff(path: Path) -> None:
    Image.fromarray(noise(16)).save(path, format="TIFF")


def write_plain_dicom(path: Path) -> None:
    write(path, dicom(noise(12), bits=12))


def write_rich_dicom(path: Path) -> None:
    write(path, rich_dicom())


def write_rle_dicom(path: Path) -> None:
    header = dicom(noise(12), bits=12)
    header.compress(RLELossless)
    header.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize(
    "write_film",
    [
        write_png,
        write_deep_png,
        write_jpeg,
        write_deep_tiff,
        write_plain_dicom,
        write_rich_dicom,
        write_rle_dicom,
    ],
)
def test_every_kind_of_file_is_the_same_from_the_child(
    tmp_path: Path, loader: IsolatedLoader, write_film: Callable[[Path], None]
) -> None:
    write_film(tmp_path / "film")
    here, there = load_radiograph(tmp_path / "film"), loader.load(tmp_path / "film")
    np.testing.assert_array_equal(there.pixels, here.pixels)
    assert there.pixels.dtype == here.pixels.dtype
    assert described(there) == described(here)
    assert there.identity == here.identity
    assert len(there.voi_luts) == len(here.voi_luts)
    for one, other in zip(there.voi_luts, here.voi_luts, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        assert (one.first, one.bits, one.name) == (other.first, other.bits, other.name)


def test_the_reason_of_a_refusal_is_the_same_from_the_child(
    tmp_path: Path, loader: IsolatedLoader
) -> None:
    header = dicom(noise(8))
    header.Modality = "CT"
    path = write(tmp_path / "film.dcm", header)
    with pytest.raises(UnreadableImage) as here:
        load_radiograph(path)
    with pytest.raises(UnreadableImage) as there:
        loader.load(path)
    assert str(there.value) == str(here.value)


@pytest.mark.parametrize(
    "name",
    ["with space.png", "Röntgen Schädel.png", "胸部.png", "a'b\"c;$(d).png", "line\nfeed.png"],
)
def test_any_file_name_reaches_the_child(tmp_path: Path, loader: IsolatedLoader, name: str) -> None:
    folder = tmp_path / "Bilder für März"
    folder.mkdir()
    write_png(folder / name)
    assert loader.load(folder / name).size == (32, 48)


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="names are Unicode there")
def test_a_file_name_that_is_no_text_reaches_the_child(
    tmp_path: Path, loader: IsolatedLoader
) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xff\xfe.png"))
    write_png(path)
    assert loader.load(path).size == (32, 48)


def test_a_relative_path_is_that_of_the_caller(
    tmp_path: Path, loader: IsolatedLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_png(tmp_path / "film.png")
    monkeypatch.chdir(tmp_path)
    assert loader.load(Path("film.png")).size == (32, 48)


def test_a_link_is_read_by_its_own_name(tmp_path: Path, loader: IsolatedLoader) -> None:
    # Content-addressed stores: the link has the suffix, its target has none. Without a preamble
    # only the suffix says that this is DICOM.
    whole = write(tmp_path / "whole.dcm", dicom(noise(12), bits=12))
    (tmp_path / "0af3").write_bytes(whole.read_bytes()[132:])
    (tmp_path / "link.dcm").symlink_to(tmp_path / "0af3")
    assert loader.load(tmp_path / "link.dcm").modality == "DX"


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path, loader: IsolatedLoader) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such file: '.*absent\.png'"):
        loader.load(tmp_path / "absent.png")


def test_a_folder_is_refused_and_the_child_goes_on(
    tmp_path: Path, loader: IsolatedLoader, small: Path
) -> None:
    loader.load(small)
    before = children()
    with pytest.raises(UnreadableImage, match="this is a folder"):
        loader.load(tmp_path)
    assert loader.load(small).size == (32, 48)
    assert children() == before


def test_one_child_serves_many_files(small: Path) -> None:
    before = {child.pid for child in children()}
    with IsolatedLoader() as loader:
        seen = set()
        for _ in range(10):
            loader.load(small)
            seen |= {child.pid for child in children()} - before
    assert len(seen) == 1


def test_leaving_the_context_ends_the_child(small: Path) -> None:
    before = {child.pid for child in children()}
    with IsolatedLoader() as loader:
        loader.load(small)
        (new,) = {child.pid for child in children()} - before
    assert not psutil.pid_exists(new)


def test_a_loader_that_loads_nothing_starts_nothing() -> None:
    before = {child.pid for child in children()}
    with IsolatedLoader():
        assert {child.pid for child in children()} == before


def test_a_child_that_was_killed_is_replaced(small: Path) -> None:
    before = {child.pid for child in children()}
    with IsolatedLoader() as loader:
        for _ in range(2):
            assert loader.load(small).size == (32, 48)
            (pid,) = {child.pid for child in children()} - before
            os.kill(pid, signal.SIGKILL)
        assert loader.load(small).size == (32, 48)


def test_a_child_that_is_killed_at_work_is_replaced_and_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.fromarray(noise(16, size=(1500, 1500))).save(path, compress_level=1)
    before = {child.pid for child in children()}
    found: list[Radiograph] = []
    with IsolatedLoader() as loader:
        loader.load(path)
        (pid,) = {child.pid for child in children()} - before
        thread = threading.Thread(target=lambda: found.append(loader.load(path)))
        thread.start()
        time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
        thread.join()
    np.testing.assert_array_equal(found[0].pixels, noise(16, size=(1500, 1500)))


def test_a_file_that_aborts_the_decoder_is_refused_and_the_next_one_read(
    tmp_path: Path, small: Path
) -> None:
    # 255 bits a pixel, in the JPEG's own header: GDCM 3.0 aborts its process.
    path = write_lossless_jpeg(tmp_path / "film.dcm", noise(12), bits=12)
    content = bytearray(path.read_bytes())
    content[content.index(b"\xff\xd8\xff\xc3") + 6] = 255
    path.write_bytes(content)
    with IsolatedLoader() as loader:
        with pytest.raises(UnreadableImage, match="ended the decoder"):
            loader.load(path)
        assert loader.load(small).size == (32, 48)


def test_a_file_that_takes_too_long_is_refused_and_the_next_one_read(
    endless: Path, small: Path
) -> None:
    before = {child.pid for child in children()}
    with IsolatedLoader(time_limit_s=3) as loader:
        loader.load(small)
        (pid,) = {child.pid for child in children()} - before
        with pytest.raises(UnreadableImage, match="took longer than 3 s"):
            loader.load(endless)
        assert not psutil.pid_exists(pid)
        assert loader.load(small).size == (32, 48)


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="no limit of memory there")
def test_a_file_that_needs_too_much_memory_is_refused_and_the_next_one_read(
    tmp_path: Path, small: Path
) -> None:
    path = tmp_path / "huge.png"
    Image.fromarray(np.full((7900, 7900), 300, np.uint16)).save(path, compress_level=1)
    with IsolatedLoader(memory_limit_bytes=400 * 1024**2) as loader:
        assert loader.load(small).size == (32, 48)
        with pytest.raises(UnreadableImage, match="memory"):
            loader.load(path)
        assert loader.load(small).size == (32, 48)


def test_a_child_that_cannot_start_is_said_to(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))  # no standard library there
    with (
        IsolatedLoader() as loader,
        pytest.raises(UnreadableImage, match="no decoding process could be started"),
    ):
        loader.load(small)


def test_threads_may_share_a_loader(tmp_path: Path, loader: IsolatedLoader) -> None:
    paths = []
    for seed in range(6):
        paths.append(tmp_path / f"{seed}.png")
        Image.fromarray(noise(16, seed=seed)).save(paths[-1])
    found: dict[int, Radiograph] = {}

    def load(seed: int) -> None:
        for _ in range(5):
            found[seed] = loader.load(paths[seed])

    threads = [threading.Thread(target=load, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(6):
        np.testing.assert_array_equal(found[seed].pixels, noise(16, seed=seed))


def test_what_decoders_print_does_not_disturb_the_answers(
    tmp_path: Path, loader: IsolatedLoader, small: Path
) -> None:
    # libtiff and OpenJPEG complain on the standard streams about such files.
    path = tmp_path / "film.tif"
    Image.fromarray(noise(16)).save(path, compression="tiff_lzw")
    content = bytearray(path.read_bytes())
    content[12:400] = bytes(388)
    path.write_bytes(content)
    for _ in range(3):
        with pytest.raises(UnreadableImage):
            loader.load(path)
        assert loader.load(small).size == (32, 48)


def test_the_child_ends_with_its_parent(repo_root: Path, small: Path) -> None:
    script = (
        "import os, sys, psutil\n"
        "from pathlib import Path\n"
        "from annotations.imaging import IsolatedLoader\n"
        "loader = IsolatedLoader()\n"
        "loader.load(Path(sys.argv[1]))\n"
        "print(psutil.Process().children()[0].pid, flush=True)\n"
        "os._exit(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(small)],
        cwd=repo_root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    deadline = time.monotonic() + 20
    while psutil.pid_exists(int(done.stdout)) and time.monotonic() < deadline:
        if psutil.Process(int(done.stdout)).status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.05)
    else:
        assert not psutil.pid_exists(int(done.stdout))
