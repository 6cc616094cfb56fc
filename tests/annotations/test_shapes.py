from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.draw import ellipse as skimage_ellipse
from skimage.draw import polygon2mask

from annotations.errors import InvalidRegion
from annotations.regions import Box, outline_mask, shape_box, union_mask
from annotations.shapes import (
    MAX_POINTS,
    Shape,
    parse_rings,
    parse_shape,
    polygon_rings,
    shape_mask,
    shape_value,
)

TRIANGLE = Shape("polygon", (((10, 10), (30, 10), (30, 25)),))
ELLIPSE = Shape("ellipse", (((10, 20), (50, 20), (30, 8), (30, 32)),))


def random_ring(rng: np.random.Generator, n: int = 9) -> tuple[tuple[float, float], ...]:
    """A star around (40, 30) whose corners and edges touch no pixel centre."""
    angles = np.sort(rng.uniform(0, 2 * math.pi, n))
    radii = rng.uniform(4, 28, n)
    return tuple(
        (40 + r * math.cos(a), 30 + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)
    )


@pytest.mark.parametrize("seed", range(12))
def test_a_polygon_has_the_pixels_that_scikit_image_finds_at_their_centres(seed: int) -> None:
    ring = random_ring(np.random.default_rng(seed))
    # scikit-image counts (row, column) from the first pixel's centre.
    expected = polygon2mask((60, 80), [(y - 0.5, x - 0.5) for x, y in ring])

    assert (shape_mask(Shape("polygon", (ring,)), (60, 80)) == expected).all()


def test_a_polygon_has_the_pixels_inside_by_winding_each_edge_by_hand() -> None:
    def inside(ring: tuple[tuple[float, float], ...], x: float, y: float) -> bool:
        result = False
        for (x1, y1), (x2, y2) in zip(ring, (*ring[1:], ring[0]), strict=True):
            if (y1 <= y) != (y2 <= y) and x >= x1 + (y - y1) * (x2 - x1) / (y2 - y1):
                result = not result
        return result

    # Whole numbers and halves, so that corners and edges meet pixel centres; it crosses itself.
    ring = ((2.5, 1.5), (14, 12), (2.5, 12), (14.5, 1.5), (9, 17.5))
    expected = [[inside(ring, j + 0.5, i + 0.5) for j in range(18)] for i in range(20)]

    assert shape_mask(Shape("polygon", (ring,)), (20, 18)).tolist() == expected


@pytest.mark.parametrize(
    "corners", [(3, 4, 9, 8), (2.5, 3.5, 7.5, 6.5), (-4, -2, 5.2, 3.9), (0, 0, 12, 10)]
)
def test_a_rectangle_has_the_pixels_of_the_half_open_box(
    corners: tuple[float, float, float, float],
) -> None:
    x_min, y_min, x_max, y_max = corners
    ring = ((x_min, y_min), (x_max, y_min), (x_max, y_max), (x_min, y_max))
    shape = Shape("polygon", (ring,))

    assert (shape_mask(shape, (10, 12)) == union_mask([corners], (10, 12))).all()
    assert shape.is_rectangle


@pytest.mark.parametrize(
    "ring",
    [
        ((0, 0), (4, 0), (0, 4), (4, 4)),
        ((0, 0), (4, 0), (4, 4)),
        ((0, 0), (4, 0.1), (4, 4), (0, 4)),
        ((0, 0), (2, 0), (4, 0), (4, 4), (0, 4)),
    ],
)
def test_other_outlines_are_no_rectangles(ring: tuple[tuple[float, float], ...]) -> None:
    assert not Shape("polygon", (ring,)).is_rectangle


def test_a_closed_ring_is_the_same_rectangle() -> None:
    assert Shape("polygon", (((0, 0), (4, 0), (4, 4), (0, 4), (0, 0)),)).is_rectangle


@pytest.mark.parametrize("angle_deg", [0, 17, 45, 90, 133])
def test_an_ellipse_has_the_pixels_that_scikit_image_finds(angle_deg: float) -> None:
    angle = math.radians(angle_deg)
    x, y, along, across = 40.3, 29.6, 21.7, 9.4
    c, s = math.cos(angle), math.sin(angle)
    ends = (
        (x - along * c, y - along * s), (x + along * c, y + along * s),
        (x - across * -s, y - across * c), (x + across * -s, y + across * c),
    )  # fmt: skip
    expected = np.zeros((60, 80), dtype=bool)
    # There the angle runs the other way, and the first radius is that of the rows.
    rows, columns = skimage_ellipse(
        y - 0.5, x - 0.5, across, along, shape=(60, 80), rotation=-angle
    )
    expected[rows, columns] = True

    assert (shape_mask(Shape("ellipse", (ends,)), (60, 80)) == expected).all()


def test_rings_are_united_not_cut_out_of_each_other() -> None:
    left, right = ((2, 2), (12, 2), (12, 12), (2, 12)), ((8, 8), (20, 8), (20, 20), (8, 20))

    mask = shape_mask(Shape("polygon", (left, right)), (24, 24))

    assert int(mask.sum()) == 100 + 144 - 16
    assert mask[9, 9]


