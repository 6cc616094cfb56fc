"""Patient-bootstrap intervals of each finding's and each domain's metrics."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit_app.metrics.bootstrap import (
    DEFAULT_REPLICATES,
    MIN_CLUSTERS,
    Interval,
    percentile_interval,
    too_few_clusters,
)
from audit_app.metrics.classification import (
    DomainMetrics,
    FindingMetrics,
    domain_metrics,
    multilabel_metrics,
)
from audit_app.metrics.clusters import Clusters, group_rows
from audit_app.metrics.label_table import (
    BoolTable,
    FloatTable,
    checked_labels,
    checked_scores,
)
from audit_app.metrics.pauses import Pause, no_pause

FloatArray = NDArray[np.float64]
RateIntervals = dict[str, Interval | None]

RATES: Final = ("precision", "recall", "f1", "auroc", "average_precision")


@dataclass(frozen=True, slots=True)
class ClassificationIntervals:
    """By rate's name the interval; None where the rate itself is n/a.

    Attributes:
        findings: In the columns' order.
        domains: By the domain's name. A resample that lacks a positive of one of the domain's
            findings is undefined, as for every mean over groups.
    """

    findings: tuple[RateIntervals, ...]
    domains: dict[str, RateIntervals]


@dataclass(frozen=True, slots=True)
class Decided:
    """One table of labels, scores and predictions with its patients, checked.

    Attributes:
        labels: Shape (N, K).
        scores: Shape (N, K).
        predicted: Shape (N, K).
        patients: Of the N images.
    """

    labels: BoolTable
    scores: FloatTable
    predicted: BoolTable
    patients: Clusters


def classification_intervals(
    decided: Decided,
    domains: Mapping[str, Sequence[int]],
    *,
    replicates: int = DEFAULT_REPLICATES,
    seed: int = 0,
    pause: Pause = no_pause,
) -> ClassificationIntervals:
    """Intervals from resampling patients with all their images.

    Args:
        decided: As ``decided_table`` makes it.
        domains: By name the columns that belong to it.
        replicates: How many resamples.
        seed: Of the draws.
        pause: Between blocks of resamples.

    Raises:
        ValueError: If ``replicates`` is below 1.
    """
    if replicates < 1:
        raise ValueError(f"replicates is {replicates}; expected at least 1")
    found = multilabel_metrics(decided.labels, decided.scores, decided.predicted).per_finding
    together = domain_metrics(found, domains)
    if decided.patients.n_clusters < MIN_CLUSTERS:
        drawn = np.empty((len(found), len(RATES), 0))
    else:
        drawn = _drawn(decided, replicates, seed, pause)
    n_patients = decided.patients.n_clusters
    by_finding = [_intervals(one, drawn[k], n_patients, seed) for k, one in enumerate(found)]
    by_domain = {
        name: _intervals(metrics, _drawn_means(drawn, found, domains[name]), n_patients, seed)
        for name, metrics in together.items()
    }
    return ClassificationIntervals(tuple(by_finding), by_domain)


def decided_table(
    labels: ArrayLike, scores: ArrayLike, predictions: ArrayLike, patients: Sequence[Hashable]
) -> Decided:
    """What intervals are computed from.

    Args:
        labels: Shape (N, K).
        scores: Shape (N, K), finite.
        predictions: Shape (N, K).
        patients: N labels; images with equal ones are drawn together.

    Raises:
        ValueError: If a table has another shape or holds other values, or the numbers differ.
    """
    table, values = checked_labels(labels), checked_scores(scores)
    predicted = checked_labels(predictions, "predictions")
    if len(patients) != len(table):
        raise ValueError(f"{len(table)} images but {len(patients)} patients; give one per image")
    return Decided(table, values, predicted, group_rows(patients))


def _intervals(
    metrics: FindingMetrics | DomainMetrics, drawn: FloatTable, n_patients: int, seed: int
) -> RateIntervals:
    """The interval of each rate from its draws, ``drawn`` of shape (rates, replicates)."""
    intervals: RateIntervals = {}
    for name, replicates in zip(RATES, drawn, strict=True):
        rate: float | None = getattr(metrics, name)
        if rate is None:
            intervals[name] = None
        elif len(replicates) == 0:
            intervals[name] = too_few_clusters(rate, n_patients, seed)
        else:
            intervals[name] = percentile_interval(rate, replicates, n_patients, seed)
    return intervals


def _drawn_means(
    drawn: FloatArray, found: Sequence[FindingMetrics], columns: Sequence[int]
) -> FloatTable:
    """The domain's rates in each resample: means over the findings that have the rate at all."""
    means = np.full(drawn.shape[1:], np.nan)
    for place, name in enumerate(RATES):
        defined = [column for column in columns if getattr(found[column], name) is not None]
        if defined:
            means[place] = drawn[defined, place].mean(axis=0)
    return means


