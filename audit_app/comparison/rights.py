"""Who may open which reading beside maps, and what that leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

from annotations.errors import ReadingLocked
from annotations.findings import NO_FINDING
from annotations.records import CommittedReading
from audit_app.errors import AuditError
from audit_app.services import Services
from audit_app.session import Visitor


@dataclass(frozen=True, slots=True)
class Case:
    """A committed reading that may be opened."""

    image_id: str
    reader: str
    label: str
    findings: tuple[str, ...]  # marked in it


def readable_cases(services: Services, visitor: Visitor) -> list[Case]:
    """The committed readings that this visitor may compare, newest commit of each.

    A reader sees only readings of their own; an auditor and an admin see all.
    """
    readers = [visitor.name] if visitor.role == "reader" else None
    readings = services.store.readings.committed(latest=True, blinded_only=False, readers=readers)
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


def describe_reading(reading: CommittedReading) -> str:
    """What was marked, and by whom."""
    return f"{', '.join(marked_findings(reading)) or NO_FINDING} ({reading.reader})"


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
        return one
    raise ReadingLocked("this reading is not committed yet; commit it, then compare")


def note_reveal(services: Services, visitor: Visitor, image_id: str) -> None:
    """Keep that the visitor sees maps of this image now.

    Raises:
        ReadingLocked: If the visitor has begun to read this image and has not committed yet.
    """
    own = services.store.readings.get(image_id, visitor.name)
    if own.commits:
        if own.revealed_at is None:
            services.store.readings.reveal(image_id, visitor.name)
    elif own.status == "draft":
        raise ReadingLocked("commit your own reading of this image first; its maps are locked")
    else:
        services.store.readings.note_seen_unread(image_id, visitor.name)
