"""How high each image's own findings stand among all findings by score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from audit_app.metrics.label_table import (
    BoolTable,
    FloatTable,
    check_same_shape,
    checked_labels,
    checked_scores,
)

IMAGES_AT_ONCE: Final = 8192


@dataclass(frozen=True, slots=True)
class LabelRanking:
    """Both numbers are means over images.

    Attributes:
        lrap: Label ranking average precision; an image with no finding or with all counts 1.
        coverage_error: How far down the ranking all findings of an image are found; an image with
            no finding counts 0.
    """

    lrap: float
    coverage_error: float


def label_ranking(labels: ArrayLike, scores: ArrayLike) -> LabelRanking:
    """Label ranking average precision and coverage error; a tie counts against the model.

    Args:
        labels: Shape (N, K).
        scores: Shape (N, K), finite.

    Raises:
        ValueError: If a table has another shape or holds other values.

    Source:
        Tsoumakas et al. 2010; the borders as scikit-learn has them.
    """
    table, values = checked_labels(labels), checked_scores(scores)
    check_same_shape(labels=table, scores=values)
    precision = coverage = 0.0
    for start in range(0, len(table), IMAGES_AT_ONCE):
        part = slice(start, start + IMAGES_AT_ONCE)
        precisions, depths = _rank(table[part], values[part])
        precision, coverage = precision + precisions, coverage + depths
    return LabelRanking(precision / len(table), coverage / len(table))


def _rank(labels: BoolTable, scores: FloatTable) -> tuple[float, float]:
    """Sums over images: mean precision at their findings, and the depth of the lowest of them."""
    at_least = scores[:, None, :] >= scores[:, :, None]
    # at_least[i, k, j]: finding j stands as high as finding k, or higher.
    ranks = np.count_nonzero(at_least, axis=2)
    ranks_among_found = np.count_nonzero(at_least & labels[:, None, :], axis=2)
    n_found = np.count_nonzero(labels, axis=1)
    precisions = np.where(labels, ranks_among_found / ranks, 0.0).sum(axis=1)
    means = np.divide(precisions, n_found, out=np.ones(len(labels)), where=n_found > 0)
    return float(means.sum()), float(np.where(labels, ranks, 0).max(axis=1).sum())
