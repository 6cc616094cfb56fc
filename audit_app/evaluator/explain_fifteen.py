"""The figure of the 15 in an evaluation: its stage, its file, its place in the report."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotations.errors import AnnotationError
from annotations.imaging import load_radiograph
from annotations.imaging.display import display_picture
from annotations.store import Store
from audit_app.errors import AuditError
from audit_app.evaluator.answering import FIFTEEN, Answering
from audit_app.evaluator.fifteen import (
    METHOD,
    FifteenMaps,
    choose_fifteen,
    fifteen_key,
    fifteen_stage,
)
from audit_app.evaluator.figure_fifteen import (
    FigurePicture,
    MarkedBox,
    draw_fifteen,
    encode_figure,
)
from audit_app.evaluator.stages import Stage, disk_errors, replacing
from model_store.runtime import Explanation

UNREAD: Final = "Not read yet: its maps are left out, so that whoever reads it stays blinded."


def explain_fifteen(answering: Answering) -> Stage:
    """Where each mode looks on the 15, by the weights of this evaluation; kept as a stage.

    Raises:
        Cancelled: On request.
        AnnotationError: If a picture cannot be read any more.
    """
    answering.watch.begin(FIFTEEN)
    plan = answering.plan
    modes = tuple(dict.fromkeys(mode for _, mode in answering.answers))
    heads = {mode: path for (_, mode), path in reversed(answering.heads.items())}

    def explain(mode: str, pictures: Sequence[NDArray[np.uint8]]) -> list[Explanation]:
        return answering.model.explain(mode, METHOD, pictures, plan.findings, heads.get(mode))

    rows, _, _ = choose_fifteen(plan)
    entry = answering.model.loaded.entry
    asked = {"entry": entry.to_dict(), "made_by": answering.made_by}
    key = fifteen_key([plan.images[row].image_id for row in rows], modes, asked)
    stage = answering.stages.do(
        f"fifteen-{key}", lambda: fifteen_stage(plan, modes, explain, answering.watch.step)
    )
    answering.watch.check()
    return stage


def write_figure(path: Path, store: Store, maps: FifteenMaps) -> str:
    """Write the figure with what is read by now; the same for the report, as HTML.

    The report leaves out the maps of pictures that nobody has read; the file shows all.

    Raises:
        AuditError: If the disk is full, or no picture is there.
    """
    pictures, missing = figure_pictures(store, maps)
    with disk_errors(path.parent), replacing(path) as file:
        file.write(encode_figure(draw_fifteen(maps, pictures), "PNG"))
    locked = lock_unread(pictures)
    small = encode_figure(draw_fifteen(maps, locked), "JPEG")
    n_read = sum(not one.locked for one in locked.values())
    left_out = f" Missing: {escape(', '.join(missing))}." if missing else ""
    return (
        f"<h2>Where each mode looks: {escape(maps.rule)}</h2><p>Grad-CAM of each finding; boxes of "
        f"committed readings as of this report. {n_read} of {len(maps.image_ids)} are read; the "
        f"maps of the others are left out here, so that whoever reads them stays blinded."
        f"{left_out}</p>"
        '<img class="fifteen" alt="Pictures, findings and modes with boxes" '
        f'style="max-width:100%" src="data:image/jpeg;base64,{base64.b64encode(small).decode()}">'
    )


def figure_pictures(store: Store, maps: FifteenMaps) -> tuple[dict[str, FigurePicture], list[str]]:
    """The pictures with the last committed reading of each reader, and the names of missing ones.

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
            missing.append(image.name)
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
