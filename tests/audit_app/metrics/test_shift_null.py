"""The null of all circular shifts against np.roll, and its exactness."""

from __future__ import annotations

import numpy as np
import pytest

from audit_app.metrics.shift_null import shift_null, shift_overlaps
from tests.audit_app.naive_agreement import naive_shifts


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (8, 8), (11, 6), (13, 17)])
def test_overlaps_are_those_of_each_rolled_region(shape: tuple[int, int]):
    rng = np.random.default_rng(sum(shape))
    prediction, region = rng.random(shape) > 0.4, rng.random(shape) > 0.6
    region[0, 0] = True
    expected = [
        [np.count_nonzero(prediction & np.roll(region, (a, b), (0, 1))) for b in range(shape[1])]
        for a in range(shape[0])
    ]
    assert shift_overlaps(prediction, region).tolist() == expected


@pytest.mark.parametrize("rectangle", [True, False])
def test_a_rectangle_and_any_other_shape_go_different_ways_to_the_same_null(rectangle: bool):
    rng = np.random.default_rng(5)
    prediction = rng.random((12, 15)) > 0.7
    region = np.zeros((12, 15), dtype=bool)
    region[2:6, 3:11] = True
    region[8, 1] = not rectangle
    null = shift_null(prediction, region)
    assert (null.mean_iou, null.p_value) == pytest.approx(naive_shifts(prediction, region))


def test_a_prediction_equal_to_a_lone_pixel_region_is_matched_by_one_shift_of_all():
    region = np.zeros((8, 10), dtype=bool)
    region[3, 4] = True
    null = shift_null(region, region)
    assert null.p_value == 1 / 80
    assert null.mean_iou == pytest.approx(1 / 80)


def test_shifts_that_tie_with_the_observed_count_on_a_large_grid():
    # Stripes repeat every 8 columns and reach from edge to edge, so exactly 1 shift in 8 ties.
    columns = np.arange(512) % 8 < 3
    stripes = np.broadcast_to(columns, (384, 512))
    assert shift_null(stripes, stripes).p_value == 1 / 8


def test_grids_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"prediction is \(3, 3\), region \(3, 4\)"):
        shift_null(np.ones((3, 3), dtype=bool), np.ones((3, 4), dtype=bool))


def test_an_empty_region_is_refused():
    with pytest.raises(ValueError, match="no pixel"):
        shift_null(np.ones((3, 3), dtype=bool), np.zeros((3, 3), dtype=bool))
