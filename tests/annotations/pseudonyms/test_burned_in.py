from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from annotations.pseudonyms.burned_in import extreme_pool, text_lines
from tests.browser.films import film


def chest(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    # Not up to white: where the film is white nobody could read white letters either.
    return film(height, width, 150, seed).astype(np.uint8)


def written_on(picture: NDArray[np.uint8], text: str, size: int, grey: int) -> NDArray[np.uint8]:
    image = Image.fromarray(picture)
    place = (picture.shape[1] // 20, picture.shape[0] // 30)
    ImageDraw.Draw(image).text(place, text, fill=grey, font=ImageFont.load_default(size))
    return np.asarray(image)


@pytest.mark.parametrize("seed", range(4))
def test_a_film_without_letters_is_not_suspected(seed: int) -> None:
    assert text_lines(chest(600, 500, seed)) == []


@pytest.mark.parametrize(("side", "size"), [(300, 12), (600, 14), (600, 30), (1800, 40)])
@pytest.mark.parametrize("text", ["MUSTERFRAU ERIKA", "geb. 19.03.1957"])
def test_a_name_or_a_date_is_found_where_it_stands(side: int, size: int, text: str) -> None:
    found = text_lines(written_on(chest(side, side), text, size, 255))
    assert found
    assert all(line.y_max < side / 30 + 2 * size for line in found)
    assert max(line.x_max for line in found) > side / 20 + 2 * size


def test_dark_letters_on_bright_are_found_and_a_side_marker_is_not() -> None:
    bright = np.full((500, 500), 230, np.uint8)
    assert text_lines(written_on(bright, "MUSTERFRAU", 24, 0))
    assert text_lines(written_on(chest(600, 500), "L", 40, 255)) == []


def test_pooling_keeps_thin_bright_and_thin_dark_lines() -> None:
    picture = np.full((8, 8), 100, np.uint8)
    picture[1, 1], picture[6, 6] = 255, 0
    assert extreme_pool(picture, 4).tolist() == [[255, 100], [100, 0]]
    assert extreme_pool(picture[:7, :7], 4).shape == (1, 1)
    assert extreme_pool(picture, 1) is picture
