"""Class separation against distances written out pair by pair, and its null."""

from __future__ import annotations

import math
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist, pdist, squareform

from annotations.findings import STUDY_FINDINGS
from audit_app.metrics import class_shuffles, image_pairs, separation
from audit_app.metrics.separation import (
    pair_separation,
    shuffled_study_distances,
    study_separation,
    unit_length,
)


def random_set(
    seed: int, n_images: int, n_findings: int = 5, pull: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings that lie ``pull`` towards a direction of each of their findings."""
    rng = np.random.default_rng(seed)
    labels = rng.random((n_images, n_findings)) < 0.3
    directions = rng.normal(size=(n_findings, 8))
    return rng.normal(size=(n_images, 8)) + pull * labels @ directions, labels


def naive_means(distance: np.ndarray, labels: np.ndarray, images: list[int]) -> tuple:
    """Mean distances over pairs of places in ``images`` that are not the same image."""
    apart, shared = [], []
    for one, other in combinations(images, 2):
        if one != other:
            together = bool((labels[one] & labels[other]).any())
            (shared if together else apart).append(distance[one, other])
    return (
        math.fsum(apart) / len(apart) if apart else math.nan,
        math.fsum(shared) / len(shared) if shared else math.nan,
    )


def test_the_study_formula_by_hand():
    # Finding 0: (0,0), (2,0) about (1,0); finding 2: (1,3), (1,5) about (1,4). Finding 1 is absent.
    points = [[0, 0], [2, 0], [1, 3], [1, 5]]
    labels = [[1, 0, 0], [1, 0, 1], [0, 0, 1], [0, 0, 1]]
    found = study_separation(points, labels)
    assert (found.inter, found.intra, found.ratio) == (4.0, 1.0, 4.0)
    assert (found.class_counts, found.n_unassigned) == ((2, 0, 2), 0)


@pytest.mark.parametrize("seed", range(5))
def test_the_study_formula_is_that_of_plain_loops(seed: int):
    points, labels = random_set(seed, 40, pull=0.7)
    labels[:, 2] = False
    groups: dict[int, list[np.ndarray]] = {}
    for point, row in zip(points, labels, strict=True):
        if row.any():
            groups.setdefault(row.tolist().index(True), []).append(point)
    centres = {k: sum(members) / len(members) for k, members in groups.items()}
    spread = [np.mean([math.dist(p, centres[k]) for p in groups[k]]) for k in groups]
    between = [math.dist(centres[a], centres[b]) for a, b in combinations(centres, 2)]
    found = study_separation(points, labels)
    assert found.intra == pytest.approx(np.mean(spread), rel=1e-12)
    assert found.inter == pytest.approx(np.mean(between), rel=1e-12)
    assert found.ratio == pytest.approx(np.mean(between) / np.mean(spread), rel=1e-12)
    assert found.class_counts == tuple(len(groups.get(k, [])) for k in range(5))
    assert found.n_unassigned == sum(not row.any() for row in labels)


def test_the_order_of_findings_decides_to_which_class_an_image_belongs():
    labels = np.array([[1, 1], [1, 0], [0, 1]])
    assert study_separation(np.eye(3), labels).class_counts == (2, 1)
    assert study_separation(np.eye(3), labels[:, ::-1]).class_counts == (2, 1)
    assert study_separation(np.eye(3), [[0, 1], [1, 1], [0, 0]]).n_unassigned == 1


def test_distances_that_need_two_classes_or_spread_are_none_without():
    one_class = study_separation(np.eye(3), [[1], [1], [1]])
    assert (one_class.inter, one_class.ratio) == (None, None)
    assert one_class.intra == pytest.approx(math.sqrt(2 / 3))
    lone = study_separation([[0.0, 0.0], [3.0, 4.0]], [[1, 0], [0, 1]])
    assert (lone.inter, lone.intra, lone.ratio) == (5.0, 0.0, None)
    nothing = study_separation(np.eye(2), [[0, 0], [0, 0]])
    assert (nothing.inter, nothing.intra, nothing.class_counts) == (None, None, (0, 0))


@pytest.mark.parametrize("block", [1, 17, 128])
def test_shuffled_distances_are_the_study_formula_of_each_shuffle(
    block: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(class_shuffles, "BLOCK", block)
    points, labels = random_set(4, 150, pull=0.7)
    labels[:, 2] = labels[:, 4] = False
    labels[7] = [False, False, False, False, True]  # a class of one image, which lies on itself
    assert {0, 1} < {*study_separation(points, labels).class_counts}
    generator = np.random.default_rng(6)
    expected = [study_separation(points, generator.permutation(labels)) for _ in range(19)]
    inter, intra = shuffled_study_distances(points, labels, permutations=19, seed=6)
    np.testing.assert_allclose(inter, [one.inter for one in expected], rtol=1e-12)
    np.testing.assert_allclose(intra, [one.intra for one in expected], rtol=1e-12)


def test_shuffled_distances_that_do_not_exist_are_nan():
    inter, intra = shuffled_study_distances(np.eye(3), [[1]] * 3, permutations=2, seed=0)
    assert np.isnan(inter).all()
    np.testing.assert_allclose(intra, math.sqrt(2 / 3))
    nothing = shuffled_study_distances(np.eye(2), [[0, 0], [0, 0]], permutations=2, seed=0)
    assert np.isnan(nothing).all()


@pytest.mark.real_data
def test_without_structure_the_studys_ratio_is_that_of_the_class_sizes_and_the_pairs_is_one(
    shared_data: Path,
):
    table = pd.read_csv(shared_data / "iu_xray" / "reference_labels_and_split.csv")
    labels = table.loc[table["split"] == "test", list(STUDY_FINDINGS)].to_numpy()
    points = np.random.default_rng(0).normal(size=(len(labels), 512))
    found = study_separation(points, labels)
    sizes = [size for size in found.class_counts if size]
    # About its mean a class of n lies by sqrt((n - 1) / n), two centroids by sqrt(1/n + 1/m).
    within = np.mean([math.sqrt((n - 1) / n) for n in sizes])
    between = np.mean([math.sqrt(1 / n + 1 / m) for n, m in combinations(sizes, 2)])
    assert found.ratio == pytest.approx(between / within, rel=0.01)
    assert 0.5 < found.ratio < 0.62
    pairs = pair_separation(points, labels, permutations=99, replicates=200)
    assert pairs.ratio == pytest.approx(1.0, abs=0.005)
    assert pairs.p_value > 0.01


@pytest.mark.parametrize("seed", range(5))
def test_the_pair_formula_is_that_of_all_pairs_one_by_one(seed: int):
    points, labels = random_set(seed, 30)
    inter, intra = naive_means(squareform(pdist(points)), labels, list(range(30)))
    found = pair_separation(points, labels, permutations=5, replicates=5)
    assert (found.inter, found.intra) == pytest.approx((inter, intra), rel=1e-12)
    assert found.ratio == pytest.approx(inter / intra, rel=1e-12)
    n_shared = sum((labels[a] & labels[b]).any() for a, b in combinations(range(30), 2))
    assert (found.n_intra_pairs, found.n_inter_pairs) == (n_shared, 30 * 29 // 2 - n_shared)


def test_the_pair_formula_by_hand():
    # On a line at 0, 2 and 6: the first two share a finding.
    found = pair_separation([[0.0], [2.0], [6.0]], [[1, 0], [1, 0], [0, 1]])
    assert (found.intra, found.inter, found.ratio) == (2.0, 5.0, 2.5)
    assert (found.n_intra_pairs, found.n_inter_pairs) == (1, 2)


def test_blocks_do_not_change_the_sums(monkeypatch: pytest.MonkeyPatch):
    points, labels = random_set(7, 53, pull=0.5)
    distance = cdist(points, points)
    shared = (labels[:, None] & labels[None]).any(axis=2) & ~np.eye(53, dtype=bool)
    for block in (1, 10, 53, 1024):
        monkeypatch.setattr(image_pairs, "BLOCK", block)
        sums = image_pairs.sum_pairs(points, labels)
        np.testing.assert_allclose(sums.distance, distance.sum(axis=1), rtol=1e-12)
        np.testing.assert_allclose(sums.shared_distance, (distance * shared).sum(axis=1))
        assert sums.shared_count.tolist() == shared.sum(axis=1).tolist()


def test_far_from_the_origin_distances_keep_their_digits():
    points, labels = random_set(8, 40)
    near = pair_separation(points, labels, permutations=1, replicates=1)
    far = pair_separation(points + 1e6, labels, permutations=1, replicates=1)
    assert far.intra == pytest.approx(near.intra, rel=1e-8)


def test_the_p_value_is_that_of_all_permutations():
    points, labels = random_set(3, 7, n_findings=3, pull=0.8)
    labels[:, 0] |= ~labels.any(axis=1)
    distance = squareform(pdist(points))

    def ratio(order: tuple[int, ...]) -> float:
        inter, intra = naive_means(distance, labels[list(order)], list(range(7)))
        return inter / intra

    observed = ratio(tuple(range(7)))
    at_least = [ratio(order) >= observed - 1e-12 for order in permutations(range(7))]
    assert 0.02 < np.mean(at_least) < 0.9
    found = pair_separation(points, labels, permutations=20000, replicates=1, seed=2)
    assert found.p_value == pytest.approx(np.mean(at_least), abs=0.015)
    assert found.n_permuted == 7


def test_structure_has_the_smallest_p_value_and_chance_a_uniform_one():
    points, labels = random_set(5, 60, pull=3.0)
    clear = pair_separation(points, labels, permutations=199, replicates=200)
    assert clear.p_value == 1 / 200
    assert clear.ratio > 1
    assert clear.interval.low > 1
    values = [
        pair_separation(*random_set(seed, 25), permutations=99, replicates=1).p_value
        for seed in range(100, 160)
    ]
    assert 0.35 < np.mean(values) < 0.65
    assert np.mean(np.array(values) <= 0.1) < 0.25


def test_a_permutation_that_adds_up_to_the_same_counts_as_at_least_as_high():
    # All points but one coincide. The lone label is on one of these; on eleven of the twelve places
    # it gives the observed sums again, on the odd point a higher ratio.
    points = np.full((12, 3), 0.1)
    points[0] = 0.7
    labels = np.array([[1, 0]] * 11 + [[0, 1]])
    assert pair_separation(points, labels, permutations=50).p_value == 1.0


def test_labels_that_all_share_a_finding_have_no_ratio():
    points = np.eye(12)
    same = pair_separation(points, np.array([[1, 0]] * 12))
    assert (same.ratio, same.p_value, same.interval, same.permutations) == (None, None, None, 0)


@pytest.mark.parametrize("with_patients", [False, True])
def test_the_interval_is_that_of_patients_drawn_by_hand(with_patients: bool):
    points, labels = random_set(9, 36, pull=0.6)
    patients = [f"p{image // 3:02d}" for image in range(36)] if with_patients else None
    members = [list(range(k, k + 3)) for k in range(0, 36, 3)] if with_patients else None
    members = members or [[image] for image in range(36)]
    if not with_patients:  # numbers as labels are drawn in the order of their words
        members.sort(key=lambda one: str(one[0]))
    distance = squareform(pdist(points))
    drawn = []
    for draw in np.random.default_rng(4).integers(len(members), size=(60, len(members))):
        inter, intra = naive_means(distance, labels, [i for k in draw for i in members[k]])
        drawn.append(inter / intra)
    found = pair_separation(
        points, labels, patients=patients, permutations=1, replicates=60, seed=4
    )
    expected = np.percentile(drawn, [2.5, 97.5])
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(expected), rel=1e-10)
    assert found.interval.n_clusters == len(members)


def test_nine_patients_have_no_interval():
    points, labels = random_set(2, 18)
    found = pair_separation(points, labels, patients=[image // 2 for image in range(18)])
    assert found.interval.low is None
    assert found.interval.note == "too few patients for an interval"
    assert found.p_value is not None


def test_beyond_the_limit_the_interval_is_nearly_the_exact_one(monkeypatch: pytest.MonkeyPatch):
    points, labels = random_set(11, 500, pull=1.0)
    exact = pair_separation(points, labels, permutations=19, replicates=400, seed=5)
    monkeypatch.setattr(separation, "EXACT_IMAGES", 200)
    near = pair_separation(points, labels, permutations=19, replicates=400, seed=5)
    assert (near.inter, near.intra, near.ratio) == (exact.inter, exact.intra, exact.ratio)
    width = exact.interval.high - exact.interval.low
    assert near.interval.low == pytest.approx(exact.interval.low, abs=0.05 * width)
    assert near.interval.high == pytest.approx(exact.interval.high, abs=0.05 * width)
    assert (exact.n_permuted, near.n_permuted) == (500, 200)
    assert near.p_value == exact.p_value == 0.05


def test_the_same_seed_gives_the_same_numbers():
    points, labels = random_set(12, 80)
    first = pair_separation(points, labels, permutations=50, replicates=50, seed=3)
    assert first == pair_separation(points, labels, permutations=50, replicates=50, seed=3)
    assert first != pair_separation(points, labels, permutations=50, replicates=50, seed=4)


def test_embeddings_of_unit_length_point_the_same_way():
    found = unit_length([[3.0, 4.0], [0.0, -2.0]])
    np.testing.assert_allclose(found, [[0.6, 0.8], [0.0, -1.0]])
    with pytest.raises(ValueError, match="embedding 1 is all zero"):
        unit_length([[1.0, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("points", "labels", "message"),
    [
        ([[1.0], [2.0]], [[1]], "2 embeddings but 1 rows of labels"),
        ([[1.0], [math.nan]], [[1], [0]], "embeddings hold nan in row 1, column 0"),
        ([[1.0]], [[2]], "labels hold 2; expected 0 or 1"),
        ([1.0, 2.0], [[1], [0]], r"embeddings have shape \(2,\)"),
        (np.empty((0, 4)), np.empty((0, 2)), r"shape \(0, 4\)"),
    ],
)
@pytest.mark.parametrize("separate", [study_separation, pair_separation])
def test_what_is_no_labelled_set_is_refused(separate, points, labels, message: str):
    with pytest.raises(ValueError, match=message):
        separate(points, labels)


def test_patients_and_draws_that_do_not_fit_are_refused():
    points, labels = random_set(1, 12)
    with pytest.raises(ValueError, match="12 embeddings but 2 patients"):
        pair_separation(points, labels, patients=["a", "b"])
    with pytest.raises(ValueError, match="permutations 0, replicates 2000"):
        pair_separation(points, labels, permutations=0)
