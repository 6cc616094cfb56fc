"""Maps, prompts and encoding against plain forward passes of the same network, in the same run.

``python -m tests.benchmarks.saliency [--quick] [--data FOLDER]``: FOLDER holds
``biomedclip_without_weights``, whose architecture is measured with random weights; without it the
demo's own transformer is. ``--quick`` measures the demo alone, on few pictures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pytorch_grad_cam import GradCAM

from annotations.findings import STUDY_FINDINGS
from annotations.importing import import_source
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.encoding import BATCH, encode_images
from model_store.catalogue import make_entry
from model_store.encoder import ImageEncoder
from model_store.entries import PRESETS, ModelEntry
from model_store.held import HeldModel
from model_store.loading import LoadedModel, load_model
from model_store.modes import Mode, build_mode
from model_store.prompt_basis import PromptBasis, prompt_maps
from model_store.saliency import SALIENCY_METHODS
from tests.benchmarks.report import Figure, report
from tests.saliency_oracles import library_map, stretched

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY.parent / "shared" / "data"
FINDINGS = STUDY_FINDINGS
SEED = 3
FILM = (2496, 2048)
MIB = 1024 * 1024
ENTRIES = ("biomedclip", "demo-vit")
GRADCAM = SALIENCY_METHODS["gradcam"].maps


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    repeats: int
    batch: int
    n_films: int


FULL = Size(repeats=7, batch=32, n_films=48)
QUICK = Size(repeats=1, batch=2, n_films=3)


def entry_of(name: str, data: Path) -> ModelEntry:
    """BiomedCLIP's architecture from the data folder, or a demo model with its own weights."""
    if name != "biomedclip":
        return make_entry(name, preset=name, location=None, path=None, models_dir=data)
    folder = data / "biomedclip_without_weights"
    values = {**PRESETS["biomedclip"].to_dict(), "location": f"local-dir:{folder}"}
    return ModelEntry.from_dict({**values, "precision": "fp32"})


def load(name: str, data: Path) -> LoadedModel:
    """The model; BiomedCLIP's architecture has no weights here, so they are random."""
    random_weights = SEED if name == "biomedclip" else None
    return load_model(entry_of(name, data), random_weights_seed=random_weights)


def picture(seed: int, size: tuple[int, int] = (480, 400)) -> NDArray[np.uint8]:
    """A made-up film: soft shapes of several sizes, and grain."""
    random = np.random.default_rng(seed)
    soft = Image.fromarray(random.integers(0, 256, (12, 10), dtype=np.uint8))
    base = np.asarray(soft.resize((size[1], size[0]), Image.Resampling.BICUBIC), dtype=np.int16)
    grain = random.integers(-8, 9, size, dtype=np.int16)
    return np.clip(base + grain, 0, 255).astype(np.uint8)


def medians(acts: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each act; they take turns, so that a busy moment meets all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(repeats + 1):
        for name, act in acts.items():
            start = time.perf_counter()
            act()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken[1:]) for name, taken in seconds.items()}


def plain(mode: Mode, x: torch.Tensor) -> Callable[[], object]:
    """One plain forward pass to the scores."""

    def act() -> object:
        with torch.inference_mode():
            return mode.network(x)

    return act


def map_figures(name: str, mode: Mode, x: torch.Tensor, size: Size) -> list[Figure]:
    """All findings' maps of one picture: against a plain forward, and against the library."""
    taken = medians({"plain": plain(mode, x), "maps": lambda: GRADCAM(mode, x)}, 3 * size.repeats)
    by_library = medians(
        {
            "library": lambda: [library_map(GradCAM, mode, x, k) for k in range(len(FINDINGS))],
            "maps": lambda: GRADCAM(mode, x),
        },
        min(size.repeats, 5),
    )
    found = GRADCAM(mode, x).maps[0]
    most = max(
        float(np.abs(stretched(found[k]) - library_map(GradCAM, mode, x, k)).max())
        for k in range(len(FINDINGS))
        if found[k].any()
    )
    return [
        Figure(f"{name}: 14 maps of one image", taken["maps"] / taken["plain"], "x plain", 1.25),
        Figure(
            f"{name}: the library, one label at a time",
            by_library["library"] / by_library["maps"],
            "x our time",
            30,
            at_most=False,
        ),
        Figure(f"{name}: largest difference from the library", most, "of 1", 1e-5),
    ]


def batch_figure(name: str, mode: Mode, x: torch.Tensor, size: Size) -> Figure:
    """All findings' maps of a batch against its plain forward."""
    taken = medians(
        {"plain": plain(mode, x), "maps": lambda: GRADCAM(mode, x)}, min(size.repeats, 3)
    )
    words = f"{name}: 14 maps of {len(x)} images"
    return Figure(words, taken["maps"] / taken["plain"], "x plain batch", 1.25)


def prompt_figure(name: str, basis: PromptBasis, size: Size) -> Figure:
    """A new text's map, once the text is encoded."""
    random = np.random.default_rng(0)
    text = random.normal(size=(1, len(basis.embedding))).astype(np.float32)
    text /= np.linalg.norm(text)
    taken = medians({"text": lambda: prompt_maps(basis, text)}, 20 * size.repeats)
    return Figure(f"{name}: free-text map after encoding", 1000 * taken["text"], "ms", 5)


PEAK = """
import json, sys, threading, time
from pathlib import Path
import psutil, torch
from tests.benchmarks.saliency import FINDINGS, GRADCAM, load, picture, plain
from model_store.modes import build_mode
name, data, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
model = load(name, data)
mode = build_mode(model, "zs", FINDINGS)
x = torch.stack([model.prepare(picture(seed))[0] for seed in range(count)])
me, peak, over = psutil.Process(), [0], threading.Event()
def watch():
    while not over.is_set():
        peak[0] = max(peak[0], me.memory_info().rss)
        time.sleep(0.002)
taken = {"before": me.memory_info().rss}
watcher = threading.Thread(target=watch); watcher.start()
# The plain forward first: what the maps take beyond it shows as a higher peak.
for words, act in (("plain", plain(mode, x)), ("maps", lambda: GRADCAM(mode, x))):
    act(); act()
    taken[words] = peak[0]
over.set(); watcher.join()
print(json.dumps(taken))
"""


def memory_figure(name: str, data: Path, size: Size) -> Figure:
    """Peak memory of a process that runs a batch, and then makes its maps."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, name, str(data), str(size.batch)],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
    )  # fmt: skip
    taken: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    before, plain_peak, maps_peak = (taken[key] / MIB for key in ("before", "plain", "maps"))
    print(
        f"{name}, {size.batch} images: {before:.0f} MiB before, {plain_peak:.0f} at most by the "
        f"plain forward, {maps_peak:.0f} by the maps"
    )
    words = f"{name}: peak memory, maps of {size.batch} images"
    return Figure(words, maps_peak / plain_peak, "x plain", 1.3)


def write_films(folder: Path, count: int, kind: str) -> None:
    """Made-up films of a usual size: JPEG files, or JPEG 2000 in DICOM."""
    folder.mkdir()
    for number in range(count):
        # Few distinct films are drawn; a changed corner makes each file another one.
        pixels = picture(number % 4, FILM).copy()
        pixels[:8, :8] = number
        if kind == "JPEG":
            Image.fromarray(pixels).save(folder / f"{number:04d}.jpg", quality=90)
        else:
            write_wavelets(folder / f"{number:04d}.dcm", pixels)


def write_wavelets(path: Path, pixels: NDArray[np.uint8]) -> None:
    """A DICOM file in lossless JPEG 2000."""
    from pydicom.uid import JPEG2000Lossless

    from tests.annotations.imaging.handmade import dicom

    header = dicom(pixels, bits=8)
    header.compress(JPEG2000Lossless)
    header.save_as(path, enforce_file_format=True)


@dataclass(frozen=True)
class OneModel:
    """A runtime of one encoder, for ``encode_images``."""

    tower: ImageEncoder

    def encoder(self, model: str) -> ImageEncoder:
        """The only one."""
        del model
        return self.tower


def encoding_figure(name: str, model: LoadedModel, kind: str, size: Size) -> Figure:
    """A folder of films to embeddings, against the model alone on as many ready frames."""
    encoder = ImageEncoder(model)
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (size.n_films, *encoder.input_size), dtype=np.uint8)
    with encoded_films(kind, size.n_films) as encode:
        encoder.embed(frames[:BATCH])
        # Before and after: a machine that gets busier or quieter meets both.
        alone = [_embed_all(encoder, frames)]
        start = time.perf_counter()
        encode(OneModel(encoder))
        taken = time.perf_counter() - start
        alone.append(_embed_all(encoder, frames))
    share = statistics.mean(alone) / taken
    words = f"{name}: encoding a folder of {kind} {FILM[1]} x {FILM[0]}"
    return Figure(words, share, "x the model's throughput", 0.85, at_most=False)


def _embed_all(encoder: ImageEncoder, frames: NDArray[np.uint8]) -> float:
    start = time.perf_counter()
    for first in range(0, len(frames), BATCH):
        encoder.embed(frames[first : first + BATCH])
    return time.perf_counter() - start


@contextmanager
def encoded_films(kind: str, count: int) -> Iterator[Callable[[OneModel], object]]:
    """What encodes a workspace of these films; all from the files, nothing from a cache."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_films(folder / "films", count, kind)
        workspace = create_workspace(folder / "w", name="films")
        with Store.open(workspace) as store:
            source = "folder" if kind == "JPEG" else "dicom"
            import_source(workspace, store, folder / "films", source)
            ids = [image.image_id for image in store.images.all()]
            if len(ids) != count:
                raise ValueError(f"{len(ids)} of {count} films were imported; look at the films")
            yield lambda runtime: encode_images(workspace, store, runtime, "any", ids)


PAGE = """
import sys, tempfile
from pathlib import Path
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.app import build_page
from audit_app.services import Services
from audit_app.settings import Settings
with tempfile.TemporaryDirectory() as name:
    workspace = create_workspace(Path(name) / "w", name="w")
    with Store.open(workspace) as store:
        build_page(Services(workspace, store, Settings()))
heavy = {"torch", "open_clip", "timm", "transformers", "pytorch_grad_cam"} & set(sys.modules)
print(len(heavy))
"""


def page_figure() -> Figure:
    """How many model libraries a process has loaded when its page is built."""
    done = subprocess.run(
        [sys.executable, "-c", PAGE], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    loaded = int(done.stdout.splitlines()[-1])
    return Figure("model libraries loaded when the page is ready", loaded, "libraries", 0)


def figures_of(name: str, data: Path, size: Size) -> list[Figure]:
    """All figures of one model but those of encoding."""
    print(f"{name} ...", flush=True)
    model = load(name, data)
    mode = build_mode(model, "zs", FINDINGS)
    x = torch.stack([model.prepare(picture(seed))[0] for seed in range(size.batch)])
    return [
        *map(said, map_figures(name, mode, x[:1], size)),
        said(prompt_figure(name, HeldModel(model).prompt_basis(picture(0)), size)),
        said(batch_figure(name, mode, x, size)),
        said(memory_figure(name, data, size)),
    ]


def said(figure: Figure) -> Figure:
    """The figure, printed as soon as it is known."""
    print(f"  {figure.name}: {figure.value:.3g} {figure.unit}", flush=True)
    return figure


def main(arguments: list[str]) -> int:
    """Measure and report; 1 when a target is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, default=DATA)
    given = parser.parse_args(arguments)
    size = QUICK if given.quick else FULL
    is_there = (given.data / "biomedclip_without_weights").is_dir() and not given.quick
    figures: list[Figure] = []
    for name in ENTRIES if is_there else ("demo-vit",):
        figures += figures_of(name, given.data, size)
    # A model as small as the demo's is faster than any decoder: its share would say nothing.
    encoder, kinds = ("biomedclip", ("JPEG", "JPEG 2000")) if is_there else ("demo-vit", ("JPEG",))
    model = load(encoder, given.data)
    figures += [said(encoding_figure(encoder, model, kind, size)) for kind in kinds]
    if not given.quick:  # the suite has a test of its own for it
        figures.append(page_figure())
    return report(figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
