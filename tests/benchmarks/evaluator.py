"""The three-mode evaluator: the demo's table, probe, fine-tune step, metrics, resume after a kill.

``python -m tests.benchmarks.evaluator [--quick]``
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from annotations.imaging.sample_pool import SamplePool
from annotations.store import Store
from annotations.workspace import Workspace, open_workspace
from audit_app.demo import N_IMAGES, create_demo
from audit_app.encoding import encode_images, frame_request
from audit_app.evaluator.choices import EvaluationChoices
from audit_app.evaluator.job import evaluate_workspace
from audit_app.evaluator.plan import EvaluationPlan, plan_evaluation
from audit_app.evaluator.result import EvaluationResult, load_result
from audit_app.evaluator.training_data import chosen_settings, read_frames, training_set
from audit_app.metrics.calibration import probabilities_of, reliability_curve
from audit_app.metrics.classification import multilabel_metrics, study_decision
from audit_app.metrics.thresholds import choose_thresholds, threshold_decision
from audit_app.models import make_runtime
from model_store.encoder import ImageEncoder
from model_store.linear_probe import Parts, fit_probe
from model_store.loading import LoadedModel
from model_store.optimise import Task, fit, xavier_head
from model_store.training import Ticker, TrainingSettings, find_preset
from tests.benchmarks.fine_tune_step import step_ratio
from tests.benchmarks.page_calls import answer_ms_while_training
from tests.benchmarks.report import Figure, report

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL = "demo-vit"
TIMES = ("minutes", "seconds_per_image")
N_CALLS = 200
STEP_PICTURES = 12  # the demo has few training pictures: several full steps in each epoch


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    n_rows: int = 100_000
    epochs: int = 10
    modes: str = "zs,lp,ft"
    repeats: int = 3
    n_images: int = N_IMAGES
    is_smoke: bool = False


QUICK = Size(n_rows=2000, epochs=2, modes="zs,lp", repeats=1, n_images=16, is_smoke=True)


def timed(act: Callable[[], object]) -> float:
    """Seconds that it took."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def evaluate_command(root: Path, out: Path, size: Size) -> list[str]:
    """The command line of an evaluation of the demo."""
    command = [sys.executable, "launch.py", "evaluate", str(root), "--model", MODEL]
    return [*command, "--modes", size.modes, "--epochs", str(size.epochs), "--out", str(out)]


def table_seconds(root: Path, out: Path, size: Size) -> float:
    """The demo's whole table, both presets, from the command to the report."""
    if size.is_smoke:  # without a second start of Python and torch
        choices = EvaluationChoices(MODEL, modes=tuple(size.modes.split(",")), epochs=size.epochs)
        workspace = open_workspace(root)
        with Store.open(workspace) as store:
            return timed(
                lambda: evaluate_workspace(
                    workspace, store, choices, out=out, progress=lambda *_: False
                )
            )
    command = evaluate_command(root, out, size)
    return timed(
        lambda: subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    )


def different_cells(root: Path, out: Path, size: Size, expected: EvaluationResult) -> int:
    """Cells of the table that a kill in the middle of the fine-tune changes."""
    command = evaluate_command(root, out, size)
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    models = root / "models" / MODEL / "evaluations"
    try:
        while process.poll() is None and not list(models.rglob("ft.resume*")):
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return sum(
        first[name] != second[name]
        for first, second in zip(expected.rows, load_result(out).rows, strict=True)
        for name in first
        if name not in TIMES
    )


@dataclass(frozen=True)
class Probing:
    """What both ways to train the study's probe are given."""

    workspace: Workspace
    store: Store
    plan: EvaluationPlan
    loaded: LoadedModel
    encoder: ImageEncoder
    settings: TrainingSettings

    @property
    def labels(self) -> NDArray[np.float64]:
        """Shape (N, K)."""
        return self.plan.labels.astype(np.float64)

    @property
    def parts(self) -> Parts:
        """Training and validation rows."""
        return Parts(self.plan.rows("train"), self.plan.rows("validation"))

    def logits(self, weight: Tensor, bias: Tensor) -> NDArray[np.float32]:
        """Of the test pictures."""
        rows = self.plan.rows("test")
        frames, _ = read_frames(
            [self.plan.images[row] for row in rows], self.encoder, lambda *_: False
        )
        scores = torch.from_numpy(self.encoder.embed(frames)) @ weight.T + bias
        values: NDArray[np.float32] = scores.numpy()
        return values


class Remembering:
    """Gives an encoder whose embeddings nobody knows yet."""

    def __init__(self, encoder: ImageEncoder) -> None:
        self._encoder = encoder

    def encoder(self, model: str, /) -> ImageEncoder:
        """The encoder."""
        del model
        return self._encoder


def probe_once(probing: Probing) -> tuple[Tensor, Tensor]:
    """Our way: every picture encoded once, then the epochs."""
    used = np.concatenate(probing.parts)
    ids = [probing.plan.images[row].image_id for row in used]
    shutil.rmtree(probing.workspace.cache / "embeddings", ignore_errors=True)
    values = encode_images(
        probing.workspace, probing.store, Remembering(probing.encoder), MODEL, ids
    )
    table = np.zeros((len(probing.plan.images), values.shape[1]), dtype=np.float32)
    table[used] = values
    fitted = fit_probe(table, probing.labels, probing.settings, probing.parts)
    return fitted.weight, fitted.bias


