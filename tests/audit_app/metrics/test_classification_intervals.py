"""Intervals of classification rates against scikit-learn on rows drawn by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from audit_app.metrics.classification_intervals import (
    RATES,
    classification_intervals,
    decided_table,
)


def random_table(seed: int, n_patients: int = 15) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(n_patients), rng.integers(1, 5, n_patients)) + 100
    labels = rng.random((len(patients), 3)) < 0.5
    scores = np.round(rng.normal(size=labels.shape) + labels, 1)
    return labels, scores, scores > 0.6, patients


def rates_of(truth: np.ndarray, score: np.ndarray, guess: np.ndarray) -> list[float]:
    if not truth.any():
        return [np.nan] * 5
    return [
        sk.precision_score(truth, guess, zero_division=0),
        sk.recall_score(truth, guess),
        sk.f1_score(truth, guess),
        np.nan if truth.all() else sk.roc_auc_score(truth, score),
        sk.average_precision_score(truth, score),
    ]


def test_intervals_of_findings_and_domains_are_those_of_patients_drawn_by_hand():
    labels, scores, predicted, patients = random_table(1)
    names = np.unique(patients)
    drawn = []
    for draw in np.random.default_rng(8).integers(15, size=(40, 15)):
        rows = np.concatenate([np.flatnonzero(patients == names[k]) for k in draw])
        tables = (labels[rows].T, scores[rows].T, predicted[rows].T)
        drawn.append([rates_of(*columns) for columns in zip(*tables, strict=True)])
    table = decided_table(labels, scores, predicted, patients.tolist())
    found = classification_intervals(table, {"Both": (0, 2)}, replicates=40, seed=8)
    for place, name in enumerate(RATES):
        by_finding = np.array(drawn)[:, :, place]
        for column, intervals in enumerate(found.findings):
            expected = np.percentile(by_finding[:, column], [2.5, 97.5])
            interval = intervals[name]
            assert (interval.low, interval.high) == pytest.approx(tuple(expected), abs=1e-10)
            truth = rates_of(labels[:, column], scores[:, column], predicted[:, column])
            assert interval.estimate == pytest.approx(truth[place])
        together = found.domains["Both"][name]
        expected = np.percentile(by_finding[:, [0, 2]].mean(axis=1), [2.5, 97.5])
        assert (together.low, together.high) == pytest.approx(tuple(expected), abs=1e-10)


def test_a_rare_finding_has_no_interval_and_says_how_often_it_was_missed():
    labels, scores, predicted, patients = random_table(2)
    labels[:, 1] = False
    labels[0, 1] = True
    table = decided_table(labels, scores, predicted, patients.tolist())
    found = classification_intervals(table, {"All": (0, 1)}, replicates=400, seed=1)
    for intervals in (found.findings[1], found.domains["All"]):
        assert [intervals[name].low for name in RATES] == [None] * 5
        # The patient is missed by (14/15)^15 = 36 %.
        assert all(110 < intervals[name].n_undefined < 180 for name in RATES)
    assert found.findings[0]["recall"].low is not None


def test_a_finding_without_a_positive_has_no_rate_and_no_interval_and_leaves_its_domain_alone():
    labels, scores, predicted, patients = random_table(3)
    labels[:, 1] = False
    table = decided_table(labels, scores, predicted, patients.tolist())
    found = classification_intervals(table, {"All": (0, 1)}, replicates=100, seed=1)
    assert found.findings[1] == dict.fromkeys(RATES)
    assert found.domains["All"] == found.findings[0]


def test_nine_patients_have_rates_without_intervals():
    labels, scores, predicted, patients = random_table(4, n_patients=9)
    table = decided_table(labels, scores, predicted, patients.tolist())
    interval = classification_intervals(table, {}, replicates=50).findings[0]["f1"]
    assert interval.estimate == pytest.approx(sk.f1_score(labels[:, 0], predicted[:, 0]))
    assert (interval.low, interval.note) == (None, "too few patients for an interval")


def test_constant_scores_warn_of_nothing():
    labels, _, predicted, patients = random_table(5)
    table = decided_table(labels, np.zeros(labels.shape), predicted, patients.tolist())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = classification_intervals(table, {}, replicates=50)
    auroc = found.findings[0]["auroc"]
    assert (auroc.estimate, auroc.low, auroc.high) == (0.5, 0.5, 0.5)


def test_what_does_not_fit_is_refused():
    labels, scores, predicted, patients = random_table(6)
    with pytest.raises(ValueError, match=f"{len(labels)} images but 1 patients"):
        decided_table(labels, scores, predicted, ["a"])
    table = decided_table(labels, scores, predicted, patients.tolist())
    with pytest.raises(ValueError, match="replicates is 0"):
        classification_intervals(table, {}, replicates=0)
