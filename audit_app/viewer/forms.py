"""What the page sends, checked field by field: nothing from a browser is believed."""

from __future__ import annotations

from typing import Any, Final, cast, get_args

from annotations.errors import AnnotationError
from annotations.records import (
    CERTAINTIES,
    Certainty,
    DecisionKind,
    Edit,
    EditKind,
    ImageRecord,
    Region,
)
from annotations.regions import Box, parse_box
from annotations.shapes import Shape, parse_shape
from annotations.store.adjudications import Verdict

MAX_NUMBER: Final = 2**53
MAX_CORNER: Final = 1e7
EDIT_FIELDS: Final = frozenset(
    {
        "client_id",
        "sequence",
        "base_version",
        "kind",
        "region",
        "region_id",
        "no_finding",
        "active_ms",
    }
)
VERDICT_FIELDS: Final = frozenset(
    {
        "client_id",
        "sequence",
        "base_version",
        "parent_id",
        "region_id",
        "decision",
        "region",
        "active_ms",
    }
)
REGION_FIELDS: Final = frozenset({"region_id", "finding", "certainty", "box", "note", "shape"})


class InvalidRequest(AnnotationError):
    """A request body that is not what the page sends."""


def parse_edit(body: object, image: ImageRecord, known_notes: dict[str, str]) -> Edit:
    """The edit that a body holds.

    Args:
        body: Decoded JSON.
        image: The image that it is about.
        known_notes: The notes of the reading's boxes by region id; a box that comes with the note
            null keeps the one it has.

    Raises:
        InvalidRequest: If a field is missing, unknown or of another type.
        InvalidRegion: If the box or the shape is not one, or lies outside the picture.
    """
    fields = _object(body, EDIT_FIELDS, "an edit")
    kind = _text(fields, "kind")
    if kind not in get_args(EditKind):
        raise InvalidRequest(
            f"the edit kind {kind!r} is not known; expected {', '.join(get_args(EditKind))}"
        )
    return Edit(
        client_id=_text(fields, "client_id"),
        sequence=_whole(fields, "sequence"),
        image_id=image.image_id,
        base_version=_whole(fields, "base_version"),
        kind=cast(EditKind, kind),
        region=_region(fields.get("region"), image, known_notes) if kind == "put" else None,
        region_id=_text(fields, "region_id") if kind == "delete" else "",
        no_finding=_truth(fields, "no_finding") if kind == "no_finding" else False,
        active_ms=_active(fields),
    )


def parse_commit(body: object) -> tuple[int, int | None]:
    """Version and time at work that a commit names.

    Raises:
        InvalidRequest: If there is no version, or the time is none.
    """
    fields = _object(body, frozenset({"base_version", "active_ms"}), "a commit")
    return _whole(fields, "base_version"), _active(fields)


def _active(fields: dict[str, Any]) -> int | None:
    """Milliseconds at work; None when the page did not measure."""
    return None if fields.get("active_ms") is None else _whole(fields, "active_ms")


def _region(value: object, image: ImageRecord, known_notes: dict[str, str]) -> Region:
    fields = _object(value, REGION_FIELDS, "a region")
    region_id = _text(fields, "region_id")
    certainty = fields.get("certainty")
    if certainty != "" and certainty not in CERTAINTIES:
        raise InvalidRequest(
            f"the certainty {certainty!r} is not known; expected {', '.join(CERTAINTIES)}"
        )
    note = fields.get("note")
    if note is not None and not isinstance(note, str):
        raise InvalidRequest(f"the note {note!r} is no text")
    return Region(
        region_id=region_id,
        finding=_text(fields, "finding"),
        certainty=cast(Certainty, certainty),
        box=_box(fields.get("box"), image),
        note=known_notes.get(region_id, "") if note is None else note,
        shape=_shape(fields.get("shape")),
    )


def parse_verdict(
    body: object, image: ImageRecord, known_notes: dict[str, str]
) -> tuple[int, Verdict]:
    """Version and decision that a body holds.

    Args:
        body: Decoded JSON.
        image: The image that it is about.
        known_notes: As for ``parse_edit``.

    Raises:
        InvalidRequest: If a field is missing, unknown or of another type.
        InvalidRegion: If the box or the shape is not one, or lies outside the picture.
    """
    fields = _object(body, VERDICT_FIELDS, "a decision")
    decision = fields.get("decision")
    if decision is not None and decision not in get_args(DecisionKind):
        raise InvalidRequest(
            f"the decision {decision!r} is not known; expected {', '.join(get_args(DecisionKind))} "
            "or null"
        )
    is_edit = decision == "edit"
    return _whole(fields, "base_version"), Verdict(
        parent_id=_text(fields, "parent_id"),
        region_id=_text(fields, "region_id"),
        decision=cast("DecisionKind | None", decision),
        region=_region(fields.get("region"), image, known_notes) if is_edit else None,
        client_id=_text(fields, "client_id"),
        sequence=_whole(fields, "sequence"),
        active_ms=_active(fields),
    )


def _shape(value: object) -> Shape | None:
    return None if value is None else parse_shape(value)


def _box(value: object, image: ImageRecord) -> Box:
    if not isinstance(value, list) or not all(_is_number(corner) for corner in value):
        raise InvalidRequest(
            f"the box {value!r} is no list of four numbers x_min, y_min, x_max, y_max"
        )
    return parse_box(value, image.size)


def _is_number(value: object) -> bool:
    # Without a bound, an integer of JSON may be too large for a float.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and not (isinstance(value, int) and abs(value) > MAX_CORNER)
    )


def _object(value: object, known: frozenset[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{what} must be a JSON object with {', '.join(sorted(known))}")
    unknown = sorted(set(value) - known)
    if unknown:
        raise InvalidRequest(f"{what} has the unknown field {unknown[0]!r}; reload the page")
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"the field {name!r} is {value!r}; expected a text")
    return value


def _whole(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MAX_NUMBER:
        raise InvalidRequest(f"the field {name!r} is {value!r}; expected a whole number from 0 up")
    return value


def _truth(fields: dict[str, Any], name: str) -> bool:
    value = fields.get(name)
    if not isinstance(value, bool):
        raise InvalidRequest(f"the field {name!r} is {value!r}; expected true or false")
    return value
