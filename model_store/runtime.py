"""All that the background worker asks of models: explanations, layers, prompts, scores, training.

Importing this module loads no torch; the first question does. Any number of threads may ask.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from model_store.checkpoints import missing_head, read_metadata
from model_store.entries import MODES, ModelEntry
from model_store.errors import UnknownMethod
from model_store.explanation import PICTURES_AT_ONCE, Explanation, Picture, explain_pictures
from model_store.preprocessing import FrameGeometry
from model_store.prompt_basis import PromptBasis
from model_store.saliency import LayerChoice, find_method
from model_store.training import STUDY_SETTINGS, Progress, TrainingSet, TrainingSettings

if TYPE_CHECKING:
    from model_store.encoder import ImageEncoder
    from model_store.held import HeldModel
    from model_store.loading import LoadedModel
    from model_store.modes import Mode

MODELS_KEPT: Final = 2
AUTO: Final = "auto"


class ModelRuntime:
    """Loaded models and modes, kept between questions.

    One model answers one thread at a time; different models answer different threads at once.

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
        self._registry = RLock()
        self._locks: dict[str, RLock] = {}
        self._models: OrderedDict[str, HeldModel] = OrderedDict()

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
        if mode == "cls":
            known: Sequence[str] = self._entries(model).outputs
        else:
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
        picture: Picture,
        findings: Sequence[str],
        *,
        layer: str = AUTO,
    ) -> Explanation:
        """Maps and scores of these findings on this picture.

        Args:
            model: Name of an entry.
            mode: One of the entry's modes.
            method: A key of ``SALIENCY_METHODS``.
            picture: The display picture, (H, W) uint8.
            findings: What to ask for, in this order.
            layer: A path of ``layers``, or ``auto``: what the entry names.

        Raises:
            ModelError: With a sentence: unknown mode or method, missing or changed files, a head
                that was not trained or lacks a finding, a layer that gives no map.
            ValueError: If the picture is not (H, W) uint8.
        """
        (told,) = self.explain_batch(model, mode, method, (picture,), findings, layer=layer)
        return told

    def explain_batch(
        self,
        model: str,
        mode: str,
        method: str,
        pictures: Sequence[Picture],
        findings: Sequence[str],
        *,
        layer: str = AUTO,
    ) -> list[Explanation]:
        """What ``explain`` gives for each of these pictures, computed together."""
        _check_mode(mode)
        asked = find_method(method)
        with self._borrowed(model) as held:
            return explain_pictures(
                held.loaded, self._mode(held, mode, findings, layer), asked, pictures
            )

    def explain_head(
        self,
        model: str,
        mode: str,
        method: str,
        pictures: Sequence[Picture],
        findings: Sequence[str],
        head: Path,
    ) -> list[Explanation]:
        """What ``explain_batch`` gives with this head file in the place of the model's own.

        It is loaded for this question alone: later ones are answered by the model's own head.
        """
        from model_store.modes import build_mode

        _check_mode(mode)
        asked = find_method(method)
        with self._borrowed(model) as held:
            built = build_mode(held.loaded, mode, head_path=head)
            return explain_pictures(held.loaded, built.select(findings), asked, pictures)

    def explain_random(
        self,
        model: str,
        mode: str,
        method: str,
        picture: Picture,
        findings: Sequence[str],
        *,
        seed: int,
    ) -> Explanation:
        """What ``explain`` gives for the same architecture with random weights: a control.

        Args:
            model: Name of an entry.
            mode: One of the entry's modes; a trained one needs no head file.
            method: A key of ``SALIENCY_METHODS``.
            picture: The display picture, (H, W) uint8.
            findings: What to ask for, in this order.
            seed: Of all weights, those of the head included.

        Raises:
            ModelError: As ``explain``.
            ValueError: If the picture is not (H, W) uint8.
        """
        _check_mode(mode)
        asked = find_method(method)
        with self._borrowed(model, seed) as held:
            built = self._mode(held, mode, findings, AUTO)
            (told,) = explain_pictures(held.loaded, built, asked, (picture,))
            return told

    def frame(self, model: str, picture: Picture) -> tuple[Picture, FrameGeometry]:
        """The picture on the model's grid, (h, w) uint8 before normalisation, and the way back.

        Raises:
            ModelError: If the model cannot be loaded.
            ValueError: If the picture is not (H, W) uint8, or is too narrow for the model.
        """
        with self._borrowed(model) as held:
            _, geometry = held.loaded.prepare(picture)
            return held.loaded.frame_pixels(picture), geometry

    def frame_scores(
        self, model: str, mode: str, frames: NDArray[np.uint8], findings: Sequence[str]
    ) -> NDArray[np.float32]:
        """Scores (B, K) of pictures (B, h, w) that lie on the model's grid already.

        Raises:
            ModelError: As ``explain``.
        """
        import torch

        _check_mode(mode)
        with self._borrowed(model) as held, torch.no_grad():
            built = self._mode(held, mode, findings, AUTO)
            parts = [
                built.network(held.loaded.normalise(part).to(built.device)).cpu()
                for part in np.split(frames, range(PICTURES_AT_ONCE, len(frames), PICTURES_AT_ONCE))
            ]
        values: NDArray[np.float32] = torch.cat(parts).numpy()
        return values

    def layers(self, model: str) -> tuple[LayerChoice, ...]:
        """The layers that maps of this model can be read from, from the input on.

        Raises:
            ModelError: If the model cannot be loaded or its image tower is of no known kind.
        """
        with self._borrowed(model) as held:
            return held.layers()

    def prompt_basis(self, model: str, picture: Picture, method: str = "gradcam") -> PromptBasis:
        """What the zero-shot map of any text on this picture is made of, at the entry's layer.

        Raises:
            ModelError: If the model is a classifier, or its layer gives no map.
            ValueError: If the picture is not (H, W) uint8, or the method is not linear.
        """
        with self._borrowed(model) as held:
            return held.prompt_basis(picture, method)

    def embed_texts(self, model: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """Text embeddings (N, D), each of length 1; a text is encoded once.

        Raises:
            ModelError: If the model is a classifier, or cannot read one of the texts.
        """
        with self._borrowed(model) as held:
            return held.embed_texts(texts)

    def encoder(self, model: str) -> ImageEncoder:
        """The image tower, for embeddings in bulk, in the precision that pays on this machine.

        Raises:
            ModelError: If the model cannot be loaded.
        """
        from model_store.encoder import ImageEncoder
        from model_store.precision import RECORD_NAME, choose_precision

        with self._borrowed(model) as held:
            check = choose_precision(held.loaded, self._models_dir / model / RECORD_NAME)
            return ImageEncoder(held.loaded, check.chosen, self._locks[model])

    def loaded(self, model: str) -> LoadedModel:
        """The network of the entry as it is now, for trainings and evaluations.

        Raises:
            ModelError: If the model cannot be loaded.
        """
        with self._borrowed(model) as held:
            return held.loaded

    def scores(
        self, model: str, mode: str, picture: Picture, findings: Sequence[str]
    ) -> NDArray[np.float32]:
        """Scores (K,) alone, without maps."""
        import torch

        _check_mode(mode)
        with self._borrowed(model) as held:
            built = self._mode(held, mode, findings, AUTO)
            x, _ = held.loaded.prepare(picture)
            with torch.no_grad():
                scores = built.network(x[None].to(built.device))[0]
        values: NDArray[np.float32] = scores.cpu().numpy()
        return values

    def train(
        self,
        model: str,
        mode: str,
        data: TrainingSet,
        *,
        settings: TrainingSettings | None = None,
        progress: Progress | None = None,
        embeddings: NDArray[np.floating] | None = None,
    ) -> Path:
        """The head file that was written; the mode answers with it from now on.

        Args:
            model: Name of an entry.
            mode: ``lp`` or ``ft``.
            data: Labelled pictures.
            settings: The study's, unless given.
            progress: Told (done, total, message); true stops, and nothing is saved.
            embeddings: Of the pictures, (N, D), when they are known; for ``lp`` only.

        Raises:
            ModelError: With a sentence.
        """
        from model_store.fine_tune import train_fine_tune
        from model_store.linear_probe import train_linear_probe

        if mode not in STUDY_SETTINGS:
            raise UnknownMethod(f"mode {mode!r} cannot be trained; expected lp or ft")
        if mode == "ft" and embeddings is not None:
            raise ValueError("embeddings given for ft, which changes them; give them for lp alone")
        chosen = settings or STUDY_SETTINGS[mode]
        path = self.head_path(model, mode)
        with self._borrowed(model) as held:
            loaded = held.loaded
        if mode == "lp":
            train_linear_probe(
                loaded, data, path, settings=chosen, progress=progress, embeddings=embeddings
            )
        else:
            train_fine_tune(loaded, data, path, settings=chosen, progress=progress)
        return path

    @contextmanager
    def _borrowed(self, name: str, seed: int | None = None) -> Iterator[HeldModel]:
        """The model of the entry as it is now, for this thread alone.

        Args:
            name: Of the entry.
            seed: Of random weights in the place of the entry's own.
        """
        key = name if seed is None else f"{name} with random weights {seed}"
        with self._registry:
            lock = self._locks.setdefault(key, RLock())
        with lock:
            yield self._current(key, self._entries(name), seed)

    def _current(self, key: str, entry: ModelEntry, seed: int | None) -> HeldModel:
        from model_store.held import HeldModel
        from model_store.loading import load_model

        with self._registry:
            held = self._models.get(key)
        if held is None or held.loaded.entry != entry:
            same_network = held.loaded.asked_as(entry) if held else None
            self._make_room(key)
            loaded = same_network or load_model(entry, self._device, random_weights_seed=seed)
            held = HeldModel(loaded)
        with self._registry:
            self._models[key] = held
            self._models.move_to_end(key)
        return held

    def _make_room(self, name: str) -> None:
        """Drop this model, and those that were not asked for longest, before one is loaded."""
        with self._registry:
            self._models.pop(name, None)
            while len(self._models) >= MODELS_KEPT:
                self._models.popitem(last=False)

    def _mode(self, held: HeldModel, mode: str, findings: Sequence[str], layer: str) -> Mode:
        """The mode for these findings at this layer; its tower is shared with other answers."""
        name = held.loaded.entry.name
        if mode not in held.loaded.entry.modes:
            raise UnknownMethod(
                f"model '{name}' has no mode {mode!r}; it has {', '.join(held.loaded.entry.modes)}"
            )
        built = held.mode(mode, findings, self.head_path(name, mode))
        target = built.target if layer == AUTO else held.target(built, layer)
        return replace(built.select(findings), target=target)


def _check_mode(mode: str) -> None:
    known = tuple(dict.fromkeys(one for modes in MODES.values() for one in modes))
    if mode not in known:
        raise UnknownMethod(f"unknown mode {mode!r}; known: {', '.join(known)}")
