from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from scipy.ndimage import map_coordinates

from model_store.preprocessing import FrameGeometry, frame_geometry

RESIZE_MODES = {"crop": "shortest", "pad": "longest", "squash": "squash"}
SIZES = [(2500, 2048), (2048, 2500), (1024, 1024), (333, 517), (256, 255), (97, 211), (640, 480)]


def run_open_clip(
    values: NDArray[np.float32], kind: str, input_size: tuple[int, int], fill: int = 0
) -> NDArray[np.float32]:
    """open_clip's own spatial steps on a picture of floats."""
    cfg = PreprocessCfg(size=input_size, resize_mode=RESIZE_MODES[kind], fill_color=fill)
    picture = Image.fromarray(values)
    for step in image_transform_v2(cfg, is_train=False).transforms[:-3]:
        picture = step(picture)
    return np.asarray(picture)


def ramps(size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two pictures that hold each pixel's own x and y."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32) + 0.5
    return x, y


def inner(expected: NDArray[np.float64], extent: int, scale: float) -> NDArray[np.bool_]:
    """Where the bicubic kernel does not reach over the picture's border."""
    reach = 2.5 * max(1.0, 1.0 / scale)
    return (expected > reach) & (expected < extent - reach)


@pytest.mark.parametrize("kind", ["crop", "pad", "squash"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("input_size", [(224, 224), (96, 96), (160, 128)])
def test_the_inverse_gives_the_coordinates_that_open_clip_put_into_each_input_pixel(
    kind: str, size: tuple[int, int], input_size: tuple[int, int]
) -> None:
    geometry = frame_geometry(kind, size, input_size)
    x_seen, y_seen = (run_open_clip(ramp, kind, input_size) for ramp in ramps(size))

    assert x_seen.shape == input_size
    x_expected = (np.arange(input_size[1]) + 0.5 + geometry.offset_x) / geometry.scale_x
    y_expected = (np.arange(input_size[0]) + 0.5 + geometry.offset_y) / geometry.scale_y
    columns = inner(x_expected, size[1], geometry.scale_x)
    rows = inner(y_expected, size[0], geometry.scale_y)
    assert columns.sum() > 20
    assert rows.sum() > 20
    inside = np.ix_(rows, columns)
    np.testing.assert_allclose(
        x_seen[inside], np.broadcast_to(x_expected[columns], x_seen[inside].shape), atol=0.05
    )
    np.testing.assert_allclose(
        y_seen[inside], np.broadcast_to(y_expected[rows, None], y_seen[inside].shape), atol=0.05
    )


@pytest.mark.parametrize("size", SIZES)
def test_the_input_window_is_what_padding_leaves_of_the_grid(size: tuple[int, int]) -> None:
    geometry = frame_geometry("pad", size, (224, 224))
    seen = run_open_clip(np.full(size, 5.0, dtype=np.float32), "pad", (224, 224))

    x_min, y_min, x_max, y_max = geometry.input_window
    expected = np.zeros((224, 224), dtype=bool)
    expected[y_min:y_max, x_min:x_max] = True
    np.testing.assert_array_equal(seen > 0, expected)
    assert geometry.window == (0, 0, size[1], size[0])


def test_a_centre_crop_hides_18_percent_of_a_picture_of_2500_by_2048() -> None:
    geometry = frame_geometry("crop", (2500, 2048), (224, 224))

    # 2500 * 224 / 2048 = 273.4 -> 273 rows; (273 - 224) / 2 = 24.5 -> 24 cut at the top.
    assert (geometry.offset_x, geometry.offset_y) == (0, 24)
    x_min, y_min, x_max, y_max = geometry.field_of_view
    assert (x_min, x_max) == (0.0, 2048.0)
    assert y_min == pytest.approx(24 * 2500 / 273)
    assert y_max == pytest.approx(248 * 2500 / 273)
    shown = geometry.visible_fraction([(0, 0, 2048, 2500)])
    assert shown == pytest.approx(224 / 273)
    assert round(1 - shown, 2) == 0.18
    assert geometry.visible_fraction([(300, 0, 900, 100)]) == 0.0


def test_the_visible_fraction_counts_overlapping_boxes_once() -> None:
    geometry = FrameGeometry((100, 100), (50, 100), 1.0, 1.0, 0, 25)

    assert geometry.field_of_view == (0.0, 25.0, 100.0, 75.0)
    # union 20 x 60 from y 0 to 60; visible from 25 to 60.
    boxes = [(10, 0, 30, 40), (10, 20, 30, 60), (10, 20, 30, 40)]
    assert geometry.visible_fraction(boxes) == pytest.approx(35 / 60)


def test_the_visible_fraction_equals_a_count_of_fine_cells() -> None:
    rng = np.random.default_rng(3)
    geometry = FrameGeometry((64, 80), (32, 32), 0.75, 0.75, 11, 7)
    x_min, y_min, x_max, y_max = geometry.field_of_view
    fine = 24
    y, x = (np.mgrid[: 64 * fine, : 80 * fine] + 0.5) / fine
    seen = (x >= x_min) & (x < x_max) & (y >= y_min) & (y < y_max)
    for _ in range(5):
        corners = rng.integers(0, 60, size=(3, 2))
        boxes = [(int(a), int(b), int(a) + 17, int(b) + 9) for a, b in corners]
        union = np.zeros_like(seen)
        for left, top, right, bottom in boxes:
            union |= (x >= left) & (x < right) & (y >= top) & (y < min(bottom, 64))
        assert geometry.visible_fraction(boxes) == pytest.approx(
            (union & seen).sum() / union.sum(), abs=0.01
        )


def test_boxes_that_cover_nothing_have_no_visible_fraction() -> None:
    geometry = frame_geometry("squash", (10, 10), (5, 5))
    with pytest.raises(ValueError, match="cover nothing of a picture of 10 x 10"):
        geometry.visible_fraction([(20, 20, 30, 30)])


@pytest.mark.parametrize("kind", ["crop", "pad", "squash"])
def test_a_box_keeps_its_place_in_the_model_grid(kind: str) -> None:
    geometry = frame_geometry(kind, (500, 300), (100, 100))
    corners = geometry.to_input((30, 50, 60, 90))

    back = (
        (corners[0] + geometry.offset_x) / geometry.scale_x,
        (corners[1] + geometry.offset_y) / geometry.scale_y,
    )
    assert back == pytest.approx((30, 50))
    assert corners[2] - corners[0] == pytest.approx(30 * geometry.scale_x)
    assert corners[3] - corners[1] == pytest.approx(40 * geometry.scale_y)


@pytest.mark.parametrize("kind", ["crop", "pad", "squash"])
@pytest.mark.parametrize("size", [(333, 517), (97, 211), (256, 255)])
def test_a_map_goes_back_as_scipy_interpolates_it(kind: str, size: tuple[int, int]) -> None:
    geometry = frame_geometry(kind, size, (64, 64))
    values = np.random.default_rng(1).random((64, 64)).astype(np.float32)

    mapped = geometry.to_original(values)

    x_min, y_min, x_max, y_max = mapped.window
    assert mapped.values.shape == (y_max - y_min, x_max - x_min)
    rows = (np.arange(y_min, y_max) + 0.5) * geometry.scale_y - geometry.offset_y - 0.5
    columns = (np.arange(x_min, x_max) + 0.5) * geometry.scale_x - geometry.offset_x - 0.5
    places = np.meshgrid(rows, columns, indexing="ij")
    expected = map_coordinates(values.astype(float), places, order=1, mode="nearest")
    np.testing.assert_allclose(mapped.values, expected, atol=1e-5)


def test_a_squashed_map_goes_back_as_torch_enlarges_it() -> None:
    values = np.random.default_rng(2).random((8, 6)).astype(np.float32)
    mapped = frame_geometry("squash", (50, 31), (8, 6)).to_original(values)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None], size=(50, 31), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(mapped.values, expected[0, 0].numpy(), atol=1e-5)


def test_the_window_holds_exactly_the_pixels_whose_centres_are_seen() -> None:
    for size in SIZES:
        geometry = frame_geometry("crop", size, (224, 224))
        x_min, y_min, x_max, y_max = geometry.field_of_view
        columns = [j for j in range(size[1]) if x_min <= j + 0.5 < x_max]
        rows = [i for i in range(size[0]) if y_min <= i + 0.5 < y_max]
        expected = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert geometry.window == expected


def test_a_map_of_another_shape_is_refused() -> None:
    geometry = frame_geometry("crop", (100, 100), (10, 10))
    with pytest.raises(ValueError, match=r"map of shape \(9, 10\) given; the model's grid is"):
        geometry.to_original(np.zeros((9, 10), dtype=np.float32))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: frame_geometry("stretch", (9, 9), (5, 5)), "preprocessing 'stretch' is unknown"),
        (lambda: frame_geometry("pad", (10, 9000), (64, 64)), "9000 x 10 is too narrow for 'pad'"),
    ],
)
def test_what_no_transform_can_do_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_bright_spot_is_found_where_it_was_in_the_picture() -> None:
    size = (700, 500)
    picture = np.zeros(size, dtype=np.float32)
    picture[300:330, 100:130] = 255.0
    for kind in ("crop", "pad", "squash"):
        seen = run_open_clip(picture, kind, (224, 224))
        mapped = frame_geometry(kind, size, (224, 224)).to_original(np.maximum(seen, 0))
        weights = mapped.values / mapped.values.sum()
        y, x = np.mgrid[: weights.shape[0], : weights.shape[1]] + 0.5
        assert math.isclose((weights * x).sum() + mapped.window[0], 115, abs_tol=0.3)
        assert math.isclose((weights * y).sum() + mapped.window[1], 315, abs_tol=0.3)
