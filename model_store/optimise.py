"""The training loop that probe and fine-tune share: AdamW, early stop, best epoch kept.

Everything that the next epoch depends on can be written down between two epochs, so that a
training that was killed goes on to the same result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from model_store.errors import Diverged
from model_store.precision import autocast
from model_store.training import EpochEnd, Indices, Ticker, TrainingSet, TrainingSettings, batches
from model_store.versions import library_versions

FUSED_DEVICES: Final = ("cpu", "cuda", "mps")


@dataclass(frozen=True, eq=False)
class Task:
    """What is trained on what.

    Attributes:
        module: Inputs to logits (B, K); what requires a gradient is trained.
        inputs: Row numbers to a batch of inputs.
        labels: Shape (N, K), on the module's device.
        train: Row numbers that are learnt from.
        validation: Row numbers that decide which epoch is kept.
        precision: ``fp32``, ``bf16`` or ``fp16``: of the module's passes; weights stay float32.
    """

    module: nn.Module
    inputs: Callable[[Indices], Tensor]
    labels: Tensor
    train: Indices
    validation: Indices
    precision: str = "fp32"

    def loss(self, rows: Indices) -> Tensor:
        """Binary cross-entropy with logits, the mean over these rows and all findings."""
        with autocast(self.labels.device, self.precision):
            logits = self.module(self.inputs(rows))
        wanted = self.labels[torch.from_numpy(rows).to(self.labels.device)]
        return nn.functional.binary_cross_entropy_with_logits(logits.float(), wanted)


@dataclass
class History:
    """What happened, epoch by epoch.

    Attributes:
        train_losses: Mean over the training pictures.
        validation_losses: Mean over the validation pictures.
        best_epoch: From 1; whose weights were kept.
        notes: Anything else worth keeping, as JSON values.
        started: Monotonic seconds.
    """

    train_losses: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    best_epoch: int = 0
    notes: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    @property
    def elapsed_s(self) -> float:
        """Seconds since it started."""
        return time.monotonic() - self.started

    def describe(
        self, data: TrainingSet, settings: TrainingSettings, device: str
    ) -> dict[str, Any]:
        """The training as JSON values, for the head's metadata."""
        positives = data.positives
        return {
            **settings.to_dict(),
            **self.notes,
            "n_train": len(data.train),
            "n_validation": len(data.validation),
            "positives": positives,
            "without_positives": [name for name, count in positives.items() if count == 0],
            "epochs_run": len(self.train_losses),
            "best_epoch": self.best_epoch,
            "best_validation_loss": self.validation_losses[self.best_epoch - 1],
            "train_losses": self.train_losses,
            "validation_losses": self.validation_losses,
            "minutes": round(self.elapsed_s / 60, 4),
            "device": device,
            "versions": library_versions(),
        }


