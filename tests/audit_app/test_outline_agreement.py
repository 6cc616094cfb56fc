"""Agreement with outlines: the mask counts, not the box around it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.draw import polygon2mask

from annotations.regions import Box, outline_mask
from annotations.shapes import Shape, shape_mask
from audit_app.mean_maps import prior_hit
from audit_app.metrics.reference import mask_reference
from audit_app.region_scores import (
    region_mask,
    region_reference,
    score_region_map,
    visible_share,
    working_grid,
)
from model_store.preprocessing import frame_geometry

# 300 x 200 seen through a 32 x 32 centre crop: the left and right sixths are not.
CROP = frame_geometry("crop", (200, 300), (32, 32))
PAD = frame_geometry("pad", (200, 300), (32, 32))
SQUASH = frame_geometry("squash", (200, 300), (32, 32))
TRIANGLE = Shape("polygon", (((60.3, 20.1), (240.2, 30.7), (150.9, 190.4)),))
ELLIPSE = Shape("ellipse", (((90, 60), (210, 140), (130, 130), (170, 70)),))


def brute_mask(shape: Shape, geometry) -> np.ndarray:
    """Each grid pixel's centre, mapped back into the picture and asked there."""
    left, top, right, bottom = geometry.input_window
    ring = np.array(shape.rings[0])
    rows = []
    for i in range(top, bottom):
        row = []
        for j in range(left, right):
            x = (j + 0.5 + geometry.offset_x) / geometry.scale_x
            y = (i + 0.5 + geometry.offset_y) / geometry.scale_y
            row.append(_inside(ring, x, y))
        rows.append(row)
    return np.array(rows)


def _inside(ring: np.ndarray, x: float, y: float) -> bool:
    inside = False
    for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if (y1 <= y) != (y2 <= y) and x >= x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            inside = not inside
    return inside


@pytest.mark.parametrize("geometry", [CROP, PAD, SQUASH], ids=["crop", "pad", "squash"])
def test_the_mask_on_the_models_grid_is_that_of_its_pixels_mapped_back(geometry) -> None:
    mask = region_mask(TRIANGLE, geometry)

    assert mask.shape == working_grid(geometry)
    assert (mask == brute_mask(TRIANGLE, geometry)).all()


@pytest.mark.parametrize("geometry", [CROP, PAD, SQUASH], ids=["crop", "pad", "squash"])
def test_a_rectangle_drawn_as_a_polygon_scores_as_its_box(geometry) -> None:
    box = Box(70, 30, 180, 120)
    shape = Shape("polygon", (((70, 30), (180, 30), (180, 120), (70, 120)),))
    saliency = np.random.default_rng(0).random((32, 32))

    as_box = score_region_map(saliency, [box], geometry, threshold=0.5)
    as_shape = score_region_map(saliency, [shape], geometry, threshold=0.5)

    assert as_shape[0] == as_box[0]
    assert as_shape[1] == pytest.approx(as_box[1])


def test_hit_iou_and_energy_are_those_of_the_mask() -> None:
    saliency = np.random.default_rng(1).random((32, 32)) + 0.01
    mask = brute_mask(TRIANGLE, SQUASH)
    score, visible = score_region_map(saliency, [TRIANGLE], SQUASH, threshold=0.5)
    normalised = (saliency - saliency.min()) / (saliency.max() - saliency.min())
    predicted = normalised > 0.5

    assert score.status == "ok"
    assert score.iou == pytest.approx((predicted & mask).sum() / (predicted | mask).sum())
    assert score.energy_in_box == pytest.approx(saliency[mask].sum() / saliency.sum())
    assert score.chance_hit == pytest.approx(mask.mean())
    assert score.hit == float(mask.flat[int(np.argmax(saliency))])
    assert visible == 1.0


