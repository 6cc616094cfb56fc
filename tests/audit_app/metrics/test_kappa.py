"""Kappa against scikit-learn, statsmodels, pairs counted by hand and published tables."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats import inter_rater

from audit_app.metrics.kappa import cohen_kappa, fleiss_kappa

NAN = math.nan

# Statements per image and how many of them are positive: Fleiss, Levin & Paik 2003, page 612,
# whose kappa is 0.5415.
STATEMENTS = [2, 2, 3, 4, 3, 4, 3, 5, 2, 4, 5, 3, 4, 4, 2, 2, 3, 2, 4, 5, 3, 4, 3, 3, 2]
POSITIVE = [2, 0, 2, 3, 3, 1, 0, 0, 0, 4, 5, 3, 4, 3, 0, 2, 1, 1, 1, 4, 2, 0, 0, 3, 2]


@pytest.mark.parametrize("seed", range(6))
def test_two_readers_have_the_kappa_of_scikit_learn(seed: int):
    rng = np.random.default_rng(seed)
    first = rng.random(60) < 0.3
    second = np.where(rng.random(60) < 0.8, first, rng.random(60) < 0.5)
    found = cohen_kappa(first, second)
    assert found.kappa == pytest.approx(cohen_kappa_score(first, second), abs=1e-13)
    assert found.observed == pytest.approx(np.mean(first == second))
    assert found.prevalence == pytest.approx((first.mean() + second.mean()) / 2)
    assert (found.n_images, found.note) == (60, "")


def test_two_readers_by_hand():
    # 20 both present, 5 only the first, 10 only the second, 15 neither: 0.7 observed, 0.5 expected.
    first = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    second = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    found = cohen_kappa(first, second)
    assert (found.kappa, found.observed, found.expected) == pytest.approx((0.4, 0.7, 0.5))


@pytest.mark.parametrize(("word", "value"), [("present", 1), ("absent", 0)])
def test_readers_who_always_say_the_same_have_no_kappa_and_the_reason(word: str, value: int):
    for found in (
        cohen_kappa([value] * 4, [value] * 4),
        fleiss_kappa(np.full((4, 3), value)),
    ):
        assert (found.kappa, found.observed, found.prevalence) == (None, 1.0, float(value))
        assert found.note.startswith(f"n/a: everybody always says {word}")


def test_one_reader_who_always_says_the_same_agrees_by_chance_only():
    assert cohen_kappa([1, 1, 1, 1], [1, 0, 1, 0]).kappa == 0.0


def test_images_that_only_one_of_two_read_do_not_count():
    found = cohen_kappa([1, 0, NAN, 1, 1], [1, 0, 1, NAN, 0])
    assert found == cohen_kappa([1, 0, 1], [1, 0, 0])


@pytest.mark.parametrize("n_readers", [2, 3, 7])
def test_several_readers_have_the_kappa_of_statsmodels(n_readers: int):
    rng = np.random.default_rng(n_readers)
    truth = rng.random(40) < 0.4
    said = np.where(rng.random((40, n_readers)) < 0.75, truth[:, None], ~truth[:, None])
    counts = np.stack([(~said).sum(axis=1), said.sum(axis=1)], axis=1)
    found = fleiss_kappa(said)
    assert found.kappa == pytest.approx(inter_rater.fleiss_kappa(counts), abs=1e-12)
    pairs = list(combinations(range(n_readers), 2))
    agreed = np.mean([said[:, a] == said[:, b] for a, b in pairs])
    assert found.observed == pytest.approx(agreed)
    assert found.prevalence == pytest.approx(said.mean())


def test_images_with_different_numbers_of_statements_have_the_published_kappa():
    said = np.full((25, 5), NAN)
    for row, (n_said, n_positive) in enumerate(zip(STATEMENTS, POSITIVE, strict=True)):
        said[row, :n_said] = np.arange(n_said) < n_positive
    found = fleiss_kappa(said)
    assert found.kappa == pytest.approx(0.5415, abs=5e-5)
    assert found.n_images == 25


def test_which_reader_said_what_does_not_matter_to_fleiss():
    rng = np.random.default_rng(4)
    said = np.where(rng.random((30, 4)) < 0.2, NAN, rng.random((30, 4)) < 0.5)
    shuffled = rng.permuted(said, axis=1)
    assert fleiss_kappa(said) == fleiss_kappa(shuffled)


def test_an_image_with_one_statement_changes_nothing():
    said = np.array([[1.0, 1, 0], [0, 0, NAN], [1, 1, 1]])
    assert fleiss_kappa(np.vstack([said, [NAN, 1, NAN], [NAN, NAN, NAN]])) == fleiss_kappa(said)


def test_without_an_image_in_common_nothing_is_said():
    for found in (cohen_kappa([1, NAN], [NAN, 0]), fleiss_kappa([[1], [0]]), cohen_kappa([], [])):
        assert (found.kappa, found.observed, found.n_images) == (None, None, 0)
        assert found.note == "n/a: no image was read by two readers"


def test_statements_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"a statement is 2\.0"):
        cohen_kappa([1, 2], [1, 0])
    with pytest.raises(ValueError, match="2 statements of one reader, 3 of the other"):
        cohen_kappa([1, 0], [1, 0, 1])
    with pytest.raises(ValueError, match=r"shape \(3,\); expected \(n, readers\)"):
        fleiss_kappa([1, 0, 1])
