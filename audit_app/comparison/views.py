"""The panel's one value: reading, maps and choices of a selection as far as they exist."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from annotations.records import Job
from audit_app.comparison.grid import grid_content
from audit_app.comparison.maps import (
    has_maps,
    is_active,
    is_image_text,
    known_layers,
    layer_of,
    mode_title,
    modes_of,
    needed_maps,
    pair_sides,
    wanted_map,
    words_map,
)
from audit_app.comparison.panes import Scene, empty_pane
from audit_app.comparison.rights import open_reading
from audit_app.comparison.selection import VIEWS, Selection
from audit_app.explanations import layer_key
from audit_app.map_cache import AUTO
from audit_app.models import load_entry
from audit_app.plain_text import plain
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.viewer.state import case_meta, region_value
from model_store.saliency import SALIENCY_METHODS

NO_TEXT: Final = "this model has no text side, so free words cannot be asked; choose another model"


@dataclass(frozen=True, slots=True)
class View:
    """What the tab shows now, and whether it should ask again because maps are being computed."""

    value: dict[str, Any]
    sentence: str
    is_waiting: bool


def view(services: Services, visitor: Visitor, selection: Selection, job_id: int | None) -> View:
    """The panel's value for a selection as far as its maps exist.

    Args:
        services: The workspace.
        visitor: Who looks.
        selection: What is compared.
        job_id: The job that computes the missing maps, or None when none was asked for.
    """
    reading = open_reading(services, visitor, selection.image_id, selection.reader)
    job = services.store.jobs.find(job_id)
    image = services.store.images.get(selection.image_id)
    scene = Scene(services, selection, reading, image, job)
    is_waiting = is_active(job)
    sentence = describe_view(selection, job)
    value = {
        **frame(services, selection, job),
        "reader": selection.reader,
        "finding": selection.finding,
        "meta": case_meta(services, selection.image_id),
        "regions": [region_value(region) for region in scene.regions],
        "look": asdict(selection.look),
        "options": options(services, selection),
        "content": CONTENTS[selection.look.view](scene),
        "sentence": sentence,
    }
    return View(value, sentence, is_waiting)


def frame(services: Services, selection: Selection, job: Job | None) -> dict[str, Any]:
    """What every answer to the page holds, also the one that says that nothing is new."""
    return {
        "case_id": selection.image_id,
        "view": selection.look.view,
        "serial": selection.look.serial,
        "stamp": stamp(services, selection, job),
        "is_waiting": is_active(job),
        # Two values that say the same would not be told apart by the page.
        "sent_at": time.time_ns(),
    }


def unchanged(
    services: Services, visitor: Visitor, selection: Selection, job_id: int | None, seen: object
) -> dict[str, Any] | None:
    """The short answer to a page that has seen all there is; None when there is more to show."""
    open_reading(services, visitor, selection.image_id, selection.reader)
    job = services.store.jobs.find(job_id)
    short = frame(services, selection, job)
    return {**short, "unchanged": True} if short["stamp"] == seen else None


def stamp(services: Services, selection: Selection, job: Job | None) -> str:
    """A text that changes when there is more to show."""
    made = sum(has_maps(services, one) for one in needed_maps(services, selection))
    return f"{made} {job.status if job else ''} {job.done if job else 0}"


def options(services: Services, selection: Selection) -> dict[str, Any]:
    """What the page may choose among: views, models with their modes, methods."""
    models = []
    for name in services.store.models.all():
        modes = modes_of(services, name)
        models.append(
            {
                "name": name,
                "modes": [
                    {"name": mode, "title": mode_title(mode), "is_ready": mode in modes.ready}
                    for mode in modes.all
                ],
            }
        )
    return {
        "views": [{"name": name, "title": title} for name, title in VIEWS.items()],
        "models": models,
        "model": selection.model,
        "method": selection.method,
        "methods": [
            {
                "name": one.name,
                "title": one.title,
                "description": one.description,
                "source": one.source,
                "layer": one.layer_rule,
            }
            for one in SALIENCY_METHODS.values()
        ],
    }


def modes_content(scene: Scene) -> dict[str, Any]:
    """One pane per mode."""
    selection = scene.selection
    model, layer = selection.model, layer_of(scene.services, selection)
    return {
        "layer": layer if layer != AUTO else "",
        "panes": [
            scene.pane(wanted_map(selection, model, mode, layer), mode_title(mode))
            for mode in modes_of(scene.services, model).all
        ],
    }


def layers_content(scene: Scene) -> dict[str, Any]:
    """One pane per layer, in order of depth."""
    selection = scene.selection
    mode = modes_of(scene.services, selection.model).first_ready(selection.look.mode)
    layers = known_layers(scene.services, selection.model) or []
    items = []
    for layer in layers:
        wanted = wanted_map(selection, selection.model, mode, layer_key(layer))
        items.append(
            {
                "path": layer["path"],
                "key": layer_key(layer),
                "title": layer["title"],
                "grid": list(layer["grid"]),
                "is_default": layer["is_default"],
                "pane": scene.pane(wanted, layer["title"]),
            }
        )
    waiting = empty_pane("Layers", "asking the model which layers it has ...", is_waiting=True)
    return {"mode": mode, "items": items, "pane": None if items else waiting}


def pair_content(scene: Scene) -> dict[str, Any]:
    """Two panes; their difference is made in the page."""
    sides = pair_sides(scene.services, scene.selection)
    return {
        "sides": [asdict(side) for side in sides],
        "panes": [
            scene.pane(
                wanted_map(scene.selection, side.model, side.mode),
                f"{side.model}, {mode_title(side.mode).lower()}",
            )
            for side in sides
        ],
    }


def words_content(scene: Scene) -> dict[str, Any]:
    """The chosen finding's own zero-shot map, beside which the page puts that of free text."""
    selection = scene.selection
    if not is_image_text(scene.services, selection.model):
        return {"problem": f"{selection.model}: {NO_TEXT}", "pane": None, "text": "", "method": ""}
    wanted = words_map(selection)
    entry = load_entry(scene.services.store, selection.model)
    return {
        "problem": "",
        "method": wanted.method,
        "pane": scene.pane(wanted, f"{selection.finding}, zero-shot"),
        "text": entry.prompts.prompts_for(selection.finding)[0],
    }


CONTENTS: Final[Mapping[str, Callable[[Scene], dict[str, Any]]]] = {
    "modes": modes_content,
    "grid": grid_content,
    "layers": layers_content,
    "pair": pair_content,
    "words": words_content,
}


def describe_view(selection: Selection, job: Job | None) -> str:
    """One sentence for the status line."""
    if job is not None and is_active(job):
        share = f" {job.done} of {job.total} are there." if job.total else ""
        return (
            f"Computing maps of {plain(selection.model)}; the first ones take a few seconds.{share}"
        )
    return plain(f"{selection.finding}: {selection.model} beside {selection.reader}.")