def test_a_maximum_in_the_box_but_outside_the_outline_is_a_miss() -> None:
    saliency = np.zeros((32, 32))
    row, column = 28, 8  # lower left of the triangle's box
    saliency[row, column] = 1.0
    box = Box(60, 20, 241, 191)

    inside_box, _ = score_region_map(saliency, [box], SQUASH, threshold=0.5)
    outside, _ = score_region_map(saliency, [TRIANGLE], SQUASH, threshold=0.5)

    assert (inside_box.hit, outside.hit) == (1.0, 0.0)
    centres = np.argwhere(brute_mask(TRIANGLE, SQUASH))
    distances = [
        math.hypot((y - row) * 200 / 32, (x - column) * 300 / 32) for y, x in centres.tolist()
    ]
    assert outside.peak_distance == pytest.approx(min(distances))


def test_a_box_and_an_outline_are_united_and_counted() -> None:
    box = Box(0, 0, 60, 40)
    reference = region_reference([box, TRIANGLE], SQUASH)

    assert reference.n_boxes == 2
    expected = brute_mask(TRIANGLE, SQUASH) | region_mask(box, SQUASH)
    assert (reference.mask == expected).all()


def test_the_runs_of_a_mask_are_exactly_its_pixels() -> None:
    mask = np.random.default_rng(2).random((9, 13)) > 0.6
    reference = mask_reference(mask, n_boxes=1)
    redrawn = np.zeros_like(mask)
    for top, bottom, left, right in reference.rectangles:
        assert not redrawn[top:bottom, left:right].any()
        redrawn[top:bottom, left:right] = True

    assert (redrawn == mask).all()
    assert reference.n_pixels == int(mask.sum())
    rows, columns = np.indices(mask.shape).reshape(2, -1)
    inside = np.argwhere(mask)
    expected = [min((y - r) ** 2 + (x - c) ** 2 for y, x in inside.tolist())
                for r, c in zip(rows.tolist(), columns.tolist(), strict=True)]  # fmt: skip
    assert reference.square_distances(rows, columns, (1.0, 1.0)).tolist() == expected


def test_the_visible_share_is_the_masks_area_within_the_field_of_view() -> None:
    x_min, y_min, x_max, y_max = CROP.field_of_view
    wide = Shape("polygon", (((10.3, 20.1), (280.2, 30.7), (150.9, 190.4)),))
    ring = np.array(wide.rings[0])
    # scikit-image counts (row, column) from the first pixel's centre.
    mask = polygon2mask((200, 300), ring[:, ::-1] - 0.5)
    seen = sum(
        max(min(j + 1, x_max) - max(j, x_min), 0) * max(min(i + 1, y_max) - max(i, y_min), 0)
        for i, j in np.argwhere(mask).tolist()
    )

    assert 0 < visible_share([wide], CROP) < 1
    assert visible_share([wide], CROP) == pytest.approx(seen / mask.sum())
    box = Box(20, 10, 270, 150)
    rectangle = Shape("polygon", (((20, 10), (270, 10), (270, 150), (20, 150)),))
    assert visible_share([rectangle], CROP) == pytest.approx(visible_share([box], CROP))


def test_an_outline_outside_the_field_of_view_is_not_visible() -> None:
    corner = Shape("polygon", (((0, 0), (20, 0), (0, 30)),))

    score, visible = score_region_map(np.eye(32), [corner], CROP, threshold=0.5)

    assert (score.status, score.n_boxes, visible) == ("not_visible", 1, 0.0)


def test_the_prior_of_other_patients_is_asked_within_the_outline() -> None:
    others = np.zeros((32, 32), dtype=np.int64)
    others[28, 8] = 5

    assert prior_hit(others, [Box(60, 20, 241, 191)], SQUASH) == 1.0
    assert prior_hit(others, [TRIANGLE], SQUASH) == 0.0


def test_a_tilted_ellipse_is_the_same_region_on_every_grid() -> None:
    original = shape_mask(ELLIPSE, (200, 300))
    for geometry in (PAD, SQUASH):
        mask = region_mask(ELLIPSE, geometry)
        share = original.sum() * geometry.scale_x * geometry.scale_y
        assert mask.sum() == pytest.approx(share, rel=0.06)
    assert (outline_mask([ELLIPSE], (200, 300)) == original).all()
