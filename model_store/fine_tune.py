"""Fine-tune: the image tower and a head, trained together."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_store.checkpoints import HeadMetadata, save_head
from model_store.errors import Diverged, TrainingFailed
from model_store.linear_probe import compact
from model_store.loading import LoadedModel
from model_store.optimise import Task, fit, xavier_head
from model_store.precision import RECORD_NAME, choose_precision
from model_store.resume import ResumeFile
from model_store.scoring import HeadScorer
from model_store.training import (
    STUDY_SETTINGS,
    Indices,
    Progress,
    Ticker,
    TrainingSet,
    TrainingSettings,
    batches,
)
from model_store.versions import library_versions


def train_fine_tune(
    model: LoadedModel,
    data: TrainingSet,
    path: Path,
    *,
    settings: TrainingSettings = STUDY_SETTINGS["ft"],
    progress: Progress | None = None,
) -> Path:
    """The head file, image tower included, that was written.

    After each epoch the whole state is written beside it. The same call after a kill goes on from
    there, on a processor with as many threads to the same bits.

    Args:
        model: Stays as it is; a copy of its image tower is trained.
        data: Labelled pictures; each is read once and kept on the model's grid, one byte a pixel.
        path: Where the file goes, ``.../ft.safetensors``.
        settings: Defaults of the study.
        progress: Told (done, total, message); true stops the training; its finished epochs are
            kept.

    Raises:
        TrainingFailed: If a loss is not finite, or the device has not this precision.
        TrainingCancelled: On request.
    """
    rows, train, validation = compact(data)
    precision = training_precision(model, settings, path.parent / RECORD_NAME)
    steps = settings.epochs * len(batches(train, settings.batch_size))
    ticker = Ticker(total=len(rows) + steps, progress=progress)
    frames = _read_frames(model, data, rows, ticker)
    labels = torch.from_numpy(data.labels[rows].astype(np.float32)).to(model.device)

    def inputs(chosen: Indices) -> Tensor:
        return model.normalise(frames[chosen], model.device)

    training = _describe(model, data, settings, precision) | {"frames": _sha256(frames)}
    unfinished = ResumeFile(resume_path(path), training, ticker)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        scorer = _new_scorer(model, len(data.findings))
        task = Task(scorer, inputs, labels, train, validation, precision)
        try:
            history = fit(task, settings, ticker, unfinished)
        except Diverged:
            unfinished.remove()
            raise
    history.notes["precision_used"] = precision
    metadata = HeadMetadata(
        mode="ft",
        findings=data.findings,
        base_weights_sha256=model.weights_sha256,
        preprocessing=model.describe_preprocessing(),
        training=history.describe(data, settings, str(model.device)),
    )
    save_head(path, "ft", scorer.state_dict(), metadata)
    unfinished.remove()
    return path


def resume_path(path: Path) -> Path:
    """Where the state of an unfinished training lies: ``ft.resume.safetensors``."""
    return path.with_name(f"{path.stem}.resume{path.suffix}")


def training_precision(model: LoadedModel, settings: TrainingSettings, record: Path) -> str:
    """``fp32``, ``bf16`` or ``fp16``: what the settings name, or for ``auto`` what pays.

    On CUDA bf16, or fp16 on cards without it. On a processor what the measured check of the
    model's precision says. On Apple's cards fp32: their half precision has no tried gradient
    scaling.

    Raises:
        TrainingFailed: If fp16 is asked for where gradients cannot be scaled.
    """
    kind = model.device.type
    if settings.precision == "fp16" and kind != "cuda":
        raise TrainingFailed(
            f"precision 'fp16' given on {kind}; it needs a CUDA card: choose auto, bf16 or fp32"
        )
    if settings.precision != "auto":
        return settings.precision
    if kind == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return choose_precision(model, record).chosen if kind == "cpu" else "fp32"


def _describe(
    model: LoadedModel, data: TrainingSet, settings: TrainingSettings, precision: str
) -> dict[str, Any]:
    """What makes it this training and no other, as JSON values."""
    return {
        "settings": settings.to_dict(),
        "precision": precision,
        "device": str(model.device),
        "weights": model.weights_sha256,
        "preprocessing": model.describe_preprocessing(),
        "findings": list(data.findings),
        "labels": _sha256(np.asarray(data.labels, dtype=np.float32)),
        "train": _sha256(np.asarray(data.train, dtype=np.int64)),
        "validation": _sha256(np.asarray(data.validation, dtype=np.int64)),
        "versions": library_versions(),
    }


def _sha256(values: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


def _new_scorer(model: LoadedModel, n_findings: int) -> HeadScorer:
    """A copy of the tower that learns, and a new head."""
    tower = deepcopy(cast("Any", model.network).visual).requires_grad_(True)
    return HeadScorer(tower, xavier_head(model.embedding_size, n_findings)).to(model.device)


def _read_frames(
    model: LoadedModel, data: TrainingSet, rows: Indices, ticker: Ticker
) -> NDArray[np.uint8]:
    """The pictures on the model's grid, (len(rows), h, w)."""
    frames = np.empty((len(rows), *model.input_size), dtype=np.uint8)
    for position, row in enumerate(rows):
        frames[position] = model.frame_pixels(data.picture(int(row)))
        ticker.step(f"read picture {position + 1} of {len(rows)}")
    return frames
