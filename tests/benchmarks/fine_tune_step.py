"""A step of the fine-tune beside a bare PyTorch step, in turns, so that both meet the same load."""

from __future__ import annotations

import statistics
import time
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_store.embedding_scores import visual_tower
from model_store.fine_tune import train_fine_tune
from model_store.loading import LoadedModel
from model_store.optimise import xavier_head
from model_store.scoring import HeadScorer
from model_store.training import TrainingSet, TrainingSettings


class BareStep:
    """Forward, backward, optimiser on one batch that is in memory already, and nothing else."""

    def __init__(self, loaded: LoadedModel, batch: Tensor, wanted: Tensor, rate: float) -> None:
        tower = deepcopy(visual_tower(loaded)).requires_grad_(True)
        head = xavier_head(loaded.embedding_size, wanted.shape[1])
        self._scorer = HeadScorer(tower, head).train()
        self._optimiser = torch.optim.AdamW(
            self._scorer.parameters(), lr=rate, weight_decay=1e-2, fused=True
        )
        self._batch, self._wanted = batch, wanted
        self()  # the first one also makes the optimiser's moments

    def __call__(self) -> None:
        self._optimiser.zero_grad(set_to_none=True)
        logits = self._scorer(self._batch)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, self._wanted)
        loss.backward()
        self._optimiser.step()


class Turns:
    """Times each full step of a training but its first, and a bare one right after it.

    The first one makes the optimiser's moments; the bare step did so before.

    Args:
        bare: What is run in between.
        n_full: Full batches in an epoch; a shorter last one is not timed.
    """

    def __init__(self, bare: BareStep, n_full: int) -> None:
        self.bare_seconds: list[float] = []
        self.own_seconds: list[float] = []
        self._bare, self._n_full = bare, n_full
        self._since = time.perf_counter()

    def __call__(self, done: int, total: int, message: str) -> bool:
        """The training's progress; never asks it to stop."""
        del done, total
        now = time.perf_counter()
        _, is_step, place = message.partition(", batch ")
        is_first = message.startswith("epoch 1, batch 1 of")
        if is_step and not is_first and int(place.split()[0]) <= self._n_full:
            self.own_seconds.append(now - self._since)
            start = time.perf_counter()
            self._bare()
            self.bare_seconds.append(time.perf_counter() - start)
        self._since = time.perf_counter()
        return False


def step_ratio(
    loaded: LoadedModel, frames: NDArray[np.uint8], data: TrainingSet, settings: TrainingSettings
) -> float:
    """Seconds of a bare step over those of ours, loading included, medians, same precision.

    Args:
        loaded: Stays as it is.
        frames: Pictures on the model's grid, at least one batch.
        data: What is trained on.
        settings: In fp32, as the bare step.
    """
    from tempfile import TemporaryDirectory

    size = settings.batch_size
    wanted = torch.from_numpy(data.labels[:size].astype(np.float32))
    bare = BareStep(loaded, loaded.normalise(frames[:size]), wanted, settings.learning_rate)
    turns = Turns(bare, len(data.train) // size)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ft.safetensors"
        train_fine_tune(loaded, data, path, settings=settings, progress=turns)
    return statistics.median(turns.bare_seconds) / statistics.median(turns.own_seconds)
