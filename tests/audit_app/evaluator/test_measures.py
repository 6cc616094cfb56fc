"""The numbers of one mode, against scikit-learn, scipy and plain loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from audit_app.evaluator.answers import Answers, decide
from audit_app.evaluator.measures import Reference, distance_difference, measure

FINDINGS = ("Cardiomegaly", "Lung Opacity", "Edema", "Fracture", "No Finding")


@pytest.fixture(scope="module")
def reference() -> Reference:
    generator = np.random.default_rng(0)
    labels = (generator.random((90, 5)) < [0.3, 0.3, 0.2, 0.0, 0.4]).astype(np.uint8)
    validation = (generator.random((60, 5)) < [0.3, 0.3, 0.2, 0.1, 0.4]).astype(np.uint8)
    patients = [f"p{number // 2}" for number in range(90)]
    return Reference(FINDINGS, labels, validation, patients, 200, 50, 1)


@pytest.fixture(scope="module")
def answers(reference: Reference) -> Answers:
    generator = np.random.default_rng(1)
    noise = generator.normal(size=(150, 5)).astype(np.float32)
    labels = np.concatenate([reference.validation_labels, reference.labels])
    scores = noise + 1.2 * labels.astype(np.float32)
    embeddings = generator.normal(size=(90, 8)).astype(np.float32)
    embeddings[:, 0] += 3 * reference.labels[:, 0]
    return Answers("study", "lp", "logit", scores[:60], scores[60:], embeddings, minutes=1.5)


def test_per_finding_rates_are_those_of_scikit_learn(reference, answers) -> None:
    found = measure(answers, reference)
    low = answers.test.min(1, keepdims=True)
    predicted = (answers.test - low) / (answers.test.max(1, keepdims=True) - low) > 0.5
    assert found.row["f1"] == pytest.approx(
        f1_score(reference.labels, predicted, average="macro", zero_division=0)
    )
    for column, row in enumerate(found.per_finding):
        truth = reference.labels[:, column]
        if not truth.any():
            assert row["auroc"] is row["precision"] is None
            continue
        assert row["auroc"] == pytest.approx(roc_auc_score(truth, answers.test[:, column]))
        assert row["average_precision"] == pytest.approx(
            average_precision_score(truth, answers.test[:, column])
        )
        assert row["auroc_low"] < row["auroc"] < row["auroc_high"]
        assert row["threshold"] is None
    assert found.histogram == np.bincount(predicted.sum(1), minlength=6).tolist()


def test_domains_are_means_over_their_findings_with_positives(reference, answers) -> None:
    found = measure(answers, reference)
    by_name = {row["domain"]: row for row in found.per_domain}
    assert list(by_name) == ["Cardiovascular", "Pulmonary", "Skeletal"]
    opacity, edema = found.per_finding[1], found.per_finding[2]
    assert by_name["Pulmonary"]["f1"] == pytest.approx((opacity["f1"] + edema["f1"]) / 2)
    assert by_name["Skeletal"]["f1"] is None
    assert by_name["Skeletal"]["note"] == "no positive test picture"


def test_the_macro_f1_and_its_interval_count_absent_findings_as_zero(reference, answers) -> None:
    row = measure(answers, reference).row
    assert row["f1_low"] < row["f1"] < row["f1_high"]
    present = [one for one in measure(answers, reference).per_finding if one["support"]]
    assert row["f1"] == pytest.approx(sum(one["f1"] for one in present) / 5)


def test_thresholds_come_from_validation_alone(reference, answers) -> None:
    recommended = replace(answers, preset="recommended")
    found = measure(recommended, reference)
    for column, row in enumerate(found.per_finding):
        scores, truth = answers.validation[:, column], reference.validation_labels[:, column]
        best = max(f1_score(truth, scores >= one, zero_division=0) for one in scores)
        assert f1_score(truth, scores >= row["threshold"]) == pytest.approx(best)
        assert row["predicted"] == (answers.test[:, column] >= row["threshold"]).sum()
    other = replace(reference, labels=1 - reference.labels)
    thresholds = [one["threshold"] for one in measure(recommended, other).per_finding]
    assert thresholds == [one["threshold"] for one in found.per_finding]


def test_a_finding_without_validation_positives_is_never_predicted(reference, answers) -> None:
    labels = reference.validation_labels.copy()
    labels[:, 2] = 0
    decision = decide("recommended", labels, answers.validation, answers.test)
    assert decision.predictions[:, 2].sum() == 0
    assert decision.thresholds is not None
    assert "no positive in the validation split" in decision.thresholds[2].note


def test_the_pair_formula_is_that_of_a_plain_loop(reference, answers) -> None:
    row = measure(replace(answers, preset="recommended"), reference).row
    distance = squareform(pdist(answers.embeddings.astype(np.float64)))
    shared = (reference.labels @ reference.labels.T > 0)[np.triu_indices(90, 1)]
    pairs = distance[np.triu_indices(90, 1)]
    assert row["inter"] == pytest.approx(pairs[~shared].mean())
    assert row["intra"] == pytest.approx(pairs[shared].mean())
    assert row["ratio_low"] < row["ratio"] < row["ratio_high"]
    assert 0 < row["ratio_p"] <= 1
    unit = answers.embeddings / np.linalg.norm(answers.embeddings, axis=1, keepdims=True)
    pairs = squareform(pdist(unit.astype(np.float64)))[np.triu_indices(90, 1)]
    assert row["ratio_l2"] == pytest.approx(pairs[~shared].mean() / pairs[shared].mean())


def test_a_similarity_has_no_calibration_and_logits_have(reference, answers) -> None:
    found = measure(answers, reference)
    chance = 1 / (1 + np.exp(-answers.test.astype(np.float64).ravel()))
    truth = reference.labels.ravel()
    places = np.minimum((np.ceil(chance * 10) - 1).astype(int), 9)
    error = sum(
        abs(chance[places == bin_].sum() - truth[places == bin_].sum()) for bin_ in range(10)
    )
    assert found.row["ece"] == pytest.approx(error / len(truth))
    cosine = measure(replace(answers, score="cosine"), reference)
    assert cosine.row["ece"] is None
    assert "no probability" in str(cosine.calibration["reason"])


def test_the_difference_of_distances_is_relative() -> None:
    first = {"inter": 2.0, "intra": 1.0, "inter_l2": None, "intra_l2": 4.0}
    second = {"inter": 2.0, "intra": 1.1, "inter_l2": None, "intra_l2": 4.0}
    assert distance_difference(first, second) == pytest.approx(0.1)
