"""What the page is told: a case, a reading, a page of the worklist, as JSON values.

Nothing here says who the patient is or where a file lies: ids are opaque, the name is the one that
the worklist shows.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Final

from annotations.cases import parse_case
from annotations.errors import AnnotationError, UnknownRecord
from annotations.records import ImageRecord, Reading, Region
from annotations.shapes import shape_value
from audit_app import study
from audit_app.errors import sentence_for_page
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.viewer.pace import pace_text
from audit_app.viewer.pixels import cached_picture

PAGE_ROWS: Final = 50
EDITORS: Final = ("reader", "admin")
KEYS: Final = "1234567890"

# Okabe-Ito, lightened where it would be too dark on a film; told apart with every common form of
# colour blindness. A box always bears its finding's name too.
COLOURS: Final = (
    "#56b4e9", "#e69f00", "#2fd3a0", "#f0e442", "#ff8a5b", "#d99ac5", "#a5b4ff", "#e8e8e8",
)  # fmt: skip
REPORT_LATER = "Shown after the commit."


@dataclass(frozen=True, slots=True)
class Filters:
    """Which cases of the worklist are shown; "" or None leaves a filter open."""

    status: str | None = None
    source: str | None = None
    finding: str | None = None
    search: str = ""
    view: str | None = None
    read_by: str | None = None  # only for roles that may know who read what
    project: str | None = None  # a named selection of images

    def as_arguments(self) -> dict[str, Any]:
        """As the store's worklist takes them."""
        return {
            "status": self.status or None,
            "source": self.source or None,
            "finding": self.finding or None,
            "search": self.search or "",
            "view": self.view or None,
            "read_by": self.read_by or None,
            "project": self.project or None,
        }


def finding_values(services: Services) -> list[dict[str, str]]:
    """The findings that a box may have, each with its colour and, for the first ten, its key."""
    names = study.finding_names(services)
    return [
        {
            "name": name,
            "colour": COLOURS[index % len(COLOURS)],
            "key": KEYS[index] if index < len(KEYS) else "",
        }
        for index, name in enumerate(names)
    ]


def case_meta(services: Services, image_id: str) -> dict[str, Any]:
    """How to draw a case and what stands beside it.

    Raises:
        UnknownRecord: If there is no such image.
        UnreadableImage: If its file is gone or changed.
    """
    image = services.store.images.get(image_id)
    display = cached_picture(services.workspace, image).display()
    return {
        "case_id": image.image_id,
        "name": image.name,
        "width": image.width,
        "height": image.height,
        "pixel_sha256": image.pixel_sha256,
        "spacing": list(image.spacing_mm) if image.spacing_mm else None,
        "findings": finding_values(services),
        "texts": texts_value(image),
        **display,
    }


def texts_value(image: ImageRecord) -> dict[str, str | None]:
    """What stands beside the picture in words; the report is for who has committed a reading."""
    return {"history": image.history, "report": image.report, "facts": describe_picture(image)}


def without_report(meta: dict[str, Any]) -> dict[str, Any]:
    """The same case with a word in place of its report, where it has one."""
    texts = meta["texts"]
    return {**meta, "texts": {**texts, "report": texts["report"] and REPORT_LATER}}


def describe_picture(image: ImageRecord) -> str:
    """One line about the picture, with what a reader must be warned of."""
    parts = [f"{image.width} x {image.height} px, {image.bits} bit"]
    parts += [part for part in (image.modality, image.view) if part]
    if image.spacing_mm:
        parts.append(f"{image.spacing_mm[0]:g} mm per px")
    parts += [flag.replace("_", " ") for flag in image.flags]
    return ", ".join(parts)


def region_value(region: Region) -> dict[str, Any]:
    """One box as JSON."""
    return {
        "region_id": region.region_id,
        "finding": region.finding,
        "certainty": region.certainty,
        "box": list(region.box.corners),
        "note": region.note,
        "shape": None if region.shape is None else shape_value(region.shape),
    }


def reading_value(reading: Reading) -> dict[str, Any]:
    """One reading as JSON."""
    return {
        "image_id": reading.case_id,
        "version": reading.version,
        "status": reading.status,
        "is_open": reading.is_open,
        "no_finding": reading.no_finding,
        "regions": [region_value(region) for region in reading.regions],
        "commits": reading.commits,
        "is_revealed": reading.revealed_at is not None,
    }


