"""The 15 pictures with what readers marked on them, ready to be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from annotations.errors import AnnotationError
from annotations.imaging import load_radiograph
from annotations.imaging.display import display_picture
from annotations.store import Store
from audit_app.errors import AuditError
from audit_app.evaluator.fifteen import FifteenMaps
from audit_app.evaluator.figure_fifteen import FigurePicture, MarkedBox

UNREAD: Final = "Not read yet: its maps are left out, so that whoever reads it stays blinded."


def figure_pictures(store: Store, maps: FifteenMaps) -> tuple[dict[str, FigurePicture], list[str]]:
    """The pictures with the last committed reading of each reader, and the ids of missing ones.

    Raises:
        UnknownRecord: If an image was taken out of the workspace.
    """
    readings = store.readings.committed(
        latest=True, blinded_only=False, image_ids=list(maps.image_ids)
    )
    pictures: dict[str, FigurePicture] = {}
    missing: list[str] = []
    for image_id in maps.image_ids:
        image = store.images.get(image_id)
        try:
            pixels = display_picture(load_radiograph(Path(image.path)))
        except (AnnotationError, OSError):
            missing.append(image_id)
            continue
        own = [one for one in readings if one.image_id == image_id]
        boxes = [
            MarkedBox(one.reader, region.finding, region.box)
            for one in own
            for region in one.regions
        ]
        readers = tuple(dict.fromkeys(one.reader for one in own))
        pictures[image_id] = FigurePicture(pixels, tuple(boxes), readers)
    if not pictures:
        raise AuditError(
            f"none of the {len(maps.image_ids)} pictures of the figure can be read; put their "
            "files back"
        )
    return pictures, missing


def lock_unread(pictures: Mapping[str, FigurePicture]) -> dict[str, FigurePicture]:
    """The same, without the maps of pictures that nobody has read."""
    return {
        image_id: one
        if one.readers
        else FigurePicture(one.pixels, one.boxes, one.readers, locked=UNREAD)
        for image_id, one in pictures.items()
    }
