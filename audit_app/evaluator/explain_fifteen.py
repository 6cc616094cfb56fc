"""The figure of the 15 in an evaluation: its stage, its file, its place in the report."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotations.store import Store
from audit_app.evaluator.answering import FIFTEEN, Answering
from audit_app.evaluator.fifteen import (
    METHOD,
    FifteenMaps,
    choose_fifteen,
    fifteen_key,
    fifteen_stage,
)
from audit_app.evaluator.fifteen_pictures import figure_pictures, lock_unread
from audit_app.evaluator.figure_fifteen import cut_figure, draw_fifteen, encode_figure
from audit_app.evaluator.stages import Stage, disk_errors
from audit_app.replacing import replacing
from model_store.explanation import Explanation


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
    pause = answering.watch.pauses(0, 1, "maps of the 15")
    stage = answering.stages.do(
        f"fifteen-{key}", lambda: fifteen_stage(plan, modes, explain, pause)
    )
    answering.watch.check()
    return stage


def write_figure(path: Path, store: Store, maps: FifteenMaps) -> str:
    """Write the figure with what is read by now; the same for the report, as HTML.

    The report leaves out the maps of pictures that nobody has read; the file shows all.

    Raises:
        AuditError: If the disk is full, or no picture is there.
    """
    films, missing = figure_pictures(store, maps)
    with disk_errors(path.parent), replacing(path) as file:
        file.write(encode_figure(draw_fifteen(maps, films), "PNG"))
    locked = lock_unread(films)
    strips = cut_figure(draw_fifteen(maps, locked), len(locked))
    pictures = "".join(_strip(number, one) for number, one in enumerate(strips, start=1))
    n_read = sum(not one.locked for one in locked.values())
    left_out = f" Missing: {escape(', '.join(missing))}." if missing else ""
    return (
        f"<h2>Where each mode looks: {escape(maps.rule)}</h2><p>Grad-CAM of each finding; boxes of "
        f"committed readings as of this report. {n_read} of {len(maps.image_ids)} are read; the "
        f"maps of the others are left out here, so that whoever reads them stays blinded."
        f"{left_out}</p>" + f'<div class="fifteen">{pictures}</div>'
    )


def _strip(number: int, image: Image.Image) -> str:
    data = base64.b64encode(encode_figure(image, "JPEG")).decode()
    return (
        f'<img alt="Picture {number}: a map for each finding and mode, with boxes" '
        f'src="data:image/jpeg;base64,{data}">'
    )
