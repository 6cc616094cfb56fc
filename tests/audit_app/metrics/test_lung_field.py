"""The rough lung field: found on a drawn chest, refused where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from audit_app.metrics.lung_field import estimate_lung_field

H, W = 96, 90


def draw_chest(lungs: tuple[tuple[float, float], ...]) -> np.ndarray:
    """A bright body with dark ellipses, centres (x, y) as shares, and a dark border."""
    rows, columns = np.mgrid[0:H, 0:W]
    picture = np.full((H, W), 190, dtype=np.uint8)
    picture[:, :6] = picture[:, -6:] = 5
    for x, y in lungs:
        inside = ((columns - x * W) / (0.14 * W)) ** 2 + ((rows - y * H) / (0.28 * H)) ** 2 < 1
        picture[inside] = 40
    return picture


def test_two_lungs_give_the_hull_that_spans_what_lies_between_them() -> None:
    field = estimate_lung_field(draw_chest(((0.3, 0.5), (0.7, 0.5))))
    assert field is not None
    assert field[48, 27]
    assert field[48, 63]
    assert field[48, 45]  # the mediastinum between them
    assert not field[48, 2]  # the dark border is no lung
    assert not field[5].any()
    assert 0.2 < field.mean() < 0.5


def test_an_opacity_inside_a_lung_stays_in_the_field() -> None:
    picture = draw_chest(((0.3, 0.5), (0.7, 0.5)))
    picture[60:70, 22:32] = 180
    field = estimate_lung_field(picture)
    assert field is not None
    assert field[65, 27]


@pytest.mark.parametrize(
    "lungs", [(), ((0.5, 0.5),), ((0.5, 0.25), (0.5, 0.75))], ids=["none", "one", "stacked"]
)
def test_without_two_dark_places_side_by_side_there_is_no_field(
    lungs: tuple[tuple[float, float], ...],
) -> None:
    assert estimate_lung_field(draw_chest(lungs)) is None


def test_a_flat_and_an_empty_picture_have_no_field() -> None:
    assert estimate_lung_field(np.full((H, W), 7, dtype=np.uint8)) is None
    assert estimate_lung_field(np.zeros((0, W), dtype=np.uint8)) is None


def test_lungs_that_are_darker_than_a_dark_chest_wall_are_found() -> None:
    """At one threshold in the middle, the lungs and the dark around the body are one place."""
    picture = draw_chest(((0.3, 0.5), (0.7, 0.5)))
    wall = np.zeros((H, W), dtype=np.bool_)
    wall[16:80] = True
    wall[:, 40:50] = False
    picture[wall & (picture == 190)] = 70
    field = estimate_lung_field(picture)
    assert field is not None
    assert field[48, 27]
    assert field[48, 63]
    assert not field[48, 9]
