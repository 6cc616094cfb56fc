"""The 15 pictures in the Evaluate tab: where each mode looks, and reading them as a project."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any, Final

import gradio as gr

from annotations.errors import ReadingLocked
from audit_app.comparison.rights import note_reveal
from audit_app.errors import AuditError
from audit_app.evaluator.fifteen import FifteenMaps, read_fifteen
from audit_app.evaluator.fifteen_pictures import figure_pictures
from audit_app.evaluator.figure_fifteen import FigurePicture, draw_fifteen, encode_figure
from audit_app.evaluator.job import evaluation_folder
from audit_app.evaluator.result import MAPS_OF_15, PROVENANCE
from audit_app.handlers import handler
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.tabs.jobs import PRIVATE

NOTHING: Final = "There is no finished evaluation yet."
NOT_READ: Final = "Not read by you yet: its maps stay closed, so that you stay blinded."
FILE_NAME: Final = "figure_15.jpg"


@dataclass(frozen=True, slots=True)
class FifteenPart:
    """The components of this part of the tab."""

    project: gr.Button
    unread: gr.Checkbox
    note: gr.Markdown
    figure: gr.HTML
    is_open: gr.State

    @property
    def filled(self) -> list[gr.components.Component]:
        """In the order of ``fill_fifteen``."""
        return [self.note, self.figure]


def build_fifteen(services: Services, evaluation: gr.Dropdown, place: gr.Accordion) -> FifteenPart:
    """The components and events, inside of ``place``; drawn only while that is open.

    Args:
        services: The workspace.
        evaluation: Whose value is the job of the evaluation that is shown.
        place: Opened by the user.
    """
    with gr.Row(elem_classes="choices"):
        project = gr.Button(
            "Read these pictures", variant="primary", elem_id="fifteen-project", scale=0,
            min_width=230,
        )  # fmt: skip
        unread = gr.Checkbox(
            label="Also show the maps of pictures that I have not read (it is recorded that I saw "
            "them)",
            elem_id="fifteen-unread",
        )
    part = FifteenPart(
        project=project,
        unread=unread,
        note=gr.Markdown(elem_id="fifteen-note", elem_classes="status-line"),
        figure=gr.HTML(elem_id="fifteen-figure"),
        is_open=gr.State(False),
    )
    _connect(services, part, evaluation, place)
    return part


def _connect(
    services: Services, part: FifteenPart, evaluation: gr.Dropdown, place: gr.Accordion
) -> None:
    on = handler(services, "auditor")

    @on
    def expand(chosen: str | None, unread: bool, visitor: Visitor) -> list[Any]:
        return [True, *fill_fifteen(services, visitor, chosen, unread=unread)]

    @on
    def collapse() -> bool:
        return False

    @on
    def follow(is_open: bool, chosen: str | None, visitor: Visitor) -> list[Any]:
        # What was ticked for other pictures is no wish to see these.
        if not is_open:
            return [False, gr.skip(), gr.skip()]
        return [False, *fill_fifteen(services, visitor, chosen, unread=False)]

    @on
    def redraw(chosen: str | None, unread: bool, visitor: Visitor) -> list[Any]:
        return fill_fifteen(services, visitor, chosen, unread=unread)

    given = [evaluation, part.unread]
    place.expand(expand, given, [part.is_open, *part.filled], **PRIVATE)
    place.collapse(collapse, None, part.is_open, **PRIVATE)
    followed = [part.unread, *part.filled]
    evaluation.change(follow, [part.is_open, evaluation], followed, **PRIVATE)
    part.unread.input(redraw, given, part.filled, **PRIVATE)


def maps_of(services: Services, chosen: str | None) -> FifteenMaps | None:
    """The maps of the chosen evaluation's 15; None while it is not finished.

    Raises:
        AuditError: If their file cannot be read.
    """
    if not chosen or not chosen.isdecimal():
        return None
    folder = evaluation_folder(services.workspace, int(chosen))
    if not (folder / PROVENANCE).is_file():
        return None
    return read_fifteen(folder / MAPS_OF_15)


def fill_fifteen(
    services: Services, visitor: Visitor, chosen: str | None, *, unread: bool
) -> list[Any]:
    """Updates of note and figure, of what this visitor may see; seeing it is kept."""
    maps = maps_of(services, chosen)
    if maps is None:
        return [NOTHING, ""]
    pictures, missing = figure_pictures(services.store, maps)
    shown = {
        image_id: seen_by(services, visitor, image_id, one, unread=unread)
        for image_id, one in pictures.items()
    }
    n_shown = sum(not one.locked for one in shown.values())
    services.store.log.add(
        "figure of the 15", visitor.name, f"evaluation {chosen}", {"pictures": n_shown}
    )
    file = encode_figure(draw_fifteen(maps, shown), "JPEG")
    return [describe(maps, n_shown, len(missing)), figure_html(file)]


def seen_by(
    services: Services,
    visitor: Visitor,
    image_id: str,
    picture: FigurePicture,
    *,
    unread: bool,
) -> FigurePicture:
    """The picture with maps and boxes where this visitor may see them, else locked."""
    readings = services.store.readings
    if not readings.get(image_id, visitor.name).reading_id and not unread:
        return replace(picture, boxes=(), readers=(), locked=NOT_READ)
    try:
        note_reveal(services, visitor, image_id)
    except ReadingLocked as locked:
        return replace(picture, boxes=(), readers=(), locked=str(locked))
    if any(reader != visitor.name for reader in picture.readers):
        readings.note_seen_reading(image_id, visitor.name)
    return picture


def describe(maps: FifteenMaps, n_shown: int, n_missing: int) -> str:
    """Which pictures these are, and how many of them are shown with maps."""
    said = f"**{maps.rule[0].upper()}{maps.rule[1:]}.** Grad-CAM by the weights of this evaluation."
    n_all = len(maps.image_ids)
    if n_shown < n_all - n_missing:
        said += f" {n_shown} of {n_all} are shown with their maps; read the rest to see theirs."
    if n_missing:
        said += f" The files of {n_missing} are missing."
    return said


def figure_html(file: bytes) -> str:
    """The figure in the page, with a link that saves it."""
    address = f"data:image/jpeg;base64,{base64.b64encode(file).decode()}"
    return (
        '<div class="fifteen"><img alt="The 15 pictures: findings, modes, boxes" '
        f'src="{address}"></div><p class="downloads"><a href="{address}" '
        f'download="{FILE_NAME}">Download {FILE_NAME}</a></p>'
    )


def make_project(services: Services, visitor: Visitor, chosen: str | None) -> str:
    """The name of the reading project that holds the 15 of this evaluation from now on.

    Raises:
        AuditError: If the evaluation is not finished.
    """
    maps = maps_of(services, chosen)
    if maps is None:
        raise AuditError("this evaluation is not finished; its pictures are chosen with its tables")
    name = maps.project or f"15 of evaluation {chosen}"
    known = services.store.labels.splits(name)
    for image_id in maps.image_ids:
        if image_id not in known:
            services.store.labels.set_split(image_id, name, "test")
    if not set(maps.image_ids) <= set(known):
        services.store.log.add(
            "reading project", visitor.name, name, {"pictures": len(maps.image_ids)}
        )
    return name


def first_of_project(services: Services, visitor: Visitor, name: str) -> str:
    """The case to begin with: a draft, else one that this visitor has not read, else the first.

    Raises:
        AuditError: If none of its pictures is in this visitor's worklist.
    """
    for status in ("draft", "new", None):
        page = services.store.images.worklist(visitor.name, status=status, project=name, limit=1)
        if page.rows:
            return page.rows[0].image_id
    raise AuditError(f"no picture of the project '{name}' is in your worklist; import them again")
