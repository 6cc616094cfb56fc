"""Image-text networks of open_clip, from a model folder alone."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import open_clip
import timm
from open_clip.transform import PreprocessCfg
from torch import nn

from model_store.entries import ModelEntry
from model_store.errors import InvalidEntry, MissingFile, WrongWeights
from model_store.files import (
    check_text_files,
    config_sha256,
    file_sha256,
    read_config,
    weights_file,
)
from model_store.networks import RESIZE_MODES, Parts, check_weights, random_weights


def build_open_clip(entry: ModelEntry, random_weights_seed: int | None) -> Parts:
    """The network of this entry with its weights, or with those of its initialisation.

    Raises:
        MissingFile: If a file is not there; the message says which and where to put it.
        WrongWeights: If the files are not those that were added.
        InvalidEntry: If the configuration names a network that cannot be built.
    """
    config = read_config(entry.folder)["model_cfg"]
    check_text_files(entry.folder, config["text_cfg"])
    _check_config(entry)
    network = _build(entry, config)
    if random_weights_seed is None:
        weights = _load_weights(entry, network)
    else:
        weights = random_weights(random_weights_seed)
    return Parts(
        network=network,
        tokenizer=open_clip.get_tokenizer(f"local-dir:{entry.folder}"),
        settings=_input_settings(entry, network),
        weights_sha256=weights,
        embedding_size=int(config["embed_dim"]),
    )


def _build(entry: ModelEntry, config: dict[str, Any]) -> nn.Module:
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
            precision="fp32",
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
    path = _weights_file(entry)
    found = file_sha256(path)
    check_weights(entry, str(path), found)
    try:
        open_clip.load_checkpoint(network, str(path), strict=True, weights_only=True)
    except UnpicklingError:
        raise InvalidEntry(
            f"{path} holds more than tensors, and reading it would run code from it; save the "
            "network's state_dict() alone, best as .safetensors"
        ) from None
    except (RuntimeError, ValueError, KeyError, EOFError, OSError) as error:
        raise InvalidEntry(
            f"{path} does not fit {entry.folder / 'open_clip_config.json'}: {error}"
        ) from error
    return found


def _weights_file(entry: ModelEntry) -> Path:
    try:
        return weights_file(entry.folder)
    except MissingFile as error:
        raise MissingFile(
            f"{error}; those of model '{entry.name}' came from {entry.source or entry.location} "
            f"with SHA-256 {entry.weights_sha256 or '(never read)'}"
        ) from None


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
