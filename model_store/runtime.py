"""All that the background worker asks of models: explanations, scores, training.

Importing this module loads no torch; the first question does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from model_store.checkpoints import missing_head, read_metadata
from model_store.entries import ModelEntry
from model_store.errors import UnknownMethod
from model_store.files import file_sha256
from model_store.preprocessing import FrameGeometry
from model_store.saliency import find_method
from model_store.training import STUDY_SETTINGS, Progress, TrainingSet, TrainingSettings
from model_store.versions import library_versions

if TYPE_CHECKING:
    from model_store.loading import LoadedModel
    from model_store.modes import Mode

MODELS_KEPT: Final = 2
SCORE_KINDS: Final[Mapping[str, str]] = {"zs": "cosine", "lp": "logit", "ft": "logit"}


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a model says about one picture in one mode, and where it looked.

    Attributes:
        maps: Shape (K, h, w), not negative, on the model's input grid; an empty map is all zero.
        scores: Shape (K,): cosines for zs, logits for lp and ft.
        findings: K names.
        geometry: From the picture's pixels to the grid of the maps, and back.
        provenance: JSON values: hashes, preprocessing, layer, method, prompts, versions.
    """

    maps: NDArray[np.float32]
    scores: NDArray[np.float32]
    findings: tuple[str, ...]
    geometry: FrameGeometry
    provenance: dict[str, Any]


