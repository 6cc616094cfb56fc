"""A map as the page draws it: the same normalisation, place and threshold as the scored one."""

from __future__ import annotations

import base64
from dataclasses import fields

import numpy as np

from annotations.records import ImageRecord
from annotations.regions import Box
from audit_app.comparison.heat import block_means, heat_layer, peak_px, thumbnail, to_bytes
from audit_app.region_scores import crop_to_picture, region_reference, score_region_map
from model_store.preprocessing import frame_geometry


def values_of(layer: dict) -> np.ndarray:
    flat = np.frombuffer(base64.b64decode(layer["values_b64"]), np.uint8)
    return flat.reshape(layer["height"], layer["width"])


def test_the_maximum_is_marked_at_its_original_pixel_for_each_preprocessing() -> None:
    for kind in ("crop", "pad", "squash"):
        geometry = frame_geometry(kind, (200, 120), (20, 20))
        left, top, right, bottom = geometry.input_window
        saliency = np.zeros((20, 20), np.float32)
        row, column = (top + bottom) // 2 + 3, (left + right) // 2 - 2
        saliency[row, column] = 1.0
        x_px, y_px = peak_px(saliency, geometry, fake_image(200, 120))
        box = (x_px - 0.01, y_px - 0.01, x_px + 0.01, y_px + 0.01)
        x_min, y_min, x_max, y_max = geometry.to_input(box)
        assert (int((x_min + x_max) / 2), int((y_min + y_max) / 2)) == (column, row)


def test_a_maximum_in_the_padding_is_not_the_one_that_is_marked() -> None:
    geometry = frame_geometry("pad", (200, 100), (20, 20))
    saliency = np.zeros((20, 20), np.float32)
    saliency[10, 0] = 5.0  # padding: the picture begins at column 5
    saliency[4, 8] = 1.0
    assert peak_px(saliency, geometry, fake_image(200, 100)) == [35.0, 45.0]
    # Nor does it decide the colours: the picture's own maximum is the brightest.
    layer = heat_layer(saliency, geometry, fake_image(200, 100))
    assert (layer["width"], layer["height"]) == (10, 20)
    assert layer["box"] == [0.0, 0.0, 100.0, 200.0]
    assert values_of(layer)[4, 3] == 255


def test_the_heat_layer_is_the_min_max_normalised_map() -> None:
    geometry = frame_geometry("squash", (200, 120), (2, 2))
    layer = heat_layer(np.array([[0, 1], [3, 4]], np.float32), geometry, fake_image(200, 120))
    assert values_of(layer).ravel().tolist() == [0, 64, 191, 255]
    assert layer["box"] == [0.0, 0.0, 120.0, 200.0]
    assert layer["status"] == "ok"


def test_exactly_half_of_the_range_is_not_above_the_threshold() -> None:
    assert to_bytes(np.array([[0.0, 2.0, 2.0000001, 4.0]])).tolist() == [[0, 127, 128, 255]]


def test_the_drawn_prediction_is_the_scored_one() -> None:
    rng = np.random.default_rng(3)
    for kind in ("crop", "pad", "squash"):
        geometry = frame_geometry(kind, (200, 130), (24, 24))
        saliency = rng.random((24, 24), dtype=np.float32)
        box = Box(30, 50, 90, 130)
        mask = region_reference([box], geometry).mask
        shown = crop_to_picture(saliency.astype(np.float64), geometry)
        normalised = (shown - shown.min()) / (shown.max() - shown.min())
        drawn = values_of(heat_layer(saliency, geometry, fake_image(200, 130))) > 0.5 * 255
        assert (drawn == (normalised > 0.5)).all()
        expected = (drawn & mask).sum() / (drawn | mask).sum()
        score, _ = score_region_map(saliency, [box], geometry, threshold=0.5)
        assert score.iou == expected


def test_an_empty_map_is_no_evidence_and_has_no_maximum() -> None:
    geometry = frame_geometry("squash", (200, 120), (20, 20))
    layer = heat_layer(np.zeros((20, 20), np.float32), geometry, fake_image(200, 120))
    assert (layer["status"], layer["peak"]) == ("no_evidence", None)
    assert not values_of(layer).any()


def test_a_small_picture_holds_the_means_of_blocks() -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(0, 256, (7, 10), dtype=np.uint8)
    small = block_means(values, 3)
    assert small.shape == (3, 4)
    assert small[0, 0] == round(values[:3, :3].mean())
    # The last block is incomplete: its border is repeated.
    last = values[6:7, 9:10]
    assert small[2, 3] == last[0, 0]
    geometry = frame_geometry("squash", (200, 120), (112, 112))
    layer = thumbnail(rng.random((112, 112), np.float32), geometry, fake_image(200, 120))
    assert (layer["width"], layer["height"]) == (56, 56)


def fake_image(height: int, width: int) -> ImageRecord:
    """A record of this size; everything else is left empty."""
    texts = {one.name: "" for one in fields(ImageRecord) if one.type == "str"}
    rest = {"bits": 8, "spacing_mm": None, "flags": (), "facts": {}}
    return ImageRecord(**texts, **rest, height=height, width=width)
