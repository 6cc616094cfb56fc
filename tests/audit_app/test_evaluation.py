"""One reading against one map, in the frame that the model saw."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from annotations.records import CommittedReading, ImageRecord, Region
from annotations.regions import Box
from audit_app.evaluation import (
    AGREEMENT_COLUMNS,
    Case,
    Setting,
    agreement_row,
    invalid_row,
)
from audit_app.region_scores import score_region_map, working_grid
from model_store.preprocessing import FrameGeometry, frame_geometry
from tests.audit_app.naive_agreement import CURVE, naive_columns
from tests.audit_app.small_study import TinyExplanation

SETTING = Setting("run-1", "tiny", "zs", "gradcam", 0.5)


def make_case(size: tuple[int, int], boxes: list[tuple[int, int, int, int]]) -> Case:
    image = ImageRecord(
        image_id="image-1",
        path="/nowhere/Doe_John.png",
        origin="/nowhere/Doe_John.png",
        name="Doe_John.png",
        source="folder",
        sha256="a" * 64,
        pixel_sha256="b" * 64,
        height=size[0],
        width=size[1],
        bits=8,
        photometric="MONOCHROME2",
        modality="CR",
        view="PA",
        spacing_mm=None,
        patient_hash="p" * 32,
        study_hash="s" * 32,
        flags=(),
        facts={},
        history="",
        report="",
        added_at="2025-01-01T00:00:00+00:00",
    )
    regions = tuple(
        Region(f"region-{number}", "Fracture", "definite", Box(*corners))
        for number, corners in enumerate(boxes)
    )
    other = Region("region-other", "Cardiomegaly", "possible", Box(0, 0, 1, 1))
    reading = CommittedReading(
        reading_id="reading-1",
        image_id="image-1",
        reader="A. Reader",
        reader_kind="person",
        commit_number=2,
        committed_at="2025-01-02T00:00:00+00:00",
        blinded=True,
        imported=False,
        no_finding=False,
        regions=(other, *regions),
        content_sha256="c" * 64,
    )
    return Case(image, reading, "Fracture")


def explain(
    saliency: np.ndarray, geometry: FrameGeometry, scores: tuple[float, ...] = (0.2, 0.7, 0.7)
) -> TinyExplanation:
    return TinyExplanation(
        maps=np.stack([np.zeros_like(saliency), saliency, np.ones_like(saliency)]),
        scores=np.array(scores, dtype=np.float32),
        findings=("Cardiomegaly", "Fracture", "Edema"),
        geometry=geometry,
        provenance={
            "weights_sha256": "w" * 64,
            "config_sha256": "d" * 64,
            "preprocessing": {"kind": "crop"},
            "layer": "norm1",
            "versions": {"torch": "9", "numpy": "8"},
        },
    )


def test_case_6_a_box_in_the_top_rows_of_a_tall_film_is_not_visible_to_a_centre_crop():
    geometry = frame_geometry("crop", (2500, 2048), (224, 224))
    case = make_case((2500, 2048), [(0, 0, 2048, 100)])
    saliency = np.random.default_rng(0).random((224, 224)).astype(np.float32)
    row = agreement_row(case, SETTING, explain(saliency, geometry))
    assert (row["status"], row["visible_fraction"]) == ("not_visible", 0.0)
    assert row["status_reason"] == "every box lies outside the model's field of view"
    assert (row["hit"], row["iou"], row["energy_in_box"], row["chance_hit"]) == (None,) * 4
    assert (row["n_boxes"], row["score"]) == (1, pytest.approx(0.7))


def test_a_box_half_outside_the_field_of_view_is_scored_on_the_visible_half():
    # 400 x 200 to 20 x 10, of which rows 5..15 are kept: original rows 100..300 are seen.
    geometry = frame_geometry("crop", (400, 200), (10, 10))
    saliency = np.zeros((10, 10), dtype=np.float32)
    saliency[0, 0] = 1.0
    score, visible = score_region_map(saliency, [Box(0, 60, 40, 140)], geometry, threshold=0.5)
    assert (visible, score.status, score.hit) == (0.5, "ok", 1.0)
    assert score.chance_hit == 4 / 100


def test_a_peak_distance_is_in_original_pixels_and_a_share_of_the_originals_diagonal():
    geometry = frame_geometry("squash", (400, 200), (10, 10))  # 40 x 20 original pixels each
    saliency = np.zeros((10, 10), dtype=np.float32)
    saliency[0, 0] = 1.0
    score, _ = score_region_map(saliency, [Box(40, 80, 200, 400)], geometry, threshold=0.5)
    assert score.peak_distance == pytest.approx(math.hypot(2 * 40, 2 * 20))
    assert score.peak_distance_share == pytest.approx(math.hypot(80, 40) / math.hypot(400, 200))


def test_padding_is_no_part_of_the_field_of_view():
    # 100 x 200 to 5 x 10, with padding above and below: only rows 2..6 show the picture.
    geometry = frame_geometry("pad", (100, 200), (10, 10))
    saliency = np.full((10, 10), 0.25, dtype=np.float32)
    saliency[9, 9] = 1.0  # in the padding
    saliency[4, 3] = 0.5
    left, top, right, bottom = geometry.input_window
    assert (left, right, bottom - top) == (0, 10, 5)
    x, y = 3 * 20, (4 - top) * 20
    score, visible = score_region_map(
        saliency, [Box(x, y, x + 20, y + 20)], geometry, threshold=0.5
    )
    assert working_grid(geometry) == (5, 10)
    assert (score.hit, score.iou, score.chance_hit, visible) == (1.0, 1.0, 1 / 50, 1.0)


def test_a_box_between_the_grids_centres_is_no_reference_and_the_row_says_so():
    geometry = frame_geometry("squash", (400, 400), (10, 10))
    case = make_case((400, 400), [(22, 22, 58, 58)])
    row = agreement_row(case, SETTING, explain(np.eye(10, dtype=np.float32), geometry))
    assert (row["status"], row["visible_fraction"], row["hit"]) == ("no_reference", 1.0, None)
    assert row["status_reason"] == "the boxes cover no pixel centre of the 10 x 10 grid"


@pytest.mark.parametrize("kind", ["crop", "pad", "squash"])
@pytest.mark.parametrize("size", [(90, 60), (61, 97), (50, 50)])
def test_every_number_of_the_row_equals_plain_loops_in_each_frame(kind: str, size: tuple[int, int]):
    rng = np.random.default_rng(sum(size))
    geometry = frame_geometry(kind, size, (12, 12))
    saliency = np.maximum(rng.normal(size=(12, 12)), 0).astype(np.float32)
    boxes = [(20, 20, 45, 40), (10, 25, 30, 48)]
    row = agreement_row(make_case(size, boxes), SETTING, explain(saliency, geometry))
    left, top, right, bottom = geometry.input_window
    scaled = [
        (
            x0 * geometry.scale_x - geometry.offset_x - left,
            y0 * geometry.scale_y - geometry.offset_y - top,
            x1 * geometry.scale_x - geometry.offset_x - left,
            y1 * geometry.scale_y - geometry.offset_y - top,
        )
        for x0, y0, x1, y1 in boxes
    ]
    expected = naive_columns(
        saliency[top:bottom, left:right],
        scaled,
        pixel_size=(1 / geometry.scale_y, 1 / geometry.scale_x),
        diagonal=math.hypot(*size),
    )
    curve = expected.pop("iou_curve")
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert [row[f"iou_{t:.2f}"] for t in CURVE] == pytest.approx(list(curve), abs=1e-12)


def test_a_row_has_every_column_in_order_and_says_what_made_it():
    geometry = frame_geometry("crop", (40, 30), (10, 10))
    case = make_case((40, 30), [(5, 10, 25, 30)])
    row = agreement_row(case, SETTING, explain(np.eye(10, dtype=np.float32), geometry))
    assert tuple(row) == AGREEMENT_COLUMNS
    assert row["image_sha256"] == "a" * 64
    assert row["reading_sha256"] == "c" * 64
    assert row["weights_sha256"] == "w" * 64
    assert (row["commit_number"], row["reader"], row["mode"]) == (2, "A. Reader", "zs")
    assert json.loads(str(row["versions"])) == {"torch": "9", "numpy": "8"}
    assert json.loads(str(row["preprocessing"])) == {"kind": "crop"}
    assert (row["grid_height"], row["grid_width"]) == (10, 10)
    fov = [row[f"fov_{edge}"] for edge in ("x_min", "y_min", "x_max", "y_max")]
    # 40 x 30 becomes 13 x 10, of which rows 2 to 12 are kept (half of 3 rounds to 2).
    assert fov == pytest.approx([0, 2 * 40 / 13, 30, 12 * 40 / 13])
    assert row["prior_hit"] is None


def test_a_row_names_no_file():
    geometry = frame_geometry("crop", (40, 30), (10, 10))
    case = make_case((40, 30), [(5, 10, 25, 30)])
    row = agreement_row(case, SETTING, explain(np.eye(10, dtype=np.float32), geometry))
    assert "Doe" not in json.dumps(row)


def test_equal_scores_share_the_better_rank():
    geometry = frame_geometry("crop", (40, 30), (10, 10))
    case = make_case((40, 30), [(5, 10, 25, 30)])
    saliency = np.eye(10, dtype=np.float32)
    tied = agreement_row(case, SETTING, explain(saliency, geometry, (0.2, 0.7, 0.7)))
    last = agreement_row(case, SETTING, explain(saliency, geometry, (0.9, 0.1, 0.7)))
    assert (tied["score_rank"], last["score_rank"], last["n_ranked"]) == (1, 3, 3)


def test_a_map_with_a_nan_is_invalid_input_with_the_reason_and_without_numbers():
    geometry = frame_geometry("crop", (40, 30), (10, 10))
    saliency = np.eye(10, dtype=np.float32)
    saliency[2, 7] = np.nan
    case = make_case((40, 30), [(5, 10, 25, 30)])
    row = agreement_row(case, SETTING, explain(saliency, geometry))
    assert row["status"] == "invalid_input"
    assert "nan at row 2, column 7" in str(row["status_reason"])
    assert (row["hit"], row["iou"], row["shift_p"]) == (None, None, None)
    assert row["weights_sha256"] == "w" * 64
    assert tuple(row) == AGREEMENT_COLUMNS


def test_invalid_input_is_said_before_not_visible():
    geometry = frame_geometry("crop", (2500, 2048), (10, 10))
    case = make_case((2500, 2048), [(0, 0, 2048, 100)])
    row = agreement_row(case, SETTING, explain(np.full((10, 10), np.nan), geometry))
    assert row["status"] == "invalid_input"


def test_a_finding_that_the_mode_does_not_know_is_said_with_those_that_it_knows():
    geometry = frame_geometry("crop", (40, 30), (10, 10))
    case = dataclasses.replace(make_case((40, 30), [(5, 10, 25, 30)]), finding="Pneumonia")
    row = agreement_row(case, SETTING, explain(np.eye(10), geometry))
    assert row["status"] == "invalid_input"
    assert row["status_reason"] == (
        "mode zs has no output for 'Pneumonia'; it knows: Cardiomegaly, Fracture, Edema"
    )


def test_a_map_on_another_grid_is_refused():
    geometry = frame_geometry("crop", (40, 30), (10, 10))
    with pytest.raises(ValueError, match=r"the map is \(9, 9\); the model's grid is \(10, 10\)"):
        score_region_map(np.eye(9), [Box(0, 0, 9, 9)], geometry, threshold=0.5)


def test_an_invalid_row_counts_its_boxes_and_scores_nothing():
    row = invalid_row(make_case((40, 30), [(0, 0, 5, 5), (5, 5, 9, 9)]), SETTING, "gone")
    assert (row["status"], row["status_reason"], row["n_boxes"]) == ("invalid_input", "gone", 2)
    assert tuple(row) == AGREEMENT_COLUMNS
