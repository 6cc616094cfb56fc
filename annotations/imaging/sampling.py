"""A radiograph file straight to the small grid that a model is fed with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotations.errors import UnreadableImage
from annotations.imaging.display import display_picture
from annotations.imaging.files import file_sha256, load_shrunk
from annotations.imaging.shrinking import Shrunk, Size

Resample = Literal["bicubic", "bilinear"]
RESAMPLES: Final = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
}
# Pixels that are left per pixel of the grid: with as many, a shrunken picture and the whole one
# give grids that differ by less than the tolerance below.
REDUCING_GAP: Final = 2.0
# Of reduced decoding, on the grid, in greys of 255: the mean and the largest difference.
MEAN_TOLERANCE: Final = 0.5
MOST_TOLERANCE: Final = 8


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a picture is brought onto a grid: resized as a whole, then cut or padded.

    Attributes:
        image_size: (H, W) of the picture.
        resized: (H, W) of the whole picture afterwards.
        offset: (top, left) of the grid in the resized picture; negative where it is padded.
        size: (h, w) of the grid.
        resample: How it is resized.
        fill: Grey of the padding.
    """

    image_size: Size
    resized: Size
    offset: tuple[int, int]
    size: Size
    resample: Resample = "bicubic"
    fill: int = 0

    def __post_init__(self) -> None:
        """Refuse what no grid can be made of."""
        if self.resample not in RESAMPLES:
            known = ", ".join(RESAMPLES)
            raise ValueError(f"resample is {self.resample!r}; expected one of {known}")
        if min(*self.image_size, *self.resized, *self.size) < 1:
            raise ValueError(f"{self} has an empty side; expected at least 1 pixel")

    @property
    def least(self) -> Size:
        """(H, W) below which decoding must not shrink the picture."""
        return (
            min(self.image_size[0], round(REDUCING_GAP * self.resized[0])),
            min(self.image_size[1], round(REDUCING_GAP * self.resized[1])),
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Sampling:
        """The sampling that ``to_dict`` wrote, its tuples perhaps lists by now."""
        pairs: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**pairs)


def sample_file(path: Path, sampling: Sampling, *, sha256: str = "") -> NDArray[np.uint8]:
    """The display picture of this file on the grid, (h, w); the file is decoded as small as it may.

    Args:
        path: The file.
        sampling: For a picture of this size.
        sha256: That the file must have; "" where any will do.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableImage: If it cannot be read, is not the expected one, or is of another size.
    """
    if sha256 and file_sha256(path) != sha256:
        raise UnreadableImage(
            "the image file changed since it was imported; restore it or import it anew"
        )
    shrunk = load_shrunk(path, sampling.least)
    if shrunk.size != sampling.image_size:
        raise UnreadableImage(
            f"the picture is {shrunk.size[1]} x {shrunk.size[0]}, but it was imported with "
            f"{sampling.image_size[1]} x {sampling.image_size[0]}; import it anew"
        )
    return sample(shrunk, sampling)


def sample(shrunk: Shrunk, sampling: Sampling) -> NDArray[np.uint8]:
    """The display picture of a radiograph on the grid, (h, w)."""
    picture = Image.fromarray(display_picture(shrunk.radiograph))
    height, width = sampling.resized
    resized = picture.resize((width, height), RESAMPLES[sampling.resample], box=shrunk.box)
    return _window(np.asarray(resized), sampling)


def _window(resized: NDArray[np.uint8], sampling: Sampling) -> NDArray[np.uint8]:
    """The grid's part of the resized picture, what lies outside it filled."""
    (top, left), (height, width) = sampling.offset, sampling.size
    grid = np.full((height, width), sampling.fill, dtype=np.uint8)
    kept = resized[max(top, 0) : top + height, max(left, 0) : left + width]
    row, column = max(-top, 0), max(-left, 0)
    grid[row : row + kept.shape[0], column : column + kept.shape[1]] = kept
    return grid
