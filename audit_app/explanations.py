"""One image through one mode of one model, into the map cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from annotations.imaging import load_radiograph
from annotations.imaging.display import display_picture
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.map_cache import CachedMaps, MapRequest, cache_file, read_maps, write_maps
from model_store.errors import ModelError

if TYPE_CHECKING:
    from model_store.runtime import ModelRuntime


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which maps: one image, one model, one mode, one method."""

    image_id: str
    model: str
    mode: str
    method: str


def explain_image(
    workspace: Workspace,
    store: Store,
    runtime: ModelRuntime,
    wanted: Wanted,
) -> str:
    """Compute and keep the maps of one image in one mode unless they are kept already.

    Returns:
        "" when they are there, else the sentence why this mode has none (its head is not trained,
        for instance), so that the other modes can still be shown.
    """
    image = store.images.get(wanted.image_id)
    findings = store.findings()
    request = MapRequest(image, wanted.model, wanted.mode, wanted.method, findings)
    file = cache_file(workspace, request, store.models.get(wanted.model))
    if read_maps(file) is not None:
        return ""
    picture = display_picture(load_radiograph(Path(image.path)))
    try:
        known = runtime.supported(wanted.model, wanted.mode, findings)
        explanation = runtime.explain(wanted.model, wanted.mode, wanted.method, picture, known)
    except ModelError as error:
        return str(error)
    maps = CachedMaps(
        maps=explanation.maps,
        scores=explanation.scores,
        findings=tuple(explanation.findings),
        geometry=explanation.geometry,
        provenance=explanation.provenance,
    )
    write_maps(file, maps)
    return ""
