"""The reading protocol at work: what the page is told, what is refused, who sees which maps."""

from __future__ import annotations

from typing import Any, Final

from annotations.cases import REPEAT, parse_case
from annotations.errors import InvalidRegion, ReadingLocked, UnknownFinding
from annotations.findings import NO_FINDING, unknown_finding_message
from annotations.protocol import Protocol, current_protocol
from annotations.records import CommittedReading, Edit, Reading, Region
from annotations.shapes import shape_value
from audit_app.services import Services
from audit_app.session import LOCAL_READER, Visitor

UNBLINDED: Final = (
    "The protocol shows the heatmaps at once: what is committed now counts as not blinded."
)
NOT_INDEPENDENT: Final = (
    "The protocol shows the readings of others: what is committed after a look at them counts as "
    "not independent."
)


def protocol_of(services: Services) -> Protocol:
    """The protocol in force now; it may change while the page is open.

    Raises:
        WorkspaceError: If workspace.toml cannot be read or says something else.
    """
    return current_protocol(services.workspace.settings_file, services.store)


def finding_names(services: Services) -> list[str]:
    """The findings that a box may have, in the order of their keys."""
    chosen = protocol_of(services).findings or services.store.findings()
    return [name for name in chosen if name != NO_FINDING]


def ensure_order(services: Services, visitor: Visitor) -> None:
    """Make the visitor's worklist what the protocol says; new images follow at its end."""
    services.store.orders.ensure(visitor.name, protocol_of(services).order)


def rules_value(services: Services, visitor: Visitor, reading: Reading) -> dict[str, Any]:
    """What the reading panel must know of the protocol."""
    protocol = protocol_of(services)
    return {
        "needs_certainty": protocol.certainty == "required",
        "smallest_box_px": protocol.smallest_box_px,
        "maps": "never" if not may_ever_see_maps(services, visitor) else protocol.heatmap,
        "notes": [
            *([UNBLINDED] if protocol.heatmap == "at once" else []),
            *([NOT_INDEPENDENT] if protocol.earlier_readings else []),
        ],
        "earlier": earlier_values(services, reading) if protocol.earlier_readings else [],
    }


def earlier_values(services: Services, reading: Reading) -> list[dict[str, Any]]:
    """What others committed on this image, which the reader is shown; that they were is kept."""
    others = [
        one
        for one in services.store.readings.committed(
            latest=True, blinded_only=False, image_ids=[reading.image_id]
        )
        if one.reader != reading.reader
    ]
    if others and reading.reader:
        services.store.readings.note_seen_reading(reading.image_id, reading.reader)
    return [_earlier_value(one) for one in others]


def _earlier_value(reading: CommittedReading) -> dict[str, Any]:
    return {
        "reader": reading.reader,
        "no_finding": reading.no_finding,
        "regions": [
            {
                "region_id": region.region_id,
                "finding": region.finding,
                "certainty": region.certainty,
                "box": list(region.box.corners),
                "shape": None if region.shape is None else shape_value(region.shape),
            }
            for region in reading.regions
        ],
    }


def check_edit(services: Services, edit: Edit, present: Reading) -> None:
    """Refuse an edit that the protocol does not allow.

    Raises:
        UnknownFinding: For a finding that the protocol leaves out.
        InvalidRegion: For a box that is too small, or a certainty that was not said where the
            protocol does not ask for it.
    """
    region = edit.region
    if edit.kind != "put" or region is None:
        return
    protocol = protocol_of(services)
    before = next((one for one in present.regions if one.region_id == region.region_id), None)
    if protocol.findings and (before is None or before.finding != region.finding):
        names = finding_names(services)
        if region.finding not in names:
            raise UnknownFinding(unknown_finding_message(region.finding, names))
    if before is None or before.box != region.box:
        _check_size(protocol, region)
    if not region.certainty and protocol.certainty == "optional":
        raise InvalidRegion("this box has no certainty; choose definite, probable or possible")


def check_commit(services: Services, present: Reading) -> None:
    """Refuse to commit boxes that the protocol does not allow, e.g. from before a change of it.

    Raises:
        InvalidRegion: For a box that is too small.
    """
    protocol = protocol_of(services)
    for region in present.regions:
        if region.shape is None:
            _check_size(protocol, region)


def maps_open(services: Services) -> bool:
    """Whether heatmaps may be seen before the commit."""
    return protocol_of(services).heatmap == "at once"


def may_ever_see_maps(services: Services, visitor: Visitor) -> bool:
    """Whether the protocol lets this visitor see heatmaps of a case that they read."""
    return protocol_of(services).heatmap != "never" or not _is_reader(visitor)


def check_maps(services: Services, visitor: Visitor, image_id: str) -> None:
    """Refuse to show a heatmap where the protocol keeps them from readers.

    Raises:
        ReadingLocked: For a reader, and for whoever has read or begun this image.
    """
    if protocol_of(services).heatmap != "never":
        return
    own = services.store.readings.get(image_id, visitor.name)
    if _is_reader(visitor) or own.reading_id:
        raise ReadingLocked(
            "the protocol of this workspace keeps the heatmaps from its readers; an admin can "
            "change it in the tab Settings"
        )


def case_name(services: Services, visitor: Visitor, case_id: str, name: str) -> str:
    """What stands over the picture: a number where the name would tell which case comes twice."""
    return services.store.orders.shown_name(visitor.name, case_id) or name


def is_repeat(case_id: str) -> bool:
    """Whether this case is a picture's second reading."""
    return parse_case(case_id).occasion == REPEAT


def _is_reader(visitor: Visitor) -> bool:
    return visitor.role == "reader" or visitor == LOCAL_READER


def _check_size(protocol: Protocol, region: Region) -> None:
    box = region.box
    width, height = box.x_max - box.x_min, box.y_max - box.y_min
    if min(width, height) < protocol.smallest_box_px:
        raise InvalidRegion(
            f"the box of {region.finding} is {width} x {height} pixels; the protocol asks for at "
            f"least {protocol.smallest_box_px} on each side: draw it larger"
        )
