"""What a training is given and how it is set up: settings, labelled pictures, progress.

The page process reads the settings, so nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from model_store.errors import TrainingCancelled, TrainingFailed

Progress = Callable[[int, int, str], bool]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class TrainingSettings:
    """How a head is trained; the defaults of each mode are those of the study.

    Attributes:
        epochs: At most.
        batch_size: Pictures per step.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        schedule: ``cosine`` to zero over the epochs, or ``constant``.
        patience: Epochs without a better validation loss before it stops.
        min_delta: What counts as better.
        seed: Of initial values, order and dropout.
    """

    epochs: int = 10
    batch_size: int = 24
    learning_rate: float = 1e-4
    weight_decay: float = 1e-2
    schedule: Literal["cosine", "constant"] = "cosine"
    patience: int = 5
    min_delta: float = 1e-4
    seed: int = 42

    def __post_init__(self) -> None:
        """Refuse settings that train nothing."""
        for name in ("epochs", "batch_size", "patience", "learning_rate"):
            if not getattr(self, name) > 0:
                raise TrainingFailed(f"{name} {getattr(self, name)} given; expected more than 0")
        if self.weight_decay < 0 or self.min_delta < 0:
            raise TrainingFailed("weight_decay and min_delta must not be negative")
        if self.schedule not in ("cosine", "constant"):
            raise TrainingFailed(f"schedule {self.schedule!r} given; expected cosine or constant")


# The study's fine-tuning rate was in effect constant: its schedule was reset by a slip.
STUDY_SETTINGS: Final[Mapping[str, TrainingSettings]] = {
    "lp": TrainingSettings(learning_rate=1e-4),
    "ft": TrainingSettings(learning_rate=1e-5, schedule="constant"),
}


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Labelled pictures and who belongs to which part.

    Attributes:
        picture: Index to the display picture (H, W) uint8; called when it is needed.
        labels: Shape (N, K), each 0..1.
        findings: K names.
        train: Indices of the pictures that are learnt from.
        validation: Indices of those that decide which epoch is kept.

    Raises:
        TrainingFailed: When made with parts that do not fit together.
    """

    picture: Callable[[int], NDArray[np.uint8]]
    labels: NDArray[np.floating]
    findings: tuple[str, ...]
    train: Sequence[int]
    validation: Sequence[int]

    def __post_init__(self) -> None:
        """Check the parts against each other."""
        self._check_labels()
        n_pictures = len(self.labels)
        for name, indices in (("training", self.train), ("validation", self.validation)):
            if len(indices) == 0:
                raise TrainingFailed(f"no {name} picture given; label and assign at least one")
            outside = [index for index in indices if not 0 <= index < n_pictures]
            if outside:
                raise TrainingFailed(
                    f"{name} pictures {outside[:5]} given; there are {n_pictures}, from 0"
                )
        shared = sorted(set(self.train) & set(self.validation))
        if shared:
            raise TrainingFailed(
                f"pictures {shared[:5]} stand in training and validation; each may be in one only"
            )
        if not self.labels[np.asarray(self.train, dtype=np.intp)].any():
            raise TrainingFailed(
                f"none of the {len(self.train)} training pictures has any of the findings "
                f"{', '.join(self.findings)}; import labels first"
            )

    @property
    def positives(self) -> dict[str, int]:
        """Finding to the number of training pictures that have it."""
        chosen = self.labels[np.asarray(self.train, dtype=np.intp)]
        counts = (chosen > 0.5).sum(axis=0)
        return {name: int(count) for name, count in zip(self.findings, counts, strict=True)}

    def _check_labels(self) -> None:
        shape = self.labels.shape
        if len(shape) != 2 or shape[1] != len(self.findings):
            raise TrainingFailed(
                f"labels of shape {shape} given for {len(self.findings)} findings; expected (N, K)"
            )
        if len(set(self.findings)) != len(self.findings):
            raise TrainingFailed(f"findings {list(self.findings)} name one twice")
        if not (np.isfinite(self.labels).all() and ((self.labels >= 0) & (self.labels <= 1)).all()):
            raise TrainingFailed("labels hold a value outside 0..1 or not finite; expected 0 or 1")


@dataclass
class Ticker:
    """Counts the steps of one training and asks at each whether to go on.

    Attributes:
        total: Steps in all.
        progress: Told (done, total, message); true means stop.
        done: Steps so far.
    """

    total: int
    progress: Progress | None = None
    done: int = 0

    def step(self, message: str, count: int = 1) -> None:
        """Count ``count`` steps more.

        Raises:
            TrainingCancelled: If the training is to stop.
        """
        self.done += count
        if self.progress is not None and self.progress(self.done, self.total, message):
            raise TrainingCancelled(
                f"training stopped on request at '{message}'; nothing was saved"
            )


def batches(indices: Indices, size: int) -> list[Indices]:
    """The indices in order, ``size`` at a time; a last single one joins the batch before it.

    A batch of one has no spread, on which batch normalisation fails.
    """
    parts = [indices[start : start + size] for start in range(0, len(indices), size)]
    if len(parts) > 1 and len(parts[-1]) == 1:
        last = parts.pop()
        parts[-1] = np.concatenate([parts[-1], last])
    return parts
