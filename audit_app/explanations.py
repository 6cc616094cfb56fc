"""What the worker computes for an open page, into the caches that the page reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annotations.imaging import load_radiograph
from annotations.imaging.display import display_picture
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.map_cache import (
    AUTO,
    CachedMaps,
    MapRequest,
    basis_file,
    cache_file,
    layers_file,
    prune,
    read_layers,
    read_maps,
    read_text_embedding,
    text_file,
    write_layers,
    write_maps,
    write_text_embedding,
)
from model_store.errors import ModelError
from model_store.prompt_basis import read_basis, write_basis

if TYPE_CHECKING:
    from model_store.runtime import ModelRuntime

Report = Callable[[int, int, str], bool]
MAX_BASIS_BYTES = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which maps: one image, one model, one mode, one method, one layer."""

    image_id: str
    model: str
    mode: str
    method: str
    layer: str = AUTO

    @property
    def key(self) -> str:
        """Its name among the failures of a job."""
        return f"{self.model}/{self.mode}/{self.layer}"


@dataclass(frozen=True)
class Explainer:
    """One workspace and its loaded models, at work for open pages."""

    workspace: Workspace
    store: Store
    runtime: ModelRuntime

    def explain_all(self, many: Sequence[Wanted], report: Report) -> dict[str, str]:
        """Compute and keep these maps unless they are kept already.

        Returns:
            Why some have none (their head is not trained, for instance), by ``Wanted.key``: the
            others can still be shown.
        """
        failures = {}
        for done, wanted in enumerate(many):
            reason = self.explain(wanted)
            if reason:
                failures[wanted.key] = reason
            if report(done + 1, len(many), f"maps of {wanted.model}"):
                break
        return failures

    def explain(self, wanted: Wanted) -> str:
        """Compute and keep the maps of one image in one mode; "" or why there are none."""
        image = self.store.images.get(wanted.image_id)
        findings = self.store.findings()
        request = MapRequest(
            image, wanted.model, wanted.mode, wanted.method, findings, wanted.layer
        )
        file = cache_file(self.workspace, request, self.store.models.get(wanted.model))
        if read_maps(file) is not None:
            return ""
        picture = self._picture(wanted.image_id)
        try:
            known = self.runtime.supported(wanted.model, wanted.mode, findings)
            explanation = self.runtime.explain(
                wanted.model, wanted.mode, wanted.method, picture, known, layer=wanted.layer
            )
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

    def explain_layers(self, wanted: Wanted, report: Report) -> dict[str, str]:
        """The maps at every layer of the model, its default first; the list of layers is kept too.

        Raises:
            ModelError: If the model cannot say which layers it has.
        """
        file = layers_file(self.workspace, self.store.models.get(wanted.model))
        layers = read_layers(file)
        if layers is None:
            layers = [asdict(layer) for layer in self.runtime.layers(wanted.model)]
            write_layers(file, layers)
        return self.explain_all([replace(wanted, layer=at) for at in layer_order(layers)], report)

    def prepare_prompt(self, image_id: str, model: str, method: str, texts: Sequence[str]) -> str:
        """Keep the basis maps of the image and the embeddings of these texts; "" or why not."""
        entry = self.store.models.get(model)
        basis = basis_file(self.workspace, self.store.images.get(image_id), entry, method)
        missing = [
            text
            for text in dict.fromkeys(texts)
            if read_text_embedding(text_file(self.workspace, entry, text)) is None
        ]
        try:
            if read_basis(basis) is None:
                made = self.runtime.prompt_basis(model, self._picture(image_id), method)
                basis.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_basis(basis, made)
                prune(basis.parent, MAX_BASIS_BYTES)
            if missing:
                for text, row in zip(
                    missing, self.runtime.embed_texts(model, missing), strict=True
                ):
                    write_text_embedding(text_file(self.workspace, entry, text), np.asarray(row))
        except ModelError as error:
            return str(error)
        return ""

    def _picture(self, image_id: str) -> NDArray[np.uint8]:
        return display_picture(load_radiograph(Path(self.store.images.get(image_id).path)))


def layer_order(layers: Sequence[dict[str, Any]]) -> list[str]:
    """How the layers are asked for: the default one as ``auto``, and first."""
    others = [str(layer["path"]) for layer in layers if not layer["is_default"]]
    return [*([AUTO] if len(others) < len(layers) else []), *others]


def layer_key(layer: dict[str, Any]) -> str:
    """The name under which the maps at this layer are kept."""
    return AUTO if layer["is_default"] else str(layer["path"])
