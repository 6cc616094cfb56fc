"""The threshold rule against trying every threshold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score

from audit_app.metrics.thresholds import choose_thresholds, threshold_decision


@pytest.mark.parametrize("seed", range(8))
def test_no_threshold_has_a_higher_f1_and_no_higher_one_the_same(seed: int):
    rng = np.random.default_rng(seed)
    labels = rng.random((40, 3)) < 0.3
    scores = np.round(rng.normal(size=(40, 3)) + 0.8 * labels, 1 if seed % 2 else 9)
    chosen = choose_thresholds(labels, scores)
    decision = threshold_decision(scores, chosen)
    for column, threshold in enumerate(chosen):
        truth, score = labels[:, column], scores[:, column]
        f1_at = {float(t): f1_score(truth, score >= t) for t in set(score.tolist())}
        best = max(f1_at.values())
        assert threshold.value == max(t for t, f1 in f1_at.items() if math.isclose(f1, best))
        assert threshold.f1 == pytest.approx(best)
        assert f1_score(truth, decision[:, column]) == pytest.approx(best)


def test_a_threshold_by_hand():
    (chosen,) = choose_thresholds([[1], [0], [1], [0]], [[0.9], [0.8], [0.7], [0.1]])
    # At 0.9: 2/3, at 0.7: 4/5.
    assert (chosen.value, chosen.f1, chosen.note) == (0.7, 0.8, "")
    assert threshold_decision([[0.7], [0.69]], (chosen,)).tolist() == [[True], [False]]


def test_of_equally_good_thresholds_the_highest_is_taken():
    # At 0.9 and at 0.1: 2/3.
    (chosen,) = choose_thresholds([[1], [0], [0], [1]], [[0.9], [0.8], [0.7], [0.1]])
    assert (chosen.value, chosen.f1) == (0.9, pytest.approx(2 / 3))


def test_a_finding_without_a_positive_in_validation_is_never_predicted_and_says_why():
    chosen = choose_thresholds([[1, 0], [0, 0]], [[0.9, 0.9], [0.1, 0.1]])
    assert (chosen[1].value, chosen[1].f1) == (None, None)
    assert chosen[1].note == "no positive in the validation split: no threshold, never predicted"
    assert threshold_decision([[1e300, 1e300]], chosen).tolist() == [[True, False]]


def test_scores_of_another_number_of_findings_are_refused():
    chosen = choose_thresholds([[1]], [[0.5]])
    with pytest.raises(ValueError, match="2 columns of scores but 1 thresholds"):
        threshold_decision([[0.1, 0.2]], chosen)
