from __future__ import annotations

import math

import numpy as np
import pytest

from annotations.errors import InvalidRegion
from annotations.regions import Box, parse_box, union_mask


def inside_by_hand(boxes: list[tuple[float, float, float, float]], size: tuple[int, int]) -> object:
    """Pixel by pixel, as definitions.md section 2 writes it."""
    height, width = size
    return [
        [
            any(x0 <= j + 0.5 < x1 and y0 <= i + 0.5 < y1 for x0, y0, x1, y1 in boxes)
            for j in range(width)
        ]
        for i in range(height)
    ]


def test_a_box_is_half_open() -> None:
    mask = union_mask([Box(1, 2, 3, 5)], (6, 5))
    assert [tuple(map(int, place)) for place in np.argwhere(mask)] == [
        (2, 1), (2, 2), (3, 1), (3, 2), (4, 1), (4, 2),
    ]  # fmt: skip
    assert int(mask.sum()) == Box(1, 2, 3, 5).area_px == 6


@pytest.mark.parametrize("corners", [(3, 1, 3, 4), (4, 1, 2, 3), (1, 4, 3, 2), (1, 1, 2, 1)])
def test_an_empty_or_inverted_box_is_refused_and_quoted(corners: tuple[int, int, int, int]) -> None:
    with pytest.raises(InvalidRegion) as refused:
        Box(*corners)
    assert str(corners) in str(refused.value)
    with pytest.raises(InvalidRegion, match="empty or inverted"):
        parse_box(corners, (9, 9))


def test_a_box_that_reaches_out_is_clipped_to_four_pixels() -> None:
    box = parse_box((3, 3, 99, 99), (5, 5))
    assert box.corners == (3, 3, 5, 5)
    assert box.area_px == 4


@pytest.mark.parametrize(
    ("corners", "whole"),
    [
        ((0.4, 0.5, 2.4, 2.5), (0, 1, 2, 3)),
        ((1.5, 2.5, 3.5, 4.5), (2, 3, 4, 5)),
        ((-7.2, -0.5, 2.0, 2.0), (0, 0, 2, 2)),
        ((2.2, 0, 1e12, 3), (2, 0, 10, 3)),
        ((np.float32(1), np.int64(1), "3", 4), (1, 1, 3, 4)),
    ],
)
def test_corners_are_rounded_half_up_to_whole_pixels(
    corners: tuple[float, float, float, float], whole: tuple[int, int, int, int]
) -> None:
    box = parse_box(corners, (10, 10))
    assert box.corners == whole
    assert all(type(corner) is int for corner in box.corners)


def test_neighbouring_boxes_stay_neighbours_after_rounding() -> None:
    for edge in np.arange(1, 9, 0.25):
        left = parse_box((0, 0, edge, 5), (10, 10))
        right = parse_box((edge, 0, 10, 5), (10, 10))
        assert left.x_max == right.x_min


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", range(4))
def test_a_corner_that_is_not_finite_is_refused(bad: float, place: int) -> None:
    corners = [1.0, 1.0, 5.0, 5.0]
    corners[place] = bad
    with pytest.raises(InvalidRegion, match="not a finite number"):
        parse_box(corners, (10, 10))


@pytest.mark.parametrize(
    ("corners", "sentence"),
    [
        ((1, 2, 3), "has 3 numbers; expected x_min, y_min, x_max, y_max"),
        ((1, 2, 3, "x"), "is not four numbers"),
        ((1, 2, 3, None), "is not four numbers"),
        ((20, 0, 30, 5), "covers no pixel of the picture of 10 x 8"),
        ((-9, 0, -1, 5), "covers no pixel"),
        ((2.6, 0, 3.4, 5), "covers no pixel"),
    ],
)
def test_what_is_no_box_in_the_picture_is_refused(
    corners: tuple[float, ...], sentence: str
) -> None:
    with pytest.raises(InvalidRegion, match=sentence):
        parse_box(corners, (8, 10))


def test_the_union_of_fractional_boxes_is_that_of_the_pixel_centre_rule() -> None:
    random = np.random.default_rng(7)
    for _ in range(50):
        size = (int(random.integers(1, 12)), int(random.integers(1, 12)))
        boxes = [tuple(random.uniform(-3, 14, 4)) for _ in range(random.integers(0, 4))]
        # Edges exactly on pixel centres are where rules differ.
        boxes += [(0.5, 0.5, 2.5, 3.5)]
        assert union_mask(boxes, size).tolist() == inside_by_hand(boxes, size)


def test_a_box_narrower_than_a_pixel_may_cover_none() -> None:
    assert not union_mask([(1.6, 0, 2.4, 5)], (5, 5)).any()
    assert union_mask([(1.5, 0, 1.6, 5)], (5, 5))[:, 1].all()


def test_overlapping_boxes_count_a_pixel_once() -> None:
    assert int(union_mask([Box(0, 0, 3, 3), Box(1, 1, 4, 4)], (5, 5)).sum()) == 14
    assert not union_mask([], (3, 4)).any()
    assert union_mask([], (3, 4)).shape == (3, 4)
