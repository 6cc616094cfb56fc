"""One COCO annotation as a box, with the outline that its segmentation draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from annotations.errors import InvalidRegion
from annotations.records import CERTAINTIES
from annotations.shapes import Shape, parse_rings
from annotations.sources.boxes import corners_of, is_no_finding
from annotations.sources.listing import SourceBox
from annotations.sources.tables import RowError

Entry = Mapping[str, Any]


def parse_annotation(entry: object, names: Mapping[str, str], where: str) -> SourceBox | None:
    """The region of one annotation; None for one of a category "No Finding".

    Args:
        entry: As it stands in the file.
        names: Of the categories, by id as ``id_key`` gives it.
        where: For messages.

    Raises:
        RowError: If it is no annotation with a box; the message says why.
    """
    if not isinstance(entry, dict):
        raise RowError("not an object; expected image_id, category_id and bbox")
    term = names.get(id_key(entry.get("category_id")), "")
    if not term:
        raise RowError(f"category_id {entry.get('category_id')!r} is not among the categories")
    if is_no_finding(term):
        return None
    values = entry.get("bbox")
    if not isinstance(values, list) or len(values) != 4 or not all(is_number(v) for v in values):
        raise RowError(f"bbox {values!r} is not [x, y, width, height]")
    return SourceBox(term, corners_of([float(value) for value in values]), where=where)


def with_outline(box: SourceBox, entry: Entry) -> tuple[SourceBox, str]:
    """The box with the outline of its annotation, and why there is none although one was drawn."""
    segmentation = entry.get("segmentation")
    ellipse = _attributes(entry).get("ellipse")
    try:
        if ellipse is not None:
            return replace(box, shape=Shape("ellipse", parse_rings(ellipse))), ""
        if isinstance(segmentation, dict):
            return box, "it is run-length encoded; polygons are read"
        if not segmentation:
            return box, ""
        return replace(box, shape=Shape("polygon", parse_rings(_pairs(segmentation)))), ""
    except InvalidRegion as error:
        return box, str(error)


def with_attributes(box: SourceBox, entry: Entry) -> SourceBox:
    """The box with certainty, note and id as our own export keeps them.

    Raises:
        RowError: If one of them is none.
    """
    attributes = _attributes(entry)
    certainty = attributes.get("certainty")
    note, region_id = attributes.get("note"), attributes.get("region_id")
    if certainty not in CERTAINTIES:
        raise RowError(f"certainty {certainty!r} is unknown; expected {', '.join(CERTAINTIES)}")
    if not isinstance(note, str) or not isinstance(region_id, str):
        raise RowError(f"note {note!r} and region_id {region_id!r} are no texts")
    return replace(box, certainty=certainty, note=note, region_id=region_id)


def id_key(value: object) -> str:
    """Ids are numbers in most files and strings in some; 1, 1.0 and "1" mean the same image."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def is_number(value: object) -> bool:
    """Whether it is a finite number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _attributes(entry: Entry) -> Entry:
    attributes = entry.get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def _pairs(segmentation: object) -> Sequence[object]:
    """Rings of points from COCO's flat lists x1, y1, x2, y2 ..."""
    if not isinstance(segmentation, list) or not all(
        isinstance(ring, list) and len(ring) % 2 == 0 for ring in segmentation
    ):
        raise InvalidRegion("it is no list of lists x1, y1, x2, y2 ...")
    return [list(zip(ring[::2], ring[1::2], strict=True)) for ring in segmentation]
