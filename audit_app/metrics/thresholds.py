"""The threshold rule: one threshold per finding, chosen on the validation split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit_app.metrics.label_table import (
    BoolTable,
    FloatTable,
    check_same_shape,
    checked_labels,
    checked_scores,
)

THRESHOLD_RULE: Final = "per-finding threshold of the highest F1 on the validation split"
NO_POSITIVE: Final = "no positive in the validation split: no threshold, never predicted"


@dataclass(frozen=True, slots=True)
class Threshold:
    """One finding's threshold.

    Attributes:
        value: A finding is predicted where its score is at least this; None: never.
        f1: On the split on which it was chosen; None without a positive there.
        note: Why there is no threshold; "" when there is one.
    """

    value: float | None
    f1: float | None
    note: str


def choose_thresholds(labels: ArrayLike, scores: ArrayLike) -> tuple[Threshold, ...]:
    """For each finding the score at and above which predicting it gives the highest F1.

    Args:
        labels: Shape (N, K) of the validation split, never of the test split.
        scores: Shape (N, K), finite.

    Returns:
        One per column, in order. Every observed score is tried; of equally good ones the highest
        is taken, which predicts least.

    Raises:
        ValueError: If a table has another shape or holds other values.
    """
    table, values = checked_labels(labels), checked_scores(scores)
    check_same_shape(labels=table, scores=values)
    columns = range(table.shape[1])
    return tuple(_choose(table[:, column], values[:, column]) for column in columns)


def threshold_decision(scores: ArrayLike, thresholds: tuple[Threshold, ...]) -> BoolTable:
    """What the thresholds predict: shape (N, K), true where a score is at least its threshold.

    Args:
        scores: Shape (N, K), finite.
        thresholds: K of them.

    Raises:
        ValueError: If the shape is another one or a score is not finite.
    """
    values: FloatTable = checked_scores(scores)
    if values.shape[1] != len(thresholds):
        raise ValueError(f"{values.shape[1]} columns of scores but {len(thresholds)} thresholds")
    limits = [np.inf if one.value is None else one.value for one in thresholds]
    predicted: BoolTable = values >= np.array(limits)
    return predicted


def _choose(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> Threshold:
    n_positive = int(np.count_nonzero(labels))
    if n_positive == 0:
        return Threshold(None, None, NO_POSITIVE)
    order = np.argsort(scores)[::-1]
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    n_found = np.cumsum(labels[order])[last]
    f1 = 2 * n_found / (n_positive + last + 1)
    best = int(np.argmax(f1))
    return Threshold(float(scores[order][last[best]]), float(f1[best]), "")