class ModelRuntime:
    """Loaded models and modes, kept between questions.

    Args:
        entries: A model's name to its entry; asked at each question, so that a changed entry is
            noticed.
        models_dir: Holds ``<model>/lp.safetensors`` and ``<model>/ft.safetensors``.
        device: Of the networks, ``cpu`` or ``cuda``.
    """

    def __init__(
        self, entries: Callable[[str], ModelEntry], models_dir: Path, device: str = "cpu"
    ) -> None:
        self._entries = entries
        self._models_dir = models_dir
        self._device = device
        self._models: OrderedDict[str, LoadedModel] = OrderedDict()
        self._modes: dict[tuple[str, str], Mode] = {}

    def head_path(self, model: str, mode: str) -> Path:
        """Where the weights of this mode lie, or will lie."""
        return self._models_dir / model / f"{mode}.safetensors"

    def supported(self, model: str, mode: str, findings: Sequence[str]) -> tuple[str, ...]:
        """Those of the findings that this mode of the model can score; loads no network.

        Raises:
            UnknownMethod: If there is no such mode.
            MissingHead: If the mode was not trained yet.
        """
        _check_mode(mode)
        if mode == "zs":
            return tuple(findings)
        path = self.head_path(model, mode)
        if not path.is_file():
            raise missing_head(model, mode, path)
        known = read_metadata(path).findings
        return tuple(finding for finding in findings if finding in known)

    def explain(
        self,
        model: str,
        mode: str,
        method: str,
        picture: NDArray[np.uint8],
        findings: Sequence[str],
    ) -> Explanation:
        """Maps and scores of these findings on this picture.

        Args:
            model: Name of an entry.
            mode: ``zs``, ``lp`` or ``ft``.
            method: A key of ``SALIENCY_METHODS``.
            picture: The display picture, (H, W) uint8.
            findings: What to ask for, in this order.

        Raises:
            ModelError: With a sentence: unknown mode or method, missing or changed files, a head
                that was not trained or lacks a finding, a layer that gives no map.
            ValueError: If the picture is not (H, W) uint8.
        """
        maps = find_method(method).maps
        built = self._mode(model, mode, findings)
        loaded = self._models[model]
        x, geometry = loaded.prepare(picture)
        result = maps(built, x[None])
        return Explanation(
            maps=result.maps,
            scores=result.scores,
            findings=built.findings,
            geometry=geometry,
            provenance=_provenance(loaded, built, method),
        )

    def scores(
        self, model: str, mode: str, picture: NDArray[np.uint8], findings: Sequence[str]
    ) -> NDArray[np.float32]:
        """Scores (K,) alone, without maps."""
        import torch

        built = self._mode(model, mode, findings)
        x, _ = self._models[model].prepare(picture)
        with torch.no_grad():
            values: NDArray[np.float32] = built.network(x[None].to(built.device))[0].cpu().numpy()
        return values

    def train(
        self,
        model: str,
        mode: str,
        data: TrainingSet,
        *,
        settings: TrainingSettings | None = None,
        progress: Progress | None = None,
    ) -> Path:
        """The head file that was written; the mode answers with it from now on.

        Args:
            model: Name of an entry.
            mode: ``lp`` or ``ft``.
            data: Labelled pictures.
            settings: The study's, unless given.
            progress: Told (done, total, message); true stops, and nothing is saved.

        Raises:
            ModelError: With a sentence.
        """
        from model_store.fine_tune import train_fine_tune
        from model_store.linear_probe import train_linear_probe

        if mode not in STUDY_SETTINGS:
            raise UnknownMethod(f"mode {mode!r} cannot be trained; expected lp or ft")
        train = train_linear_probe if mode == "lp" else train_fine_tune
        chosen = settings or STUDY_SETTINGS[mode]
        loaded = self._model(model)
        path = self.head_path(model, mode)
        train(loaded, data, path, settings=chosen, progress=progress)
        self._modes.pop((model, mode), None)
        return path

    def _model(self, name: str) -> LoadedModel:
        """The loaded model of the entry as it is now."""
        from model_store.loading import load_model

        entry = self._entries(name)
        loaded = self._models.get(name)
        if loaded is None or loaded.entry != entry:
            self._forget(name)
            while len(self._models) >= MODELS_KEPT:
                self._forget(next(iter(self._models)))
            loaded = self._models[name] = load_model(entry, self._device)
        self._models.move_to_end(name)
        return loaded

    def _mode(self, model: str, mode: str, findings: Sequence[str]) -> Mode:
        """The mode for these findings; its tower is shared with earlier answers."""
        from model_store.modes import build_mode

        _check_mode(mode)
        loaded = self._model(model)
        built = self._modes.get((model, mode))
        if built is None or not self._is_current(model, mode, built, findings):
            if mode == "zs":
                known = () if built is None else built.findings
                built = build_mode(loaded, mode, tuple(dict.fromkeys([*known, *findings])))
            else:
                built = build_mode(loaded, mode, head_path=self.head_path(model, mode))
            self._modes[model, mode] = built
        return built.select(findings)

    def _is_current(self, model: str, mode: str, built: Mode, findings: Sequence[str]) -> bool:
        """Whether this mode still answers for its files, and for these findings."""
        if mode == "zs":
            return set(findings) <= set(built.findings)
        path = self.head_path(model, mode)
        return path.is_file() and file_sha256(path) == built.weights_sha256

    def _forget(self, name: str) -> None:
        self._models.pop(name, None)
        for key in [key for key in self._modes if key[0] == name]:
            del self._modes[key]


def _check_mode(mode: str) -> None:
    if mode not in SCORE_KINDS:
        raise UnknownMethod(f"unknown mode {mode!r}; known: {', '.join(SCORE_KINDS)}")


def _provenance(loaded: LoadedModel, mode: Mode, method: str) -> dict[str, Any]:
    """All that is needed to get the same maps again, as JSON values."""
    head = mode.head
    return {
        "model": loaded.entry.name,
        "source": loaded.entry.source or loaded.entry.location,
        "mode": mode.mode,
        "method": method,
        "method_source": find_method(method).source,
        "findings": list(mode.findings),
        "score": SCORE_KINDS[mode.mode],
        "weights_sha256": mode.weights_sha256,
        "base_weights_sha256": mode.base_weights_sha256,
        "config_sha256": loaded.entry.config_sha256,
        "preprocessing": loaded.describe_preprocessing(),
        "layer": mode.target.path,
        "grid": list(mode.grid),
        "prompts": {finding: list(texts) for finding, texts in mode.prompts.items()},
        "head_created": head.created if head else "",
        "precision": loaded.entry.precision,
        "device": str(loaded.device),
        "versions": library_versions(),
    }
