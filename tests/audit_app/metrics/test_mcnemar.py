"""McNemar's exact test against statsmodels, scipy and numbers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar

from audit_app.metrics.mcnemar import McNemar, mcnemar_exact


def paired_hits(
    both: int, only_first: int, only_second: int, neither: int
) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, only_first, only_second, neither]
    return np.repeat([1.0, 1, 0, 0], counts), np.repeat([1.0, 0, 1, 0], counts)


@pytest.mark.parametrize(
    "counts", [(3, 5, 1, 2), (0, 12, 3, 40), (7, 4, 4, 1), (0, 0, 6, 0), (9, 30, 52, 11)]
)
def test_the_p_value_is_that_of_statsmodels_and_of_scipys_sign_test(counts: tuple[int, ...]):
    both, only_first, only_second, neither = counts
    found = mcnemar_exact(*paired_hits(both, only_first, only_second, neither))
    table = [[both, only_first], [only_second, neither]]
    assert found.p_value == pytest.approx(mcnemar(table, exact=True).pvalue, abs=1e-14)
    sign = binomtest(only_first, only_first + only_second, 0.5)
    assert found.p_value == pytest.approx(sign.pvalue, abs=1e-14)
    assert (found.only_first, found.only_second) == (only_first, only_second)


def test_five_rows_that_only_one_hits_by_hand():
    # 2 * (1/2)^5
    assert mcnemar_exact([1, 1, 1, 1, 1], [0, 0, 0, 0, 0]) == McNemar(5, 0, 5, 0, 0.0625)


def test_the_order_of_the_two_does_not_change_the_p_value():
    first, second = paired_hits(4, 9, 2, 5)
    assert mcnemar_exact(first, second).p_value == mcnemar_exact(second, first).p_value


def test_without_a_discordant_row_there_is_nothing_to_tell_apart():
    assert mcnemar_exact([1.0, 0.0], [1.0, 0.0]) == McNemar(2, 0, 0, 0, 1.0)


def test_a_hit_that_is_a_fraction_is_left_out_and_counted():
    found = mcnemar_exact([1.0, 0.5, 1.0, 0.0], [0.0, 0.0, 0.25, 1.0])
    assert (found.n_rows, found.n_tied, found.only_first, found.only_second) == (2, 2, 1, 1)


def test_no_row_has_no_p_value():
    assert mcnemar_exact([], []) == McNemar(0, 0, 0, 0, None)
    assert mcnemar_exact([0.5], [1.0]).p_value is None


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1.0], [1.0, 0.0], "1 hits of the first but 2 of the second"),
        ([2.0], [1.0], "a hit is 2.0"),
        ([1.0], [math.nan], "a hit is nan"),
        ([[1.0]], [[1.0]], r"shape \(1, 1\)"),
    ],
)
def test_what_are_no_paired_hits_is_refused(first: list, second: list, message: str):
    with pytest.raises(ValueError, match=message):
        mcnemar_exact(first, second)
