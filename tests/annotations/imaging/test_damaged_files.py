"""Files with flipped, missing and cut-off bytes are read or refused, and nothing else."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from annotations.errors import UnreadableImage
from annotations.imaging import IsolatedLoader
from annotations.imaging.display import display_picture, presets
from tests.annotations.imaging.handmade import dicom, noise, table, write

N_MUTANTS = 200


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Undamaged films of every kind that is read."""
    folder = tmp_path_factory.mktemp("whole")
    grey, deep = Image.fromarray(noise(8)), Image.fromarray(noise(16))
    exif = Image.Exif()
    exif[0x0112] = 6
    grey.save(folder / "a.png")
    deep.save(folder / "b.png")
    grey.save(folder / "c.jpg", exif=exif)
    Image.fromarray(np.dstack([noise(8)] * 3)).save(folder / "d.jpg", progressive=True)
    deep.save(folder / "e.tif")
    grey.save(folder / "f.tif", compression="tiff_lzw")
    header = dicom(noise(12), bits=12)
    header.WindowCenter, header.WindowWidth = [1000, 2000], [500, 4000]
    header.RescaleSlope, header.RescaleIntercept = "1.5", "-10"
    header.VOILUTSequence = table(0, list(range(0, 4096, 16)), bits=12)
    write(folder / "g.dcm", header)
    for name, syntax in (("h", RLELossless), ("i", JPEGLSLossless), ("j", JPEG2000Lossless)):
        header = dicom(noise(12), bits=12)
        header.compress(syntax)
        header.save_as(folder / f"{name}.dcm", enforce_file_format=True)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def loader() -> Iterator[IsolatedLoader]:
    with IsolatedLoader() as one:
        yield one


def mutant(content: bytes, seed: int) -> bytes:
    """The content with its end cut off, or bytes changed (mostly in the header), or removed."""
    rng = random.Random(seed)
    changed = bytearray(content)
    kind = rng.choice(["cut", "anywhere", "header", "header", "removed"])
    if kind == "cut":
        return bytes(changed[: rng.randrange(1, len(changed))])
    if kind == "removed":
        start = rng.randrange(min(len(changed), 1200))
        del changed[start : start + rng.randrange(1, 12)]
        return bytes(changed)
    reach = len(changed) if kind == "anywhere" else min(len(changed), 1200)
    for _ in range(rng.choice([1, 2, 4, 16])):
        changed[rng.randrange(reach)] = rng.choice([0, 255, rng.randrange(256)])
    return bytes(changed)


def test_whole_films_are_read(whole: list[Path], loader: IsolatedLoader) -> None:
    assert len(whole) == 10
    for path in whole:
        assert loader.load(path).pixels.size == 32 * 48


@pytest.mark.parametrize("seed", range(N_MUTANTS))
def test_a_damaged_film_is_read_or_refused(
    tmp_path: Path, whole: list[Path], loader: IsolatedLoader, seed: int
) -> None:
    path = whole[seed % len(whole)]
    damaged = tmp_path / f"film{path.suffix}"
    damaged.write_bytes(mutant(path.read_bytes(), seed))
    try:
        radiograph = loader.load(damaged)
    except UnreadableImage as error:
        reason = str(error)
        assert len(reason) > 15
        assert "FIND" not in reason.upper()
        assert "SECRET" not in reason
        return
    assert int(radiograph.pixels.max()) < 2**radiograph.bits
    for preset in presets(radiograph):
        assert display_picture(radiograph, preset).shape == radiograph.size
    assert "FIND" not in repr(radiograph).upper()


def test_the_mutants_are_worth_the_name(whole: list[Path]) -> None:
    contents = [path.read_bytes() for path in whole]
    changed = Counter(
        mutant(contents[seed % len(whole)], seed) != contents[seed % len(whole)]
        for seed in range(N_MUTANTS)
    )
    assert changed[True] >= N_MUTANTS - 3
