"""How far classes lie apart among embeddings (definitions.md, section 5)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
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
from audit_app.metrics.class_shuffles import FloatArray, shuffled_classes
from audit_app.metrics.clusters import Clusters, group_rows
from audit_app.metrics.image_pairs import PairSums, PairTable, sum_pairs, tabulate_pairs
from audit_app.metrics.label_table import BoolTable, FloatTable, checked_labels, checked_scores
from audit_app.metrics.pauses import Pause, no_pause

DEFAULT_PERMUTATIONS: Final = 1000
# Up to this many images, permutations and resamples use the distances of all pairs (32 MiB each).
EXACT_IMAGES: Final = 2000


@dataclass(frozen=True, slots=True)
class Separation:
    """The study's distances.

    Attributes:
        inter: Mean distance between the centroids of two present classes; None with fewer than two.
        intra: Mean over present classes of the mean distance to their centroid; None without one.
        ratio: ``inter / intra``; None where one is None or ``intra`` is 0.
        class_counts: By column of the labels, how many images were assigned to it.
        n_unassigned: Images without any finding, which belong to no class and are left out.
    """

    inter: float | None
    intra: float | None
    ratio: float | None
    class_counts: tuple[int, ...]
    n_unassigned: int


@dataclass(frozen=True, slots=True)
class PairSeparation:
    """The distances over pairs of images.

    Attributes:
        inter: Mean distance of pairs that share no finding; None without such a pair.
        intra: Mean distance of pairs that share at least one; None without such a pair.
        ratio: ``inter / intra``; 1.0 when labels say nothing; None where it is undefined.
        n_inter_pairs: Pairs that share no finding.
        n_intra_pairs: Pairs that share at least one.
        p_value: Share of the permutations, the labels as they are included, with a ratio at least
            as high; None where the ratio is undefined.
        permutations: How many were drawn.
        n_permuted: Images whose label rows were shuffled: all, or with many a seeded choice.
        interval: Of the ratio over patients; None where the ratio is undefined.
        seed: Of permutations and resamples.
    """

    inter: float | None
    intra: float | None
    ratio: float | None
    n_inter_pairs: int
    n_intra_pairs: int
    p_value: float | None
    permutations: int
    n_permuted: int
    interval: Interval | None
    seed: int


def study_separation(embeddings: ArrayLike, labels: ArrayLike) -> Separation:
    """The study's formula: each image belongs to its first positive finding.

    Args:
        embeddings: Shape (N, D), finite.
        labels: Shape (N, K), columns in the order that decides ties.

    Raises:
        ValueError: If a table has another shape or holds other values.

    Source:
        arXiv 2506.14136; classes are indexed by column, so an absent class changes nothing.
    """
    points, table = _checked(embeddings, labels)
    first = _first_findings(table)
    counts = tuple(int(np.count_nonzero(first == column)) for column in range(table.shape[1]))
    groups = [points[first == column] for column, count in enumerate(counts) if count]
    n_unassigned = int(np.count_nonzero(first < 0))
    if not groups:
        return Separation(None, None, None, counts, n_unassigned)
    centroids = np.array([group.mean(axis=0) for group in groups])
    spreads = [
        np.linalg.norm(group - centroid, axis=1).mean()
        for group, centroid in zip(groups, centroids, strict=True)
    ]
    intra = float(np.mean(spreads))
    inter = _mean_distance(centroids)
    return Separation(inter, intra, _ratio(inter, intra), counts, n_unassigned)


def shuffled_study_distances(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    permutations: int,
    seed: int,
    pause: Pause = no_pause,
) -> tuple[FloatArray, FloatArray]:
    """Inter and intra of ``study_separation`` when the label rows are shuffled, much faster.

    Args:
        embeddings: Shape (N, D), finite.
        labels: Shape (N, K), columns in the order that decides ties.
        permutations: How many shuffles of the label rows are drawn.
        seed: Of the shuffles.
        pause: Between two of them.

    Returns:
        Shape (permutations,) each; NaN where there is no such distance.

    Raises:
        ValueError: If a table has another shape or holds other values.
    """
    points, table = _checked(embeddings, labels)
    present, classes = np.unique(_first_findings(table), return_inverse=True)
    inter, intra = np.full((2, permutations), np.nan)
    assigned = present >= 0
    if assigned.any():
        shuffles = shuffled_classes(points, classes, permutations, seed)
        for place, (centroids, spreads) in enumerate(shuffles):
            between = _mean_distance(centroids[assigned])
            inter[place] = np.nan if between is None else between
            intra[place] = spreads[assigned].mean()
            pause(f"{place + 1} of {permutations} shuffles")
    return inter, intra


def pair_separation(  # noqa: PLR0913 - the last one changes no number
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    patients: Sequence[Hashable] | None = None,
    permutations: int = DEFAULT_PERMUTATIONS,
    replicates: int = DEFAULT_REPLICATES,
    seed: int = 0,
    pause: Pause = no_pause,
) -> PairSeparation:
    """The recommended reading: pairs that share a finding against pairs that share none.

    The means are over all pairs, in blocks that need no more memory with more images. Up to
    ``EXACT_IMAGES`` images, permutations and resamples are computed on all pairs too. Beyond, the
    permutations shuffle a seeded choice of that many images, which is a valid test with less
    power, and a resample's sums are taken to first order in how often each image was drawn.

    Args:
        embeddings: Shape (N, D), finite.
        labels: Shape (N, K).
        patients: N labels for the interval; None takes each image as a patient of its own.
        permutations: Of the label rows.
        replicates: Of the patient bootstrap. A pair of an image with its own copy never counts.
        seed: Of both.
        pause: Between blocks of distances, and between some permutations.

    Raises:
        ValueError: If a table has another shape or holds other values, lengths differ, or a number
            of draws is below 1.
    """
    points, table = _checked(embeddings, labels)
    if permutations < 1 or replicates < 1:
        raise ValueError(f"permutations {permutations}, replicates {replicates}; give at least 1")
    clusters = _grouped(patients, len(points))
    sums = sum_pairs(points, table, pause)
    inter, intra = sums.means()
    found = PairSeparation(inter, intra, None, sums.n_inter, sums.n_intra, None, 0, 0, None, seed)
    ratio = None if intra is None else _ratio(inter, intra)
    if ratio is None:
        return found
    chosen = exact_rows(len(points), seed)
    exact = tabulate_pairs(points[chosen], table[chosen])
    resampled = exact if len(chosen) == len(points) else sums
    return replace(
        found,
        ratio=ratio,
        p_value=exact.permutation_p(permutations, seed, pause),
        permutations=permutations,
        n_permuted=len(chosen),
        interval=_interval(ratio, resampled, clusters, (replicates, seed)),
    )


def unit_length(embeddings: ArrayLike) -> FloatTable:
    """The embeddings divided by their Euclidean lengths, shape (N, D).

    Raises:
        ValueError: If one has the length 0 or a value is not finite.
    """
    points = checked_scores(embeddings, "embeddings")
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    if not lengths.all():
        row = int(np.flatnonzero(lengths[:, 0] == 0)[0])
        raise ValueError(f"embedding {row} is all zero and has no direction; leave that image out")
    unit: FloatTable = points / lengths
    return unit


def exact_rows(n_images: int, seed: int) -> NDArray[np.intp]:
    """The images on which everything is computed exactly: all, or a seeded choice, in order."""
    if n_images <= EXACT_IMAGES:
        return np.arange(n_images)
    generator = np.random.default_rng(seed)
    return np.sort(generator.choice(n_images, EXACT_IMAGES, replace=False))


def _checked(embeddings: ArrayLike, labels: ArrayLike) -> tuple[FloatTable, BoolTable]:
    points, table = checked_scores(embeddings, "embeddings"), checked_labels(labels)
    if len(points) != len(table):
        raise ValueError(f"{len(points)} embeddings but {len(table)} rows of labels; pair them")
    return points, table


def _first_findings(table: BoolTable) -> NDArray[np.intp]:
    """The class of each image: the column of its first positive finding; -1 without one."""
    return np.where(table.any(axis=1), table.argmax(axis=1), -1)


def _mean_distance(centroids: FloatTable) -> float | None:
    """Mean Euclidean distance over pairs of rows; None with fewer than two."""
    first, second = np.triu_indices(len(centroids), k=1)
    if len(first) == 0:
        return None
    return float(np.linalg.norm(centroids[first] - centroids[second], axis=1).mean())


def _ratio(inter: float | None, intra: float) -> float | None:
    return None if inter is None or intra == 0 else inter / intra


def _grouped(patients: Sequence[Hashable] | None, n_images: int) -> Clusters:
    if patients is None:
        return group_rows(range(n_images))
    if len(patients) != n_images:
        raise ValueError(f"{n_images} embeddings but {len(patients)} patients; give one per image")
    return group_rows(patients)


def _interval(
    ratio: float, pairs: PairTable | PairSums, clusters: Clusters, draws: tuple[int, int]
) -> Interval:
    replicates, seed = draws
    if clusters.n_clusters < MIN_CLUSTERS:
        return too_few_clusters(ratio, clusters.n_clusters, seed)
    blocks = clusters.drawn_weights(replicates, seed)
    drawn = np.concatenate([pairs.resampled_ratios(weights) for weights in blocks])
    return percentile_interval(ratio, drawn, clusters.n_clusters, seed)