def case_value(
    services: Services, visitor: Visitor, image_id: str, *, next_id: str | None = None
) -> dict[str, Any]:
    """The one atomic value of the reading panel: the case, or the sentence why it cannot be shown.

    Args:
        services: The workspace.
        visitor: Whose reading is shown.
        image_id: The case.
        next_id: The case whose pixels the page may fetch ahead.
    """
    frame = {
        "case_id": image_id,
        "outbox_key": outbox_key(services, visitor),
        "note_key": note_key(services, visitor),
        # Two values that say the same would not be told apart by the page.
        "sent_at": time.time_ns(),
    }
    try:
        reading = services.store.readings.open_case(image_id, visitor.name)
        meta = case_meta(services, reading.image_id)
        rules = study.rules_value(services, visitor, reading)
        # The file's name may be known from the first reading, or from the folder.
        name = study.case_name(services, visitor, image_id, meta["name"])
        meta |= {
            "case_id": image_id,
            "name": name,
            "smallest_box_px": rules["smallest_box_px"],
        }
        return {
            **frame,
            # The report names the findings: who reads it first does not read the picture.
            "meta": meta if reading.commits else without_report(meta),
            "reading": reading_value(reading),
            "may_edit": visitor.role in EDITORS,
            "rules": rules,
            "prefetch": prefetch_values(services, next_id),
        }
    except AnnotationError as error:
        reason = sentence_for_page(error, services.workspace.root)
        return {**frame, "problem": f"This case cannot be shown: {reason}"}


def prefetch_values(services: Services, next_id: str | None) -> list[dict[str, Any]]:
    """What the page needs to know to fetch the next case's pixels ahead."""
    if next_id is None:
        return []
    image = services.store.images.get(parse_case(next_id).image_id)
    return [{"case_id": next_id, "width": image.width, "height": image.height}]


def outbox_key(services: Services, visitor: Visitor, what: str = "edits") -> str:
    """Under which name a browser keeps this reader's unsaved changes of this workspace.

    A keyed hash: it tells nobody who or what it is, and no reader's page sends another one's edits.
    """
    return f"saliency-audit/{services.workspace.patient_hash('outbox', visitor.name)[:16]}/{what}/"


def note_key(services: Services, visitor: Visitor) -> str:
    """What this reader's page seals unsaved notes with: they may name a patient.

    A browser keeps them until they are saved; who is not signed in as this reader cannot read them.
    """
    return services.workspace.patient_hash("unsaved notes", visitor.name)


def position_key(services: Services, visitor: Visitor) -> str:
    """Under which name a browser keeps the case that this reader had open last."""
    return f"saliency-audit/{services.workspace.patient_hash('outbox', visitor.name)[:16]}/case"


def worklist_value(
    services: Services,
    visitor: Visitor,
    filters: Filters,
    *,
    image_id: str | None = None,
    page: int | None = None,
) -> dict[str, Any]:
    """A page of the worklist.

    Args:
        services: The workspace.
        visitor: Whose worklist it is.
        filters: Which cases.
        image_id: The open case.
        page: Which page, from 0; None for the one with the open case.
    """
    arguments = filters.as_arguments()
    images = services.store.images
    if page is None:
        place = images.position(visitor.name, image_id, **arguments) if image_id else None
        page = (place or 0) // PAGE_ROWS
    page = max(page, 0)
    shown = images.worklist(visitor.name, limit=PAGE_ROWS, offset=page * PAGE_ROWS, **arguments)
    n_pages = max(1, -(-shown.n_matching // PAGE_ROWS))
    if page >= n_pages:
        return worklist_value(services, visitor, filters, image_id=image_id, page=n_pages - 1)
    return {
        "rows": [asdict(row) for row in shown.rows],
        "n_matching": shown.n_matching,
        "n_images": shown.n_images,
        "n_read": shown.n_read,
        "pace": pace_text(images.commit_times(visitor.name), shown.n_images - shown.n_read),
        "page": page,
        "n_pages": n_pages,
        "case_id": image_id,
        "position_key": position_key(services, visitor),
        "first_unread": None if image_id else first_unread(services, visitor),
        "sent_at": time.time_ns(),
    }


def first_unread(services: Services, visitor: Visitor) -> str | None:
    """The first case without a committed reading of this visitor, or else the first case."""
    images = services.store.images
    for status in ("draft", "new", None):
        found = images.first(visitor.name, status=status)
        if found is not None:
            return found
    return None


def known_image(services: Services, case_id: object) -> str:
    """The id of the image of a case.

    Raises:
        UnknownRecord: If there is no such case.
    """
    return parse_case(known_case(services, case_id)).image_id


def known_case(services: Services, image_id: object) -> str:
    """The id, when it is one of this workspace's images.

    Raises:
        UnknownRecord: If it is not.
    """
    if not isinstance(image_id, str) or not image_id:
        raise UnknownRecord(f"{image_id!r} is no image of this workspace; reload the worklist")
    services.store.images.get(parse_case(image_id).image_id)
    return image_id
