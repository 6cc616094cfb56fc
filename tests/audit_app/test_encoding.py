"""Images to embeddings: the same as one at a time, each encoded once, resumable."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotations.errors import UnknownRecord
from annotations.imaging import load_radiograph
from annotations.imaging.display import display_picture
from annotations.imaging.sampling import sample_file
from annotations.importing import import_source
from annotations.store import Store
from annotations.workspace import Workspace, create_workspace, open_workspace
from audit_app.encoding import (
    EncodingCancelled,
    EncodingFailed,
    encode_images,
    frame_request,
    sampling_of,
)
from audit_app.models import add_model, make_runtime
from model_store.encoder import ImageEncoder
from model_store.entries import PREPROCESSINGS
from model_store.preprocessing import frame_geometry

N_FILMS = 21


@dataclass
class Counting:
    """A tiny linear tower under the real protocol; counts the frames that it is given."""

    weights_sha256: str = "a" * 64
    precision: str = "fp32"
    kind: str = "crop"
    n_frames: int = 0
    slow_s: float = 0.0
    asked: list[str] = field(default_factory=list)

    @property
    def input_size(self) -> tuple[int, int]:
        return (24, 24)

    @property
    def preprocessing(self) -> dict[str, Any]:
        return {"kind": self.kind, "interpolation": "bicubic", "fill": 0}

    def encoder(self, model: str) -> Counting:
        self.asked.append(model)
        return self

    def embed(self, frames: np.ndarray) -> np.ndarray:
        time.sleep(self.slow_s)
        self.n_frames += len(frames)
        weights = np.random.default_rng(1).normal(size=(24 * 24, 3))
        return (frames.reshape(len(frames), -1) @ weights).astype(np.float32)


def write_films(folder: Path) -> None:
    folder.mkdir()
    for number in range(N_FILMS):
        size = (50 + number, 80 - number)
        pixels = np.random.default_rng(number).integers(0, 256, size, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    write_films(tmp_path / "films")
    made = create_workspace(tmp_path / "w", name="w")
    with Store.open(made) as store:
        import_source(made, store, tmp_path / "films", "folder")
    return made


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    with Store.open(workspace) as opened:
        yield opened


def ids(store: Store) -> list[str]:
    return [image.image_id for image in store.images.all()]


def test_each_image_is_encoded_once_and_rows_follow_the_asked_order(
    workspace: Workspace, store: Store
) -> None:
    model, wanted = Counting(), ids(store)
    first = encode_images(workspace, store, model, "any", wanted)
    assert first.shape == (N_FILMS, 3)
    assert model.n_frames == N_FILMS
    mixed = [wanted[4], wanted[0], wanted[4]]
    again = encode_images(workspace, store, model, "any", mixed)
    np.testing.assert_array_equal(again, first[[4, 0, 4]])
    assert model.n_frames == N_FILMS


def test_other_weights_or_preprocessing_are_encoded_anew(
    workspace: Workspace, store: Store
) -> None:
    wanted = ids(store)[:5]
    encode_images(workspace, store, Counting(), "any", wanted)
    for other in (Counting(weights_sha256="b" * 64), Counting(kind="pad"), Counting(precision="x")):
        encode_images(workspace, store, other, "any", wanted)
        assert other.n_frames == 5


def test_an_image_that_cannot_be_read_fails_after_all_others_are_kept(
    workspace: Workspace, store: Store
) -> None:
    images = store.images.all()
    Path(images[3].path).write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    Path(images[8].path).unlink()
    model = Counting()
    with pytest.raises(EncodingFailed, match="2 of 21 images could not be encoded") as caught:
        encode_images(workspace, store, model, "any", ids(store))
    assert "changed since it was imported" in str(caught.value)
    assert "missing" in str(caught.value)
    for one in (images[3], images[8]):
        assert one.image_id in str(caught.value)
        assert one.name not in str(caught.value)
    assert model.n_frames == N_FILMS - 2
    rest = [image.image_id for image in images if image not in (images[3], images[8])]
    encode_images(workspace, store, model, "any", rest)
    assert model.n_frames == N_FILMS - 2


def test_what_was_encoded_before_a_cancel_is_kept(workspace: Workspace, store: Store) -> None:
    model = Counting()
    with pytest.raises(EncodingCancelled, match="16 new embeddings are kept"):
        encode_images(
            workspace, store, model, "any", ids(store), progress=lambda done, *_: done >= 16
        )
    encode_images(workspace, store, model, "any", ids(store))
    assert model.n_frames == N_FILMS


def test_progress_counts_only_what_is_left_to_do(workspace: Workspace, store: Store) -> None:
    encode_images(workspace, store, Counting(), "any", ids(store)[:6])
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int, message: str) -> bool:
        assert message == f"encoded picture {done} of {total}"
        seen.append((done, total))
        return False

    encode_images(workspace, store, Counting(), "any", ids(store), progress=progress)
    assert seen == [(15, 15)]


def test_no_image_and_an_unknown_one_are_refused(workspace: Workspace, store: Store) -> None:
    with pytest.raises(ValueError, match="name at least one"):
        encode_images(workspace, store, Counting(), "any", [])
    with pytest.raises(UnknownRecord):
        encode_images(workspace, store, Counting(), "any", ["nobody"])


KILLED = """
import sys
from pathlib import Path
import audit_app.encoding
from annotations.store import Store
from annotations.workspace import open_workspace
from tests.audit_app.test_encoding import Counting, ids

