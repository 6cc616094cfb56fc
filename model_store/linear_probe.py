"""Linear probe: a head on the frozen, un-normalised image embedding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_store.checkpoints import HeadMetadata, save_head
from model_store.encoder import ImageEncoder
from model_store.errors import TrainingFailed
from model_store.loading import LoadedModel
from model_store.logistic import fit_logistic
from model_store.optimise import History, Task, fit, xavier_head
from model_store.precision import RECORD_NAME, choose_precision
from model_store.training import (
    STUDY_SETTINGS,
    Indices,
    Progress,
    Ticker,
    TrainingSet,
    TrainingSettings,
    batches,
)

Embeddings = NDArray[np.floating]
ENCODE_BATCH: Final = 24


class Parts(NamedTuple):
    """Row numbers: what is learnt from, and what decides which epoch is kept."""

    train: Indices
    validation: Indices


class ProbeFit(NamedTuple):
    """A trained probe: weight (K, D), bias (K,), and what happened."""

    weight: Tensor
    bias: Tensor
    history: History


def train_linear_probe(
    model: LoadedModel,
    data: TrainingSet,
    path: Path,
    *,
    settings: TrainingSettings = STUDY_SETTINGS["lp"],
    progress: Progress | None = None,
    embeddings: Embeddings | None = None,
) -> Path:
    """The head file that was written.

    Each picture is encoded once, or not at all when its embedding is given.

    Args:
        model: Stays as it is.
        data: Labelled pictures.
        path: Where the head goes, ``.../lp.safetensors``.
        settings: Defaults of the study.
        progress: Told (done, total, message); true stops the training, and nothing is saved.
        embeddings: Shape (N, D), one row per picture of the data, un-normalised; rows of pictures
            that take no part may hold anything. The settings say their precision then.

    Raises:
        TrainingFailed: If a loss is not finite, or the embeddings do not fit.
        TrainingCancelled: On request.
    """
    rows, train, validation = compact(data)
    known = None if embeddings is None else check_embeddings(model, data, embeddings)[rows]
    ticker = Ticker(_steps(settings, train, len(rows) if known is None else 0), progress)
    if known is None:
        precision = choose_precision(model, path.parent / RECORD_NAME).chosen
        settings = replace(settings, precision=precision)
        known = encode_pictures(model, data, rows, ticker, precision)
    fitted = fit_probe(known, data.labels[rows], settings, Parts(train, validation), ticker)
    metadata = HeadMetadata(
        mode="lp",
        findings=data.findings,
        base_weights_sha256=model.weights_sha256,
        preprocessing=model.describe_preprocessing(),
        training=fitted.history.describe(data, settings, "cpu"),
    )
    tensors = {"head.weight": fitted.weight, "head.bias": fitted.bias}
    return save_head(path, "lp", tensors, metadata)


def fit_probe(
    embeddings: Embeddings,
    labels: NDArray[np.floating],
    settings: TrainingSettings,
    parts: Parts | None = None,
    ticker: Ticker | None = None,
) -> ProbeFit:
    """The probe of all findings, by the settings' solver, on the processor.

    Args:
        embeddings: Shape (N, D), un-normalised.
        labels: Shape (N, K), each 0..1.
        settings: How.
        parts: Rows for training and validation; None: all of them for both.
        ticker: Counts the steps.

    Raises:
        TrainingFailed: If it does not converge or a loss is not finite.
        TrainingCancelled: If the ticker says so.
    """
    everything = np.arange(len(labels), dtype=np.intp)
    chosen = parts or Parts(everything, everything)
    counter = ticker or Ticker(_steps(settings, chosen.train, 0))
    solve = _converged if settings.solver == "lbfgs" else _descended
    return solve(np.asarray(embeddings), np.asarray(labels), settings, chosen, counter)


def check_embeddings(
    model: LoadedModel, data: TrainingSet, embeddings: Embeddings
) -> NDArray[np.floating]:
    """The embeddings, when there is one of the model's width for each picture.

    Raises:
        TrainingFailed: If there is not.
    """
    expected = (len(data.labels), model.embedding_size)
    if embeddings.shape != expected:
        raise TrainingFailed(
            f"embeddings of shape {embeddings.shape} given for {expected[0]} pictures of a model "
            f"with {expected[1]} numbers per picture; expected {expected}"
        )
    return embeddings


def compact(data: TrainingSet) -> tuple[Indices, Indices, Indices]:
    """The pictures that take part, then which of those are for training and for validation."""
    train = np.asarray(data.train, dtype=np.intp)
    validation = np.asarray(data.validation, dtype=np.intp)
    rows = np.unique(np.concatenate([train, validation]))
    return rows, np.searchsorted(rows, train), np.searchsorted(rows, validation)


def encode_pictures(
    model: LoadedModel, data: TrainingSet, rows: Indices, ticker: Ticker, precision: str = "fp32"
) -> NDArray[np.float32]:
    """Un-normalised image embeddings (len(rows), D)."""
    encoder = ImageEncoder(model, precision)
    parts = []
    for start in range(0, len(rows), ENCODE_BATCH):
        chosen = rows[start : start + ENCODE_BATCH]
        frames = [model.frame_pixels(data.picture(int(row))) for row in chosen]
        parts.append(encoder.embed(np.stack(frames)))
        done = start + len(frames)
        ticker.step(f"encoded picture {done} of {len(rows)}", len(frames))
    return np.concatenate(parts)


def _steps(settings: TrainingSettings, train: Indices, n_encoded: int) -> int:
    if settings.solver == "lbfgs":
        return n_encoded + 1
    return n_encoded + settings.epochs * len(batches(train, settings.batch_size))


def _converged(
    embeddings: Embeddings,
    labels: NDArray[np.floating],
    settings: TrainingSettings,
    parts: Parts,
    ticker: Ticker,
) -> ProbeFit:
    """The minimum of the penalised loss; validation rows are only measured."""
    history = History()
    features, wanted = embeddings.astype(np.float64), labels.astype(np.float64)
    fitted = fit_logistic(features[parts.train], wanted[parts.train], settings.penalty)
    for losses, rows in (
        (history.train_losses, parts.train),
        (history.validation_losses, parts.validation),
    ):
        logits = features[rows] @ fitted.weight.T + fitted.bias
        losses.append(float((np.logaddexp(0.0, logits) - wanted[rows] * logits).mean()))
    history.best_epoch = 1
    history.notes |= {
        "iterations": fitted.iterations,
        "largest_gradient": fitted.largest_gradient,
    }
    ticker.step("fitted the probe")
    weight = torch.from_numpy(fitted.weight.astype(np.float32))
    return ProbeFit(weight, torch.from_numpy(fitted.bias.astype(np.float32)), history)


def _descended(
    embeddings: Embeddings,
    labels: NDArray[np.floating],
    settings: TrainingSettings,
    parts: Parts,
    ticker: Ticker,
) -> ProbeFit:
    """AdamW over epochs, as in the study; the epoch with the best validation loss is kept."""
    features = torch.from_numpy(embeddings.astype(np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        head: nn.Linear = xavier_head(features.shape[1], labels.shape[1])
        task = Task(
            head,
            lambda chosen: features[torch.from_numpy(chosen)],
            torch.from_numpy(labels.astype(np.float32)),
            parts.train,
            parts.validation,
        )
        history = fit(task, settings, ticker)
    return ProbeFit(head.weight.detach(), head.bias.detach(), history)
