"""Adjudication in the page: which cases, and one case with both readings as JSON values."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from annotations.cases import ADJUDICATION
from annotations.errors import AnnotationError, ReadingLocked
from annotations.records import Adjudication, CommittedReading, Region
from annotations.regions import Box
from annotations.store.adjudications import Disputed, result_id
from audit_app.errors import sentence_for_page
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.viewer.state import case_meta, note_key, outbox_key, region_value

# Told apart with every common form of colour blindness; each box bears its reader's name, too.
COLOURS: Final = ("#56b4e9", "#e69f00")
OWN: Final = "You are one of the two readers."
UNBLINDED: Final = "{reader} had seen a heatmap of this picture before this reading."
DEPENDENT: Final = "{reader} had seen another reading of this picture before this one."


def open_adjudication(
    services: Services, visitor: Visitor, image_id: str, readers: Sequence[str]
) -> dict[str, Any]:
    """The panel's value for an image, begun when it was not.

    Raises:
        ReadingLocked: If the visitor reads this image and has not committed yet.
        StoreError: If these are not two readers who committed it.
    """
    store = services.store
    if store.adjudications.get(image_id, visitor.name) is None:
        own = store.readings.get(image_id, visitor.name)
        if own.reading_id and not own.commits:
            raise ReadingLocked(
                "commit your own reading of this image first; the readings of others are locked"
            )
    begun = store.adjudications.begin(image_id, visitor.name, readers)
    return case_value(services, visitor, begun)


def case_value(services: Services, visitor: Visitor, adjudication: Adjudication) -> dict[str, Any]:
    """The one atomic value of the panel, or the sentence why the picture cannot be shown."""
    image_id = adjudication.reading.image_id
    frame = {
        "case_id": image_id,
        "outbox_key": outbox_key(services, visitor, "decisions"),
        "note_key": note_key(services, visitor),
        "sent_at": time.time_ns(),
    }
    try:
        meta = case_meta(services, image_id)
    except AnnotationError as error:
        reason = sentence_for_page(error, services.workspace.root)
        return {**frame, "problem": f"This case cannot be shown: {reason}"}
    return {**frame, "meta": meta, "adjudication": adjudication_value(adjudication)}


def adjudication_value(adjudication: Adjudication) -> dict[str, Any]:
    """How the adjudication stands, as JSON."""
    reading = adjudication.reading
    decided = {(one.parent_id, one.region_id): one.decision for one in adjudication.decisions}
    return {
        "image_id": reading.image_id,
        "version": reading.version,
        "status": reading.status,
        "is_open": reading.is_open,
        "commits": reading.commits,
        "undecided": adjudication.undecided,
        "regions": [region_value(region) for region in reading.regions],
        "parents": [
            {
                "parent_id": parent.reading_id,
                "reader": parent.reader,
                "colour": COLOURS[place],
                "no_finding": parent.no_finding,
                "notes": _notes(parent, reading.reader),
                "regions": [
                    {
                        **region_value(region),
                        "result_id": result_id(parent.reading_id, region.region_id),
                        "decision": decided.get((parent.reading_id, region.region_id)),
                        "overlap": _overlap(region, adjudication.parents[1 - place]),
                    }
                    for region in parent.regions
                ],
            }
            for place, parent in enumerate(adjudication.parents)
        ],
    }


def _notes(parent: CommittedReading, adjudicator: str) -> list[str]:
    notes = [OWN] if parent.reader == adjudicator else []
    if not parent.blinded:
        notes.append(UNBLINDED.format(reader=parent.reader))
    if not parent.independent:
        notes.append(DEPENDENT.format(reader=parent.reader))
    return notes


def _overlap(region: Region, other: CommittedReading) -> float:
    """The largest IoU with a box of the same finding by the other reader."""
    return max(
        (box_iou(region.box, one.box) for one in other.regions if one.finding == region.finding),
        default=0.0,
    )


def box_iou(one: Box, two: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one.x_max, two.x_max) - max(one.x_min, two.x_min)
    height = min(one.y_max, two.y_max) - max(one.y_min, two.y_min)
    shared = max(width, 0) * max(height, 0)
    return shared / (one.area_px + two.area_px - shared)


def describe_cases(cases: Sequence[Disputed]) -> str:
    """How far this adjudicator is, in one line."""
    if not cases:
        return (
            "**Nothing to adjudicate yet.** A picture appears here when two readers have "
            "committed it."
        )
    done = sum(case.status in ("committed", "revised") for case in cases)
    return f"**{done} of {len(cases)}** pictures with two or more readings are adjudicated by you."


def n_adjudicated(services: Services) -> int:
    """How many adjudicated readings are committed in all."""
    kept = services.store.readings.committed(blinded_only=False, occasions=(ADJUDICATION,))
    return len(kept)
