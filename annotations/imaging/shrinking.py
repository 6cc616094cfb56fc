"""Decoding at a half, a quarter or an eighth of the size, for pictures that are made small anyway.

A JPEG decoder leaves out high frequencies of each block, a JPEG 2000 decoder the finest wavelet
levels; both take a small part of the time of the whole picture. What is left is an average of
the pixels, as the first half of a resize is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from annotations.imaging.radiograph import Radiograph

Size = tuple[int, int]
Box = tuple[float, float, float, float]
SHRINKS: Final = (8, 4, 2)


@dataclass(frozen=True, eq=False)
class Shrunk:
    """A radiograph with fewer pixels than its file has.

    Attributes:
        radiograph: Its pixels may be averages.
        size: (H, W) of the picture in the file.
        box: left, top, right, bottom: where the whole picture lies in the shrunken pixels.
    """

    radiograph: Radiograph
    size: Size
    box: Box

    @classmethod
    def whole(cls, radiograph: Radiograph) -> Shrunk:
        """The radiograph itself, nothing left out."""
        height, width = radiograph.size
        return cls(radiograph, radiograph.size, (0.0, 0.0, float(width), float(height)))


def shrink_for(size: Size, least: Size | None) -> int:
    """The largest of 8, 4, 2 and 1 that leaves at least this many pixels in both directions.

    Args:
        size: (H, W) of the picture.
        least: (H, W) that must be left; None: all.
    """
    if least is None:
        return 1
    height, width = size[0] // least[0], size[1] // least[1]
    return next((one for one in SHRINKS if one <= min(height, width)), 1)
