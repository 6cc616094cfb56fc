"""What the columns say when nothing means anything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import label_ranking_average_precision_score as lrap_of

from audit_app.evaluator.answers import Answers
from audit_app.evaluator.measures import Measured, Reference, measure
from audit_app.evaluator.nulls import null_rows
from audit_app.evaluator.page import COLUMNS
from audit_app.metrics import separation

N_PICTURES = 120
# Of which the table beside the main one tells, and which say something about labels.
BESIDE = ("ratio_l2", "predictions_per_image", "labels_per_image", "ece")


@pytest.fixture
def reference() -> Reference:
    generator = np.random.default_rng(3)
    labels = (generator.random((N_PICTURES, 6)) < [0.02, 0.1, 0.15, 0.05, 0.2, 0.0]).astype(
        np.uint8
    )
    labels[:, 5] = ~labels[:, :5].any(axis=1)
    patients = [f"p{number // 2}" for number in range(N_PICTURES)]
    return Reference(tuple("ABCDEF"), labels, labels, patients, 20, 20, 2)


def answers(
    mode: str, *, preset: str = "study", scale: float = 1.0, size: int = 20, score: str = "logit"
) -> Answers:
    """Of a model that knows nothing."""
    generator = np.random.default_rng(5)
    scores = generator.normal(size=(2, N_PICTURES, 6)).astype(np.float32)
    embeddings = (scale * generator.normal(size=(N_PICTURES, size))).astype(np.float32)
    return Answers(preset, mode, score, *scores, embeddings)


def test_the_studys_rule_calls_about_half_of_random_scores_positive(reference) -> None:
    (row,) = null_rows([answers("zs")], reference, draws=60)
    assert 2.5 < row["predictions_per_image"] < 3.5
    assert row["predictions_per_image_low"] < row["predictions_per_image"]
    assert row["exact_match"] < 0.1
    assert null_rows([answers("zs")], reference, draws=60) == [row]
    other = null_rows([answers("zs")], replace(reference, seed=3), draws=60)
    assert other != [row]


def test_lrap_of_random_scores_is_that_of_the_mean_over_random_orders(reference) -> None:
    generator = np.random.default_rng(99)
    labels = reference.labels
    expected = np.mean([lrap_of(labels, generator.random(labels.shape)) for _ in range(100)])
    (row,) = null_rows([answers("lp", preset="recommended")], reference, draws=100)
    assert row["lrap"] == pytest.approx(expected, abs=0.01)
    assert row["lrap_low"] < expected < row["lrap_high"]


@pytest.mark.parametrize("preset", ["study", "recommended"])
def test_every_column_that_a_mode_has_has_a_null(reference, preset) -> None:
    asked = [answers(mode, preset=preset) for mode in ("lp", "ft")]
    measured = [measure(one, reference) for one in asked]
    rows = null_rows(asked, reference, draws=5)
    for one, row in zip(measured, rows, strict=True):
        assert (row["kind"], row["preset"], row["mode"]) == ("null", preset, one.row["mode"])
        assert row["rule"] == one.row["rule"]
        for column in (*COLUMNS, *BESIDE):
            assert isinstance(row.get(column), float) == isinstance(one.row[column], float), column


def test_a_similarity_has_no_calibration_error_by_chance_either(reference) -> None:
    (row,) = null_rows([answers("zs", score="cosine")], reference, draws=5)
    assert row["ece"] is None


def test_each_modes_distances_are_held_against_its_own_embeddings(reference) -> None:
    asked = [answers("zs"), answers("lp"), answers("ft", scale=10)]
    frozen, probe, tuned = null_rows(asked, reference, draws=20)
    for name in ("inter", "intra"):
        assert frozen[name] == probe[name]
        assert tuned[name] == pytest.approx(10 * frozen[name], rel=1e-6)
        assert tuned[f"{name}_l2"] == pytest.approx(frozen[f"{name}_l2"], rel=1e-6)
    assert tuned["ratio"] == pytest.approx(frozen["ratio"], rel=1e-6)


def test_a_mode_that_knows_nothing_lies_within_the_range_of_its_null(reference) -> None:
    for preset in ("study", "recommended"):
        asked = answers("lp", preset=preset)
        found: Measured = measure(asked, reference)
        (row,) = null_rows([asked], reference, draws=200)
        for column in ("inter", "intra", "ratio", "ratio_l2", "f1", "lrap", "ece"):
            assert row[f"{column}_low"] <= found.row[column] <= row[f"{column}_high"], column


def test_the_calibration_error_by_chance_is_that_of_labels_handed_to_other_pictures(
    reference,
) -> None:
    asked = answers("lp")
    knowing = replace(asked, test=(6.0 * reference.labels - 3).astype(np.float32))
    (row,) = null_rows([knowing], reference, draws=50)
    share = reference.labels.mean()  # among what is called 95 % sure and among what is called 5 %
    sure, unsure = 1 / (1 + np.exp(-3)), 1 / (1 + np.exp(3))
    per_finding = reference.labels.mean(axis=0)
    among_sure = (per_finding**2).mean() / share
    among_others = (per_finding * (1 - per_finding)).mean() / (1 - share)
    expected = share * abs(sure - among_sure) + (1 - share) * abs(unsure - among_others)
    assert row["ece"] == pytest.approx(expected, abs=0.01)
    assert measure(knowing, reference).row["ece"] < 0.06 < row["ece_low"]


def test_the_pair_ratio_of_shuffled_labels_is_one_whatever_the_class_sizes(reference) -> None:
    (row,) = null_rows([answers("lp", preset="recommended")], reference, draws=100)
    assert row["ratio"] == pytest.approx(1.0, abs=0.01)
    assert row["ratio_l2"] == pytest.approx(1.0, abs=0.01)


def test_the_pair_null_equals_a_plain_loop(reference) -> None:
    asked = answers("lp", preset="recommended", size=4)
    (row,) = null_rows([asked], reference, draws=3)
    distance = squareform(pdist(asked.embeddings.astype(np.float64)))
    patterns, pattern = np.unique(reference.labels, axis=0, return_inverse=True)
    generator = np.random.default_rng(reference.seed)
    ratios = []
    for _ in range(3):
        table = patterns[generator.permutation(pattern)]
        shared, apart = [], []
        for i in range(N_PICTURES):
            for j in range(i):
                together = (table[i] & table[j]).any()
                (shared if together else apart).append(distance[i, j])
        ratios.append(np.mean(apart) / np.mean(shared))
    assert row["ratio"] == pytest.approx(np.mean(ratios), rel=1e-9)


def test_of_many_pictures_the_pair_null_takes_the_choice_of_the_p_value(
    reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(separation, "EXACT_IMAGES", 40)
    asked = answers("lp", preset="recommended")
    (row,) = null_rows([asked], reference, draws=10)
    chosen = separation.exact_rows(N_PICTURES, reference.seed)
    few = replace(reference, labels=reference.labels[chosen], patients=["p"] * 40)
    fewer = replace(asked, test=asked.test[chosen], embeddings=asked.embeddings[chosen])
    (expected,) = null_rows([fewer], few, draws=10)
    assert row["intra"] == expected["intra"]


def test_the_study_ratio_of_shuffled_labels_is_far_from_one_and_needs_all_pictures(
    reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = null_rows([answers("lp", size=200)], reference, draws=50)
    assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"] < 0.8
    # It depends on the sizes of the classes: a choice of pictures would give another one.
    monkeypatch.setattr(separation, "EXACT_IMAGES", 40)
    assert null_rows([answers("lp", size=200)], reference, draws=50) == [row]


def test_labels_that_all_pictures_share_have_no_ratio_by_chance(reference) -> None:
    same = np.zeros_like(reference.labels)
    same[:, 0] = 1
    for preset in ("study", "recommended"):
        asked = answers("lp", preset=preset)
        (row,) = null_rows([asked], replace(reference, labels=same), draws=3)
        assert row["inter"] is row["ratio"] is row["ratio_low"] is None
        assert row["intra"] > 0