def _drawn(decided: Decided, replicates: int, seed: int, pause: Pause) -> FloatArray:
    """Shape (findings, rates, replicates): the rates in each resample."""
    drawn = np.empty((decided.labels.shape[1], len(RATES), replicates))
    done = 0
    for weights in decided.patients.drawn_weights(replicates, seed):
        drawn[:, :, done : done + len(weights)] = _drawn_rates(decided, weights)
        done += len(weights)
        pause(f"{done} of {replicates} resamples")
    return drawn


def _drawn_rates(decided: Decided, weights: FloatTable) -> FloatArray:
    """Shape (findings, rates, block): the rates where each image counts by its weight."""
    # An image's weights side by side: sorting images then moves whole rows.
    by_image = np.ascontiguousarray(weights.T)
    columns = range(decided.labels.shape[1])
    return np.stack([np.stack(_weighted_rates(decided, by_image, k)) for k in columns])


def _weighted_rates(decided: Decided, weights: FloatTable, column: int) -> list[FloatArray]:
    labels, predicted = decided.labels[:, column], decided.predicted[:, column]
    n_both, n_positive, n_predicted = (
        one.astype(np.float64) @ weights for one in (labels & predicted, labels, predicted)
    )
    precision = _divide(n_both, n_predicted, otherwise=0.0)
    precision[n_positive == 0] = np.nan
    recall = _divide(n_both, n_positive)
    f1 = _divide(2 * n_both, n_positive + n_predicted)
    f1[n_positive == 0] = np.nan
    return [precision, recall, f1, *_weighted_ranking(labels, decided.scores[:, column], weights)]


def _weighted_ranking(
    labels: NDArray[np.bool_], scores: FloatArray, weights: FloatTable
) -> tuple[FloatArray, FloatArray]:
    """AUROC and average precision for each column of weights, tied scores taken together."""
    if not labels.any():
        return np.full(weights.shape[1], np.nan), np.full(weights.shape[1], np.nan)
    order = np.argsort(scores)[::-1]
    total = np.cumsum(weights[order], axis=0)
    # Both rates change at the distinct scores of positives only, and most findings are rare.
    own_scores = scores[order][labels[order]]
    firsts = np.flatnonzero(np.append(True, np.diff(own_scores) != 0))
    steps = np.add.reduceat(weights[order[labels[order]]], firsts, axis=0)
    found = np.cumsum(steps, axis=0)
    at, above = _totals_at(total, scores[order], own_scores[firsts])
    n_positive = found[-1]
    n_negative = total[-1] - n_positive
    # Of the negatives those above a positive beat it, and tied ones do so by half.
    lost = ((at - found) + (above - (found - steps))) / 2
    beaten = (steps * (n_negative - lost)).sum(axis=0)
    precisions = np.divide(found, at, out=np.zeros_like(found), where=at > 0)
    return (
        _divide(beaten, n_positive * n_negative),
        _divide((steps * precisions).sum(axis=0), n_positive),
    )


def _totals_at(
    total: FloatTable, ranked: FloatArray, scores: FloatArray
) -> tuple[FloatTable, FloatTable]:
    """The running total up to the last of each score and up to before its first.

    Args:
        total: Shape (N, block), running total over the ranked images.
        ranked: Shape (N,), their scores, descending.
        scores: Shape (n,), some of these.
    """
    n_above = np.searchsorted(-ranked, -scores, side="left")
    n_at = np.searchsorted(-ranked, -scores, side="right")
    above = np.where(n_above[:, None] > 0, total[n_above - 1], 0.0)
    return total[n_at - 1], above


def _divide(
    numerator: FloatArray, denominator: FloatArray, *, otherwise: float = np.nan
) -> FloatArray:
    quotient = np.full(numerator.shape, otherwise)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient
