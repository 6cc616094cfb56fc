"""Filled and moved regions against their definitions, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest

from audit_app.metrics.reliance import FILLS, blur_region, inpaint_region, region_elsewhere


def picture_of(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


def box_mask(shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_only_the_region_changes_and_the_given_picture_does_not(fill, dtype, channels):
    picture = (picture_of((20, 30, *channels)) * 200).astype(dtype)
    before = picture.copy()
    region = box_mask((20, 30), slice(4, 12), slice(5, 20))
    filled = fill(picture, region)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(filled[~region], picture[~region])
    assert (filled.dtype, filled.shape) == (picture.dtype, picture.shape)
    assert np.mean(filled[region] != picture[region]) > 0.9


@pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS)
def test_a_flat_picture_stays_as_it_is(fill):
    region = box_mask((16, 16), slice(0, 9), slice(3, 16))
    np.testing.assert_allclose(fill(np.full((16, 16), 7.0), region), 7.0, rtol=1e-12)


@pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS)
def test_channels_are_filled_each_by_itself(fill):
    picture = picture_of((14, 15, 3))
    region = box_mask((14, 15), slice(2, 9), slice(0, 6))
    together = fill(picture, region)
    for channel in range(3):
        alone = fill(picture[..., channel], region)
        np.testing.assert_allclose(together[..., channel], alone, rtol=1e-12)


def test_each_inpainted_pixel_is_the_mean_of_its_neighbours():
    picture = picture_of((15, 18), seed=3)
    region = box_mask((15, 18), slice(0, 7), slice(9, 18))  # in a corner
    region |= box_mask((15, 18), slice(10, 13), slice(2, 6))
    filled = inpaint_region(picture, region)
    for row, column in np.argwhere(region):
        around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        values = [filled[r, c] for r, c in around if 0 <= r < 15 and 0 <= c < 18]
        assert filled[row, column] == pytest.approx(np.mean(values), abs=1e-12)


def test_inpainting_continues_a_slope():
    slope = np.add.outer(2.0 * np.arange(20), 3.0 * np.arange(25))
    region = box_mask((20, 25), slice(5, 15), slice(6, 20))
    damaged = slope.copy()
    damaged[region] = 1e6
    np.testing.assert_allclose(inpaint_region(damaged, region), slope, rtol=1e-9)


def test_nothing_of_what_was_in_the_region_is_left_after_inpainting():
    region = box_mask((12, 12), slice(3, 9), slice(3, 9))
    first, second = picture_of((12, 12), 1), picture_of((12, 12), 1)
    second[region] = 99.0
    np.testing.assert_array_equal(inpaint_region(first, region), inpaint_region(second, region))


def test_blurring_keeps_the_brightness_and_takes_the_structure():
    rng = np.random.default_rng(5)
    picture = 100 + 10 * rng.normal(size=(64, 64))
    region = box_mask((64, 64), slice(20, 44), slice(20, 44))
    blurred = blur_region(picture, region)
    assert blurred[region].mean() == pytest.approx(picture[region].mean(), abs=1.0)
    assert blurred[region].std() < 0.1 * picture[region].std()


def test_the_region_moves_whole_to_a_place_that_is_allowed():
    region = box_mask((24, 30), slice(2, 7), slice(3, 9))
    region[2, 3] = False  # no rectangle
    allowed = box_mask((24, 30), slice(1, 23), slice(2, 28))
    places = set()
    for seed in range(40):
        moved = region_elsewhere(region, allowed, seed=seed)
        assert moved.sum() == region.sum()
        assert not (moved & region).any()
        assert not (moved & ~allowed).any()
        row, column = np.argwhere(moved.any(axis=1))[0, 0], np.argwhere(moved.any(axis=0))[0, 0]
        np.testing.assert_array_equal(moved[row : row + 5, column : column + 6], region[2:7, 3:9])
        places.add((row, column))
    assert len(places) > 25


def test_every_place_that_fits_is_as_likely():
    region = box_mask((4, 6), slice(0, 2), slice(0, 2))
    allowed = np.ones((4, 6), dtype=bool)
    fits = [
        (row, column)
        for row in range(3)
        for column in range(5)
        if not region[row : row + 2, column : column + 2].any()
    ]
    chosen = []
    for seed in range(2000):
        moved = region_elsewhere(region, allowed, seed=seed)
        chosen.append(tuple(int(place) for place in np.argwhere(moved)[0]))
    assert set(chosen) == set(fits)
    expected = 2000 / len(fits)
    assert all(0.6 * expected < chosen.count(place) < 1.4 * expected for place in fits)


def test_the_seed_decides_the_place():
    region = box_mask((40, 40), slice(0, 5), slice(0, 5))
    allowed = np.ones((40, 40), dtype=bool)
    first = region_elsewhere(region, allowed, seed=11)
    np.testing.assert_array_equal(first, region_elsewhere(region, allowed, seed=11))


def test_a_region_that_fits_nowhere_else_has_no_other_place():
    region = box_mask((10, 10), slice(0, 6), slice(0, 10))
    assert region_elsewhere(region, np.ones((10, 10), dtype=bool), seed=0) is None
    small = box_mask((10, 10), slice(0, 2), slice(0, 2))
    assert region_elsewhere(small, np.zeros((10, 10), dtype=bool), seed=0) is None


def test_regions_that_cannot_be_filled_or_moved_are_refused():
    empty, everything = np.zeros((4, 4), dtype=bool), np.ones((4, 4), dtype=bool)
    with pytest.raises(ValueError, match="the region is empty"):
        blur_region(picture_of((4, 4)), empty)
    with pytest.raises(ValueError, match="whole picture"):
        inpaint_region(picture_of((4, 4)), everything)
    with pytest.raises(ValueError, match=r"the picture is \(4, 5\), the region \(4, 4\)"):
        inpaint_region(picture_of((4, 5)), empty)
    with pytest.raises(ValueError, match="not finite"):
        blur_region(np.full((4, 4), np.nan), box_mask((4, 4), slice(1), slice(1)))
    with pytest.raises(ValueError, match="0 pixels"):
        region_elsewhere(empty, everything, seed=0)
    with pytest.raises(ValueError, match=r"region is \(4, 4\).*allowed \(4, 5\)"):
        region_elsewhere(everything, np.ones((4, 5), dtype=bool), seed=0)
