"""One loaded model with what was built of it, kept between questions.

Whoever asks holds the model's lock (``runtime.ModelRuntime``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray

from model_store.errors import UnknownMethod
from model_store.files import file_sha256
from model_store.loading import LoadedModel
from model_store.modes import Mode, build_mode
from model_store.prompt_basis import PromptBasis, pack_basis
from model_store.random_heads import build_random_head
from model_store.saliency.basis import EmbeddingScorer, embedding_basis
from model_store.saliency.layers import TargetLayer, find_layer
from model_store.saliency.listing import list_layers
from model_store.saliency.methods import LayerChoice
from model_store.zero_shot import embed_texts


class _Stamp(NamedTuple):
    """What changes when a file is replaced; cheaper than the hash of its content."""

    inode: int
    modified_ns: int
    size: int


@dataclass(eq=False)
class HeldModel:
    """A loaded model, its modes and their layers.

    Attributes:
        loaded: The model of an entry that has not changed since.
    """

    loaded: LoadedModel
    _modes: dict[str, Mode] = field(default_factory=dict)
    _targets: dict[tuple[str, str], TargetLayer] = field(default_factory=dict)
    _stamps: dict[str, _Stamp] = field(default_factory=dict)
    _layers: tuple[LayerChoice, ...] = ()

    def mode(self, name: str, findings: Sequence[str], head_path: Path) -> Mode:
        """The mode with at least these findings; built again when its head file was replaced.

        Raises:
            ModelError: If the mode cannot be built; the message says why.
        """
        built = self._modes.get(name)
        if name in ("zs", "cls"):
            return self._untrained(name, built, findings)
        if self.loaded.is_random:
            return self._random_head(name, findings)
        if built is None or not self._is_current(built, head_path):
            self._forget(name)
            stamp = _stamp(head_path)
            built = self._modes[name] = build_mode(self.loaded, name, head_path=head_path)
            if stamp is not None:
                self._stamps[name] = stamp
        return built

    def target(self, mode: Mode, layer: str) -> TargetLayer:
        """The layer of this mode's tower; each is tried once.

        Raises:
            UnsuitableLayer: If no map can come from there.
        """
        known = self._targets.get((mode.mode, layer))
        if known is None:
            known = self._targets[mode.mode, layer] = mode.at_layer(layer).target
        return known

    def layers(self) -> tuple[LayerChoice, ...]:
        """The layers that a user can choose from."""
        if not self._layers:
            self._layers = list_layers(
                self._embedding(), self.loaded.entry.layer, self.loaded.input_size
            )
        return self._layers

    def prompt_basis(self, picture: NDArray[np.uint8], method: str = "gradcam") -> PromptBasis:
        """What the zero-shot map of any text on this picture is made of.

        Raises:
            UnknownMethod: If the model reads no text.
            UnsuitableLayer: If the entry's layer gives no map.
        """
        self._check_reads_text()
        network, layer = self._embedding(), self.loaded.entry.layer
        target = self._targets.get(("", layer))
        if target is None:
            target = find_layer(network, layer, self.loaded.input_size)
            self._targets["", layer] = target
        x, geometry = self.loaded.prepare(picture)
        x = x[None].to(self.loaded.device)
        maps, embedding = embedding_basis(network, target, x, method=method)
        packed, scale = pack_basis(maps)
        return PromptBasis(
            basis=packed,
            embedding=embedding,
            input_size=self.loaded.input_size,
            geometry=geometry,
            layer=target.path,
            weights_sha256=self.loaded.weights_sha256,
            scale=scale,
            method=method,
        )

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Text embeddings (N, D) of length 1.

        Raises:
            ModelError: If the model reads no text, or cannot read one of these.
        """
        self._check_reads_text()
        embedded = torch.nn.functional.normalize(embed_texts(self.loaded, texts), dim=-1)
        values: NDArray[np.float32] = embedded.to(torch.float32).cpu().numpy()
        return values

    def _untrained(self, name: str, built: Mode | None, findings: Sequence[str]) -> Mode:
        """Zero-shot or a classifier's own outputs; the findings of earlier questions stay."""
        if built is not None and set(findings) <= set(built.findings):
            return built
        if name == "cls":
            built = build_mode(self.loaded, name)
        else:
            known = () if built is None else built.findings
            built = build_mode(self.loaded, name, tuple(dict.fromkeys([*known, *findings])))
        self._modes[name] = built
        return built

    def _random_head(self, name: str, findings: Sequence[str]) -> Mode:
        """A trained mode of a model with random weights."""
        built = self._modes.get(name)
        if built is None or built.findings != tuple(findings):
            built = self._modes[name] = build_random_head(self.loaded, name, findings)
        return built

    def _is_current(self, built: Mode, path: Path) -> bool:
        """Whether this mode still answers for its head file."""
        stamp = _stamp(path)
        if stamp is None:
            return False
        if stamp == self._stamps.get(built.mode):
            return True
        if file_sha256(path) != built.weights_sha256:
            return False
        self._stamps[built.mode] = stamp
        return True

    def _forget(self, name: str) -> None:
        """Drop a mode with the layers of its tower."""
        self._modes.pop(name, None)
        self._stamps.pop(name, None)
        for key in [key for key in self._targets if key[0] == name]:
            del self._targets[key]

    def _embedding(self) -> EmbeddingScorer:
        return EmbeddingScorer(cast("Any", self.loaded.network).visual).eval()

    def _check_reads_text(self) -> None:
        entry = self.loaded.entry
        if "zs" not in entry.modes:
            raise UnknownMethod(
                f"model '{entry.name}' is a classifier: it reads no text; "
                "choose an image-text model for a prompt of your own"
            )


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return _Stamp(found.st_ino, found.st_mtime_ns, found.st_size)
