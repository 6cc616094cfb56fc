"""Which maps a selection needs, which of them exist, and why others do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annotations.records import Job
from audit_app.comparison.selection import MODES, Selection, Side
from audit_app.explanations import Wanted, layer_key
from audit_app.jobs import ACTIVE_STATUSES
from audit_app.map_cache import (
    AUTO,
    CachedMaps,
    MapRequest,
    cache_file,
    layers_file,
    read_layers,
    read_maps,
)
from audit_app.models import head_file, load_entry
from audit_app.services import Services
from model_store.prompt_basis import LINEAR_METHODS

NOT_TRAINED = "not trained yet; train this mode in the tab Data & models"
WAITING = "computing the map ..."


@dataclass(frozen=True, slots=True)
class Modes:
    """The modes of one model, in the order in which they are shown."""

    all: tuple[str, ...]
    ready: tuple[str, ...]

    def first_ready(self, wanted: str = "") -> str:
        """The wanted mode where it is ready, else the first that is."""
        return wanted if wanted in self.ready else next(iter(self.ready), self.all[0])


def modes_of(services: Services, model: str) -> Modes:
    """What this model can be asked, and what of it can be asked now."""
    every = tuple(load_entry(services.store, model).modes)
    ready = (
        mode
        for mode in every
        if mode == every[0] or head_file(services.workspace, model, mode).is_file()
    )
    return Modes(every, tuple(ready))


def is_image_text(services: Services, model: str) -> bool:
    """Whether free text can be asked of this model."""
    return "zs" in load_entry(services.store, model).modes


def find_maps(services: Services, wanted: Wanted) -> CachedMaps | None:
    """These maps, or None when they were not computed yet."""
    image = services.store.images.get(wanted.image_id)
    request = MapRequest(
        image, wanted.model, wanted.mode, wanted.method, services.store.findings(), wanted.layer
    )
    return read_maps(
        cache_file(services.workspace, request, services.store.models.get(wanted.model))
    )


def has_maps(services: Services, wanted: Wanted) -> bool:
    """Whether these maps exist."""
    image = services.store.images.get(wanted.image_id)
    request = MapRequest(
        image, wanted.model, wanted.mode, wanted.method, services.store.findings(), wanted.layer
    )
    entry = services.store.models.get(wanted.model)
    return cache_file(services.workspace, request, entry).is_file()


def known_layers(services: Services, model: str) -> list[dict[str, Any]] | None:
    """The layers of a model as the worker wrote them; None when it was not asked yet."""
    return read_layers(layers_file(services.workspace, services.store.models.get(model)))


def wanted_map(selection: Selection, model: str, mode: str, layer: str = AUTO) -> Wanted:
    """The maps of this selection's image by one model in one mode."""
    return Wanted(selection.image_id, model, mode, selection.method, layer)


def words_method(method: str) -> str:
    """The method that explains free words: the chosen one if its maps are linear, or Grad-CAM."""
    return method if method in LINEAR_METHODS else "gradcam"


def words_map(selection: Selection) -> Wanted:
    """The zero-shot maps beside free words."""
    method = words_method(selection.method)
    return Wanted(selection.image_id, selection.model, "zs", method)


def needed_maps(services: Services, selection: Selection) -> list[Wanted]:
    """The maps that this view shows, those that can be computed now."""
    look, model = selection.look, selection.model
    modes = modes_of(services, model)
    if look.view == "pair":
        sides = pair_sides(services, selection)
        asked = [wanted_map(selection, side.model, side.mode) for side in sides]
        return [one for one in asked if one.mode in modes_of(services, one.model).ready]
    if look.view == "words":
        return [words_map(selection)] if "zs" in modes.ready else []
    if look.view == "layers":
        mode = modes.first_ready(look.mode)
        layers = known_layers(services, model) or []
        return [wanted_map(selection, model, mode, layer_key(layer)) for layer in layers]
    layer = layer_of(services, selection)
    return [wanted_map(selection, model, mode, layer) for mode in modes.ready]


def layer_of(services: Services, selection: Selection) -> str:
    """The layer that was chosen, where this model has it; else its own."""
    layers = known_layers(services, selection.model) or []
    chosen = selection.look.layer
    return chosen if any(layer_key(layer) == chosen for layer in layers) else AUTO


def pair_sides(services: Services, selection: Selection) -> tuple[Side, Side]:
    """Both halves of the pair; what the page leaves open is a second model, or a second mode."""
    look, models = selection.look, services.store.models.all()
    left = Side(look.left.model if look.left.model in models else selection.model, look.left.mode)
    left = Side(left.model, modes_of(services, left.model).first_ready(left.mode))
    other = next((name for name in models if name != left.model), left.model)
    right_model = look.right.model if look.right.model in models else other
    modes = modes_of(services, right_model)
    if look.right.mode in modes.ready:
        return left, Side(right_model, look.right.mode)
    if right_model != left.model:
        return left, Side(right_model, modes.first_ready(left.mode))
    return left, Side(right_model, modes.ready[-1] if modes.ready else modes.all[0])


def job_params(services: Services, selection: Selection) -> tuple[str, dict[str, object]] | None:
    """Kind and parameters of the job that makes what is missing; None when nothing is."""
    look = selection.look
    if look.view == "layers":
        mode = modes_of(services, selection.model).first_ready(look.mode)
        needed = needed_maps(services, selection)
        if needed and all(has_maps(services, one) for one in needed):
            return None
        base = wanted_map(selection, selection.model, mode)
        names = ("image_id", "model", "mode", "method")
        return "layers", {name: getattr(base, name) for name in names}
    missing = [one for one in needed_maps(services, selection) if not has_maps(services, one)]
    if not missing:
        return None
    keys = ("model", "mode", "method", "layer")
    wanted = [{key: getattr(one, key) for key in keys} for one in missing]
    return "explain", {"image_id": selection.image_id, "wanted": wanted}


def is_active(job: Job | None) -> bool:
    """Whether the job still waits or runs."""
    return job is not None and job.status in ACTIVE_STATUSES


def failure_of(job: Job | None, wanted: Wanted) -> str:
    """Why there is no map: the finished job's reason, or that it is being computed."""
    if job is None or is_active(job):
        return WAITING
    if job.status != "done":
        return job.message or f"the computation was {job.status}"
    failures = job.result.get("failures")
    reason = failures.get(wanted.key) if isinstance(failures, Mapping) else None
    return str(reason) if reason else WAITING


def mode_title(mode: str) -> str:
    """The mode as it is written."""
    return MODES.get(mode, mode)
