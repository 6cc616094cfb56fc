"""Means over shared draws: the same numbers as one bootstrap for each column."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from audit_app.metrics.bootstrap import cluster_bootstrap, paired_cluster_bootstrap
from audit_app.metrics.macro import macro_mean
from audit_app.metrics.mean_draws import draw_means

DRAWS = {"replicates": 300, "seed": 8}


def make_data(n_rows: int = 90, n_patients: int = 25) -> tuple[np.ndarray, list[int], list[str]]:
    rng = np.random.default_rng(3)
    values = rng.random((n_rows, 2))
    patients = rng.integers(0, n_patients, n_rows).tolist()
    findings = [("Edema", "Fracture")[k % 2] for k in range(n_rows)]
    return values, patients, findings


def test_each_column_has_the_interval_of_its_own_bootstrap() -> None:
    values, patients, _ = make_data()
    drawn = draw_means(values, patients, **DRAWS)
    for column in (0, 1):
        expected = cluster_bootstrap(values[:, column], patients, **DRAWS)
        found = drawn.interval(column)
        assert found.estimate == pytest.approx(expected.estimate, abs=1e-12)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
        assert (found.n_clusters, found.replicates) == (expected.n_clusters, 300)


def test_the_mean_over_findings_is_that_of_the_macro_statistic() -> None:
    values, patients, findings = make_data()
    codes = [float(name == "Fracture") for name in findings]
    expected = cluster_bootstrap(
        np.column_stack([values[:, 1], codes]),
        patients,
        statistic=partial(macro_mean, n_groups=2),
        **DRAWS,
    )
    found = draw_means(values, patients, groups=findings, **DRAWS).interval(1)
    assert found.estimate == pytest.approx(expected.estimate, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_difference_of_two_columns_is_that_of_the_paired_bootstrap() -> None:
    values, patients, _ = make_data()
    expected = paired_cluster_bootstrap(values[:, 0], values[:, 1], patients, **DRAWS)
    found = draw_means(values, patients, **DRAWS).difference(0, 1)
    assert found.interval.estimate == pytest.approx(expected.interval.estimate, abs=1e-12)
    assert found.interval.low == pytest.approx(expected.interval.low, abs=1e-12)
    assert found.p_value == pytest.approx(expected.p_value)


def test_equal_columns_differ_by_nothing_in_any_resample() -> None:
    values, patients, findings = make_data()
    twice = np.column_stack([values[:, :1]] * 5)
    for groups in (None, findings):
        found = draw_means(twice, patients, groups=groups, **DRAWS).difference(0, 4)
        assert (found.interval.estimate, found.interval.low, found.interval.high) == (0, 0, 0)
        assert found.p_value == 1.0


def test_a_finding_that_resamples_may_miss_leaves_no_interval() -> None:
    values, patients, _ = make_data()
    rare = ["rare", *["usual"] * (len(values) - 1)]
    found = draw_means(values, patients, groups=rare, **DRAWS)
    expected = (values[0, 0] + values[1:, 0].mean()) / 2
    assert found.interval(0).estimate == pytest.approx(expected)
    assert found.interval(0).low is None
    assert "too few patients" in found.interval(0).note
    assert found.difference(0, 1).p_value is None


def test_nine_patients_have_a_number_and_the_reason_for_no_interval() -> None:
    values, _, _ = make_data(18)
    found = draw_means(values, [k // 2 for k in range(18)], **DRAWS)
    assert found.interval(0).estimate == pytest.approx(values[:, 0].mean())
    assert found.interval(0).note == "too few patients for an interval"
    assert found.difference(0, 1).interval.low is None


@pytest.mark.parametrize(
    ("values", "patients", "message"),
    [
        ([1.0, 2.0], [1, 2], r"shape \(2,\)"),
        ([[1.0], [2.0]], [1], "1 cluster labels"),
        ([[1.0], [np.nan]], [1, 2], "not finite"),
    ],
)
def test_what_has_no_mean_is_refused(values: object, patients: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_means(values, patients, **DRAWS)  # type: ignore[arg-type] # wrong on purpose
