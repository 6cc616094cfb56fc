"""What one mode said about the test pictures, and what the two rules make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audit_app.metrics.classification import STUDY_RULE, study_decision
from audit_app.metrics.thresholds import (
    THRESHOLD_RULE,
    Threshold,
    choose_thresholds,
    threshold_decision,
)

Scores = NDArray[np.float32]
Decisions = NDArray[np.uint8]
STUDY: Final = "study"
RULES: Final[Mapping[str, str]] = {"study": STUDY_RULE, "recommended": THRESHOLD_RULE}


@dataclass(frozen=True, eq=False)
class Answers:
    """One mode under one preset.

    Attributes:
        preset: ``study`` or ``recommended``.
        mode: ``zs``, ``cls``, ``lp`` or ``ft``.
        score: What a score is: cosine, dot, logit.
        validation: Shape (V, K).
        test: Shape (N, K).
        embeddings: Shape (N, D), of the test pictures, un-normalised.
        minutes: Of training; None where nothing is trained.
        seconds_per_image: Of inference; None when it was not measured.
        training: Settings and outcome (JSON values); empty where nothing is trained.
    """

    preset: str
    mode: str
    score: str
    validation: Scores
    test: Scores
    embeddings: NDArray[np.float32]
    minutes: float | None = None
    seconds_per_image: float | None = None
    training: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Decision:
    """Which findings count as present.

    Attributes:
        predictions: Shape (N, K), 0 or 1.
        of_validation: Shape (V, K): the same rule on the validation pictures.
        rule: In words.
        thresholds: One per finding; None under the study's rule.
    """

    predictions: Decisions
    of_validation: Decisions
    rule: str
    thresholds: tuple[Threshold, ...] | None = None


def tower_of(mode: str) -> str:
    """Which image tower a mode's embeddings come from; names the arrays of the files."""
    return "ft" if mode == "ft" else "frozen"


def decide(
    preset: str, validation_labels: NDArray[np.uint8], validation: Scores, test: Scores
) -> Decision:
    """The decisions of a preset's rule; thresholds never see the test pictures."""
    thresholds = None if preset == STUDY else choose_thresholds(validation_labels, validation)

    def judge(scores: Scores) -> Decisions:
        if thresholds is None:
            return study_decision(scores).astype(np.uint8)
        return threshold_decision(scores, thresholds).astype(np.uint8)

    return Decision(judge(test), judge(validation), RULES[preset], thresholds)
