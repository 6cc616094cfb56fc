"""Multi-label metrics against scikit-learn, the study's rule by hand."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from sklearn import metrics as sk

from annotations.findings import DOMAINS, STUDY_FINDINGS
from audit_app.metrics.classification import (
    DomainMetrics,
    domain_columns,
    domain_metrics,
    multilabel_metrics,
    study_decision,
)
from audit_app.metrics.label_ranking import label_ranking


def random_table(seed: int, n_images: int = 80, n_findings: int = 6) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    labels = rng.random((n_images, n_findings)) < rng.uniform(0.1, 0.6, n_findings)
    scores = rng.normal(size=labels.shape) + labels
    if seed % 2:
        scores = np.round(scores, 1)  # ties
    return labels, scores, scores > 0.4


def test_the_studys_rule_by_hand():
    decision = study_decision([[0.0, 5.0, 10.0, 5.1], [3.0, 1.0, 1.0, 2.0]])
    assert decision.tolist() == [[False, False, True, True], [True, False, False, False]]


def test_the_studys_rule_does_not_mind_scale_and_offset_of_an_image():
    scores = np.random.default_rng(0).normal(size=(50, 14))
    moved = scores * np.arange(1, 51)[:, None] - 100
    np.testing.assert_array_equal(study_decision(scores), study_decision(moved))


def test_the_studys_rule_calls_at_least_one_finding_and_about_half_on_random_scores():
    predicted = study_decision(np.random.default_rng(1).random((4000, 14)))
    assert predicted.any(axis=1).all()
    assert not predicted.all(axis=1).any()
    assert predicted.mean() == pytest.approx(0.5, abs=0.01)


def test_an_image_with_equal_scores_has_no_scale_and_no_finding():
    assert not study_decision([[2.0, 2.0, 2.0]]).any()


@pytest.mark.parametrize("seed", range(6))
def test_the_headline_is_that_of_scikit_learn(seed: int):
    labels, scores, predicted = random_table(seed)
    labels[:2] = False
    labels[2] = True
    found = multilabel_metrics(labels, scores, predicted)
    expected = sk.f1_score(labels, predicted, average="macro", zero_division=0)
    assert found.f1 == pytest.approx(expected, abs=1e-13)
    assert found.exact_match == pytest.approx(sk.accuracy_score(labels, predicted), abs=1e-13)
    lrap = sk.label_ranking_average_precision_score(labels, scores)
    assert found.lrap == pytest.approx(lrap, abs=1e-13)
    assert found.coverage_error == pytest.approx(sk.coverage_error(labels, scores), abs=1e-13)
    assert found.labels_per_image == pytest.approx(labels.sum() / 80)
    assert found.predictions_per_image == pytest.approx(predicted.sum() / 80)
    assert found.n_images == 80


@pytest.mark.parametrize("seed", range(6))
def test_each_finding_has_the_metrics_of_scikit_learn(seed: int):
    labels, scores, predicted = random_table(seed)
    for column, found in enumerate(multilabel_metrics(labels, scores, predicted).per_finding):
        truth, score, guess = labels[:, column], scores[:, column], predicted[:, column]
        expected = (
            sk.precision_score(truth, guess, zero_division=0),
            sk.recall_score(truth, guess),
            sk.f1_score(truth, guess),
            sk.roc_auc_score(truth, score),
            sk.average_precision_score(truth, score),
        )
        rates = (found.precision, found.recall, found.f1, found.auroc, found.average_precision)
        assert rates == pytest.approx(expected, abs=1e-12)
        assert (found.support, found.predicted) == (truth.sum(), guess.sum())


def test_a_finding_without_a_positive_is_not_available_and_counts_zero_in_the_macro():
    labels = np.array([[1, 0], [1, 0], [0, 0]])
    predicted = np.array([[1, 1], [1, 0], [0, 0]])
    found = multilabel_metrics(labels, predicted * 1.0, predicted)
    absent = found.per_finding[1]
    assert (absent.support, absent.predicted) == (0, 1)
    rates = (absent.precision, absent.recall, absent.f1, absent.auroc, absent.average_precision)
    assert rates == (None,) * 5
    assert found.f1 == 0.5


def test_a_finding_that_every_image_has_has_no_area_under_the_curve():
    found = multilabel_metrics([[1], [1]], [[0.1], [0.9]], [[0], [1]]).per_finding[0]
    assert (found.auroc, found.average_precision, found.recall) == (None, 1.0, 0.5)


def test_a_finding_that_is_never_predicted_has_precision_zero():
    found = multilabel_metrics([[1], [0]], [[0.1], [0.9]], [[0], [0]]).per_finding[0]
    assert (found.precision, found.recall, found.f1) == (0.0, 0.0, 0.0)


def test_domains_are_means_over_their_findings_that_have_a_positive():
    labels, scores, predicted = random_table(3, n_findings=14)
    labels[:, 5] = False
    found = multilabel_metrics(labels, scores, predicted).per_finding
    domains = domain_metrics(found, domain_columns(STUDY_FINDINGS, DOMAINS))
    assert list(domains) == ["Cardiovascular", "Pulmonary", "Skeletal", "Device"]
    pulmonary = domains["Pulmonary"]
    kept = [2, 3, 4, 6, 7, 8, 9, 10]
    assert (pulmonary.n_findings, pulmonary.n_with_positive) == (9, 8)
    assert pulmonary.f1 == pytest.approx(
        sk.f1_score(labels[:, kept], predicted[:, kept], average="macro")
    )
    assert pulmonary.auroc == pytest.approx(sk.roc_auc_score(labels[:, kept], scores[:, kept]))
    assert pulmonary.support == labels[:, 2:11].sum()
    assert pulmonary.predicted == predicted[:, 2:11].sum()
    assert domains["Skeletal"].recall == found[11].recall


def test_a_domain_without_a_positive_is_not_available_and_one_without_a_column_is_not_there():
    found = multilabel_metrics([[0]], [[0.5]], [[1]]).per_finding
    domains = domain_metrics(found, domain_columns(["Fracture"], DOMAINS))
    assert domains == {"Skeletal": DomainMetrics(1, 0, 0, 1, None, None, None, None, None)}


def test_the_ranking_of_one_image_by_hand():
    # The findings stand second and fourth of four: (1/2 + 2/4) / 2.
    found = label_ranking([[0, 1, 0, 1]], [[0.9, 0.8, 0.7, 0.6]])
    assert (found.lrap, found.coverage_error) == (0.5, 4.0)


def test_tied_scores_count_against_the_model_in_a_ranking():
    found = label_ranking([[1, 0, 0]], [[0.5, 0.5, 0.5]])
    assert (found.lrap, found.coverage_error) == (1 / 3, 3.0)


def test_an_image_without_findings_ranks_perfectly_at_depth_zero():
    found = label_ranking([[0, 0], [1, 1]], [[0.1, 0.2], [0.3, 0.4]])
    assert (found.lrap, found.coverage_error) == (1.0, 1.0)


def test_a_hundred_thousand_images_take_seconds():
    rng = np.random.default_rng(0)
    labels, scores = rng.random((100_000, 14)) < 0.1, rng.random((100_000, 14))
    start = time.perf_counter()
    found = multilabel_metrics(labels, scores, study_decision(scores))
    assert time.perf_counter() - start < 10
    assert found.per_finding[0].auroc == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("labels", "scores", "predictions", "message"),
    [
        ([[1, 0]], [[0.5]], [[1, 0]], r"labels \(1, 2\), scores \(1, 1\)"),
        ([[-1]], [[0.5]], [[1]], "labels hold -1"),
        ([[1.0], [math.nan]], [[0.5], [0.1]], [[1], [0]], "labels hold nan"),
        ([[1]], [[math.inf]], [[1]], "scores hold inf in row 0, column 0"),
        ([[1]], [[0.5]], [[0.5]], "predictions hold 0.5"),
    ],
)
def test_tables_that_cannot_be_compared_are_refused(
    labels: list, scores: list, predictions: list, message: str
):
    with pytest.raises(ValueError, match=message):
        multilabel_metrics(labels, scores, predictions)
