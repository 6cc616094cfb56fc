"""Readers' regions against masks counted pixel by pixel."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from audit_app.metrics.consensus import majority_mask
from audit_app.metrics.region_agreement import (
    MarkedRegions,
    RegionPair,
    mark_boxes,
    pairwise_region_agreement,
)
from tests.audit_app.naive_agreement import naive_mask

SHAPE = (30, 24)


def random_boxes(rng: np.random.Generator, n_boxes: int) -> list[tuple[int, ...]]:
    boxes = []
    for _ in range(n_boxes):
        x_min, y_min = (int(rng.integers(0, edge - 4)) for edge in (SHAPE[1], SHAPE[0]))
        x_max = int(rng.integers(x_min + 1, SHAPE[1] + 1))
        boxes.append((x_min, y_min, x_max, int(rng.integers(y_min + 1, SHAPE[0] + 1))))
    return boxes


def agreement(
    regions: dict[str, list[tuple[float, ...]]], shape: tuple[int, int]
) -> tuple[RegionPair, ...]:
    marked = {reader: mark_boxes(boxes, shape) for reader, boxes in regions.items()}
    return pairwise_region_agreement(marked)


@pytest.mark.parametrize("seed", range(10))
def test_every_pair_has_the_iou_and_pointing_of_its_pixel_masks(seed: int):
    rng = np.random.default_rng(seed)
    regions = {name: random_boxes(rng, int(rng.integers(1, 4))) for name in "ABC"}
    found = agreement(regions, SHAPE)
    assert [(pair.first, pair.second) for pair in found] == list(combinations("ABC", 2))
    masks = {name: naive_mask(boxes, *SHAPE) for name, boxes in regions.items()}
    for pair in found:
        one, other = masks[pair.first], masks[pair.second]
        assert pair.iou == (one & other).sum() / (one | other).sum()
        centres = [((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in regions[pair.first]]
        inside = [
            any(b[0] <= x < b[2] and b[1] <= y < b[3] for b in regions[pair.second])
            for x, y in centres
        ]
        assert pair.first_in_second == pytest.approx(np.mean(inside))


def test_two_readers_by_hand():
    regions = {"A": [(0, 0, 4, 4)], "B": [(2, 0, 6, 4), (10, 10, 12, 12)]}
    # 8 pixels in common of 16 + 20; A's centre (2, 2) is B's corner and so inside; B's first
    # centre (4, 2) is A's open border and so outside.
    expected = RegionPair("A", "B", True, 8 / 28, 1.0, 0.0)
    assert agreement(regions, (20, 20)) == (expected,)


def test_a_region_that_only_one_reader_marked_is_a_disagreement():
    regions = {"A": [(0, 0, 4, 4)], "B": [], "C": []}
    pairs = agreement(regions, (10, 10))
    assert pairs == (
        RegionPair("A", "B", False, 0.0, 0.0, None),
        RegionPair("A", "C", False, 0.0, 0.0, None),
    )


def test_a_box_without_a_pixel_of_the_grid_is_as_good_as_none():
    regions = {"A": [(0, 0, 4, 4)], "B": [(3.6, 3.6, 4.4, 4.4)]}
    assert agreement(regions, (10, 10))[0].both_marked is False


def test_an_outline_agrees_by_its_mask_and_points_with_the_centre_of_its_box():
    ring = np.ones((5, 5), dtype=bool)
    ring[1:4, 1:4] = False
    marked = {
        "A": MarkedRegions(ring, ((0, 0, 5, 5),)),
        "B": mark_boxes([(1, 1, 4, 4)], (5, 5)),
        "C": mark_boxes([(0, 0, 5, 5)], (5, 5)),
    }
    assert pairwise_region_agreement(marked) == (
        RegionPair("A", "B", True, 0.0, 1.0, 0.0),
        RegionPair("A", "C", True, 16 / 25, 1.0, 0.0),
        RegionPair("B", "C", True, 9 / 25, 1.0, 1.0),
    )


def test_a_box_that_leaves_the_grid_points_with_the_part_that_is_on_it():
    marked = {"A": mark_boxes([(3, 3, 99, 99)], (5, 5)), "B": mark_boxes([(4, 4, 5, 5)], (5, 5))}
    assert pairwise_region_agreement(marked)[0].first_in_second == 1.0


def test_grids_that_differ_and_pixels_without_a_box_are_refused():
    with pytest.raises(ValueError, match=r"shapes \[\(4, 4\), \(5, 5\)\]"):
        pairwise_region_agreement({"A": mark_boxes([], (5, 5)), "B": mark_boxes([], (4, 4))})
    with pytest.raises(ValueError, match="no box was given"):
        MarkedRegions(np.ones((2, 2), dtype=bool), ())


def test_one_reader_alone_has_no_pair():
    assert agreement({"A": [(0, 0, 4, 4)]}, (10, 10)) == ()
    assert agreement({}, (10, 10)) == ()


def test_an_inverted_box_is_refused():
    with pytest.raises(ValueError, match=r"box 0 is \(4, 1, 2, 3\)"):
        agreement({"A": [(4, 1, 2, 3)], "B": []}, (10, 10))


@pytest.mark.parametrize("n_readers", [1, 2, 3, 4, 7])
def test_the_majority_holds_the_pixels_in_more_than_half_of_the_masks(n_readers: int):
    masks = np.random.default_rng(n_readers).random((n_readers, 9, 7)) < 0.5
    found = majority_mask(list(masks))
    for row, column in np.ndindex(9, 7):
        assert found[row, column] == (masks[:, row, column].mean() > 0.5)


def test_two_readers_have_in_common_what_both_marked():
    masks = [np.array([[True, True, False]]), np.array([[True, False, False]])]
    assert majority_mask(masks).tolist() == [[True, False, False]]


def test_readers_who_marked_nothing_have_a_vote():
    marked, empty = np.ones((2, 2), dtype=bool), np.zeros((2, 2), dtype=bool)
    assert not majority_mask([marked, empty]).any()
    assert majority_mask([marked, marked, empty]).all()


def test_masks_of_several_grids_and_no_mask_at_all_are_refused():
    with pytest.raises(ValueError, match=r"shapes \[\(2, 2\), \(2, 3\)\]"):
        majority_mask([np.ones((2, 2), dtype=bool), np.ones((2, 3), dtype=bool)])
    with pytest.raises(ValueError, match="at least one reader"):
        majority_mask([])
