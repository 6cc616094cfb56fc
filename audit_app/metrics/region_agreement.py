"""Where readers marked one finding on one image: the human ceiling of hit and IoU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from audit_app.metrics.reference import GridShape, build_reference

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class MarkedRegions:
    """What one reader marked as one finding on one image.

    Attributes:
        mask: Shape (H, W), true in the union of the regions; all false where none was marked.
        boxes: (x_min, y_min, x_max, y_max) of each region in pixels of that grid, of an outline
            its bounding box.
    """

    mask: Mask
    boxes: tuple[Sequence[float], ...]

    def __post_init__(self) -> None:
        """Refuse a mask that nothing was marked for."""
        if not self.boxes and self.mask.any():
            raise ValueError("the mask holds pixels but no box was given; give each region's box")


@dataclass(frozen=True, slots=True)
class RegionPair:
    """Two readers of whom at least one marked the finding on this image.

    Attributes:
        first: One reader.
        second: The other.
        both_marked: Whether both have a region. A mean over these pairs alone says how well places
            agree once both see the finding; over all pairs, how well readers agree altogether.
        iou: Of the two union masks; 0.0 when only one reader marked something.
        first_in_second: Share of the first reader's boxes whose centre lies in the second's mask;
            None when the first has none.
        second_in_first: The other way round.
    """

    first: str
    second: str
    both_marked: bool
    iou: float
    first_in_second: float | None
    second_in_first: float | None


def pairwise_region_agreement(marked: Mapping[str, MarkedRegions]) -> tuple[RegionPair, ...]:
    """Every pair of readers of whom at least one marked the finding.

    Args:
        marked: By reader, of those who read this image, on one grid: the original picture, or the
            grid on which maps are scored.

    Returns:
        In the readers' order; empty with one reader, or when no mask holds a pixel.

    Raises:
        ValueError: If the masks lie on different grids.
    """
    shapes = {one.mask.shape for one in marked.values()}
    if len(shapes) > 1:
        raise ValueError(f"the masks have shapes {sorted(shapes)}; give one grid")
    sizes = {reader: int(np.count_nonzero(one.mask)) for reader, one in marked.items()}
    return tuple(
        RegionPair(
            first=first,
            second=second,
            both_marked=bool(sizes[first] and sizes[second]),
            iou=_iou(marked[first], marked[second], sizes[first] + sizes[second]),
            first_in_second=_pointing(marked[first], marked[second]) if sizes[first] else None,
            second_in_first=_pointing(marked[second], marked[first]) if sizes[second] else None,
        )
        for first, second in combinations(marked, 2)
        if sizes[first] or sizes[second]
    )


def mark_boxes(boxes: Sequence[Sequence[float]], shape: GridShape) -> MarkedRegions:
    """Regions that are boxes, on a grid of ``shape`` (H, W); no boxes where none was marked.

    Raises:
        ValueError: If a box is inverted or not four finite numbers.
    """
    return MarkedRegions(build_reference(boxes, shape).mask, tuple(boxes))


def _iou(one: MarkedRegions, other: MarkedRegions, n_together: int) -> float:
    # Counted where the first one's mask reaches only: most of a film is in neither.
    rows, columns = (np.flatnonzero(one.mask.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return 0.0
    reach = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    n_both = int(np.count_nonzero(one.mask[reach] & other.mask[reach]))
    return n_both / (n_together - n_both)


def _pointing(pointer: MarkedRegions, target: MarkedRegions) -> float:
    """Share of the pointer's boxes whose centre is in the target's mask."""
    height, width = target.mask.shape
    inside = []
    for x_min, y_min, x_max, y_max in pointer.boxes:
        column, row = int(_middle(x_min, x_max, width)), int(_middle(y_min, y_max, height))
        inside.append(bool(target.mask[min(row, height - 1), min(column, width - 1)]))
    return float(np.mean(inside))


def _middle(low: float, high: float, length: int) -> float:
    """The middle of the part of an edge that lies on the grid."""
    return (min(max(low, 0.0), length) + min(max(high, 0.0), length)) / 2
