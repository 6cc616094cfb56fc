"""Fine-tune: the image tower and a head, trained together."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_store.checkpoints import HeadMetadata, save_head
from model_store.linear_probe import compact
from model_store.loading import LoadedModel
from model_store.optimise import Task, fit, xavier_head
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


def train_fine_tune(
    model: LoadedModel,
    data: TrainingSet,
    path: Path,
    *,
    settings: TrainingSettings = STUDY_SETTINGS["ft"],
    progress: Progress | None = None,
) -> Path:
    """The head file, image tower included, that was written.

    Args:
        model: Stays as it is; a copy of its image tower is trained.
        data: Labelled pictures; each is read once and kept on the model's grid, one byte a pixel.
        path: Where the file goes, ``.../ft.safetensors``.
        settings: Defaults of the study.
        progress: Told (done, total, message); true stops the training, and nothing is saved.

    Raises:
        TrainingFailed: If a loss is not finite.
        TrainingCancelled: On request.
    """
    rows, train, validation = compact(data)
    steps = settings.epochs * len(batches(train, settings.batch_size))
    ticker = Ticker(total=len(rows) + steps, progress=progress)
    frames = _read_frames(model, data, rows, ticker)
    labels = torch.from_numpy(data.labels[rows].astype(np.float32)).to(model.device)

    def inputs(chosen: Indices) -> Tensor:
        return model.normalise(frames[chosen]).to(model.device)

    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        scorer = _new_scorer(model, len(data.findings))
        history = fit(Task(scorer, inputs, labels, train, validation), settings, ticker)
    metadata = HeadMetadata(
        mode="ft",
        findings=data.findings,
        base_weights_sha256=model.weights_sha256,
        preprocessing=model.describe_preprocessing(),
        training=history.describe(data, settings, str(model.device)),
    )
    return save_head(path, "ft", scorer.state_dict(), metadata)


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