audit_app.encoding.KEEP_EVERY_S = 0.0  # a save after each batch, as twenty seconds of work give
workspace = open_workspace(Path(sys.argv[1]))
with Store.open(workspace) as store:
    audit_app.encoding.encode_images(
        workspace, store, Counting(slow_s=0.0), "any", ids(store),
        progress=lambda done, total, message: print(done, flush=True) or (
            done >= 16 and sys.stdin.read() is None),
    )
"""


def test_a_killed_encoding_goes_on_where_it_was_saved(
    workspace: Workspace, store: Store, repo_root: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(workspace.root)],
        cwd=repo_root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "16\n"
        process.send_signal(signal.SIGKILL)
    model = Counting()
    found = encode_images(workspace, store, model, "any", ids(store))
    assert model.n_frames == N_FILMS - 16
    fresh = Counting(weights_sha256="c" * 64)
    np.testing.assert_array_equal(found, encode_images(workspace, store, fresh, "any", ids(store)))


@pytest.mark.parametrize("model", ["demo-vit", "demo-cnn"])
def test_embeddings_are_those_of_the_model_asked_one_picture_at_a_time(
    workspace: Workspace, store: Store, model: str
) -> None:
    add_model(workspace, store, model)
    runtime = make_runtime(workspace, store)
    found = encode_images(workspace, store, runtime, model, ids(store))
    with runtime._borrowed(model) as held:
        loaded = held.loaded
    encoder = ImageEncoder(loaded)
    for image, row in zip(store.images.all(), found, strict=True):
        picture = display_picture(load_radiograph(Path(image.path)))
        alone = encoder.embed(loaded.frame_pixels(picture)[None])[0]
        np.testing.assert_allclose(row, alone, rtol=0, atol=2e-5 * np.abs(alone).max())


@pytest.mark.parametrize("kind", PREPROCESSINGS)
@pytest.mark.parametrize("size", [(50, 80), (81, 50), (97, 96), (300, 401), (96, 96), (40, 40)])
def test_frames_are_bit_for_bit_those_of_open_clips_transform(
    tmp_path: Path, kind: str, size: tuple[int, int]
) -> None:
    from model_store.loading import PreprocessCfg, _frame_transform
    from model_store.networks import RESIZE_MODES

    settings = PreprocessCfg(size=96, resize_mode=RESIZE_MODES[kind], fill_color=9)
    pixels = np.random.default_rng(5).integers(0, 256, size, dtype=np.uint8)
    expected = np.asarray(_frame_transform(settings)(Image.fromarray(pixels)))
    path = tmp_path / "film.png"
    Image.fromarray(pixels).save(path)
    sampling = sampling_of(
        frame_geometry(kind, size, (96, 96)), {"interpolation": settings.interpolation, "fill": 9}
    )
    np.testing.assert_array_equal(sample_file(path, sampling), expected)


def test_a_picture_too_narrow_for_the_crop_is_named_and_not_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    Image.fromarray(np.zeros((16, 4000), np.uint8)).save(folder / "narrow.png")
    workspace = create_workspace(tmp_path / "w", name="w")
    with Store.open(workspace) as store:
        import_source(workspace, store, folder, "folder")
        (image,) = store.images.all()
        with pytest.raises(ValueError, match="too narrow for 'pad'"):
            frame_request(image, Counting(kind="pad"))
        with pytest.raises(EncodingFailed, match=rf"{image.image_id}: .* too narrow"):
            encode_images(workspace, store, Counting(kind="pad"), "any", [image.image_id])


def test_a_workspace_opened_again_finds_its_embeddings(workspace: Workspace, store: Store) -> None:
    encode_images(workspace, store, Counting(), "any", ids(store))
    again, model = open_workspace(workspace.root), Counting()
    with Store.open(again) as other:
        encode_images(again, other, model, "any", ids(other))
    assert model.n_frames == 0


class Overflowing(Counting):
    """A tower whose numbers become too large on bright pictures."""

    def embed(self, frames: np.ndarray) -> np.ndarray:
        values = super().embed(frames)
        values[frames[:, 0, 0] > 128] = np.inf
        return values


def test_an_embedding_that_is_not_finite_is_named_and_not_kept(
    workspace: Workspace, store: Store
) -> None:
    model = Overflowing(weights_sha256="c" * 64)
    with pytest.raises(EncodingFailed, match="embedding of it is not finite"):
        encode_images(workspace, store, model, "any", ids(store))
    before = model.n_frames
    with pytest.raises(EncodingFailed, match=r"of \d+ images could not be encoded"):
        encode_images(workspace, store, model, "any", ids(store))
    assert 0 < model.n_frames - before < N_FILMS
