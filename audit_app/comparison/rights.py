"""Who may open which reading beside maps, and what that leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from annotations.cases import FIRST
from annotations.errors import ReadingLocked
from annotations.findings import NO_FINDING
from annotations.records import CommittedReading, Reading
from audit_app import study
from audit_app.errors import AuditError
from audit_app.services import Services
from audit_app.session import Visitor

MOST_DRAFTS: Final = 200


@dataclass(frozen=True, slots=True)
class Case:
    """A committed reading that may be opened."""

    image_id: str
    reader: str
    label: str
    findings: tuple[str, ...]  # marked in it


def readable_cases(services: Services, visitor: Visitor) -> list[Case]:
    """The committed readings that this visitor may compare, newest commit of each.

    A reader sees only readings of their own, and none where the protocol keeps the maps from
    readers; an auditor and an admin see all.
    """
    if not study.may_ever_see_maps(services, visitor):
        return []
    readers = [visitor.name] if visitor.role == "reader" else None
    readings = services.store.readings.committed(latest=True, blinded_only=False, readers=readers)
    readings += _open_drafts(services, visitor)
    names = services.store.images.names()
    return [
        Case(
            one.image_id,
            one.reader,
            f"{names[one.image_id]} - {describe_reading(one)}",
            marked_findings(one),
        )
        for one in readings
    ]


def _open_drafts(services: Services, visitor: Visitor) -> list[CommittedReading]:
    """The visitor's own drafts, where the protocol shows their maps before the commit."""
    if not study.maps_open(services):
        return []
    rows = services.store.images.worklist(visitor.name, status="draft", limit=MOST_DRAFTS).rows
    drafts = [services.store.readings.get(row.image_id, visitor.name) for row in rows]
    return [draft_as_read(one) for one in drafts if one.occasion == FIRST and not one.commits]


def draft_as_read(draft: Reading) -> CommittedReading:
    """A draft in the form of a committed reading, with the commit number 0: it is none."""
    return CommittedReading(
        reading_id=draft.reading_id,
        image_id=draft.image_id,
        reader=draft.reader,
        reader_kind="person",
        commit_number=0,
        committed_at=draft.updated_at or "",
        blinded=False,
        imported=False,
        no_finding=draft.no_finding,
        regions=draft.regions,
        content_sha256="",
    )


def describe_reading(reading: CommittedReading) -> str:
    """What was marked, and by whom."""
    draft = "" if reading.commit_number else ", draft"
    return f"{', '.join(marked_findings(reading)) or NO_FINDING} ({reading.reader}{draft})"


def marked_findings(reading: CommittedReading) -> tuple[str, ...]:
    """The findings that have a region, each once, in the order of the reading."""
    return tuple(dict.fromkeys(region.finding for region in reading.regions))


def open_reading(
    services: Services, visitor: Visitor, image_id: str, reader: str
) -> CommittedReading:
    """The reading to compare with; seeing the maps is recorded.

    Raises:
        ReadingLocked: If the visitor reads this image too and has not committed yet.
        AuditError: If the reading is somebody else's and the visitor is a reader.
    """
    if visitor.role == "reader" and reader != visitor.name:
        raise AuditError("this reading is another reader's; open one of your own")
    for one in services.store.readings.committed(
        latest=True, blinded_only=False, readers=[reader], image_ids=[image_id]
    ):
        note_reveal(services, visitor, image_id)
        services.store.trail.note_view(visitor.name, image_id, f"reading of {reader}")
        if reader != visitor.name:
            services.store.readings.note_seen_reading(image_id, visitor.name)
        return one
    if reader == visitor.name and study.maps_open(services):
        draft = services.store.readings.get(image_id, visitor.name)
        if draft.reading_id:
            note_reveal(services, visitor, image_id)
            return draft_as_read(draft)
    raise ReadingLocked("this reading is not committed yet; commit it, then compare")


def note_reveal(services: Services, visitor: Visitor, image_id: str) -> None:
    """Keep that the visitor sees maps of this image now.

    Raises:
        ReadingLocked: If the visitor has begun to read this image and has not committed yet, or
            the protocol keeps maps from readers.
    """
    study.check_maps(services, visitor, image_id)
    own = services.store.readings.get(image_id, visitor.name)
    is_open = study.maps_open(services)
    if own.commits or (is_open and own.reading_id):
        if own.revealed_at is None:
            services.store.readings.reveal(image_id, visitor.name, maps_open=is_open)
    elif own.status == "draft":
        raise ReadingLocked("commit your own reading of this image first; its maps are locked")
    else:
        services.store.readings.note_seen_unread(image_id, visitor.name)
