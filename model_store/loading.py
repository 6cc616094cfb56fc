"""A model entry to a network in memory, and pictures to its inputs. Never touches the network."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import huggingface_hub.constants
import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip.transform import (
    MaybeConvertMode,
    MaybeToTensor,
    PreprocessCfg,
    image_transform_v2,
)
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import Compose, Normalize

from model_store.classifiers import build_classifier
from model_store.devices import find_device
from model_store.entries import ModelEntry
from model_store.errors import InvalidEntry
from model_store.networks import RANDOM_PREFIX, Tokenizer
from model_store.open_clip_networks import build_open_clip
from model_store.preprocessing import FrameGeometry, frame_geometry

Picture = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A network ready to be asked.

    Attributes:
        entry: What was loaded.
        network: In evaluation mode; its image tower is ``visual``.
        tokenizer: Texts to token ids (N, context length); None for a classifier.
        frame: Picture to its resized and cropped (or padded) form, before normalisation.
        settings: Size, mean, standard deviation and interpolation of the input.
        device: Where the network lies.
        weights_sha256: Of what was loaded; ``random:<seed>`` for random weights.
        embedding_size: Numbers per picture.
        text_embeddings: Texts that were encoded before, un-normalised.
    """

    entry: ModelEntry
    network: nn.Module
    tokenizer: Tokenizer | None
    frame: Compose
    settings: PreprocessCfg
    device: torch.device
    weights_sha256: str
    embedding_size: int
    text_embeddings: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def is_random(self) -> bool:
        """Whether the weights are random: a control that has learnt nothing."""
        return self.weights_sha256.startswith(RANDOM_PREFIX)

    @property
    def input_size(self) -> tuple[int, int]:
        """(h, w) of the model's grid."""
        size = self.settings.size
        return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))

    @property
    def preprocess(self) -> Compose:
        """open_clip's own transform of a PIL picture to an input (3, h, w)."""
        return image_transform_v2(self.settings, is_train=False)

    def prepare(self, picture: Picture) -> tuple[Tensor, FrameGeometry]:
        """The picture as the network's input (3, h, w), and the way back to its pixels.

        Args:
            picture: Shape (H, W), the display picture.

        Raises:
            ValueError: If it is no two-dimensional uint8 array.
        """
        geometry = frame_geometry(self.entry.preprocessing, check_picture(picture), self.input_size)
        return self.normalise(self.frame_pixels(picture)[None])[0], geometry

    def frame_pixels(self, picture: Picture) -> Picture:
        """The picture on the model's grid, (h, w) uint8, before normalisation."""
        check_picture(picture)
        return np.array(self.frame(Image.fromarray(picture)), dtype=np.uint8)

    def normalise(self, frames: Picture, device: torch.device | None = None) -> Tensor:
        """Inputs (B, 3, h, w) from frames (B, h, w): three equal channels, normalised.

        Args:
            frames: Grey pictures on the model's grid.
            device: Where the arithmetic is done and the inputs stay, the processor unless given. A
                byte per pixel travels there, not twelve.
        """
        bytes_there = torch.from_numpy(np.ascontiguousarray(frames)).to(device or "cpu")
        grey = bytes_there.to(torch.float32).div(255)
        channels = grey[:, None].expand(-1, 3, -1, -1)
        normalise = Normalize(self.settings.mean, self.settings.std)
        return cast("Tensor", normalise(channels))

    def describe_preprocessing(self) -> dict[str, Any]:
        """The transform as JSON values, for provenance and for head files."""
        return {
            "kind": self.entry.preprocessing,
            "input_size": list(self.input_size),
            "interpolation": self.settings.interpolation,
            "mean": [float(value) for value in self.settings.mean],
            "std": [float(value) for value in self.settings.std],
            "fill": int(self.settings.fill_color),
        }

    def asked_as(self, entry: ModelEntry) -> LoadedModel | None:
        """The same network under this entry when only prompts, layer or precision differ."""
        asked = replace(
            entry,
            prompts=self.entry.prompts,
            prompt_history=self.entry.prompt_history,
            layer=self.entry.layer,
            precision=self.entry.precision,
        )
        return replace(self, entry=entry) if asked == self.entry else None


def load_model(
    entry: ModelEntry, device: str = "cpu", *, random_weights_seed: int | None = None
) -> LoadedModel:
    """The model of this entry, from its own folder.

    Args:
        entry: Its hashes must be those of the files.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        random_weights_seed: Build the same network with random weights instead, as a control.

    Raises:
        MissingFile: If a file is not there; the message says which and where to put it.
        WrongWeights: If the files are not those that were added.
        InvalidEntry: If the configuration names a network that cannot be built.
        UnknownMethod: If there is no such device.
    """
    place = find_device(device)
    build = build_classifier if entry.kind == "classifier" else build_open_clip
    with offline(), quiet_root_logger(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0 if random_weights_seed is None else random_weights_seed)
        parts = build(entry, random_weights_seed)
    network = parts.network.eval().requires_grad_(False)
    return LoadedModel(
        entry=entry,
        network=network.to(place),
        tokenizer=parts.tokenizer,
        frame=_frame_transform(parts.settings),
        settings=parts.settings,
        device=place,
        weights_sha256=parts.weights_sha256,
        embedding_size=parts.embedding_size,
    )


def check_picture(picture: Picture) -> tuple[int, int]:
    """(H, W) of the picture.

    Raises:
        ValueError: If it is no two-dimensional uint8 array with at least one pixel.
    """
    if picture.ndim != 2 or picture.dtype != np.uint8 or picture.size == 0:
        raise ValueError(
            f"picture of shape {picture.shape} and type {picture.dtype} given; "
            "expected the display picture, (H, W) uint8"
        )
    return (picture.shape[0], picture.shape[1])


@contextmanager
def offline() -> Iterator[None]:
    """Hugging Face libraries refuse every request meanwhile."""
    before = huggingface_hub.constants.HF_HUB_OFFLINE
    huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        huggingface_hub.constants.HF_HUB_OFFLINE = before


@contextmanager
def quiet_root_logger() -> Iterator[None]:
    """open_clip's warnings on the root logger are dropped, and its basicConfig does not happen."""
    root = logging.getLogger()
    level, handler = root.level, logging.NullHandler()
    root.addHandler(handler)
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


def _frame_transform(settings: PreprocessCfg) -> Compose:
    """open_clip's transform without its last three steps: conversion, tensor, normalisation."""
    steps = image_transform_v2(settings, is_train=False).transforms
    expected = (MaybeConvertMode, MaybeToTensor, Normalize)
    if not all(isinstance(step, kind) for step, kind in zip(steps[-3:], expected, strict=True)):
        raise InvalidEntry(
            f"open_clip {open_clip.__version__} ends its transform with {steps[-3:]}; expected "
            "conversion, tensor and normalisation; install the version that pyproject.toml names"
        )
    return Compose(steps[:-3])
