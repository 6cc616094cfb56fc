"""Does a picture look as if letters were burned into it? A hint for a person, never a proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

MAX_SIDE: Final = 1600
CONTRAST: Final = 45  # greys between a letter and what lies behind it
STROKE: Final = 15  # pixels; no stroke of a letter is wider
HEIGHTS: Final = (6, 64)
LEAST_LETTERS: Final = 4
MOST_PARTS: Final = 6000


@dataclass(frozen=True, slots=True)
class Line:
    """Where something like a line of text stands, in pixels of the original."""

    x_min: int
    y_min: int
    x_max: int
    y_max: int
    n_letters: int

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """x_min, y_min, x_max, y_max."""
        return (self.x_min, self.y_min, self.x_max, self.y_max)


def extreme_pool(picture: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Of each block the grey that differs most from the block's mean.

    A mean would wash thin letters out; this keeps bright ones on dark and dark ones on bright.

    Args:
        picture: Shape (H, W).
        factor: Side of a block; at the right and lower rim what fills no block is left out.

    Returns:
        Shape (H // factor, W // factor).
    """
    if factor <= 1:
        return picture
    height, width = picture.shape[0] // factor, picture.shape[1] // factor
    blocks = picture[: height * factor, : width * factor].reshape(height, factor, width, factor)
    low, high = blocks.min(axis=(1, 3)), blocks.max(axis=(1, 3))
    mean = blocks.mean(axis=(1, 3))
    pooled: NDArray[np.uint8] = np.where(high - mean >= mean - low, high, low)
    return pooled


def text_lines(picture: NDArray[np.uint8]) -> list[Line]:
    """What looks like lines of at least four letters, bright on dark or dark on bright.

    Args:
        picture: Shape (H, W), the greys as a reader sees them.
    """
    factor = max(1, -(-max(picture.shape) // MAX_SIDE))
    small = extreme_pool(picture, factor)
    # What is thinner than a stroke can be and brighter, then darker, than all around it.
    bright = ndimage.white_tophat(small, size=STROKE) > CONTRAST
    dark = ndimage.black_tophat(small, size=STROKE) > CONTRAST
    found = [*_lines_of(_letters(bright)), *_lines_of(_letters(dark))]
    return [_scaled(line, factor) for line in found]


@dataclass(frozen=True, slots=True)
class _Letter:
    x_min: int
    y_min: int
    x_max: int
    y_max: int

    @property
    def height(self) -> int:
        return self.y_max - self.y_min


def _letters(mask: NDArray[np.bool_]) -> list[_Letter]:
    """Connected parts of the size and density of letters, from left to right."""
    labels, n_parts = ndimage.label(mask, structure=np.ones((3, 3)))
    if n_parts > MOST_PARTS:  # noise; letters cannot be told from it
        return []
    letters = []
    for index, place in enumerate(ndimage.find_objects(labels), start=1):
        rows, columns = place
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if not (HEIGHTS[0] <= height <= HEIGHTS[1] and 1 <= width <= 1.6 * height):
            continue
        share = float((labels[place] == index).mean())
        if share >= 0.12:
            letters.append(_Letter(columns.start, rows.start, columns.stop, rows.stop))
    return sorted(letters, key=lambda one: one.x_min)


def _lines_of(letters: list[_Letter]) -> list[Line]:
    """Chains of letters of one height on one baseline, close to each other."""
    chains: list[list[_Letter]] = []
    for letter in letters:
        fitting = next((chain for chain in chains if _follows(chain[-1], letter)), None)
        if fitting is None:
            chains.append([letter])
        else:
            fitting.append(letter)
    return [_line(chain) for chain in chains if len(chain) >= LEAST_LETTERS]


def _follows(last: _Letter, letter: _Letter) -> bool:
    tallest = max(last.height, letter.height)
    return (
        min(last.height, letter.height) >= 0.6 * tallest
        and abs(last.y_max - letter.y_max) <= 0.25 * tallest
        and -1 <= letter.x_min - last.x_max <= 1.3 * tallest
    )


def _line(chain: list[_Letter]) -> Line:
    return Line(
        chain[0].x_min,
        min(one.y_min for one in chain),
        chain[-1].x_max,
        max(one.y_max for one in chain),
        len(chain),
    )


def _scaled(line: Line, factor: int) -> Line:
    return Line(
        line.x_min * factor,
        line.y_min * factor,
        line.x_max * factor,
        line.y_max * factor,
        line.n_letters,
    )
