"""Linear probe: a head on the frozen, un-normalised image embedding."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from model_store.checkpoints import HeadMetadata, save_head
from model_store.loading import LoadedModel
from model_store.optimise import Task, fit, xavier_head
from model_store.scoring import Scorer
from model_store.training import (
    STUDY_SETTINGS,
    Indices,
    Progress,
    Ticker,
    TrainingSet,
    TrainingSettings,
    batches,
)


def train_linear_probe(
    model: LoadedModel,
    data: TrainingSet,
    path: Path,
    *,
    settings: TrainingSettings = STUDY_SETTINGS["lp"],
    progress: Progress | None = None,
) -> Path:
    """The head file that was written.

    Each picture is encoded once; the head is trained on the embeddings.

    Args:
        model: Stays as it is.
        data: Labelled pictures.
        path: Where the head goes, ``.../lp.safetensors``.
        settings: Defaults of the study.
        progress: Told (done, total, message); true stops the training, and nothing is saved.

    Raises:
        TrainingFailed: If a loss is not finite.
        TrainingCancelled: On request.
    """
    rows, train, validation = compact(data)
    steps = settings.epochs * len(batches(train, settings.batch_size))
    ticker = Ticker(total=len(rows) + steps, progress=progress)
    embeddings = encode_pictures(model, data, rows, ticker, settings.batch_size)
    labels = torch.from_numpy(data.labels[rows].astype(np.float32)).to(model.device)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        head = xavier_head(embeddings.shape[1], len(data.findings)).to(model.device)
        task = Task(
            head, lambda chosen: embeddings[torch.from_numpy(chosen)], labels, train, validation
        )
        history = fit(task, settings, ticker)
    metadata = HeadMetadata(
        mode="lp",
        findings=data.findings,
        base_weights_sha256=model.weights_sha256,
        preprocessing=model.describe_preprocessing(),
        training=history.describe(data, settings, str(model.device)),
    )
    tensors = {"head.weight": head.weight, "head.bias": head.bias}
    return save_head(path, "lp", tensors, metadata)


def compact(data: TrainingSet) -> tuple[Indices, Indices, Indices]:
    """The pictures that take part, then which of those are for training and for validation."""
    train = np.asarray(data.train, dtype=np.intp)
    validation = np.asarray(data.validation, dtype=np.intp)
    rows = np.unique(np.concatenate([train, validation]))
    return rows, np.searchsorted(rows, train), np.searchsorted(rows, validation)


def encode_pictures(
    model: LoadedModel, data: TrainingSet, rows: Indices, ticker: Ticker, batch_size: int
) -> Tensor:
    """Un-normalised image embeddings (len(rows), D), on the model's device."""
    scorer = Scorer(cast("Any", model.network).visual)
    parts = []
    for start in range(0, len(rows), batch_size):
        frames = [
            model.frame_pixels(data.picture(int(row))) for row in rows[start : start + batch_size]
        ]
        with torch.no_grad():
            parts.append(scorer.embed(model.normalise(np.stack(frames)).to(model.device)))
        done = start + len(frames)
        ticker.step(f"encoded picture {done} of {len(rows)}", len(frames))
    return torch.cat(parts)
