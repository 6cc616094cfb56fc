"""The training loop that probe and fine-tune share: AdamW, early stop, best epoch kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_store.errors import TrainingFailed
from model_store.training import Indices, Ticker, TrainingSet, TrainingSettings, batches
from model_store.versions import library_versions


@dataclass(frozen=True, eq=False)
class Task:
    """What is trained on what.

    Attributes:
        module: Inputs to logits (B, K); what requires a gradient is trained.
        inputs: Row numbers to a batch of inputs.
        labels: Shape (N, K), on the module's device.
        train: Row numbers that are learnt from.
        validation: Row numbers that decide which epoch is kept.
    """

    module: nn.Module
    inputs: Callable[[Indices], Tensor]
    labels: Tensor
    train: Indices
    validation: Indices

    def loss(self, rows: Indices) -> Tensor:
        """Binary cross-entropy with logits, the mean over these rows and all findings."""
        logits = self.module(self.inputs(rows))
        wanted = self.labels[torch.from_numpy(rows).to(self.labels.device)]
        return nn.functional.binary_cross_entropy_with_logits(logits, wanted)


@dataclass
class History:
    """What happened, epoch by epoch.

    Attributes:
        train_losses: Mean over the training pictures.
        validation_losses: Mean over the validation pictures.
        best_epoch: From 1; whose weights were kept.
        started: Monotonic seconds.
    """

    train_losses: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    best_epoch: int = 0
    started: float = field(default_factory=time.monotonic)

    def describe(
        self, data: TrainingSet, settings: TrainingSettings, device: str
    ) -> dict[str, Any]:
        """The training as JSON values, for the head's metadata."""
        positives = data.positives
        return {
            **asdict(settings),
            "n_train": len(data.train),
            "n_validation": len(data.validation),
            "positives": positives,
            "without_positives": [name for name, count in positives.items() if count == 0],
            "epochs_run": len(self.train_losses),
            "best_epoch": self.best_epoch,
            "best_validation_loss": self.validation_losses[self.best_epoch - 1],
            "train_losses": self.train_losses,
            "validation_losses": self.validation_losses,
            "minutes": round((time.monotonic() - self.started) / 60, 4),
            "device": device,
            "versions": library_versions(),
        }


def xavier_head(width: int, n_findings: int) -> nn.Linear:
    """A new head: Xavier-uniform weights, bias zero."""
    head = nn.Linear(width, n_findings)
    nn.init.xavier_uniform_(head.weight)
    nn.init.zeros_(head.bias)
    return head


def fit(task: Task, settings: TrainingSettings, ticker: Ticker) -> History:
    """What happened; the module is left with its best epoch's weights, in evaluation mode.

    Args:
        task: Its module is changed.
        settings: How.
        ticker: Counts one step per training batch; epochs that an early stop saves are skipped.

    Raises:
        TrainingFailed: If a loss is not finite.
        TrainingCancelled: If the ticker says so.
    """
    history = History()
    optimiser = torch.optim.AdamW(
        [each for each in task.module.parameters() if each.requires_grad],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    order = np.random.default_rng(settings.seed)
    kept: dict[str, Tensor] = {}
    reference, waited = math.inf, 0
    for epoch in range(1, settings.epochs + 1):
        _set_learning_rate(optimiser, settings, epoch)
        rows = batches(order.permutation(task.train), settings.batch_size)
        history.train_losses.append(_train_epoch(task, rows, optimiser, ticker, epoch))
        loss = _validate(task, settings.batch_size)
        _check_finite(loss, settings, epoch)
        if loss < min(history.validation_losses, default=math.inf):
            history.best_epoch = epoch
            kept = {name: value.clone() for name, value in task.module.state_dict().items()}
        history.validation_losses.append(loss)
        waited = 0 if loss < reference - settings.min_delta else waited + 1
        reference = loss if waited == 0 else reference
        if waited >= settings.patience:
            break
    task.module.load_state_dict(kept)
    task.module.eval()
    return history


def _train_epoch(
    task: Task, rows: list[Indices], optimiser: torch.optim.AdamW, ticker: Ticker, epoch: int
) -> float:
    """Mean loss per picture over one pass."""
    task.module.train()
    total = 0.0
    for number, batch in enumerate(rows, start=1):
        optimiser.zero_grad(set_to_none=True)
        loss = task.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += float(loss.detach()) * len(batch)
        ticker.step(f"epoch {epoch}, batch {number} of {len(rows)}")
    return total / sum(len(batch) for batch in rows)


def _validate(task: Task, batch_size: int) -> float:
    """Mean loss per picture over the validation rows, in evaluation mode."""
    task.module.eval()
    with torch.no_grad():
        parts = [
            float(task.loss(rows)) * len(rows) for rows in batches(task.validation, batch_size)
        ]
    return sum(parts) / len(task.validation)


def _set_learning_rate(
    optimiser: torch.optim.AdamW, settings: TrainingSettings, epoch: int
) -> None:
    """The epoch's rate: half a cosine from the full rate towards zero, or the full rate."""
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        rate *= (1 + math.cos(math.pi * (epoch - 1) / settings.epochs)) / 2
    for group in optimiser.param_groups:
        group["lr"] = rate


def _check_finite(loss: float, settings: TrainingSettings, epoch: int) -> None:
    if not math.isfinite(loss):
        raise TrainingFailed(
            f"the validation loss became {loss} in epoch {epoch} at learning rate "
            f"{settings.learning_rate}; choose a smaller rate; nothing was saved"
        )
