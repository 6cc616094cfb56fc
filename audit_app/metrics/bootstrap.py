"""Percentile intervals that resample whole clusters (patients) with all their rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Statistic = Callable[[FloatArray], float]

DEFAULT_REPLICATES: Final = 2000
MIN_CLUSTERS: Final = 10
LEVEL: Final = 0.95
TOO_FEW: Final = "too few patients for an interval"


@dataclass(frozen=True, slots=True)
class Interval:
    """A statistic and its 95 % percentile interval.

    Attributes:
        estimate: The statistic of the rows as given.
        low: 2.5th percentile of the replicates; None when there is no interval.
        high: 97.5th percentile; None when there is no interval.
        n_clusters: Number of distinct clusters.
        replicates: How many were drawn; 0 when there is no interval.
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
        With fewer than 10 clusters there is no interval and ``note`` says why.

    Raises:
        ValueError: If there are no rows, a value is not finite, the lengths differ, or
            ``replicates`` is below 1.

    Source:
        Non-parametric bootstrap of clusters, Davison & Hinkley 1997, section 3.8 (strategy 1).
    """
    rows = _checked_rows(values, clusters)
    if replicates < 1:
        raise ValueError(f"replicates is {replicates}; expected at least 1")
    function = _mean if statistic == "mean" else statistic
    if function is _mean and rows.ndim != 1:
        raise ValueError(f"values has shape {rows.shape}; the mean takes one value per row")
    estimate = float(function(rows))
    members = _members(clusters)
    if len(members) < MIN_CLUSTERS:
        return Interval(estimate, None, None, len(members), 0, 0, seed, TOO_FEW)
    draws = np.random.default_rng(seed).integers(len(members), size=(replicates, len(members)))
    if function is _mean:
        drawn = _drawn_means(rows, members, draws)
    else:
        drawn = np.array([float(function(rows[_gather(members, draw)])) for draw in draws])
    return _percentile_interval(estimate, drawn, len(members), seed)


def _percentile_interval(
    estimate: float, drawn: FloatArray, n_clusters: int, seed: int
) -> Interval:
    defined = drawn[~np.isnan(drawn)]
    n_undefined = len(drawn) - len(defined)
    if not len(defined):
        note = "the statistic is undefined in every replicate"
        return Interval(estimate, None, None, n_clusters, len(drawn), n_undefined, seed, note)
    tail = 100 * (1 - LEVEL) / 2
    low, high = (float(bound) for bound in np.percentile(defined, [tail, 100 - tail]))
    return Interval(estimate, low, high, n_clusters, len(drawn), n_undefined, seed, "")


def _checked_rows(values: ArrayLike, clusters: Sequence[Hashable]) -> FloatArray:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim not in (1, 2) or len(rows) == 0:
        raise ValueError(f"values has shape {rows.shape}; expected (n,) or (n, k) with n >= 1")
    if len(rows) != len(clusters):
        raise ValueError(f"{len(rows)} rows but {len(clusters)} cluster labels; give one per row")
    if not np.isfinite(rows).all():
        bad = [float(value) for value in rows[~np.isfinite(rows)][:3]]
        raise ValueError(f"values holds {bad}; leave rows without a number out before")
    return rows


def _members(clusters: Sequence[Hashable]) -> list[NDArray[np.intp]]:
    """Row numbers of each cluster, the clusters in an order that the rows' order cannot change."""
    rows_of: dict[Hashable, list[int]] = {}
    for row, label in enumerate(clusters):
        rows_of.setdefault(label, []).append(row)
    ordered = sorted(rows_of, key=lambda label: (type(label).__name__, str(label)))
    return [np.array(rows_of[label], dtype=np.intp) for label in ordered]


def _gather(members: list[NDArray[np.intp]], draw: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.concatenate([members[cluster] for cluster in draw])


def _drawn_means(
    rows: FloatArray, members: list[NDArray[np.intp]], draws: NDArray[np.int64]
) -> FloatArray:
    """The mean of each replicate, from the clusters' sums and sizes."""
    sums = np.array([math.fsum(rows[one]) for one in members])
    sizes = np.array([len(one) for one in members])
    means: FloatArray = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    return means


def _mean(rows: FloatArray) -> float:
    return float(rows.mean())