@dataclass(frozen=True, eq=False)
class State:
    """All that the rest of a training depends on, between two epochs.

    Attributes:
        tensors: Weights, the best epoch's weights, the optimiser's moments, random states.
        facts: JSON values: epoch, order of the pictures, losses.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


class Keeper(Protocol):
    """Where the state is kept between epochs."""

    def load(self) -> State | None:
        """The state of an earlier start of the same training, or None."""

    def save(self, state: State) -> None:
        """Keep this state instead of the one before."""


def xavier_head(width: int, n_findings: int) -> nn.Linear:
    """A new head: Xavier-uniform weights, bias zero."""
    head = nn.Linear(width, n_findings)
    nn.init.xavier_uniform_(head.weight)
    nn.init.zeros_(head.bias)
    return head


def fit(
    task: Task, settings: TrainingSettings, ticker: Ticker, keeper: Keeper | None = None
) -> History:
    """What happened; the module is left with its best epoch's weights, in evaluation mode.

    Args:
        task: Its module is changed.
        settings: How.
        ticker: Counts one step per training batch; epochs that an early stop saves are skipped.
        keeper: Asked once for an earlier state, and given one after each epoch.

    Raises:
        Diverged: If a loss is not finite.
        TrainingCancelled: If the ticker says so.
    """
    trainer = _Trainer(task, settings, ticker)
    state = keeper.load() if keeper else None
    if state is not None:
        trainer.restore(state)
        trainer.tell_epochs(from_epoch=1)
    while not trainer.is_done:
        trainer.run_epoch()
        if keeper is not None:
            keeper.save(trainer.state())
        trainer.tell_epochs(from_epoch=trainer.epoch)
    task.module.load_state_dict(trainer.kept)
    task.module.eval()
    return trainer.history


class _Trainer:
    """One training and where it stands."""

    def __init__(self, task: Task, settings: TrainingSettings, ticker: Ticker) -> None:
        device = task.labels.device
        self.task, self.settings, self.ticker = task, settings, ticker
        self.history = History()
        self.kept: dict[str, Tensor] = {}
        self.epoch, self.reference, self.waited = 0, math.inf, 0
        self.order = np.random.default_rng(settings.seed)
        self.optimiser = torch.optim.AdamW(
            [each for each in task.module.parameters() if each.requires_grad],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=device.type in FUSED_DEVICES,
        )
        # Only float16 has too few exponents for small gradients.
        self.scaler = torch.amp.GradScaler(device.type, enabled=task.precision == "fp16")

    @property
    def is_done(self) -> bool:
        """Whether all epochs ran or the validation loss stopped falling."""
        return self.epoch >= self.settings.epochs or self.waited >= self.settings.patience

    def run_epoch(self) -> None:
        """One pass over the training rows, then one over the validation rows."""
        self.epoch += 1
        self._set_learning_rate()
        rows = batches(self.order.permutation(self.task.train), self.settings.batch_size)
        self.history.train_losses.append(self._train(rows))
        loss = self._validate()
        self._check_finite(loss)
        if loss < min(self.history.validation_losses, default=math.inf):
            self.history.best_epoch = self.epoch
            self.kept = {
                name: value.clone() for name, value in self.task.module.state_dict().items()
            }
        self.history.validation_losses.append(loss)
        self.waited = 0 if loss < self.reference - self.settings.min_delta else self.waited + 1
        self.reference = loss if self.waited == 0 else self.reference

    def tell_epochs(self, from_epoch: int) -> None:
        """Tell the losses of the finished epochs, from this one on."""
        losses = zip(self.history.train_losses, self.history.validation_losses, strict=True)
        for epoch, (train_loss, validation_loss) in enumerate(losses, start=1):
            if epoch >= from_epoch:
                self.ticker.step(EpochEnd(epoch, train_loss, validation_loss).message(), 0)

    def state(self) -> State:
        """Where it stands now."""
        tensors = {f"module.{name}": value for name, value in self._weights().items()}
        if self.history.best_epoch != self.epoch:
            tensors |= {f"kept.{name}": value for name, value in self.kept.items()}
        for number, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{name}": value for name, value in moments.items()}
        tensors |= {f"random.{name}": value for name, value in self._random_states().items()}
        facts = {
            "epoch": self.epoch,
            "reference": self.reference,
            "waited": self.waited,
            "order": self.order.bit_generator.state,
            "scaler": self.scaler.state_dict(),
            "train_losses": self.history.train_losses,
            "validation_losses": self.history.validation_losses,
            "best_epoch": self.history.best_epoch,
            "elapsed_s": self.history.elapsed_s,
        }
        return State(tensors, facts)

    def restore(self, state: State) -> None:
        """Stand where that state was taken."""
        facts, parts = state.facts, _by_first_word(state.tensors)
        self.task.module.load_state_dict(parts["module"])
        best = parts.get("kept", parts["module"])
        device = self.task.labels.device
        self.kept = {name: value.to(device, copy=True) for name, value in best.items()}
        self._restore_optimiser(parts["optimiser"])
        self._restore_random(parts["random"])
        self.epoch, self.waited = facts["epoch"], facts["waited"]
        self.reference = facts["reference"]
        self.order.bit_generator.state = facts["order"]
        self.scaler.load_state_dict(facts["scaler"])
        self.history = History(
            train_losses=list(facts["train_losses"]),
            validation_losses=list(facts["validation_losses"]),
            best_epoch=facts["best_epoch"],
            notes={"resumed_after_epoch": self.epoch},
            started=time.monotonic() - facts["elapsed_s"],
        )
        n_steps = len(batches(self.task.train, self.settings.batch_size)) * self.epoch
        self.ticker.step(f"went on after epoch {self.epoch}", n_steps)

    def _weights(self) -> Mapping[str, Tensor]:
        weights: dict[str, Tensor] = self.task.module.state_dict()
        return weights

    def _random_states(self) -> dict[str, Tensor]:
        device = self.task.labels.device
        states = {"cpu": torch.get_rng_state()}
        if device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(device)
        elif device.type == "mps":
            states["mps"] = torch.mps.get_rng_state()
        return states

    def _restore_random(self, states: Mapping[str, Tensor]) -> None:
        torch.set_rng_state(states["cpu"])
        if "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"], self.task.labels.device)
        if "mps" in states:
            torch.mps.set_rng_state(states["mps"])

    def _restore_optimiser(self, flat: Mapping[str, Tensor]) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in flat.items():
            number, _, moment = name.partition(".")
            state.setdefault(int(number), {})[moment] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})

    def _set_learning_rate(self) -> None:
        """The epoch's rate: half a cosine from the full rate towards zero, or the full rate."""
        rate = self.settings.learning_rate
        if self.settings.schedule == "cosine":
            rate *= (1 + math.cos(math.pi * (self.epoch - 1) / self.settings.epochs)) / 2
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def _train(self, rows: list[Indices]) -> float:
        """Mean loss per picture over one pass."""
        self.task.module.train()
        losses: list[tuple[int, list[Tensor]]] = []
        for number, batch in enumerate(rows, start=1):
            losses.append((len(batch), self._step(batch)))
            self.ticker.step(f"epoch {self.epoch}, batch {number} of {len(rows)}")
        # Read at the end: on a card each look at a number waits for all that is under way.
        total = sum(count * sum(float(part) for part in parts) for count, parts in losses)
        return total / sum(count for count, _ in losses)

    def _step(self, batch: Indices) -> list[Tensor]:
        """The shares of one batch's mean loss; its gradient may come from several smaller ones."""
        self.optimiser.zero_grad(set_to_none=True)
        shares = []
        for part in batches(batch, self.settings.micro_batch or len(batch)):
            loss = self.task.loss(part) * (len(part) / len(batch))
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            shares.append(loss.detach())
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return shares

    def _validate(self) -> float:
        """Mean loss per picture over the validation rows, in evaluation mode."""
        self.task.module.eval()
        size = self.settings.micro_batch or self.settings.batch_size
        rows = batches(self.task.validation, size)
        with torch.no_grad():
            total = sum(float(self.task.loss(part)) * len(part) for part in rows)
        return total / len(self.task.validation)

    def _check_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise Diverged(
                f"the validation loss became {loss} in epoch {self.epoch} at learning rate "
                f"{self.settings.learning_rate}; choose a smaller rate; nothing was saved"
            )


def _by_first_word(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """``module.a.b`` as ``b`` levels: first word, then the rest of the name."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        first, _, rest = name.partition(".")
        parts.setdefault(first, {})[rest] = value
    return parts
