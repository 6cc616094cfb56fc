"""The patient-cluster bootstrap against scipy and against drawing by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from audit_app.metrics.bootstrap import cluster_bootstrap, paired_cluster_bootstrap


def grouped(seed: int, n_patients: int) -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, n_patients)
    clusters = [f"patient {number}" for number, size in enumerate(sizes) for _ in range(size)]
    return rng.random(len(clusters)), clusters


def test_clusters_of_one_row_give_the_interval_of_scipys_bootstrap():
    values = np.random.default_rng(1).gamma(2.0, size=60)
    ours = cluster_bootstrap(values, list(range(60)), replicates=20000, seed=4)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(8)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=0.01)
    assert ours.estimate == pytest.approx(values.mean())


def test_whole_patients_are_drawn_and_the_percentiles_taken():
    values, clusters = grouped(2, 12)
    names = sorted(set(clusters))
    rng = np.random.default_rng(31)
    means = []
    for draw in rng.integers(12, size=(300, 12)):
        rows = [v for k in draw for v, c in zip(values, clusters, strict=True) if c == names[k]]
        means.append(math.fsum(rows) / len(rows))
    interval = cluster_bootstrap(values, clusters, replicates=300, seed=31)
    expected = np.percentile(means, [2.5, 97.5])
    assert (interval.low, interval.high) == pytest.approx(tuple(expected), abs=1e-12)
    assert (interval.n_clusters, interval.replicates, interval.note) == (12, 300, "")


def test_the_mean_by_name_equals_the_mean_as_a_function():
    values, clusters = grouped(3, 15)
    named = cluster_bootstrap(values, clusters, statistic="mean", replicates=400, seed=5)
    general = cluster_bootstrap(values, clusters, statistic=np.mean, replicates=400, seed=5)
    assert (named.low, named.high) == pytest.approx((general.low, general.high), abs=1e-12)


def test_a_statistic_sees_the_columns_of_its_rows():
    values, clusters = grouped(4, 15)
    pairs = np.column_stack([values, 2 * values + 1])
    interval = cluster_bootstrap(
        pairs, clusters, statistic=lambda r: float((r[:, 1] - 2 * r[:, 0]).max()), seed=1
    )
    assert (interval.estimate, interval.low, interval.high) == pytest.approx((1.0, 1.0, 1.0))


def test_rows_that_always_come_together_widen_the_interval():
    values = np.random.default_rng(6).random(30)
    lone = cluster_bootstrap(np.repeat(values, 5), list(range(150)), seed=1)
    together = cluster_bootstrap(np.repeat(values, 5), np.repeat(range(30), 5).tolist(), seed=1)
    assert None not in (lone.low, lone.high, together.low, together.high)
    assert (together.high - together.low) > 1.8 * (lone.high - lone.low)


def test_nine_patients_are_too_few_for_an_interval_and_ten_are_not():
    nine = cluster_bootstrap(np.arange(18.0), np.repeat(range(9), 2).tolist(), seed=0)
    assert (nine.estimate, nine.low, nine.high) == (8.5, None, None)
    assert nine.note == "too few patients for an interval"
    ten = cluster_bootstrap(np.arange(20.0), np.repeat(range(10), 2).tolist(), seed=0)
    assert ten.note == ""
    assert ten.low is not None


def test_the_order_of_rows_does_not_change_the_interval():
    values, clusters = grouped(7, 20)
    order = np.random.default_rng(0).permutation(len(values))
    first = cluster_bootstrap(values, clusters, replicates=200, seed=9)
    second = cluster_bootstrap(values[order], [clusters[i] for i in order], replicates=200, seed=9)
    assert (first.low, first.high) == pytest.approx((second.low, second.high), abs=1e-12)


def share_of_ones_or_nan(rows: np.ndarray) -> float:
    return 1.0 if rows.any() else math.nan


def test_a_few_replicates_without_a_value_are_left_out_and_counted():
    values = np.array([1.0] * 4 + [0.0] * 8)
    interval = cluster_bootstrap(
        values, list(range(12)), statistic=share_of_ones_or_nan, replicates=2000, seed=2
    )
    # Four given patients of twelve are missed by (8/12)^12 = 0.77 % of all draws.
    assert 2 < interval.n_undefined < 35
    assert (interval.low, interval.high, interval.note) == (1.0, 1.0, "")


def test_a_statistic_that_is_often_undefined_has_no_interval_and_says_so():
    values = np.array([1.0] + [0.0] * 11)
    interval = cluster_bootstrap(
        values, list(range(12)), statistic=share_of_ones_or_nan, replicates=500, seed=2
    )
    # A given patient is missed by (11/12)^12 = 35 % of all draws.
    assert 120 < interval.n_undefined < 230
    assert (interval.estimate, interval.low, interval.high) == (1.0, None, None)
    assert interval.note == (
        f"undefined in {interval.n_undefined} of 500 replicates: too few patients for an interval"
    )


def test_a_statistic_that_is_always_undefined_has_no_interval():
    interval = cluster_bootstrap(
        np.zeros(12), list(range(12)), statistic=share_of_ones_or_nan, replicates=50, seed=2
    )
    assert (interval.low, interval.n_undefined) == (None, 50)
    assert interval.note.startswith("undefined in 50 of 50 replicates")


def test_the_difference_of_a_pair_is_that_of_the_same_drawn_rows():
    first, clusters = grouped(8, 14)
    second = np.random.default_rng(9).random(len(first))
    names = sorted(set(clusters))
    drawn = []
    for draw in np.random.default_rng(17).integers(14, size=(400, 14)):
        rows = [i for k in draw for i, c in enumerate(clusters) if c == names[k]]
        drawn.append(np.median(first[rows]) - np.median(second[rows]))
    pair = paired_cluster_bootstrap(
        first, second, clusters, statistic=np.median, replicates=400, seed=17
    )
    expected = np.percentile(drawn, [2.5, 97.5])
    assert (pair.interval.low, pair.interval.high) == pytest.approx(tuple(expected), abs=1e-12)
    assert pair.interval.estimate == pytest.approx(np.median(first) - np.median(second))
    tail = min(np.sum(np.array(drawn) <= 0), np.sum(np.array(drawn) >= 0))
    assert pair.p_value == pytest.approx(min(1, 2 * (tail + 1) / 401))


def test_the_mean_difference_by_name_equals_that_of_the_differences():
    first, clusters = grouped(10, 25)
    second = first * 0.5 + 0.1
    pair = paired_cluster_bootstrap(first, second, clusters, replicates=300, seed=6)
    alone = cluster_bootstrap(first - second, clusters, replicates=300, seed=6)
    assert (pair.interval.low, pair.interval.high) == pytest.approx((alone.low, alone.high))
    assert pair.interval.estimate == pytest.approx(alone.estimate)


def test_pairing_narrows_the_interval_of_two_modes_that_fail_on_the_same_images():
    rng = np.random.default_rng(12)
    hard = rng.normal(size=80)
    first, second = hard + 0.05 * rng.normal(size=80), hard + 0.05 * rng.normal(size=80)
    pair = paired_cluster_bootstrap(first, second, list(range(80)), seed=1).interval
    alone = cluster_bootstrap(first, list(range(80)), seed=1)
    assert None not in (pair.low, pair.high, alone.low, alone.high)
    assert (pair.high - pair.low) < 0.2 * (alone.high - alone.low)


def test_the_p_value_of_a_pair_is_close_to_that_of_the_paired_t_test():
    rng = np.random.default_rng(21)
    first = rng.normal(size=200)
    second = first + rng.normal(0.16, 1.0, size=200)
    pair = paired_cluster_bootstrap(first, second, list(range(200)), replicates=20000, seed=3)
    assert pair.p_value == pytest.approx(stats.ttest_rel(first, second).pvalue, abs=0.01)


def test_two_equal_treatments_differ_by_nothing_with_a_p_value_of_one():
    values, clusters = grouped(11, 20)
    pair = paired_cluster_bootstrap(values, values, clusters, replicates=100, seed=0)
    assert (pair.interval.estimate, pair.interval.low, pair.interval.high) == (0.0, 0.0, 0.0)
    assert pair.p_value == 1.0


def test_a_clear_difference_has_the_smallest_p_value_that_so_many_replicates_allow():
    values, clusters = grouped(13, 20)
    pair = paired_cluster_bootstrap(values + 5, values, clusters, replicates=999, seed=0)
    assert pair.p_value == 0.002


def test_nine_patients_have_a_difference_without_interval_and_p_value():
    pair = paired_cluster_bootstrap(np.ones(9), np.zeros(9), list(range(9)), seed=0)
    assert (pair.interval.estimate, pair.interval.low, pair.p_value) == (1.0, None, None)
    assert pair.interval.note == "too few patients for an interval"


def test_pairs_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"first has shape \(2, 2\), second \(2,\)"):
        paired_cluster_bootstrap(np.ones((2, 2)), [1.0, 2.0], ["a", "b"], seed=0)


@pytest.mark.parametrize(
    ("values", "clusters", "replicates", "message"),
    [
        ([], [], 10, r"shape \(0,\)"),
        ([1.0, 2.0], ["a"], 10, "2 rows but 1 cluster labels"),
        ([1.0, math.nan], ["a", "b"], 10, "nan"),
        ([1.0, 2.0], ["a", "b"], 0, "replicates is 0"),
        ([[1.0, 2.0]], ["a"], 10, "one value per row"),
    ],
)
def test_what_cannot_be_resampled_is_refused(
    values: list, clusters: list, replicates: int, message: str
):
    with pytest.raises(ValueError, match=message):
        cluster_bootstrap(values, clusters, replicates=replicates, seed=0)
