"""Centroids and spreads of classes when images are handed each other's class, many times over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audit_app.metrics.label_table import FloatTable

Codes = NDArray[np.intp]
FloatArray = NDArray[np.float64]

# Embeddings that stay in a processor's cache while all shuffles of one turn go over them.
BLOCK: Final = 128
AT_ONCE: Final = 8


def shuffled_classes(
    points: FloatTable, classes: Codes, permutations: int, seed: int
) -> Iterator[tuple[FloatTable, FloatArray]]:
    """Of each shuffle the centroids (C, D) and the mean distance to them in each class (C,).

    Args:
        points: Shape (N, D), finite.
        classes: Shape (N,), numbers from 0 to C - 1, each at least once.
        permutations: How many shuffles are drawn.
        seed: Of the shuffles, which are those of ``Generator.permutation`` of any N rows.
    """
    generator = np.random.default_rng(seed)
    sizes = np.bincount(classes)  # no shuffle changes them
    for start in range(0, permutations, AT_ONCE):
        n_drawn = min(AT_ONCE, permutations - start)
        drawn = np.stack([generator.permutation(classes) for _ in range(n_drawn)])
        centroids = _sums(points, drawn, len(sizes)) / sizes[:, None]
        distances = _distances(points, drawn, centroids)
        for own, codes, each in zip(centroids, drawn, distances, strict=True):
            yield own, np.bincount(codes, weights=each) / sizes


def _sums(points: FloatTable, drawn: Codes, n_classes: int) -> FloatArray:
    """The sum of the points of each class, (B, C, D), under each of B shuffles (B, N)."""
    from scipy.sparse import csc_array  # takes time to load

    n_drawn = len(drawn)
    totals = np.zeros((n_drawn * n_classes, points.shape[1]))
    rows = drawn + n_classes * np.arange(n_drawn)[:, None]
    for block in _blocks(len(points)):
        # A column for each image, with a one in the row of its class under each shuffle.
        inside = np.ascontiguousarray(rows[:, block].T).ravel()
        starts = np.arange(0, len(inside) + 1, n_drawn)
        ones = csc_array(
            (np.ones(len(inside)), inside, starts), shape=(len(totals), len(starts) - 1)
        )
        totals += ones @ points[block]
    return totals.reshape(n_drawn, n_classes, -1)


def _distances(points: FloatTable, drawn: Codes, centroids: FloatArray) -> FloatTable:
    """Of each point to its class's centroid under each shuffle, (B, N)."""
    squares = np.empty(drawn.shape)
    for block in _blocks(len(points)):
        for codes, own, square in zip(drawn, centroids, squares, strict=True):
            # Differences, no expanded square: a class of one image lies at 0 from itself.
            apart = own[codes[block]]
            apart -= points[block]
            np.vecdot(apart, apart, out=square[block])
    return np.sqrt(squares, out=squares)


def _blocks(n_points: int) -> list[slice]:
    return [slice(start, min(start + BLOCK, n_points)) for start in range(0, n_points, BLOCK)]
