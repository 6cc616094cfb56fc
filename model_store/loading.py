"""A model entry to a network in memory, and pictures to its inputs. Never touches the network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, cast

import huggingface_hub.constants
import numpy as np
import open_clip
import timm
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

from model_store.entries import ModelEntry, Preprocessing
from model_store.errors import InvalidEntry, WrongWeights
from model_store.files import (
    check_text_files,
    config_sha256,
    file_sha256,
    read_config,
    weights_file,
)
from model_store.preprocessing import FrameGeometry, frame_geometry

Picture = NDArray[np.uint8]
Tokenizer = Callable[[list[str]], Tensor]

RESIZE_MODES: dict[Preprocessing, str] = {"crop": "shortest", "pad": "longest", "squash": "squash"}


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """An image-text network ready to be asked.

    Attributes:
        entry: What was loaded.
        network: open_clip's model, in evaluation mode.
        tokenizer: Texts to token ids (N, context length).
        frame: Picture to its resized and cropped (or padded) form, before normalisation.
        settings: Size, mean, standard deviation and interpolation of the input.
        device: Where the network lies.
        weights_sha256: Of what was loaded; ``random:<seed>`` for random weights.
        embedding_size: Numbers per picture.
        text_embeddings: Prompts that were encoded before.
    """

    entry: ModelEntry
    network: nn.Module
    tokenizer: Tokenizer
    frame: Compose
    settings: PreprocessCfg
    device: torch.device
    weights_sha256: str
    embedding_size: int
    text_embeddings: dict[str, Tensor] = field(default_factory=dict, repr=False)

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

    def normalise(self, frames: Picture) -> Tensor:
        """Inputs (B, 3, h, w) from frames (B, h, w): three equal channels, normalised."""
        grey = torch.from_numpy(np.ascontiguousarray(frames)).to(torch.float32).div(255)
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


def load_model(
    entry: ModelEntry, device: str = "cpu", *, random_weights_seed: int | None = None
) -> LoadedModel:
    """The model of this entry, from its own folder.

    Args:
        entry: Its hashes must be those of the files.
        device: ``cpu``, ``cuda``, ...
        random_weights_seed: Build the same network with random weights instead, as a control.

    Raises:
        MissingFile: If a file is not there; the message says which and where to put it.
        WrongWeights: If the files are not those that were added.
        InvalidEntry: If the configuration names a network that cannot be built.
    """
    folder = entry.folder
    config = read_config(folder)["model_cfg"]
    check_text_files(folder, config["text_cfg"])
    _check_config(entry)
    with offline(), quiet_root_logger(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0 if random_weights_seed is None else random_weights_seed)
        network = _build_network(entry, config)
        tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
        if random_weights_seed is None:
            weights = _load_weights(entry, network)
        else:
            weights = f"random:{random_weights_seed}"
    network.eval()
    network.requires_grad_(False)
    settings = _input_settings(entry, network)
    return LoadedModel(
        entry=entry,
        network=network.to(device),
        tokenizer=tokenizer,
        frame=_frame_transform(settings),
        settings=settings,
        device=torch.device(device),
        weights_sha256=weights,
        embedding_size=int(config["embed_dim"]),
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


def _build_network(entry: ModelEntry, config: dict[str, Any]) -> nn.Module:
    """The network with weights as they come from its initialisation."""
    _know_architecture(entry, config["vision_cfg"].get("timm_model_name"))
    overrides: dict[str, Any] = {}
    text_config = deepcopy(config["text_cfg"])
    if text_config.get("hf_model_name"):
        # open_clip would ask the hub for the tower's configuration by its name.
        text_config["hf_model_name"] = str(entry.folder)
        text_config["hf_model_pretrained"] = False
        overrides["text_cfg"] = text_config
    try:
        network: nn.Module = open_clip.create_model(
            f"local-dir:{entry.folder}",
            load_weights=False,
            precision=entry.precision,
            pretrained_text=False,
            **overrides,
        )
    except (RuntimeError, ValueError, TypeError, KeyError, OSError) as error:
        raise InvalidEntry(
            f"open_clip cannot build the model '{entry.name}' from {entry.folder}: {error}"
        ) from error
    return network


def _know_architecture(entry: ModelEntry, timm_name: str | None) -> None:
    """Make timm know the demo architectures, when this entry asks for one of them."""
    if timm_name is None or timm.is_model(timm_name):
        return
    from model_store.demo import architectures

    architectures.register()
    if not timm.is_model(timm_name):
        raise InvalidEntry(
            f"model '{entry.name}' needs the timm architecture {timm_name!r}, "
            f"which timm {timm.__version__} does not know"
        )


def _load_weights(entry: ModelEntry, network: nn.Module) -> str:
    """SHA-256 of the weights file, once its weights are in the network."""
    path = weights_file(entry.folder)
    found = file_sha256(path)
    if entry.weights_sha256 and found != entry.weights_sha256:
        raise WrongWeights(
            f"{path} has SHA-256 {found}, but model '{entry.name}' was added with "
            f"{entry.weights_sha256}; put the old file back or add the model again"
        )
    try:
        open_clip.load_checkpoint(network, str(path), strict=True, weights_only=True)
    except (RuntimeError, ValueError, KeyError, EOFError, OSError) as error:
        raise InvalidEntry(
            f"{path} does not fit {entry.folder / 'open_clip_config.json'}: {error}"
        ) from error
    return found


def _check_config(entry: ModelEntry) -> None:
    """Nothing, when configuration and tokenizer are those that were added."""
    found = config_sha256(entry.folder)
    if entry.config_sha256 and found != entry.config_sha256:
        raise WrongWeights(
            f"configuration or tokenizer in {entry.folder} changed since model '{entry.name}' was "
            f"added (SHA-256 {found}, then {entry.config_sha256}); add the model again"
        )


def _input_settings(entry: ModelEntry, network: nn.Module) -> PreprocessCfg:
    """The model's own size, mean and deviation, with the resizing that the entry asks for."""
    visual = cast("Any", network).visual
    settings = dict(visual.preprocess_cfg)
    settings["resize_mode"] = RESIZE_MODES[entry.preprocessing]
    return PreprocessCfg(**settings)


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
