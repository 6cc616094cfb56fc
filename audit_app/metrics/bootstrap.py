"""Percentile intervals that resample whole clusters (patients) with all their rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit_app.metrics.clusters import Clusters, group_rows

FloatArray = NDArray[np.float64]
Statistic = Callable[[FloatArray], float]

DEFAULT_REPLICATES: Final = 2000
MIN_CLUSTERS: Final = 10
LEVEL: Final = 0.95
# Percentiles of the replicates that happen to have a value describe another quantity than the
# estimate; while these are this rare, the difference stays within an interval's own tails.
MAX_UNDEFINED: Final = 0.05
TOO_FEW: Final = "too few patients for an interval"


@dataclass(frozen=True, slots=True)
class Interval:
    """A statistic and its 95 % percentile interval.

    Attributes:
        estimate: The statistic of the rows as given.
        low: 2.5th percentile of the replicates; None when there is no interval.
        high: 97.5th percentile; None when there is no interval.
        n_clusters: Number of distinct clusters.
        replicates: How many were drawn; 0 with fewer than 10 clusters.
        n_undefined: Replicates whose statistic was NaN; they are left out of the percentiles.
        seed: Of the random generator.
        note: Why there is no interval; "" when there is one.
    """

    estimate: float
    low: float | None
    high: float | None
    n_clusters: int
    replicates: int
    n_undefined: int
    seed: int
    note: str


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How far one statistic lies above another on the same rows.

    Attributes:
        interval: Of the difference, first minus second.
        p_value: Two-sided, that there is no difference; None when there is no interval.
    """

    interval: Interval
    p_value: float | None


def cluster_bootstrap(
    values: ArrayLike,
    clusters: Sequence[Hashable],
    *,
    statistic: Statistic | Literal["mean"] = "mean",
    replicates: int = DEFAULT_REPLICATES,
    seed: int,
) -> Interval:
    """A statistic with an interval from resampling clusters, never single rows.

    Args:
        values: Shape (n,) or (n, k): one row per observation.
        clusters: n labels; rows with equal labels are drawn together.
        statistic: From drawn rows (same number of axes as ``values``) to a number; NaN where it is
            undefined. "mean" is the mean of a one-axis ``values``, with the same draws and faster.
        replicates: How many resamples.
        seed: Of ``numpy.random.default_rng``. The same rows in another order and the same seed
            draw the same clusters.

    Returns:
        With fewer than 10 clusters, or with a statistic that is undefined in more than 5 % of the
        replicates, there is no interval and ``note`` says why.

    Raises:
        ValueError: If there are no rows, a value is not finite, the lengths differ, or
            ``replicates`` is below 1.

    Source:
        Non-parametric bootstrap of clusters, Davison & Hinkley 1997, section 3.8 (strategy 1).
    """
    rows, grouped = _checked(values, clusters, replicates)
    estimate = _estimate(rows, statistic)
    if grouped.n_clusters < MIN_CLUSTERS:
        return too_few_clusters(estimate, grouped.n_clusters, seed)
    drawn = _drawn(rows, grouped, statistic, (replicates, seed))
    return percentile_interval(estimate, drawn, grouped.n_clusters, seed)


def paired_cluster_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    clusters: Sequence[Hashable],
    *,
    statistic: Statistic | Literal["mean"] = "mean",
    replicates: int = DEFAULT_REPLICATES,
    seed: int,
) -> PairedDifference:
    """The difference of a statistic between two treatments of the same rows, first minus second.

    Args:
        first: Shape (n,) or (n, k): row i is the first treatment's (mode's, model's) value.
        second: Same shape: row i is the second treatment's value of the same row.
        clusters: n labels; rows with equal labels are drawn together, for both alike.
        statistic: As for ``cluster_bootstrap``, of each treatment's drawn rows.
        replicates: How many resamples.
        seed: As for ``cluster_bootstrap``.

    Returns:
        The interval of the difference as ``cluster_bootstrap`` gives it, and the p-value that
        belongs to it: twice the smaller share of replicates at or beyond 0, the observed sample
        counted as one more replicate, so it is never 0.

    Raises:
        ValueError: As ``cluster_bootstrap``, and if the two shapes differ.

    Source:
        Percentile interval turned into a test, Efron & Tibshirani 1993, chapter 15; one more
        replicate as in Davison & Hinkley 1997, section 4.2.
    """
    rows, grouped = _checked(first, clusters, replicates)
    others, _ = _checked(second, clusters, replicates)
    if rows.shape != others.shape:
        raise ValueError(f"first has shape {rows.shape}, second {others.shape}; pair row by row")
    estimate = _estimate(rows, statistic) - _estimate(others, statistic)
    if grouped.n_clusters < MIN_CLUSTERS:
        return PairedDifference(too_few_clusters(estimate, grouped.n_clusters, seed), None)
    # One seed draws the same clusters for both.
    drawn = _drawn(rows, grouped, statistic, (replicates, seed))
    drawn -= _drawn(others, grouped, statistic, (replicates, seed))
    interval = percentile_interval(estimate, drawn, grouped.n_clusters, seed)
    p_value = None if interval.low is None else two_sided_p(drawn[~np.isnan(drawn)])
    return PairedDifference(interval, p_value)


