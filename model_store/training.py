"""What a training is given and how it is set up: settings, labelled pictures, progress.

The page process reads the settings, so nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from model_store.errors import TrainingCancelled, TrainingFailed

Progress = Callable[[int, int, str], bool]
Indices = NDArray[np.intp]
Schedule = Literal["cosine", "constant"]
Solver = Literal["adamw", "lbfgs"]
TrainingPrecision = Literal["auto", "fp32", "bf16", "fp16"]

POSITIVE: Final = ("epochs", "batch_size", "patience", "learning_rate", "penalty")
NOT_NEGATIVE: Final = ("weight_decay", "min_delta", "micro_batch")
_EPOCH_END: Final = re.compile(r"epoch (\d+) ended: training loss (\S+), validation loss (\S+)")
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "schedule": get_args(Schedule),
    "solver": get_args(Solver),
    "precision": get_args(TrainingPrecision),
}


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
        solver: ``adamw``, or, for a probe, ``lbfgs``: the converged logistic regression, which
            reads of these settings the penalty alone.
        penalty: Half of it times the squared weights is added to the summed loss of a converged
            probe; one over scikit-learn's ``C``.
        micro_batch: Pictures of a step that are in memory at a time; their gradients add up to
            the step's. 0: all at once. Batch normalisation sees only the micro batch.
        precision: Of a fine-tune's forward and backward pass; ``auto``: where it pays. Of a probe:
            what its embeddings were computed in.
    """

    epochs: int = 10
    batch_size: int = 24
    learning_rate: float = 1e-4
    weight_decay: float = 1e-2
    schedule: Schedule = "cosine"
    patience: int = 5
    min_delta: float = 1e-4
    seed: int = 42
    solver: Solver = "adamw"
    penalty: float = 1.0
    micro_batch: int = 0
    precision: TrainingPrecision = "auto"

    def __post_init__(self) -> None:
        """Refuse settings that train nothing."""
        for name in POSITIVE:
            if not getattr(self, name) > 0:
                raise TrainingFailed(f"{name} {getattr(self, name)} given; expected more than 0")
        for name in NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise TrainingFailed(f"{name} {getattr(self, name)} given; expected 0 or more")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise TrainingFailed(
                    f"{name} {getattr(self, name)!r} given; expected {' or '.join(known)}"
                )

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return asdict(self)

    def changed(self, assignments: Iterable[str]) -> TrainingSettings:
        """These settings with others in the place of some.

        Args:
            assignments: Each ``name=value``, for instance ``learning_rate=1e-5``.

        Raises:
            TrainingFailed: If a name is unknown or a value does not fit it.
        """
        values: dict[str, Any] = {}
        for assignment in assignments:
            name, _, text = assignment.partition("=")
            values[name.strip()] = self._parsed(name.strip(), text.strip())
        return replace(self, **values)

    def _parsed(self, name: str, text: str) -> Any:
        known = [each.name for each in fields(self)]
        if name not in known:
            raise TrainingFailed(f"unknown setting '{name}'; known: {', '.join(known)}")
        kind = type(getattr(self, name))
        try:
            return kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise TrainingFailed(f"{name} {text!r} given; expected {what}") from None


# The study's fine-tuning rate was in effect constant: its schedule was reset by a slip.
PRESETS: Final[Mapping[str, Mapping[str, TrainingSettings]]] = {
    "lp": {
        "study": TrainingSettings(learning_rate=1e-4),
        "converged": TrainingSettings(solver="lbfgs"),
    },
    "ft": {"study": TrainingSettings(learning_rate=1e-5, schedule="constant")},
}
STUDY_SETTINGS: Final[Mapping[str, TrainingSettings]] = {
    mode: presets["study"] for mode, presets in PRESETS.items()
}


def find_preset(mode: str, name: str) -> TrainingSettings:
    """The settings of this preset of a mode.

    Raises:
        TrainingFailed: With the known ones.
    """
    if mode not in PRESETS:
        raise TrainingFailed(f"mode {mode!r} is not trained; choose {' or '.join(PRESETS)}")
    known = PRESETS[mode]
    if name not in known:
        raise TrainingFailed(f"{mode} has no preset {name!r}; known: {', '.join(known)}")
    return known[name]


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


class EpochEnd(NamedTuple):
    """The losses of one finished epoch; in progress messages it stands as text."""

    epoch: int
    train_loss: float
    validation_loss: float

    def message(self) -> str:
        """The words that ``parse`` reads."""
        return (
            f"epoch {self.epoch} ended: training loss {self.train_loss:.6g}, "
            f"validation loss {self.validation_loss:.6g}"
        )

    @classmethod
    def parse(cls, message: str) -> Self | None:
        """The epoch that a progress message tells the end of; None for any other message."""
        found = _EPOCH_END.fullmatch(message)
        return cls(int(found[1]), float(found[2]), float(found[3])) if found else None


@dataclass
class Ticker:
    """Counts the steps of one training and asks at each whether to go on.

    Attributes:
        total: Steps in all.
        progress: Told (done, total, message); true means stop.
        done: Steps so far.
        left: What a stop leaves behind, in words.
    """

    total: int
    progress: Progress | None = None
    done: int = 0
    left: str = "nothing was saved"

    def step(self, message: str, count: int = 1) -> None:
        """Count ``count`` steps more.

        Raises:
            TrainingCancelled: If the training is to stop.
        """
        self.done += count
        if self.progress is not None and self.progress(self.done, self.total, message):
            raise TrainingCancelled(f"training stopped on request at '{message}'; {self.left}")


def batches(indices: Indices, size: int) -> list[Indices]:
    """The indices in order, ``size`` at a time; a last single one joins the batch before it.

    A batch of one has no spread, on which batch normalisation fails.
    """
    parts = [indices[start : start + size] for start in range(0, len(indices), size)]
    if len(parts) > 1 and len(parts[-1]) == 1:
        last = parts.pop()
        parts[-1] = np.concatenate([parts[-1], last])
    return parts
