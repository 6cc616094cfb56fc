"""Rows that belong together (a patient's), and drawing them together with replacement."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Bounds the memory of one block of draws: 2**22 integers are 32 MiB.
DRAWS_AT_ONCE: Final = 2**22
# Counts that are kept for the next question; 16 MiB each at most.
DRAWS_KEPT: Final = 2**23


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which rows belong to which cluster.

    Attributes:
        codes: Shape (n,), the cluster's number of each row.
        order: Shape (n,), all row numbers, cluster by cluster, in each in the rows' order.
        starts: Shape (c,), where in ``order`` each cluster begins.
        sizes: Shape (c,), how many rows each cluster has.
    """

    codes: NDArray[np.intp]
    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    sizes: NDArray[np.intp]

    @property
    def n_clusters(self) -> int:
        """Number of distinct clusters."""
        return len(self.sizes)

    def rows_of(self, draw: NDArray[np.int64]) -> NDArray[np.intp]:
        """The row numbers of the drawn clusters, one after the other, with repetitions.

        Args:
            draw: Shape (d,), numbers of clusters.
        """
        sizes = self.sizes[draw]
        ends = np.cumsum(sizes)
        # Row k of a cluster stands k after its start; the offsets turn one running number into k.
        offsets = np.repeat(self.starts[draw] - (ends - sizes), sizes)
        rows: NDArray[np.intp] = self.order[np.arange(len(offsets)) + offsets]
        return rows

    def draws(self, replicates: int, seed: int) -> Iterator[NDArray[np.int64]]:
        """Resamples of the clusters, in blocks of shape (block, c) that sum up to ``replicates``.

        The seed alone decides them: neither the rows' order nor the size of the blocks does.
        """
        yield from _draws(self.n_clusters, replicates, seed)

    def drawn_counts(self, replicates: int, seed: int) -> Iterator[NDArray[np.float64]]:
        """How often each cluster is in each resample of ``draws``: the same blocks and shape."""
        if self.n_clusters * replicates <= DRAWS_KEPT and self.n_clusters < 2**16:
            yield _kept_counts(self.n_clusters, replicates, seed).astype(np.float64)
        else:
            for counts in _counts(self.n_clusters, replicates, seed):
                yield counts.astype(np.float64)

    def drawn_weights(self, replicates: int, seed: int) -> Iterator[NDArray[np.float64]]:
        """How often each row is in each resample of ``draws``, in blocks of shape (block, n)."""
        block = max(1, DRAWS_AT_ONCE // len(self.codes))
        for counts in self.drawn_counts(replicates, seed):
            for start in range(0, len(counts), block):
                yield counts[start : start + block, self.codes]


def _draws(n_clusters: int, replicates: int, seed: int) -> Iterator[NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    block = max(1, DRAWS_AT_ONCE // n_clusters)
    for start in range(0, replicates, block):
        n_drawn = min(block, replicates - start)
        yield generator.integers(n_clusters, size=(n_drawn, n_clusters))


def _counts(n_clusters: int, replicates: int, seed: int) -> Iterator[NDArray[np.intp]]:
    for draws in _draws(n_clusters, replicates, seed):
        offsets = np.arange(len(draws))[:, None] * n_clusters
        counts = np.bincount((draws + offsets).ravel(), minlength=draws.size)
        yield counts.reshape(draws.shape)


# The tables of an audit ask for the same resamples again for every mode and metric.
@lru_cache(maxsize=24)
def _kept_counts(n_clusters: int, replicates: int, seed: int) -> NDArray[np.uint16]:
    """All counts in one block; none is above ``n_clusters``, which is below 2**16 here."""
    return np.concatenate(list(_counts(n_clusters, replicates, seed))).astype(np.uint16)


def group_rows(labels: Sequence[Hashable]) -> Clusters:
    """The clusters of these labels, numbered in an order that the rows' order cannot change.

    Args:
        labels: One per row; equal labels are one cluster.
    """
    ordered = sorted(set(labels), key=lambda label: (type(label).__name__, str(label)))
    number = {label: code for code, label in enumerate(ordered)}
    codes = np.fromiter((number[label] for label in labels), dtype=np.intp, count=len(labels))
    sizes = np.bincount(codes, minlength=len(ordered))
    return Clusters(
        codes=codes,
        order=np.argsort(codes, kind="stable"),
        starts=np.cumsum(sizes) - sizes,
        sizes=sizes,
    )
