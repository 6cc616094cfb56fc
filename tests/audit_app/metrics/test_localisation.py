"""Agreement of one map: worked cases by hand, everything else against plain loops."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from audit_app.metrics.localisation import MapScore, score_map
from tests.audit_app.naive_agreement import naive_columns

UNSCORED = {"status", "n_boxes", "tolerance_radius"}


def peak_map(row: int, column: int, shape: tuple[int, int] = (5, 5)) -> np.ndarray:
    saliency = np.zeros(shape)
    saliency[row, column] = 1.0
    return saliency


def assert_equals_loops(score: MapScore, expected: dict[str, object]) -> None:
    found = dataclasses.asdict(score)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, str | int) or value is None:
            assert found[name] == value, name
        else:
            assert found[name] == pytest.approx(value, rel=1e-12, abs=1e-12), name


# The worked cases of definitions.md, section 3.


def test_case_1_a_single_maximum_inside_a_one_pixel_box_hits_at_chance_one_in_25():
    score = score_map(peak_map(2, 2), [(2, 2, 3, 3)])
    assert (score.status, score.hit, score.chance_hit) == ("ok", 1.0, 0.04)
    assert score.peak_distance == 0.0


def test_case_1_a_maximum_one_diagonal_step_away_misses_by_root_two():
    score = score_map(peak_map(2, 2), [(0, 0, 2, 2)])
    assert score.hit == 0.0
    assert score.peak_distance == pytest.approx(math.sqrt(2), abs=1e-15)
    assert score.peak_distance_share == pytest.approx(math.sqrt(2) / math.sqrt(50), abs=1e-15)


def test_case_2_an_all_zero_map_is_no_evidence_and_never_a_hit():
    score = score_map(np.zeros((5, 5)), [(0, 0, 2, 2)])
    assert (score.status, score.hit, score.iou, score.energy_in_box) == ("no_evidence", 0, 0, 0)


def test_case_3_two_equal_maxima_of_which_one_is_inside_hit_by_half():
    saliency = peak_map(0, 0)
    saliency[4, 4] = 1.0
    assert score_map(saliency, [(0, 0, 2, 2)]).hit == 0.5


def test_case_4_a_pixel_exactly_at_the_threshold_is_not_predicted():
    saliency = np.zeros((5, 5))
    saliency[0:2, 0:2] = 0.5
    saliency[4, 4] = 1.0
    score = score_map(saliency, [(0, 0, 2, 2)], threshold=0.5)
    assert score.iou == 0.0
    assert score.iou_curve is not None
    assert score.iou_curve[9] == 0.0
    assert score.iou_curve[8] == pytest.approx(4 / 5)


def test_case_5_a_box_beyond_the_grid_is_clipped_to_four_pixels():
    assert score_map(peak_map(4, 4), [(3, 3, 99, 99)]).chance_hit == 4 / 25


def test_case_5_an_inverted_box_is_refused_with_its_corners():
    with pytest.raises(ValueError, match=r"box 0 is \(4, 1, 2, 3\), which is inverted"):
        score_map(peak_map(2, 2), [(4, 1, 2, 3)])


# Statuses.


@pytest.mark.parametrize(
    "boxes",
    [
        [],
        [(1.0, 1.0, 1.0, 3.0)],  # no area
        [(1.6, 1.6, 2.4, 2.4)],  # between the centres at 1.5 and 2.5
        [(5, 0, 9, 5)],  # right of the grid
        [(-4, -4, 0, 0)],
        [(2.5, 2.5, 2.5, 2.5)],  # a point on a pixel centre
    ],
)
def test_boxes_without_a_pixel_centre_are_no_reference_and_every_number_is_none(
    boxes: list[tuple[float, float, float, float]],
):
    score = score_map(peak_map(2, 2), boxes)
    assert (score.status, score.n_boxes) == ("no_reference", len(boxes))
    numbers = {k: v for k, v in dataclasses.asdict(score).items() if k not in UNSCORED}
    assert set(numbers.values()) == {None}


def test_no_reference_is_said_of_a_constant_map_too():
    assert score_map(np.zeros((5, 5)), []).status == "no_reference"


@pytest.mark.parametrize("constant", [0.0, 3.0, -2.0])
def test_a_constant_map_is_no_evidence_whatever_its_value(constant: float):
    score = score_map(np.full((6, 8), constant), [(0, 0, 4, 3)])
    assert dataclasses.asdict(score) == {
        "status": "no_evidence",
        "n_boxes": 1,
        "tolerance_radius": 15 / 224 * 6,
        "hit": 0.0,
        "hit_tolerance": 0.0,
        "iou": 0.0,
        "iou_curve": (0.0,) * 19,
        "iou_otsu": 0.0,
        "energy_in_box": 0.0,
        "pixel_auroc": 0.5,
        "peak_distance": None,
        "peak_distance_share": None,
        "chance_hit": 0.25,
        "centre_hit": 0.0,
        "shift_null_iou": 0.0,
        "shift_p": 1.0,
        "box_area_fraction": 0.25,
    }


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_map_with_a_non_finite_value_is_refused_and_the_value_is_quoted(value: float):
    saliency = peak_map(2, 2)
    saliency[1, 3] = value
    with pytest.raises(ValueError, match=f"the first is {value} at row 1, column 3"):
        score_map(saliency, [(0, 0, 2, 2)])


@pytest.mark.parametrize(
    ("saliency", "message"),
    [
        (np.zeros(5), r"shape \(5,\); expected \(H, W\)"),
        (np.zeros((2, 3, 4)), r"shape \(2, 3, 4\)"),
        (np.zeros((0, 4)), r"shape \(0, 4\)"),
        (np.zeros((2, 2), dtype=complex), "complex128; expected real numbers"),
        (np.array([["a", "b"]]), "expected real numbers"),
    ],
)
def test_what_is_no_map_is_refused_with_its_shape_or_type(saliency: np.ndarray, message: str):
    with pytest.raises(ValueError, match=message):
        score_map(saliency, [(0, 0, 2, 2)])


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((0, 0, math.nan, 2), "nan.*finite"),
        ((0, 0, math.inf, 2), "inf.*finite"),
        ((0, 0, 2), "expected four numbers"),
        ((0, 0, 2, 2, 2), "expected four numbers"),
        ((0, 0, 2, "2"), "expected four numbers"),
        ((0, 0, 2, None), "expected four numbers"),
        (7, "box 1 is 7; expected four numbers"),
        ((0, 3, 2, 1), "inverted"),
    ],
)
def test_what_is_no_box_is_refused_and_quoted(box: object, message: str):
    with pytest.raises(ValueError, match=message):
        score_map(peak_map(2, 2), [(0, 0, 1, 1), box])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"threshold": math.nan}, "threshold is nan"),
        ({"tolerance_radius": -1.0}, "tolerance_radius is -1.0"),
        ({"pixel_size": (0.0, 1.0)}, "pixel_size"),
        ({"diagonal": math.inf}, "diagonal inf"),
    ],
)
def test_a_setting_out_of_range_is_refused_and_quoted(setting: dict, message: str):
    with pytest.raises(ValueError, match=message):
        score_map(peak_map(2, 2), [(0, 0, 2, 2)], **setting)


# Single columns by hand.


def test_energy_is_that_of_the_positive_part_before_any_subtraction_of_the_minimum():
    saliency = np.array([[1.0, 3.0], [-5.0, 4.0]])
    assert score_map(saliency, [(0, 0, 2, 1)]).energy_in_box == pytest.approx(4 / 8)


def test_a_map_without_a_positive_value_has_no_energy_but_still_a_maximum():
    score = score_map(np.array([[-1.0, -3.0], [-5.0, -4.0]]), [(0, 0, 1, 1)])
    assert (score.status, score.hit, score.energy_in_box) == ("ok", 1.0, 0.0)


def test_the_tolerance_disc_is_closed_and_its_radius_is_15_of_224():
    saliency = peak_map(100, 65, (224, 224))
    box_right_edge_at_column_50 = [(20, 90, 51, 120)]
    score = score_map(saliency, box_right_edge_at_column_50)
    assert (score.tolerance_radius, score.peak_distance) == (15.0, 15.0)
    assert (score.hit, score.hit_tolerance) == (0.0, 1.0)
    assert score_map(np.roll(saliency, 1, axis=1), box_right_edge_at_column_50).hit_tolerance == 0.0


def test_the_tolerance_is_a_disc_and_not_a_square():
    saliency = peak_map(13, 14, (60, 60))
    corner_at_10_10 = [(0, 0, 11, 11)]
    assert score_map(saliency, corner_at_10_10, tolerance_radius=5.0).hit_tolerance == 1.0  # 3-4-5
    assert score_map(saliency, corner_at_10_10, tolerance_radius=4.99).hit_tolerance == 0.0


def test_the_tolerance_stands_against_every_maximum_and_not_only_the_first():
    saliency = peak_map(0, 0, (40, 40))
    saliency[20, 21] = 1.0
    score = score_map(saliency, [(10, 10, 21, 30)], tolerance_radius=1.0)
    assert (score.hit, score.hit_tolerance) == (0.0, 0.5)


def test_the_peak_is_the_first_maximum_in_row_major_order():
    saliency = peak_map(0, 4)
    saliency[2, 0] = 1.0
    assert score_map(saliency, [(4, 4, 5, 5)]).peak_distance == 4.0


def test_the_peak_distance_is_measured_in_the_unit_of_the_pixel_size():
    score = score_map(peak_map(0, 0), [(2, 3, 4, 5)], pixel_size=(10.0, 2.0), diagonal=100.0)
    assert score.peak_distance == pytest.approx(math.hypot(30, 4))
    assert score.peak_distance_share == pytest.approx(math.hypot(30, 4) / 100)


def test_a_nearer_box_in_pixels_may_be_the_farther_one_in_length():
    boxes = [(0, 3, 1, 4), (4, 0, 5, 1)]  # three rows down, or four columns to the right
    assert score_map(peak_map(0, 0), boxes).peak_distance == 3.0
    assert score_map(peak_map(0, 0), boxes, pixel_size=(2.0, 1.0)).peak_distance == 4.0


def test_the_centre_is_pixel_half_height_half_width():
    saliency = peak_map(0, 0, (4, 6))
    assert score_map(saliency, [(3, 2, 4, 3)]).centre_hit == 1.0
    assert score_map(saliency, [(2, 1, 3, 2)]).centre_hit == 0.0


def test_boxes_of_one_finding_form_a_union_whose_overlap_counts_once():
    score = score_map(peak_map(1, 1), [(0, 0, 3, 3), (1, 1, 4, 4), (0, 0, 0, 5)])
    assert (score.chance_hit, score.n_boxes) == (14 / 25, 3)


def test_a_box_over_the_whole_grid_leaves_the_ranking_undefined_and_not_zero():
    score = score_map(peak_map(1, 1), [(0, 0, 5, 5)])
    assert (score.pixel_auroc, score.hit, score.chance_hit) == (None, 1.0, 1.0)
    assert (score.shift_null_iou, score.shift_p) == (1 / 25, 1.0)


def test_a_threshold_of_one_predicts_nothing_and_the_overlap_is_zero():
    score = score_map(peak_map(1, 1), [(0, 0, 2, 2)], threshold=1.0)
    assert (score.iou, score.shift_null_iou, score.shift_p) == (0.0, 0.0, 1.0)


def test_a_map_of_one_pixel_is_constant():
    assert score_map([[5.0]], [(0, 0, 1, 1)]).status == "no_evidence"


# Scale and type of the map.


def test_scores_do_not_depend_on_the_type_that_holds_the_same_values():
    values = np.arange(30).reshape(5, 6) % 7
    expected = score_map(values.astype(np.float64), [(1, 1, 4, 3)])
    for kind in (np.float32, np.float16, np.int32, np.uint8):
        assert score_map(values.astype(kind), [(1, 1, 4, 3)]) == expected
    assert score_map(values.tolist(), np.array([[1, 1, 4, 3]])) == expected


def test_a_map_near_the_largest_float_neither_overflows_nor_warns():
    rng = np.random.default_rng(3)
    saliency = rng.random((6, 6))
    small = score_map(saliency - 0.5, [(1, 1, 4, 3)])
    large = score_map((saliency - 0.5) * 2 * 1.7e308, [(1, 1, 4, 3)])
    assert_equals_loops(large, dataclasses.asdict(small))


def test_a_map_of_the_smallest_floats_is_scored_like_any_other():
    saliency = np.zeros((5, 5))
    saliency[2, 2] = 5e-324
    score = score_map(saliency, [(2, 2, 3, 3)])
    assert (score.status, score.hit, score.iou, score.energy_in_box) == ("ok", 1.0, 1.0, 1.0)


def test_the_map_that_was_given_is_left_as_it_was():
    saliency = np.random.default_rng(0).normal(size=(9, 7))
    before = saliency.copy()
    score_map(saliency, [(1, 1, 4, 3)])
    np.testing.assert_array_equal(saliency, before)


# Everything at once against loops.


@pytest.mark.parametrize("seed", range(12))
def test_every_column_equals_plain_loops_over_pixels(seed: int):
    rng = np.random.default_rng(seed)
    height, width = (int(size) for size in rng.integers(3, 17, 2))
    saliency = rng.normal(size=(height, width))
    if seed % 3 == 1:  # plateaus: ties in maximum, ranking and thresholds
        saliency = np.round(saliency * 2)
    if seed % 3 == 2:  # like Grad-CAM
        saliency = np.maximum(saliency, 0)
    boxes = []
    for _ in range(1 + seed % 3):
        x_min, y_min = rng.uniform(-2, width - 1.5), rng.uniform(-2, height - 1.5)
        size = rng.uniform(2.6, 9, 2)
        boxes.append((x_min, y_min, x_min + size[0], y_min + size[1]))
    pixel_size = (float(rng.uniform(0.5, 9)), float(rng.uniform(0.5, 9)))
    threshold = float(rng.choice([0.0, 0.3, 0.5, 0.8]))
    score = score_map(saliency, boxes, threshold=threshold, pixel_size=pixel_size, diagonal=99.0)
    expected = naive_columns(
        saliency, boxes, threshold=threshold, pixel_size=pixel_size, diagonal=99.0
    )
    assert_equals_loops(score, expected)


def test_every_column_equals_plain_loops_on_a_prime_grid_with_separate_boxes():
    rng = np.random.default_rng(77)
    saliency = rng.random((23, 19)).astype(np.float32)
    boxes = [(0, 0, 4, 5), (10, 12, 19, 23), (2, 3, 12, 7)]
    assert_equals_loops(score_map(saliency, boxes), naive_columns(saliency, boxes))