def percentile_interval(estimate: float, drawn: FloatArray, n_clusters: int, seed: int) -> Interval:
    """The interval of replicates that were drawn elsewhere.

    Args:
        estimate: The statistic of the rows as given.
        drawn: Shape (replicates,), the statistic of each resample, NaN where undefined.
        n_clusters: Of the rows.
        seed: That drew the resamples.
    """
    defined = drawn[~np.isnan(drawn)]
    n_undefined = len(drawn) - len(defined)
    if n_undefined > MAX_UNDEFINED * len(drawn):
        note = f"undefined in {n_undefined} of {len(drawn)} replicates: {TOO_FEW}"
        return Interval(estimate, None, None, n_clusters, len(drawn), n_undefined, seed, note)
    tail = 100 * (1 - LEVEL) / 2
    low, high = (float(bound) for bound in np.percentile(defined, [tail, 100 - tail]))
    return Interval(estimate, low, high, n_clusters, len(drawn), n_undefined, seed, "")


def too_few_clusters(estimate: float, n_clusters: int, seed: int) -> Interval:
    """The number alone, with the reason why it has no interval."""
    return Interval(estimate, None, None, n_clusters, 0, 0, seed, TOO_FEW)


def _checked(
    values: ArrayLike, clusters: Sequence[Hashable], replicates: int
) -> tuple[FloatArray, Clusters]:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim not in (1, 2) or len(rows) == 0:
        raise ValueError(f"values has shape {rows.shape}; expected (n,) or (n, k) with n >= 1")
    if len(rows) != len(clusters):
        raise ValueError(f"{len(rows)} rows but {len(clusters)} cluster labels; give one per row")
    if not np.isfinite(rows).all():
        bad = [float(value) for value in rows[~np.isfinite(rows)][:3]]
        raise ValueError(f"values holds {bad}; leave rows without a number out before")
    if replicates < 1:
        raise ValueError(f"replicates is {replicates}; expected at least 1")
    return rows, group_rows(clusters)


def _estimate(rows: FloatArray, statistic: Statistic | Literal["mean"]) -> float:
    if not isinstance(statistic, str):
        return float(statistic(rows))
    if rows.ndim != 1:
        raise ValueError(f"values has shape {rows.shape}; the mean takes one value per row")
    return float(rows.mean())


def _drawn(
    rows: FloatArray,
    clusters: Clusters,
    statistic: Statistic | Literal["mean"],
    how_often_and_seed: tuple[int, int],
) -> FloatArray:
    """The statistic of each resample, shape (replicates,)."""
    if isinstance(statistic, str):
        blocks = [_means(rows, clusters, draws) for draws in clusters.draws(*how_often_and_seed)]
        return np.concatenate(blocks)
    return np.array(
        [
            float(statistic(rows[clusters.rows_of(draw)]))
            for draws in clusters.draws(*how_often_and_seed)
            for draw in draws
        ]
    )


def _means(rows: FloatArray, clusters: Clusters, draws: NDArray[np.int64]) -> FloatArray:
    """The mean of each replicate, from the clusters' sums and sizes."""
    sums = np.bincount(clusters.codes, weights=rows, minlength=clusters.n_clusters)
    means: FloatArray = sums[draws].sum(axis=1) / clusters.sizes[draws].sum(axis=1)
    return means


def two_sided_p(drawn: FloatArray) -> float:
    """The p-value that belongs to the interval of replicates of a difference.

    Args:
        drawn: Shape (replicates,), without NaN.
    """
    n_low, n_high = int(np.count_nonzero(drawn <= 0)), int(np.count_nonzero(drawn >= 0))
    return min(1.0, 2 * (1 + min(n_low, n_high)) / (1 + len(drawn)))