def probe_each_epoch(probing: Probing) -> tuple[Tensor, Tensor]:
    """The study's way: every picture is read and encoded again in every epoch."""
    with SamplePool() as pool, torch.random.fork_rng(devices=[]):
        torch.manual_seed(probing.settings.seed)
        head: nn.Linear = xavier_head(probing.loaded.embedding_size, probing.labels.shape[1])

        def inputs(rows: NDArray[np.intp]) -> Tensor:
            requests = (frame_request(probing.plan.images[row], probing.encoder) for row in rows)
            frames = np.stack([one for one in pool.samples(requests) if not isinstance(one, str)])
            return torch.from_numpy(probing.encoder.embed(frames))

        labels = torch.from_numpy(probing.labels.astype(np.float32))
        fit(Task(head, inputs, labels, *probing.parts), probing.settings, Ticker(0))
    return head.weight.detach(), head.bias.detach()


def probe_figures(probing: Probing) -> list[Figure]:
    """How much faster encoding once is, and that it changes no number."""
    heads: list[tuple[Tensor, Tensor]] = []
    once = timed(lambda: heads.append(probe_once(probing)))
    each = timed(lambda: heads.append(probe_each_epoch(probing)))
    test = probing.plan.labels[probing.plan.rows("test")]
    found = []
    for weight, bias in heads:
        scores = probing.logits(weight, bias)
        found.append(multilabel_metrics(test, scores, study_decision(scores)))
    difference = max(
        abs(getattr(found[0], name) - getattr(found[1], name))
        for name in ("f1", "exact_match", "lrap", "coverage_error")
    )
    return [
        Figure("probe: faster than encoding at every epoch", each / once, "x", 8, at_most=False),
        Figure("probe: largest difference of a metric", difference, "", 1e-6),
    ]


def fine_tune_ratio(probing: Probing, repeats: int) -> float:
    """How near a step of the study's fine-tune comes to a bare PyTorch step."""
    rows = np.concatenate(probing.parts)
    frames, _ = read_frames(
        [probing.plan.images[row] for row in rows], probing.encoder, lambda *_: False
    )
    place = {int(row): number for number, row in enumerate(rows)}
    data = training_set(probing.plan, lambda row: frames[place[row]])
    preset = find_preset("ft", "study")
    size = min(STEP_PICTURES, len(data.train))
    settings = replace(preset, epochs=2 * repeats, batch_size=size, precision="fp32")
    return step_ratio(probing.loaded, frames, data, settings)


def metrics_seconds(n_rows: int) -> float:
    """Both rules' metrics, thresholds and reliability over many pictures and 14 findings."""
    generator = np.random.default_rng(0)
    labels = (generator.random((n_rows, 14)) < 0.1).astype(np.uint8)
    scores = generator.normal(size=labels.shape).astype(np.float32) + labels

    def everything() -> None:
        multilabel_metrics(labels, scores, study_decision(scores))
        thresholds = choose_thresholds(labels, scores)
        multilabel_metrics(labels, scores, threshold_decision(scores, thresholds))
        reliability_curve(labels.ravel(), probabilities_of(scores).ravel())

    return timed(everything)


def probing_of(workspace: Workspace, store: Store, size: Size) -> Probing:
    """The demo's pictures and model for probe and fine-tune."""
    runtime = make_runtime(workspace, store)
    plan = plan_evaluation(workspace, store, EvaluationChoices(MODEL, epochs=size.epochs))
    settings = replace(chosen_settings(plan, find_preset("lp", "study")), patience=size.epochs)
    loaded = runtime.loaded(MODEL)
    return Probing(workspace, store, plan, loaded, ImageEncoder(loaded), settings)


def main(arguments: list[str]) -> int:
    """Measure and report; 1 when a target is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    size = QUICK if parser.parse_args(arguments).quick else Size()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        create_demo(folder / "demo", progress=lambda *_: False, n_images=size.n_images)
        with Store.open(open_workspace(folder / "demo")) as store:
            for job in store.jobs.recent():
                store.jobs.cancel(job.job_id)
        shutil.copytree(folder / "demo", folder / "killed")
        seconds = table_seconds(folder / "demo", folder / "out", size)
        expected = load_result(folder / "out")
        workspace = open_workspace(folder / "demo")
        with Store.open(workspace) as store:
            probing = probing_of(workspace, store, size)
            figures = [
                Figure("demo's whole table, both presets", seconds, "s", 180),
                *probe_figures(probing),
                Figure(
                    "fine-tune step, loading included, over a bare PyTorch step",
                    fine_tune_ratio(probing, size.repeats),
                    "x",
                    0.95,
                    at_most=False,
                ),
            ]
        figures.append(
            Figure(f"metrics over {size.n_rows:,} x 14", metrics_seconds(size.n_rows), "s", 10)
        )
        if not size.is_smoke:  # the suite has a test of it
            cells = different_cells(folder / "killed", folder / "again", size, expected)
            figures.append(Figure("cells that a kill changes", cells, "", 0))
            calls = answer_ms_while_training(folder / "demo", MODEL, N_CALLS)
            figures.append(Figure("page's answer while it trains, p95", calls, "ms", 50))
        return report(figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
