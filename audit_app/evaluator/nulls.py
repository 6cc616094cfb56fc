"""What every column of the table says about scores and labels that have nothing to do with it.

A reader sees from this row that a ratio of 0.56, or half of the labels positive, mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audit_app.evaluator.answers import STUDY, decide
from audit_app.metrics.classification import multilabel_metrics
from audit_app.metrics.image_pairs import tabulate_pairs
from audit_app.metrics.separation import study_separation

MOST_IMAGES: Final = 2000
QUANTILES: Final = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class NullRange:
    """A column's mean over the draws, and the range of their middle 95 %."""

    mean: float
    low: float
    high: float


def null_of_scores(
    preset: str,
    labels: NDArray[np.uint8],
    validation_labels: NDArray[np.uint8],
    *,
    draws: int,
    seed: int,
) -> dict[str, NullRange]:
    """The classification columns when every score is an independent random number.

    Args:
        preset: Whose rule decides.
        labels: Shape (N, K), of the test pictures.
        validation_labels: Shape (V, K); the thresholds of the recommended rule are chosen on them.
        draws: How many sets of scores.
        seed: Of the scores.
    """
    generator = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for _ in range(draws):
        validation = generator.standard_normal(validation_labels.shape).astype(np.float32)
        scores = generator.standard_normal(labels.shape).astype(np.float32)
        predictions = decide(preset, validation_labels, validation, scores).predictions
        metrics = multilabel_metrics(labels, scores, predictions)
        values = {
            "f1": metrics.f1,
            "exact_match": metrics.exact_match,
            "lrap": metrics.lrap,
            "coverage_error": metrics.coverage_error,
            "predictions_per_image": metrics.predictions_per_image,
        }
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return {name: _range_of(values) for name, values in found.items()}


def null_of_separation(
    preset: str,
    embeddings: NDArray[np.float32],
    labels: NDArray[np.uint8],
    *,
    draws: int,
    seed: int,
) -> dict[str, NullRange]:
    """Inter, intra and ratio when the rows of labels are shuffled among the pictures.

    With more than 2,000 pictures a seeded choice of that many.
    """
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.permutation(len(labels))[:MOST_IMAGES])
    points, table = embeddings[chosen].astype(np.float64), labels[chosen]
    measure = _study_measure(points) if preset == STUDY else _pair_measure(points, table)
    found: dict[str, list[float]] = {"inter": [], "intra": [], "ratio": []}
    for _ in range(draws):
        values = measure(generator.permutation(len(table)), table)
        for name, value in zip(found, values, strict=True):
            if value is not None:
                found[name].append(value)
    return {name: _range_of(values) for name, values in found.items() if values}


Triple = tuple[float | None, float | None, float | None]
Measure = Callable[[NDArray[np.intp], NDArray[np.uint8]], Triple]


def _study_measure(points: NDArray[np.float64]) -> Measure:
    def measure(order: NDArray[np.intp], table: NDArray[np.uint8]) -> Triple:
        result = study_separation(points, table[order])
        return result.inter, result.intra, result.ratio

    return measure


def _pair_measure(points: NDArray[np.float64], table: NDArray[np.uint8]) -> Measure:
    distance = tabulate_pairs(points, table.astype(np.bool_)).distance
    found = table.astype(np.float32)
    shared = (found @ found.T > 0).astype(np.float64)
    np.fill_diagonal(shared, 0.0)
    n_pairs = len(points) * (len(points) - 1)
    total, n_shared = float(distance.sum()), float(shared.sum())

    def measure(order: NDArray[np.intp], table: NDArray[np.uint8]) -> Triple:
        del table  # the pairs hold it already
        together = float(np.vdot(distance, np.take(shared[order], order, axis=1)))
        intra = together / n_shared if n_shared else None
        inter = (total - together) / (n_pairs - n_shared) if n_pairs > n_shared else None
        return inter, intra, inter / intra if inter is not None and intra else None

    return measure


def _range_of(values: list[float]) -> NullRange:
    low, high = (float(bound) for bound in np.percentile(values, QUANTILES))
    return NullRange(float(np.mean(values)), low, high)
