"""Distances between all pairs of images, apart by whether the two share a finding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audit_app.metrics.label_table import BoolTable, FloatTable
from audit_app.metrics.pauses import Pause, no_pause

FloatArray = NDArray[np.float64]

# 1,024 x 1,024 distances are 8 MiB: a few of them are all that any number of images needs.
BLOCK: Final = 1024
# Rows of distances that stay in a processor's cache while a permutation goes over them.
STRIP: Final = 200
# A permutation of the most images takes some hundredths of a second.
PERMUTATIONS_BETWEEN_PAUSES: Final = 20
# Permutations that are the same sum in another order of addition must count as equal.
TIE: Final = 1e-12


@dataclass(frozen=True, eq=False)
class PairSums:
    """For each image the sums over its pairs with all other images, shape (N,) each.

    Attributes:
        distance: Of the distances.
        shared_distance: Of the distances to images that share a finding with it.
        shared_count: How many images share a finding with it.
    """

    distance: FloatArray
    shared_distance: FloatArray
    shared_count: FloatArray

    @property
    def n_intra(self) -> int:
        """Pairs that share at least one finding."""
        return round(float(self.shared_count.sum())) // 2

    @property
    def n_inter(self) -> int:
        """Pairs that share none."""
        return len(self.distance) * (len(self.distance) - 1) // 2 - self.n_intra

    def means(self) -> tuple[float | None, float | None]:
        """Mean distance of pairs that share no finding, and of those that do; None without one."""
        shared = float(self.shared_distance.sum())
        apart = float(self.distance.sum()) - shared
        inter = apart / (2 * self.n_inter) if self.n_inter else None
        return inter, shared / (2 * self.n_intra) if self.n_intra else None

    def resampled_ratios(self, weights: FloatTable) -> FloatArray:
        """The ratio of each resample, to first order in the weights about 1.

        Args:
            weights: Shape (replicates, N), how often each image was drawn.

        Returns:
            Shape (replicates,), NaN where a resample has no pair of either kind.
        """
        # sum_ij w_i w_j x_ij is about sum_ij (w_i + w_j - 1) x_ij: rows' sums are enough.
        linear = 2 * weights - 1
        others = np.full(len(self.distance), len(self.distance) - 1.0)
        distance, shared, n_shared, n_pairs = (
            linear @ sums
            for sums in (self.distance, self.shared_distance, self.shared_count, others)
        )
        return _ratios(distance - shared, n_pairs - n_shared, shared, n_shared)


@dataclass(frozen=True, eq=False)
class PairTable:
    """Every pair of a moderate number of images.

    Attributes:
        distance: Shape (N, N), 0 on the diagonal.
        pattern: Shape (N,), which distinct row of labels each image has.
        pattern_shares: Shape (patterns, patterns), 1.0 where two of them share a finding, else 0.0.
    """

    distance: FloatTable
    pattern: NDArray[np.intp]
    pattern_shares: FloatTable

    def resampled_ratios(self, weights: FloatTable) -> FloatArray:
        """The ratio of each resample; a pair of an image with its own copy does not count.

        Args:
            weights: Shape (replicates, N), how often each image was drawn.

        Returns:
            Shape (replicates,), NaN where a resample has no pair of either kind.
        """
        is_shared = self.pattern_shares[np.ix_(self.pattern, self.pattern)]
        np.fill_diagonal(is_shared, 0.0)
        distance, shared, n_shared = (
            np.einsum("ri,ri->r", weights @ pairs, weights)
            for pairs in (self.distance, self.distance * is_shared, is_shared)
        )
        n_pairs = weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1)
        return _ratios(distance - shared, n_pairs - n_shared, shared, n_shared)

    def permutation_p(self, permutations: int, seed: int, pause: Pause = no_pause) -> float:
        """Share of shuffles of the label rows, the identity included, with a ratio as high or more.

        Args:
            permutations: How many shuffles are drawn.
            seed: Of the shuffles.
            pause: Between some of them.
        """
        # Shuffling keeps the number of sharing pairs and the sum of all distances, so the ratio is
        # as high or more exactly when the sharing pairs' distances sum up to as much or less.
        shared = self._shuffled_sums(permutations, seed, pause)
        return int(np.count_nonzero(shared <= shared[0] * (1 + TIE))) / (permutations + 1)

    def shuffled_means(
        self, permutations: int, seed: int, pause: Pause = no_pause
    ) -> tuple[FloatArray, FloatArray]:
        """Mean distance of pairs that share no finding, and of those that do, when rows shuffle.

        Args:
            permutations: How many shuffles of the label rows are drawn.
            seed: Of the shuffles.
            pause: Between some of them.

        Returns:
            Shape (permutations,) each; NaN where there is no such pair.
        """
        shared = self._shuffled_sums(permutations, seed, pause)[1:]
        counts = np.bincount(self.pattern)
        with_itself = counts @ self.pattern_shares.diagonal()
        n_shared = float(counts @ self.pattern_shares @ counts - with_itself) / 2
        n_pairs = len(self.pattern) * (len(self.pattern) - 1) / 2
        apart = float(self.distance.sum()) / 2 - shared
        return _means(apart, n_pairs - n_shared), _means(shared, n_shared)

    def _shuffled_sums(self, permutations: int, seed: int, pause: Pause) -> FloatArray:
        """Sum of the distances of sharing pairs: as they are, then under each shuffle."""
        strips = [
            (start, np.triu(self.distance[start : start + STRIP, start:]))
            for start in range(0, len(self.distance), STRIP)
        ]
        generator = np.random.default_rng(seed)
        sums = np.empty(permutations + 1)
        sums[0] = self._shared_distance(strips, self.pattern)
        for number in range(1, permutations + 1):
            sums[number] = self._shared_distance(strips, generator.permutation(self.pattern))
            if number % PERMUTATIONS_BETWEEN_PAUSES == 0:
                pause(f"{number} of {permutations} permutations")
        return sums

    def _shared_distance(
        self, strips: list[tuple[int, FloatTable]], pattern: NDArray[np.intp]
    ) -> float:
        """Sum of the distances of sharing pairs when the images have these patterns."""
        total = 0.0
        for start, distance in strips:
            rows = self.pattern_shares[pattern[start : start + STRIP]]
            total += float(np.vdot(distance, np.take(rows, pattern[start:], axis=1, mode="clip")))
        return total


def sum_pairs(points: FloatTable, labels: BoolTable, pause: Pause = no_pause) -> PairSums:
    """The sums over all pairs, with memory for a few blocks of distances only.

    Args:
        points: Shape (N, D), finite.
        labels: Shape (N, K).
        pause: Between two blocks.
    """
    n_images = len(points)
    sums = PairSums(*(np.zeros(n_images) for _ in range(3)))
    found = labels.astype(np.float32)
    mean = points.mean(axis=0)
    blocks = list(_blocks(n_images))
    for number, (rows, columns) in enumerate(blocks, start=1):
        distance = _distances(points[rows] - mean, points[columns] - mean)
        shared = (found[rows] @ found[columns].T > 0).astype(np.float64)
        if rows == columns:
            np.fill_diagonal(distance, 0.0)
            np.fill_diagonal(shared, 0.0)
        totals = (sums.distance, sums.shared_distance, sums.shared_count)
        for total, pairs in zip(totals, (distance, distance * shared, shared), strict=True):
            total[rows] += pairs.sum(axis=1)
            if rows != columns:
                total[columns] += pairs.sum(axis=0)
        pause(f"{number} of {len(blocks)} blocks of distances")
    return sums


def tabulate_pairs(points: FloatTable, labels: BoolTable) -> PairTable:
    """All pairs at once: 8 bytes for each ordered pair.

    Args:
        points: Shape (N, D), finite.
        labels: Shape (N, K).
    """
    centred = points - points.mean(axis=0)
    distance = _distances(centred, centred)
    np.fill_diagonal(distance, 0.0)
    patterns, pattern = np.unique(labels, axis=0, return_inverse=True)
    found = patterns.astype(np.float64)
    return PairTable(distance, pattern, (found @ found.T > 0).astype(np.float64))


def _distances(first: FloatTable, second: FloatTable) -> FloatTable:
    """All distances between two sets of points, which lose few digits when the points are centred.

    Args:
        first: Shape (n, D).
        second: Shape (m, D).

    Returns:
        Shape (n, m).
    """
    distance: FloatTable = first @ second.T
    distance *= -2
    distance += np.einsum("ij,ij->i", first, first)[:, None]
    distance += np.einsum("ij,ij->i", second, second)
    np.maximum(distance, 0, out=distance)
    return np.sqrt(distance, out=distance)


def _blocks(n_images: int) -> Iterator[tuple[slice, slice]]:
    """The blocks on and above the diagonal."""
    parts = [slice(start, min(start + BLOCK, n_images)) for start in range(0, n_images, BLOCK)]
    for number, rows in enumerate(parts):
        for columns in parts[number:]:
            yield rows, columns


def _means(sums: FloatArray, count: float) -> FloatArray:
    return sums / count if count else np.full(len(sums), np.nan)


def _ratios(
    apart: FloatArray, n_apart: FloatArray, shared: FloatArray, n_shared: FloatArray
) -> FloatArray:
    """Mean of the pairs apart over the mean of the sharing ones; NaN where one has no pair."""
    defined = (n_apart > 0) & (n_shared > 0) & (shared > 0)
    ratios = np.full(len(apart), np.nan)
    np.divide(apart * n_shared, n_apart * shared, out=ratios, where=defined)
    return ratios
