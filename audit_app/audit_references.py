"""What maps are compared with: each reader's reading, their consensus, or an adjudicated one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from annotations.cases import ADJUDICATION, FIRST
from annotations.records import CommittedReading, ImageRecord, Region
from annotations.regions import Box, outline_mask
from annotations.store import Store
from audit_app.evaluation import outlines_of
from audit_app.metrics.consensus import majority_mask
from audit_app.metrics.reference import Mask

# What maps can be compared with, each with a sentence for the page.
REFERENCES: Final[dict[str, str]] = {
    "readers": "Each reader's own regions: one row per reading and finding.",
    "consensus": "The pixels that more than half of an image's readers marked, with two or more.",
    "adjudicated": "The regions that an adjudicator made of the readers'.",
}


@dataclass(frozen=True, slots=True)
class Revision:
    """One reading before its reader saw a map, and as it was committed last after that."""

    before: CommittedReading
    after: CommittedReading

    @property
    def findings(self) -> tuple[str, ...]:
        """Marked before or after."""
        regions = (*self.before.regions, *self.after.regions)
        return tuple(dict.fromkeys(region.finding for region in regions))


@dataclass(frozen=True, slots=True)
class ChosenReadings:
    """The committed readings of an audit.

    Attributes:
        readings: One version of each, in the order of the images.
        revisions: Of readers that committed again after they had seen a map.
        is_consensus: Whether maps are compared with what the readings have in common.
    """

    readings: tuple[CommittedReading, ...]
    revisions: tuple[Revision, ...]
    is_consensus: bool

    @property
    def n_single(self) -> int:
        """Images without a consensus, because one reader alone read them."""
        if not self.is_consensus:
            return 0
        return sum(len(group) == 1 for group in self._by_image().values())

    def compared(self, images: Mapping[str, ImageRecord]) -> list[CommittedReading]:
        """What maps are compared with."""
        if not self.is_consensus:
            return list(self.readings)
        groups = self._by_image()
        return [
            consensus_of(group, images[image_id].size)
            for image_id, group in groups.items()
            if len(group) > 1
        ]

    def revisions_of(self, findings: Sequence[str]) -> dict[str, list[Revision]]:
        """By image, those that say something about one of these findings."""
        found: dict[str, list[Revision]] = {}
        for one in self.revisions:
            if set(one.findings) & set(findings):
                found.setdefault(one.before.image_id, []).append(one)
        return found

    def _by_image(self) -> dict[str, list[CommittedReading]]:
        groups: dict[str, list[CommittedReading]] = {}
        for reading in self.readings:
            groups.setdefault(reading.image_id, []).append(reading)
        return groups


def chosen_readings(
    store: Store, *, reference: str, latest: bool, readers: Sequence[str] | None
) -> ChosenReadings:
    """The committed readings that these choices name.

    Args:
        store: Of the workspace.
        reference: Of ``REFERENCES``.
        latest: False: each reading's first blinded commit. True: its last, blinded or not.
        readers: None: all. Of an adjudication: the adjudicators.
    """
    is_adjudicated = reference == "adjudicated"
    occasion = ADJUDICATION if is_adjudicated else FIRST
    # An adjudicator sees the readings that are adjudicated, and blinding is about maps: what was
    # finished last is the result.
    readings = store.readings.committed(
        latest=latest or is_adjudicated,
        blinded_only=not (latest or is_adjudicated),
        readers=readers,
        occasions=(occasion,),
    )
    revisions = () if is_adjudicated else find_revisions(store, readers)
    return ChosenReadings(tuple(readings), revisions, reference == "consensus")


def find_revisions(store: Store, readers: Sequence[str] | None) -> tuple[Revision, ...]:
    """Readings with a blinded commit and a later one that was made after a map was seen."""
    before = store.readings.committed(readers=readers)
    after = store.readings.committed(latest=True, blinded_only=False, readers=readers)
    last = {one.reading_id: one for one in after if not one.blinded}
    return tuple(
        Revision(one, last[one.reading_id])
        for one in before
        if one.reading_id in last and last[one.reading_id].commit_number > one.commit_number
    )


def consensus_of(readings: Sequence[CommittedReading], size: tuple[int, int]) -> CommittedReading:
    """What more than half of these readings mark, finding by finding, as one reading.

    Args:
        readings: Two or more of one image.
        size: (H, W) of the image.

    Returns:
        Its regions are boxes that together are the majority's pixels. It exists in no store; its
        id and its hash follow from the hashes of the readings that it is made of.
    """
    marked = dict.fromkeys(region.finding for one in readings for region in one.regions)
    regions = tuple(
        Region(f"{finding} {number}", finding, "definite", box)
        for finding in marked
        for number, box in enumerate(mask_boxes(_majority(readings, finding, size)), start=1)
    )
    words = " ".join(sorted(one.content_sha256 for one in readings))
    digest = hashlib.sha256(f"consensus {words}".encode()).hexdigest()
    return CommittedReading(
        reading_id=f"consensus-{digest[:32]}",
        image_id=readings[0].image_id,
        reader=f"consensus of {len(readings)} readers",
        reader_kind="synthetic",
        commit_number=max(one.commit_number for one in readings),
        committed_at=max(one.committed_at for one in readings),
        blinded=all(one.blinded for one in readings),
        imported=all(one.imported for one in readings),
        no_finding=not regions,
        regions=regions,
        content_sha256=digest,
    )


def _majority(readings: Sequence[CommittedReading], finding: str, size: tuple[int, int]) -> Mask:
    masks = []
    for one in readings:
        outlines = outlines_of(one, finding)
        masks.append(outline_mask(outlines, size) if outlines else np.zeros(size, dtype=np.bool_))
    return majority_mask(masks)


def mask_boxes(mask: Mask) -> list[Box]:
    """Boxes that share no pixel and together are the mask: runs of rows that are alike.

    Args:
        mask: Shape (H, W).
    """
    rows = np.flatnonzero(mask.any(axis=1))
    boxes: list[Box] = []
    start = 0
    for place in range(1, len(rows) + 1):
        top, last = int(rows[start]), int(rows[place - 1])
        if place < len(rows) and rows[place] == last + 1 and (mask[rows[place]] == mask[top]).all():
            continue
        edges = np.flatnonzero(np.diff(mask[top].astype(np.int8), prepend=0, append=0))
        pairs = edges.reshape(-1, 2).tolist()
        boxes += [Box(left, top, right, last + 1) for left, right in pairs]
        start = place
    return boxes
