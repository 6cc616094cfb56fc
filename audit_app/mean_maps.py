"""The mean map of a finding over all other patients: what a model scores that ignores the image.

All arithmetic is on whole numbers: each map is min-max normalised and kept in 65,535 levels, so
that leaving a patient out of a sum is exact, in any order, and equal pixels stay equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotations.regions import Outline
from audit_app.metrics.localisation import checked_map
from audit_app.metrics.overlap import normalise
from audit_app.metrics.pointing import hit
from audit_app.region_scores import GridName, WorkingFrame
from model_store.preprocessing import FrameGeometry

IntMap = NDArray[np.int64]
LEVELS: Final = 65535


class MapKey(NamedTuple):
    """Which maps belong together; only maps on one grid have a mean."""

    model: str
    mode: str
    method: str
    finding: str
    height: int
    width: int


@dataclass
class MeanMaps:
    """Sums of normalised maps over all patients so far.

    Every image counts once; a map without evidence counts as zero everywhere.

    Attributes:
        totals: By key, shape (h, w) on the model's grid.
        n_patients: By key.
    """

    totals: dict[MapKey, IntMap] = field(default_factory=dict)
    n_patients: dict[MapKey, int] = field(default_factory=dict)

    def add_patient(self, sums: Mapping[MapKey, IntMap]) -> None:
        """Count one patient's sums in."""
        add_maps(self.totals, sums.items())
        for key in sums:
            self.n_patients[key] = self.n_patients.get(key, 0) + 1

    def of_others(self, key: MapKey, own: IntMap) -> IntMap | None:
        """The sum over all patients but the one with these sums; None when there is no other."""
        if self.n_patients[key] < 2:
            return None
        others: IntMap = self.totals[key] - own
        return others


def levels_of(saliency: NDArray[np.floating]) -> IntMap:
    """The map in whole levels from 0 (its minimum) to 65,535; zeros for a constant map.

    Raises:
        ValueError: If the map is not a finite (h, w) array.
    """
    values = checked_map(saliency)
    if values.max() == values.min():
        return np.zeros(values.shape, dtype=np.int64)
    levels: IntMap = np.rint(normalise(values) * LEVELS).astype(np.int64)
    return levels


def add_maps(sums: dict[MapKey, IntMap], maps: Iterable[tuple[MapKey, IntMap]]) -> None:
    """Add each map to the sum of its key."""
    for key, levels in maps:
        if key in sums:
            sums[key] += levels
        else:
            sums[key] = levels.copy()


def prior_hit(
    others: IntMap,
    outlines: Iterable[Outline],
    geometry: FrameGeometry,
    *,
    grid: GridName = "model",
) -> float:
    """Hit of the other patients' mean map in these boxes and shapes.

    Args:
        others: Shape (h, w), the sum over the other patients on the model's grid; a sum has its
            maximum where the mean has it.
        outlines: In original pixels.
        geometry: Of the picture that they are on.
        grid: Where the two are compared.
    """
    frame = WorkingFrame(geometry, grid)
    return hit(frame.values(others.astype(np.float64)), frame.reference(list(outlines)))