def test_the_bounding_box_is_in_whole_pixels_and_within_the_picture() -> None:
    assert shape_box(Shape("polygon", (((1.2, 2.9), (9.1, 3), (4, 70)),)), (40, 60)) == Box(
        1, 2, 10, 40
    )
    assert shape_box(ELLIPSE, (40, 60)) == Box(10, 8, 50, 32)
    tilted = Shape("ellipse", (((20, 20), (40, 40), (33, 27), (27, 33)),))
    # Half widths hypot(10, 3) = 10.44 around (30, 30).
    assert shape_box(tilted, (60, 60)) == Box(19, 19, 41, 41)


@pytest.mark.parametrize(
    "ring",
    [((70, 5), (80, 5), (80, 9)), ((1.6, 1.6), (2.4, 1.6), (2.4, 2.4)), ((1, 1), (5, 5), (9, 9))],
)
def test_a_shape_without_a_pixel_of_the_picture_is_refused(
    ring: tuple[tuple[float, float], ...],
) -> None:
    with pytest.raises(InvalidRegion, match=r"covers no pixel of the picture of 60 x 40"):
        shape_box(Shape("polygon", (ring,)), (40, 60))


def test_a_shape_on_another_grid_covers_what_its_points_there_cover() -> None:
    mapped = ELLIPSE.mapped(0.5, 2.0, 3.0, -4.0)
    # The same ellipse by its equation: centre (12, 44), half axes 10 and 24.
    expected = [
        [((j + 0.5 - 12) / 10) ** 2 + ((i + 0.5 - 44) / 24) ** 2 < 1 for j in range(30)]
        for i in range(80)
    ]

    assert shape_mask(mapped, (80, 30)).tolist() == expected
    assert TRIANGLE.mapped(2, 1, 5, 0).rings == (((15, 10), (55, 10), (55, 25)),)


def test_a_tilted_ellipse_squashed_by_the_grid_stays_the_ellipse_of_its_points() -> None:
    ends = ((20.0, 20.0), (40.0, 40.0), (33.0, 27.0), (27.0, 33.0))
    mapped = Shape("ellipse", (ends,)).mapped(0.3, 0.9, 0, 0)
    points = polygon_rings(Shape("ellipse", (ends,)), points=3600)[0]
    ring = tuple((x * 0.3, y * 0.9) for x, y in points)

    assert (shape_mask(mapped, (50, 20)) == shape_mask(Shape("polygon", (ring,)), (50, 20))).all()


def test_boxes_and_shapes_are_united() -> None:
    mask = outline_mask([Box(0, 0, 2, 2), TRIANGLE], (40, 60))

    assert mask[:2, :2].all()
    assert int(mask.sum()) == 4 + int(shape_mask(TRIANGLE, (40, 60)).sum())


@pytest.mark.parametrize("shape", [TRIANGLE, ELLIPSE])
def test_a_shape_comes_back_from_its_json_values(shape: Shape) -> None:
    assert parse_shape(shape_value(shape)) == shape
    assert shape_value(parse_shape(shape_value(shape))) == shape_value(shape)
    assert all(type(value) is float for ring in shape.rings for point in ring for value in point)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "is no object with 'kind' and 'rings'"),
        ({"kind": "polygon"}, "is no object with 'kind' and 'rings'"),
        ({"kind": "circle", "rings": [[[0, 0], [1, 0], [1, 1]]]}, "unknown shape 'circle'"),
        ({"kind": "polygon", "rings": []}, "each ring needs at least three"),
        ({"kind": "polygon", "rings": [[[0, 0], [1, 0]]]}, "of [2] points"),
        ({"kind": "polygon", "rings": 5}, "is no list of lists"),
        ({"kind": "polygon", "rings": [[[0, 0], [1, 0], [1, "1"]]]}, "the point [1, '1']"),
        ({"kind": "polygon", "rings": [[[0, 0], [1, 0], [1, True]]]}, "expected [x, y]"),
        ({"kind": "polygon", "rings": [[[0, 0], [1, 0], [1, math.nan]]]}, "expected [x, y]"),
        ({"kind": "polygon", "rings": [[[0, 0], [1, 0], [1, 10**400]]]}, "expected [x, y]"),
        ({"kind": "ellipse", "rings": [[[0, 0], [1, 0], [1, 1]]]}, "four ends of its two axes"),
        (
            {"kind": "ellipse", "rings": [[[0, 0], [9, 0], [40, 1], [41, 9]]]},
            "do not cross in their middles",
        ),
        (
            {"kind": "ellipse", "rings": [[[0, 0], [9, 0], [0, 0], [9, 0]]]},
            "do not cross in their middles",
        ),
    ],
)
def test_what_is_no_shape_is_refused_with_a_sentence(value: object, reason: str) -> None:
    with pytest.raises(InvalidRegion) as refused:
        parse_shape(value)
    assert reason in str(refused.value)


def test_an_outline_of_too_many_points_is_refused() -> None:
    with pytest.raises(InvalidRegion, match="more than 20,000 points"):
        parse_rings([[[0, 0]] * (MAX_POINTS + 1)])


def test_an_ellipse_written_as_a_polygon_covers_nearly_the_same() -> None:
    ring = polygon_rings(ELLIPSE)[0]
    polygon = shape_mask(Shape("polygon", (ring,)), (40, 60))
    exact = shape_mask(ELLIPSE, (40, 60))

    assert len(ring) == 72
    assert int((polygon ^ exact).sum()) <= 0.01 * int(exact.sum())
