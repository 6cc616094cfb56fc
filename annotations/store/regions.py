"""Regions as rows, as JSON and as what may be saved."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from annotations.errors import DamagedWorkspace, InvalidRegion
from annotations.findings import NO_FINDING, check_finding
from annotations.records import CERTAINTIES, Region
from annotations.regions import Box, Size, shape_box
from annotations.shapes import Shape, parse_shape, shape_value
from annotations.store.encoding import canonical_json, sha256_of
from annotations.texts import is_valid_text

MAX_NOTE: Final = 2000
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_region(region: Region, size: Size, known: Sequence[str]) -> Region:
    """The region as it may be saved, its finding spelled as the workspace does.

    Args:
        region: As it came from outside.
        size: (H, W) of the picture.
        known: The findings of the workspace.

    Raises:
        UnknownFinding: With the known findings.
        InvalidRegion: For a bad id, certainty, note or box, for a shape with another bounding box,
            or for No Finding as a box.
    """
    check_id(region.region_id, "region id")
    finding = check_finding(region.finding, known)
    if finding == NO_FINDING:
        raise InvalidRegion(
            f"a box cannot be marked '{NO_FINDING}'; delete the boxes and tick "
            f"'{NO_FINDING}' instead"
        )
    if region.certainty and region.certainty not in CERTAINTIES:
        raise InvalidRegion(
            f"unknown certainty '{region.certainty}'; known: {', '.join(CERTAINTIES)}"
        )
    if len(region.note) > MAX_NOTE:
        raise InvalidRegion(f"a note of {len(region.note)} characters; at most {MAX_NOTE} are kept")
    if not is_valid_text(region.note):
        raise InvalidRegion("the note holds half a character; write it again")
    _check_box(region.box, size)
    _check_shape(region, size)
    return replace(region, finding=finding)


def check_id(text: str, what: str) -> str:
    """``text``, when it can be an id made in the page.

    Raises:
        InvalidRegion: If it is empty, long, or holds anything but letters, digits, _ and -.
    """
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise InvalidRegion(
            f"the {what} {text!r} is not valid; expected 1 to 64 letters, digits, '-' or '_'"
        )
    return text


def region_json(region: Region) -> dict[str, object]:
    """The region as JSON values, as it stands in the log."""
    return {"region_id": region.region_id, **_content(region)}


def content_sha256(no_finding: bool, regions: Iterable[Region]) -> str:
    """SHA-256 of what is said: No Finding and the regions in a fixed order, without their ids.

    Two readings that say the same have the same hash, whoever made the boxes and in which order.
    """
    contents = sorted(
        (_content(region) for region in regions), key=lambda one: repr(sorted(one.items()))
    )
    return sha256_of({"no_finding": bool(no_finding), "regions": contents})


def region_values(region: Region) -> tuple[str, str, str, int, int, int, int, str, str | None]:
    """The columns region_id, finding, certainty, x_min, y_min, x_max, y_max, note, shape."""
    shape = None if region.shape is None else canonical_json(shape_value(region.shape))
    return (
        region.region_id, region.finding, region.certainty, *region.box.corners, region.note, shape,
    )  # fmt: skip


def region_of(row: sqlite3.Row) -> Region:
    """The region in a row of regions or commit_regions."""
    return Region(
        region_id=row["region_id"],
        finding=row["finding"],
        certainty=row["certainty"],
        box=Box(row["x_min"], row["y_min"], row["x_max"], row["y_max"]),
        note=row["note"],
        shape=None if row["shape"] is None else _shape_of(row),
    )


def _shape_of(row: sqlite3.Row) -> Shape:
    try:
        return parse_shape(json.loads(row["shape"]))
    except (ValueError, RecursionError, InvalidRegion) as error:
        raise DamagedWorkspace(
            f"the outline of region {row['region_id']} is not as it was written ({error}); restore "
            "the newest backup"
        ) from None


def _content(region: Region) -> dict[str, object]:
    content: dict[str, object] = {
        "finding": region.finding,
        "certainty": region.certainty,
        "box": list(region.box.corners),
        "note": region.note,
    }
    # Only where there is one: hashes of readings without shapes stay as they always were.
    if region.shape is not None:
        content["shape"] = shape_value(region.shape)
    return content


def _check_box(box: Box, size: Size) -> None:
    height, width = size
    if not all(type(corner) is int for corner in box.corners):
        raise InvalidRegion(f"box {box.corners} has corners that are no whole numbers")
    if box.x_min < 0 or box.y_min < 0 or box.x_max > width or box.y_max > height:
        raise InvalidRegion(
            f"box {box.corners} reaches outside the picture of {width} x {height} "
            "(width x height); clip it to the picture"
        )


def _check_shape(region: Region, size: Size) -> None:
    if region.shape is None:
        return
    expected = shape_box(region.shape, size)
    if expected != region.box:
        raise InvalidRegion(
            f"box {region.box.corners} is not the bounding box {expected.corners} of its "
            f"{region.shape.kind}; send the box without the shape to move or resize it"
        )
