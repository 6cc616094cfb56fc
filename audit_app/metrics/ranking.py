"""How well a map ranks the pixels of a region above the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def area_under_roc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float | None:
    """Share of (positive, negative) pairs in the right order; a tie counts half.

    Args:
        positive: Shape (n,), values inside the region.
        negative: Shape (m,), values outside it.

    Returns:
        In [0, 1], or None when one of the two is empty and the area is undefined.

    Source:
        Mann-Whitney U with mid-ranks, divided by n * m.
    """
    n_pairs = positive.size * negative.size
    if n_pairs == 0:
        return None
    # Searching the smaller part in the larger one halves the time and changes nothing else.
    if positive.size <= negative.size:
        return _pairs_above(positive, negative) / n_pairs
    return 1.0 - _pairs_above(negative, positive) / n_pairs


def _pairs_above(values: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """Number of pairs in which a value exceeds an other, a tie counted half."""
    others, values = np.sort(others), np.sort(values)
    below = np.searchsorted(others, values, side="left").sum(dtype=np.int64)
    not_above = np.searchsorted(others, values, side="right").sum(dtype=np.int64)
    return float(below + not_above) / 2.0


def average_precision(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> float | None:
    """Precision averaged over the positives, each at its own score; ties enter together.

    Args:
        labels: Shape (n,).
        scores: Shape (n,), finite.

    Returns:
        In (0, 1], or None without a positive.

    Source:
        Sum of precision times the step in recall over distinct scores, as scikit-learn has it.
    """
    n_positive = int(np.count_nonzero(labels))
    if n_positive == 0:
        return None
    order = np.argsort(scores)[::-1]
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found = np.cumsum(labels[order])[last]
    steps = np.diff(found, prepend=0)
    return float((steps * (found / (last + 1))).sum() / n_positive)
