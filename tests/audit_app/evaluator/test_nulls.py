"""What the columns say when nothing means anything."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from audit_app.evaluator.nulls import null_of_scores, null_of_separation


@pytest.fixture
def labels() -> np.ndarray:
    generator = np.random.default_rng(3)
    table = (generator.random((120, 6)) < [0.02, 0.1, 0.15, 0.05, 0.2, 0.0]).astype(np.uint8)
    table[:, 5] = ~table[:, :5].any(axis=1)
    return table


def test_the_study_s_rule_calls_about_half_of_random_scores_positive(labels) -> None:
    found = null_of_scores("study", labels, labels, draws=60, seed=1)
    assert 2.5 < found["predictions_per_image"].mean < 3.5
    assert found["predictions_per_image"].low < found["predictions_per_image"].mean
    assert found["exact_match"].mean < 0.1
    assert null_of_scores("study", labels, labels, draws=60, seed=1) == found


def test_lrap_of_random_scores_is_that_of_the_mean_over_random_orders(labels) -> None:
    from sklearn.metrics import label_ranking_average_precision_score as lrap

    generator = np.random.default_rng(99)
    expected = np.mean([lrap(labels, generator.random(labels.shape)) for _ in range(400)])
    found = null_of_scores("recommended", labels, labels, draws=200, seed=1)["lrap"]
    assert found.mean == pytest.approx(expected, abs=0.01)
    assert found.low < expected < found.high


def test_the_pair_ratio_of_shuffled_labels_is_one_whatever_the_class_sizes(labels) -> None:
    points = np.random.default_rng(5).normal(size=(120, 20)).astype(np.float32)
    found = null_of_separation("recommended", points, labels, draws=100, seed=2)
    assert found["ratio"].mean == pytest.approx(1.0, abs=0.01)


def test_the_pair_null_equals_a_plain_loop(labels) -> None:
    points = np.random.default_rng(6).normal(size=(120, 4)).astype(np.float32)
    found = null_of_separation("recommended", points, labels, draws=3, seed=4)
    generator = np.random.default_rng(4)
    generator.permutation(120)  # the choice of pictures
    distance = squareform(pdist(points.astype(np.float64)))
    ratios = []
    for _ in range(3):
        table = labels[generator.permutation(120)]
        shared, apart = [], []
        for i in range(120):
            for j in range(i):
                together = (table[i] & table[j]).any()
                (shared if together else apart).append(distance[i, j])
        ratios.append(np.mean(apart) / np.mean(shared))
    assert found["ratio"].mean == pytest.approx(np.mean(ratios), rel=1e-9)


def test_the_study_ratio_of_shuffled_labels_is_far_from_one(labels) -> None:
    points = np.random.default_rng(7).normal(size=(120, 200)).astype(np.float32)
    found = null_of_separation("study", points, labels, draws=50, seed=2)["ratio"]
    assert found.mean < 0.8
    assert found.low <= found.mean <= found.high
