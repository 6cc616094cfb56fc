"""Means of several columns over the same resamples of patients: drawn once, read many times."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit_app.metrics.bootstrap import (
    MIN_CLUSTERS,
    Interval,
    PairedDifference,
    percentile_interval,
    too_few_clusters,
    two_sided_p,
)
from audit_app.metrics.clusters import Clusters, group_rows

FloatArray = NDArray[np.float64]
ROUNDING: Final = 1e-13


@dataclass(frozen=True, eq=False)
class MeanDraws:
    """Means of k columns, and the same means in each resample of the clusters.

    Attributes:
        estimates: Shape (k,), of the rows as given.
        drawn: Shape (replicates, k), NaN where undefined; no replicate with under 10 clusters.
        n_clusters: Number of distinct clusters.
        seed: That drew the resamples.
    """

    estimates: FloatArray
    drawn: FloatArray
    n_clusters: int
    seed: int

    def interval(self, column: int) -> Interval:
        """As ``cluster_bootstrap`` of this column alone gives it."""
        estimate = float(self.estimates[column])
        if len(self.drawn) == 0:
            return too_few_clusters(estimate, self.n_clusters, self.seed)
        return percentile_interval(estimate, self.drawn[:, column], self.n_clusters, self.seed)

    def difference(self, first: int, second: int) -> PairedDifference:
        """As ``paired_cluster_bootstrap`` of these two columns gives it."""
        estimate = float(_minus(self.estimates[first], self.estimates[second]))
        if len(self.drawn) == 0:
            interval = too_few_clusters(estimate, self.n_clusters, self.seed)
            return PairedDifference(interval, None)
        drawn = _minus(self.drawn[:, first], self.drawn[:, second])
        interval = percentile_interval(estimate, drawn, self.n_clusters, self.seed)
        p_value = None if interval.low is None else two_sided_p(drawn[~np.isnan(drawn)])
        return PairedDifference(interval, p_value)


def draw_means(
    values: ArrayLike,
    clusters: Sequence[Hashable],
    *,
    groups: Sequence[Hashable] | None = None,
    replicates: int,
    seed: int,
) -> MeanDraws:
    """Means of columns with their resamples, all of them from the same draws.

    Args:
        values: Shape (n, k), finite.
        clusters: n labels; rows with equal labels are drawn together.
        groups: n labels (findings): the mean is then over groups of the mean over each group's
            rows, undefined in a resample that holds no row of some group. None: over rows.
        replicates: How many resamples.
        seed: As for ``cluster_bootstrap``: the same rows and seed draw the same clusters.

    Raises:
        ValueError: If there are no rows, the lengths differ or a value is not finite.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or len(table) == 0 or len(table) != len(clusters):
        raise ValueError(
            f"values has shape {table.shape} and there are {len(clusters)} cluster labels; "
            "expected (n, k) with n >= 1, and n labels"
        )
    if not np.isfinite(table).all():
        raise ValueError("values holds numbers that are not finite; leave such rows out before")
    grouped = group_rows(clusters)
    one_group: list[Hashable] = [None] * len(table)
    codes = group_rows(one_group if groups is None else groups).codes
    sums, sizes = _by_cluster(table, grouped, codes)
    estimates = _means(np.ones((1, grouped.n_clusters)), sums, sizes)[0]
    if grouped.n_clusters < MIN_CLUSTERS:
        return MeanDraws(estimates, np.empty((0, table.shape[1])), grouped.n_clusters, seed)
    blocks = [_means(counts, sums, sizes) for counts in grouped.drawn_counts(replicates, seed)]
    return MeanDraws(estimates, np.concatenate(blocks), grouped.n_clusters, seed)


def _minus(first: FloatArray, second: FloatArray) -> FloatArray:
    """The difference, 0 where nothing but the order of summing makes one.

    A matrix product may add equal columns in another order, and the p-value counts zeros.
    """
    difference = np.asarray(first - second)
    size = np.maximum(np.abs(first), np.abs(second))
    kept: FloatArray = np.where(np.abs(difference) <= ROUNDING * size, 0.0, difference)
    return kept


def _by_cluster(
    table: FloatArray, clusters: Clusters, codes: NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    """Sums (clusters, groups, k) and numbers of rows (clusters, groups)."""
    n_groups = int(codes.max()) + 1
    place = clusters.codes * n_groups + codes
    length = clusters.n_clusters * n_groups
    columns = [np.bincount(place, weights=column, minlength=length) for column in table.T]
    sums: FloatArray = np.stack(columns, axis=1).astype(np.float64)
    sizes: FloatArray = np.bincount(place, minlength=length).astype(np.float64)
    shape = (clusters.n_clusters, n_groups)
    return sums.reshape(*shape, table.shape[1]), sizes.reshape(shape)


def _means(counts: FloatArray, sums: FloatArray, sizes: FloatArray) -> FloatArray:
    """Shape (block, k): the mean of the groups' means under these counts of the clusters."""
    n_clusters, n_groups, k = sums.shape
    drawn = (counts @ sums.reshape(n_clusters, -1)).reshape(len(counts), n_groups, k)
    n_rows = (counts @ sizes)[:, :, None]
    with np.errstate(invalid="ignore"):
        means: FloatArray = np.where(n_rows > 0, drawn / np.where(n_rows > 0, n_rows, 1), np.nan)
    over_groups: FloatArray = means.mean(axis=1)
    return over_groups
