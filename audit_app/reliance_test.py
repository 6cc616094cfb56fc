"""Does the model use what the reader marked? Its score with the region filled in, and elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotations.regions import Outline
from audit_app.audit_plan import PlannedImage
from audit_app.evaluation import Case, Row
from audit_app.metrics.lung_field import estimate_lung_field
from audit_app.metrics.reference import Mask
from audit_app.metrics.reliance import FILLS, NO_ROOM, region_elsewhere
from audit_app.region_scores import region_reference, visible_share
from model_store.preprocessing import FrameGeometry

CaseKey = tuple[str, str]
NOT_SEEN: Final = "the model saw no pixel of the region"
WHOLE: Final = "the region is all that the model saw; nothing is left to fill it from"
OUTSIDE_LUNGS: Final = "the place elsewhere is not in the lung field, where it found no room"
NO_LUNGS: Final = "no lung field was found; the place elsewhere is anywhere in the field of view"
# Notes of rows that are not the test as it is defined: counted, and in no mean.
FALLBACKS: Final = frozenset({OUTSIDE_LUNGS, NO_LUNGS})


@dataclass(frozen=True, slots=True)
class Places:
    """Which pictures of a batch belong to one case: numbers, None where there is none."""

    region: int | None
    elsewhere: int | None
    note: str


@dataclass(frozen=True)
class FilledPictures:
    """One picture with regions filled in, on the model's grid.

    Attributes:
        frames: Shape (B, h, w) uint8, the picture as it is first.
        places: By reading and finding.
    """

    frames: NDArray[np.uint8]
    places: Mapping[CaseKey, Places]

    def drops(self, scores: NDArray[np.floating], findings: Sequence[str]) -> dict[CaseKey, Row]:
        """The columns of each case: the picture's score minus that of the filled one.

        Args:
            scores: Shape (B, K), of ``frames``.
            findings: K names.
        """
        column = {finding: number for number, finding in enumerate(findings)}
        return {
            key: {
                "score_drop_region": _drop(scores[:, column[key[1]]], place.region),
                "score_drop_elsewhere": _drop(scores[:, column[key[1]]], place.elsewhere),
                "reliance_note": place.note,
            }
            for key, place in self.places.items()
            if key[1] in column
        }


@dataclass
class _Batch:
    """Pictures so far."""

    frame: NDArray[np.uint8]
    fill: str
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)

    def add(self, region: Mask) -> int:
        """The number of the picture with this region filled."""
        self.pictures.append(FILLS[self.fill](self.frame, region))
        return len(self.pictures)


def key_of(case: Case) -> CaseKey:
    """Which case of a picture this is."""
    return (case.reading.reading_id, case.finding)


def fill_regions(
    planned: PlannedImage,
    frame: NDArray[np.uint8],
    geometry: FrameGeometry,
    *,
    fill: str,
    seed: int,
) -> FilledPictures:
    """The picture with each case's region filled in, and with an equally large place elsewhere.

    The place elsewhere is inside the estimated lung field, on nothing that any reading of this
    audit marks; where the region fits nowhere there, anywhere that the model sees.

    Args:
        planned: The picture's cases.
        frame: Shape (h, w), the picture on the model's grid.
        geometry: Of the picture.
        fill: A name of ``FILLS``.
        seed: With the picture's hash it decides where elsewhere is.
    """
    batch = _Batch(frame, fill)
    outlines = [region.outline for one in planned.readings for region in one.regions]
    marked = _on_frame(outlines, geometry)
    left, top, right, bottom = geometry.input_window
    seen = np.zeros(frame.shape, dtype=np.bool_)
    seen[top:bottom, left:right] = True
    lungs = estimate_lung_field(frame[top:bottom, left:right])
    allowed = [(seen & ~marked, NO_LUNGS if lungs is None else OUTSIDE_LUNGS)]
    if lungs is not None:
        in_lungs = np.zeros(frame.shape, dtype=np.bool_)
        in_lungs[top:bottom, left:right] = lungs
        allowed.insert(0, (in_lungs & ~marked, ""))
    places = {}
    for case in planned.cases:
        words = f"{seed} {planned.image.sha256} {case.reading.content_sha256} {case.finding}"
        drawn = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big")
        places[key_of(case)] = _place(case, geometry, batch, allowed, seed=drawn)
    return FilledPictures(np.stack([frame, *batch.pictures]), places)


def _place(
    case: Case,
    geometry: FrameGeometry,
    batch: _Batch,
    allowed: Sequence[tuple[Mask, str]],
    *,
    seed: int,
) -> Places:
    region = _on_frame(case.outlines, geometry)
    if not region.any():
        return Places(None, None, NOT_SEEN)
    if region.all():
        return Places(None, None, WHOLE)
    inside = batch.add(region)
    for where, note in allowed:
        elsewhere = region_elsewhere(region, where, seed=seed)
        if elsewhere is not None:
            return Places(inside, batch.add(elsewhere), note)
    return Places(inside, None, NO_ROOM)


def _on_frame(outlines: Sequence[Outline], geometry: FrameGeometry) -> Mask:
    """The union on the model's whole grid, padding included."""
    mask = np.zeros(geometry.input_size, dtype=np.bool_)
    if visible_share(outlines, geometry) > 0:
        left, top, right, bottom = geometry.input_window
        mask[top:bottom, left:right] = region_reference(outlines, geometry).mask
    return mask


def _drop(scores: NDArray[np.floating], number: int | None) -> float | None:
    return None if number is None else float(scores[0]) - float(scores[number])
