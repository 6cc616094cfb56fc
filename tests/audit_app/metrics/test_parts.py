"""Helpers of the agreement columns against scipy, scikit-image, scikit-learn and pixel centres."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from skimage.filters import threshold_otsu
from sklearn.metrics import roc_auc_score

from annotations.regions import union_mask
from audit_app.metrics.overlap import iou_otsu, normalise
from audit_app.metrics.pointing import default_tolerance_radius, hit
from audit_app.metrics.ranking import area_under_roc
from audit_app.metrics.reference import build_reference
from tests.audit_app.naive_agreement import naive_mask


@pytest.mark.parametrize("seed", range(20))
def test_the_mask_is_decided_by_pixel_centres(seed: int):
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(-3, 14, (3, 2, 2)), axis=1).reshape(3, 4)
    if seed % 2:
        corners = np.round(corners * 2) / 2  # edges right on centres
    boxes = [tuple(box) for box in corners.tolist()]
    reference = build_reference(boxes, (9, 11))
    np.testing.assert_array_equal(reference.mask, naive_mask(boxes, 9, 11))
    np.testing.assert_array_equal(reference.mask, union_mask(boxes, (9, 11)))
    assert reference.n_pixels == reference.mask.sum()


def test_distances_are_those_of_scipys_distance_transform():
    reference = build_reference([(3, 4, 9, 6), (15, 1, 18, 16)], (20, 24))
    rows, columns = np.indices((20, 24))
    for pixel_size in ((1.0, 1.0), (2.5, 0.75)):
        squares = reference.square_distances(rows.ravel(), columns.ravel(), pixel_size)
        expected = distance_transform_edt(~reference.mask, sampling=pixel_size)
        np.testing.assert_allclose(np.sqrt(squares), expected.ravel(), rtol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_the_area_under_the_curve_is_that_of_scikit_learn_with_and_without_ties(seed: int):
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(size=400), 1 if seed % 2 else 12)
    truth = rng.random(400) < (0.2 if seed < 3 else 0.8)
    found = area_under_roc(values[truth], values[~truth])
    assert found == pytest.approx(roc_auc_score(truth, values), abs=1e-13)


def test_the_area_is_undefined_without_a_negative():
    assert area_under_roc(np.ones(3), np.array([])) is None
    assert area_under_roc(np.array([]), np.ones(3)) is None


@pytest.mark.parametrize("seed", range(8))
def test_otsus_threshold_is_scikit_images_on_the_normalised_map(seed: int):
    rng = np.random.default_rng(seed)
    saliency = rng.gamma(0.5, size=(40, 50)) if seed % 2 else np.round(rng.random((40, 50)) * 9)
    n = normalise(saliency)
    region = np.zeros((40, 50), dtype=bool)
    region[5:20, 10:40] = True
    predicted = n > threshold_otsu(n, nbins=256)
    expected = (predicted & region).sum() / (predicted | region).sum()
    assert iou_otsu(n, region) == expected


def test_a_normalised_map_reaches_from_zero_to_one():
    n = normalise(np.array([[3.0, 5.0], [4.0, 3.5]]))
    np.testing.assert_array_equal(n, [[0.0, 1.0], [0.5, 0.25]])


def test_the_radius_at_448_is_30_without_rounding():
    assert default_tolerance_radius((448, 600)) == 30.0


def test_a_constant_map_points_nowhere():
    reference = build_reference([(0, 0, 2, 2)], (4, 4))
    assert hit(np.ones((4, 4)), reference) == 0.0
