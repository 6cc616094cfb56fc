"""The mean over findings of their means, and its interval when a finding is rare."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

from audit_app.metrics.bootstrap import cluster_bootstrap
from audit_app.metrics.macro import macro_mean


def test_every_group_weighs_the_same_whatever_its_rows():
    rows = np.array([[1.0, 0], [0.0, 0], [0.0, 0], [0.0, 0], [0.75, 1]])
    assert macro_mean(rows, n_groups=2) == 0.5


def test_a_group_without_a_row_leaves_the_mean_undefined():
    assert math.isnan(macro_mean(np.array([[1.0, 0], [0.5, 2]]), n_groups=3))
    assert math.isnan(macro_mean(np.array([[1.0, 0]]), n_groups=2))


def test_a_group_beyond_the_number_of_groups_is_refused():
    with pytest.raises(ValueError, match="n_groups is 2, the highest group 2"):
        macro_mean(np.array([[1.0, 0], [0.5, 2]]), n_groups=2)


def rare_finding(n_rare: int) -> tuple[np.ndarray, list[int]]:
    """Forty patients with a common finding that is never hit; the first few have a rare one."""
    common = [(0.0, 0, patient) for patient in range(40)]
    rare = [(1.0, 1, patient) for patient in range(n_rare)]
    table = np.array(common + rare)
    return table[:, :2], [int(patient) for patient in table[:, 2]]


def test_a_macro_whose_rare_finding_is_often_missed_has_no_interval():
    rows, patients = rare_finding(1)
    interval = cluster_bootstrap(
        rows, patients, statistic=partial(macro_mean, n_groups=2), replicates=1000, seed=3
    )
    # A given patient is missed by (39/40)^40 = 36 % of all draws. Without its finding the mean
    # would be 0 in these, and 0.5 in all others.
    assert (interval.estimate, interval.low, interval.high) == (0.5, None, None)
    assert 320 < interval.n_undefined < 410
    assert interval.note == (
        f"undefined in {interval.n_undefined} of 1000 replicates: too few patients for an interval"
    )


def test_a_macro_whose_findings_are_nearly_always_there_has_an_interval():
    rows, patients = rare_finding(6)
    interval = cluster_bootstrap(
        rows, patients, statistic=partial(macro_mean, n_groups=2), replicates=1000, seed=3
    )
    # (34/40)^40 = 0.15 % of the draws lack it; the others hold 0 and 1 and so their mean.
    assert (interval.low, interval.high, interval.note) == (0.5, 0.5, "")
    assert interval.n_undefined <= 6
