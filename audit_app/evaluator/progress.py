"""How far an evaluation is: told to whoever watches, and kept as a small file for any browser."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from annotations.workspace import Workspace
from audit_app.errors import AuditError
from audit_app.evaluator.stages import disk_errors
from audit_app.metrics.pauses import Pause

Report = Callable[[int, int, str], bool]
WRITE_EVERY_S: Final = 0.3


@dataclass(frozen=True, slots=True)
class EvaluationProgress:
    """One moment of an evaluation.

    Attributes:
        stage: Short name, for instance ``train ft``.
        number: Of the stage, from 1.
        n_stages: In all.
        done: Steps of this stage that are done.
        total: Steps of this stage; 0 while not known.
        message: What the stage itself says.
        epoch: From 1; 0 outside of training.
        epochs: At most.
        train_losses: Of the finished epochs.
        validation_losses: Of the finished epochs.
        images_per_s: Of this stage; None where it reads no pictures.
        eta_s: Seconds to the end of this stage, when it can be told.
        finished_stages: Names, in order; those of an earlier start included.
    """

    stage: str
    number: int
    n_stages: int
    done: int = 0
    total: int = 0
    message: str = ""
    epoch: int = 0
    epochs: int = 0
    train_losses: tuple[float, ...] = ()
    validation_losses: tuple[float, ...] = ()
    images_per_s: float | None = None
    eta_s: float | None = None
    finished_stages: tuple[str, ...] = ()

    def line(self) -> str:
        """One line: stage, epoch, loss, speed, time left."""
        parts = [f"{self.stage} ({self.number} of {self.n_stages})"]
        if self.epoch and self.epochs:
            parts.append(f"epoch {self.epoch} of {self.epochs}")
        if self.validation_losses:
            parts.append(f"validation loss {self.validation_losses[-1]:.4f}")
        if self.images_per_s:
            parts.append(f"{self.images_per_s:.1f} images/s")
        if self.eta_s is not None:
            parts.append(f"about {_duration(self.eta_s)} left")
        if self.message:
            parts.append(self.message)
        return ", ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Cancelled(AuditError):
    """The evaluation was asked to stop; its finished stages are kept."""


def _go_on(done: int, total: int, message: str) -> bool:
    del done, total, message
    return False


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told how an evaluation goes on.

    Attributes:
        report: Told (done, total, line); true asks to stop.
        file: Where the progress is kept for a page; None: nowhere.
    """

    report: Report = _go_on
    file: Path | None = None


class Pace:
    """How fast steps of one kind go; a stage may first read pictures, then train on them.

    Args:
        images_per_step: Pictures in a step outside of training; 0: it has none.
        images_per_batch: Pictures in a training step; 0: there is no training.
    """

    def __init__(self, images_per_step: int, images_per_batch: int) -> None:
        self._images_per_step = images_per_step
        self._images_per_batch = images_per_batch
        self._kind = ""
        self._began = (time.monotonic(), 0)
        self.steps_per_s: float | None = None

    def step(self, done: int, message: str) -> None:
        """A step; its message's first word is its kind."""
        kind = message.partition(" ")[0]
        moment = time.monotonic()
        if kind != self._kind:
            self._kind, self._began = kind, (moment, done)
        since, first = self._began
        elapsed = moment - since
        self.steps_per_s = (done - first) / elapsed if done > first and elapsed > 0 else None

    @property
    def images_per_s(self) -> float | None:
        """Pictures per second; None where steps are no pictures or nothing was measured yet."""
        images = self._images_per_batch if self._kind == "epoch" else self._images_per_step
        return self.steps_per_s * images if self.steps_per_s and images else None


class Watch:
    """Tells the watcher how the stages go on.

    Args:
        watcher: Who is told.
        stages: Names of all stages, in order.
    """

    def __init__(self, watcher: Watcher, stages: tuple[str, ...]) -> None:
        self.now = EvaluationProgress(stages[0], 1, len(stages))
        self._report = watcher.report
        self._stages = stages
        self._file = watcher.file
        self._pace = Pace(0, 0)
        self._written = 0.0

    def begin(
        self,
        stage: str,
        *,
        counts_images: bool = False,
        epochs: int = 0,
        images_per_step: int = 0,
    ) -> None:
        """A stage begins.

        Args:
            stage: One of the names.
            counts_images: Whether its steps are pictures.
            epochs: Of a training.
            images_per_step: Of a training: pictures in a batch.
        """
        finished = self._stages[: self._stages.index(stage)]
        self.now = EvaluationProgress(
            stage, len(finished) + 1, len(self._stages), epochs=epochs, finished_stages=finished
        )
        self._pace = Pace(1 if counts_images else 0, images_per_step)
        self._tell(force=True)

    def epoch(self, number: int, train_loss: float, validation_loss: float) -> None:
        """An epoch ended; the first one begins a new training."""
        earlier = number - 1
        self.now = replace(
            self.now,
            epoch=number,
            train_losses=(*self.now.train_losses[:earlier], train_loss),
            validation_losses=(*self.now.validation_losses[:earlier], validation_loss),
        )
        self._tell(force=True)

    def step(self, done: int, total: int, message: str) -> bool:
        """A step of the stage; whether it should stop."""
        self._pace.step(done, message)
        speed = self._pace.steps_per_s
        self.now = replace(
            self.now,
            done=done,
            total=total,
            message=message,
            images_per_s=self._pace.images_per_s,
            eta_s=(total - done) / speed if speed and total > done else None,
        )
        return self._tell(force=False)

    def check(self) -> None:
        """Nothing, unless somebody asked to stop.

        Raises:
            Cancelled: Then.
        """
        if self._tell(force=True):
            raise self._cancelled()

    def pauses(self, done: int, total: int, message: str) -> Pause:
        """What one long step calls while it goes on; raises ``Cancelled`` on request.

        Args:
            done: Steps of the stage that are done.
            total: Steps of the stage.
            message: What the step is, in words; how far it is follows.
        """

        def pause(said: str) -> None:
            if self.step(done, total, f"{message}: {said}"):
                raise self._cancelled()

        return pause

    def _cancelled(self) -> Cancelled:
        return Cancelled(
            f"stopped on request in the stage '{self.now.stage}'; start the same evaluation again "
            "to go on from its finished stages"
        )

    def _tell(self, *, force: bool) -> bool:
        self._write(force=force)
        return self._report(*self._overall(), self.now.line())

    def _overall(self) -> tuple[int, int]:
        """Per mille of all stages, each counting the same."""
        share = self.now.done / self.now.total if self.now.total else 0.0
        return round(1000 * (self.now.number - 1 + share) / self.now.n_stages), 1000

    def _write(self, *, force: bool) -> None:
        if self._file is None:
            return
        moment = time.monotonic()
        if force or moment - self._written >= WRITE_EVERY_S:
            self._written = moment
            part = self._file.with_name(f"{self._file.name}.part")
            with disk_errors(self._file.parent):
                part.write_text(json.dumps(asdict(self.now)), encoding="utf-8")
                part.replace(self._file)


def progress_file(workspace: Workspace, job_id: int) -> Path:
    """Where the progress of a job's evaluation is kept."""
    folder = workspace.cache / "evaluations"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"progress-{job_id}.json"


def read_progress(workspace: Workspace, job_id: int) -> EvaluationProgress | None:
    """The last moment that the job told of; None before its first."""
    try:
        values = json.loads(progress_file(workspace, job_id).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
    return EvaluationProgress(**given)
