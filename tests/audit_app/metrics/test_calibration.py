"""Reliability against scikit-learn's curve and an error summed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from audit_app.metrics.calibration import ReliabilityBin, probabilities_of, reliability_curve


@pytest.mark.parametrize(("seed", "n_bins"), [(0, 10), (1, 15), (2, 4)])
def test_the_curve_is_that_of_scikit_learn(seed: int, n_bins: int):
    rng = np.random.default_rng(seed)
    probabilities = rng.beta(0.5, 2, size=300)
    labels = rng.random(300) < probabilities**1.5
    found = reliability_curve(labels, probabilities, n_bins=n_bins)
    observed, mean = calibration_curve(labels, probabilities, n_bins=n_bins)
    filled = [one for one in found.bins if one.count]
    assert [one.observed for one in filled] == pytest.approx(observed.tolist())
    assert [one.mean_probability for one in filled] == pytest.approx(mean.tolist())
    shares = [one.count / 300 for one in filled]
    expected = math.fsum(s * abs(o - m) for s, o, m in zip(shares, observed, mean, strict=True))
    assert found.ece == pytest.approx(expected)
    assert sum(one.count for one in found.bins) == 300


def test_four_predictions_by_hand():
    found = reliability_curve([0, 1, 1, 1], [0.0, 0.5, 0.75, 1.0], n_bins=2)
    # 0.5 is the upper end of the first bin: 1/2 observed against 0.25; then 1 against 0.875.
    assert found.bins == (
        ReliabilityBin(0.0, 0.5, 2, 0.25, 0.5),
        ReliabilityBin(0.5, 1.0, 2, 0.875, 1.0),
    )
    assert found.ece == 0.5 * 0.25 + 0.5 * 0.125


def test_an_empty_bin_has_a_place_and_no_values():
    found = reliability_curve([1], [0.95], n_bins=10)
    assert (found.bins[0].count, found.bins[0].mean_probability, found.bins[0].observed) == (
        0,
        None,
        None,
    )
    assert found.ece == pytest.approx(0.05)


def test_probabilities_that_happen_as_often_as_they_say_have_no_error():
    assert reliability_curve([1, 0, 0, 0], [0.25] * 4).ece == 0.0


def test_logits_become_probabilities_without_overflow():
    found = probabilities_of([[-1000.0, 0.0], [math.log(3), 1000.0]])
    np.testing.assert_allclose(found, [[0.0, 0.5], [0.75, 1.0]], atol=1e-15)


@pytest.mark.parametrize(
    ("labels", "probabilities", "n_bins", "message"),
    [
        ([1], [1.2], 10, r"a probability is 1\.2.*probabilities_of"),
        ([1], [math.nan], 10, "a probability is nan"),
        ([2], [0.2], 10, r"a label is 2\.0"),
        ([1, 0], [0.2], 10, r"labels have shape \(2,\), probabilities \(1,\)"),
        ([], [], 10, r"n >= 1"),
        ([1], [0.5], 0, "n_bins is 0"),
    ],
)
def test_what_is_no_probability_is_refused(
    labels: list, probabilities: list, n_bins: int, message: str
):
    with pytest.raises(ValueError, match=message):
        reliability_curve(labels, probabilities, n_bins=n_bins)
