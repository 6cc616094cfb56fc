"""Holm's correction against statsmodels and a worked example."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from audit_app.metrics.holm import holm


@pytest.mark.parametrize("seed", range(8))
def test_adjusted_p_values_are_those_of_statsmodels(seed: int):
    rng = np.random.default_rng(seed)
    p_values = rng.random(rng.integers(1, 43)) ** (1 + seed)
    if seed % 2:
        p_values = np.round(p_values, 1)  # ties
    expected = multipletests(p_values, method="holm")[1]
    np.testing.assert_allclose(holm(p_values.tolist()), expected, rtol=1e-12)


def test_three_comparisons_by_hand():
    assert holm([0.04, 0.01, 0.03]) == (0.06, 0.03, 0.06)


def test_a_comparison_that_could_not_be_tested_stays_so_and_does_not_count():
    assert holm([0.25, None, 0.125, None]) == (0.25, None, 0.25, None)


def test_an_empty_family_stays_empty():
    assert holm([]) == ()


@pytest.mark.parametrize("bad", [-0.1, 1.5, math.nan])
def test_what_is_no_p_value_is_refused_with_its_place(bad: float):
    with pytest.raises(ValueError, match=f"p-value 1 is {bad}"):
        holm([0.5, bad])
