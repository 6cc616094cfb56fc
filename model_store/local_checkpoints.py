"""Entries from one checkpoint file: a classifier, or an open_clip network known by its name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from model_store.catalogue import make_entry
from model_store.checkpoints import current_time
from model_store.classifier_spec import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    INTERPOLATIONS,
    ClassifierSpec,
    parse_architecture,
    read_timm_config,
)
from model_store.entries import FOLDER_PREFIX, ModelEntry, check_name
from model_store.errors import InvalidEntry, MissingFile
from model_store.files import CONFIG_NAME, file_sha256
from model_store.versions import library_versions

OPEN_CLIP_PREFIX: Final = "open_clip:"
CHECKPOINT_SUFFIXES: Final = (".safetensors", ".pt", ".pth", ".bin")
ENTRY_KEYS: Final = ("preprocessing", "precision", "layer")
INPUT_KEYS: Final = ("input_size", "mean", "std", "interpolation")


@dataclass(frozen=True)
class ClassifierFiles:
    """What the user says of a classifier.

    Attributes:
        path: The checkpoint, or a folder with one; timm's ``config.json`` beside it is read.
        architecture: ``timm:<name>`` or ``torchvision:<name>``; "" when that file says it.
        labels: The finding of each output, in the network's order; none when that file says them.
    """

    path: Path
    architecture: str = ""
    labels: Sequence[str] = ()


def make_classifier_entry(
    name: str, files: ClassifierFiles, settings: Mapping[str, Any] | None = None
) -> ModelEntry:
    """The entry of a classifier whose checkpoint is there and fits its architecture and labels.

    Args:
        name: Of the entry.
        files: Checkpoint, architecture and labels.
        settings: Preprocessing, precision and layer; input size, mean, deviation, interpolation.

    Raises:
        MissingFile: If the checkpoint is not there.
        InvalidEntry: If something is not said, or the network cannot be built and filled.
    """
    given = _known(settings or {})
    checkpoint = find_checkpoint(files.path.expanduser().resolve())
    said = read_timm_config(checkpoint.parent)
    if files.architecture:
        library, architecture = parse_architecture(files.architecture)
        if (library, architecture) != (said.get("library"), said.get("architecture")):
            said = _library_input(library, architecture)
        said |= {"library": library, "architecture": architecture}
    if files.labels:
        said["outputs"] = tuple(files.labels)
    _check_said(checkpoint, said)
    own = {key: value for key, value in given.items() if key in INPUT_KEYS}
    spec = ClassifierSpec(**{**said, **own, "weights": checkpoint.name})
    entry = ModelEntry(
        name=name,
        location=f"{FOLDER_PREFIX}{checkpoint.parent}",
        kind="classifier",
        classifier=spec,
        weights_sha256=file_sha256(checkpoint),
        config_sha256=spec.sha256,
        added_at=current_time(),
        versions=library_versions(),
        **{key: value for key, value in given.items() if key in ENTRY_KEYS},
    )
    _try_to_load(entry)
    return entry


def make_checkpoint_entry(name: str, path: Path, architecture: str, models_dir: Path) -> ModelEntry:
    """The entry of an open_clip checkpoint, copied into a model folder of its own.

    Args:
        name: Of the entry and of its folder under ``models_dir``.
        path: The checkpoint.
        architecture: ``open_clip:<name>`` of an architecture that open_clip knows by itself.
        models_dir: Where the folder goes.

    Raises:
        MissingFile: If the checkpoint is not there.
        InvalidEntry: If the architecture is unknown or the checkpoint is not one of it.
    """
    import open_clip

    known = architecture.removeprefix(OPEN_CLIP_PREFIX)
    config = open_clip.get_model_config(known)
    if config is None:
        raise InvalidEntry(
            f"open_clip knows no architecture {known!r}; give one of its own names, for instance "
            "open_clip:ViT-B-16, or a model folder with its configuration"
        )
    checkpoint = find_checkpoint(path.expanduser().resolve())
    folder = models_dir / check_name(name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / CONFIG_NAME).write_text(json.dumps({"model_cfg": config}), encoding="utf-8")
    suffix = "safetensors" if checkpoint.suffix == ".safetensors" else "bin"
    shutil.copyfile(checkpoint, folder / f"open_clip_pytorch_model.{suffix}")
    entry = make_entry(name, path=folder)
    _try_to_load(entry)
    return entry


def find_checkpoint(path: Path) -> Path:
    """The checkpoint at this path, or the only one in this folder.

    Raises:
        MissingFile: If there is none.
        InvalidEntry: If there are several, or the file is of another kind.
    """
    if path.is_file():
        if path.suffix not in CHECKPOINT_SUFFIXES:
            raise InvalidEntry(
                f"{path} is no checkpoint; expected a file {', '.join(CHECKPOINT_SUFFIXES)}"
            )
        return path
    found = sorted(each for each in path.glob("*") if each.suffix in CHECKPOINT_SUFFIXES)
    if not found:
        raise MissingFile(
            f"no checkpoint at {path}; give a file {', '.join(CHECKPOINT_SUFFIXES)} or its folder"
        )
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise InvalidEntry(
            f"{path} holds several checkpoints ({names}); give the one that is meant"
        )
    return found[0]


def _known(settings: Mapping[str, Any]) -> dict[str, Any]:
    known = (*ENTRY_KEYS, *INPUT_KEYS)
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise InvalidEntry(
            f"settings has the unknown keys {', '.join(unknown)}; known: {', '.join(known)}"
        )
    return dict(settings)


def _check_said(checkpoint: Path, said: Mapping[str, Any]) -> None:
    if "architecture" not in said:
        raise InvalidEntry(
            f"nothing says which network {checkpoint} belongs to; give timm:<name> or "
            "torchvision:<name>, for instance timm:densenet121"
        )
    if "outputs" not in said:
        raise InvalidEntry(
            f"nothing says what the outputs of {checkpoint} mean; give a text file with one label "
            "a line, in the order of the outputs"
        )


def _library_input(library: str, architecture: str) -> dict[str, Any]:
    """How the library itself feeds this architecture; other inputs are a setting."""
    plain: dict[str, Any] = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    if library == "torchvision":
        return plain | {"interpolation": "bilinear"}
    import timm

    own = timm.get_pretrained_cfg(architecture) if timm.is_model(architecture) else None
    if own is None:
        return plain
    values: dict[str, Any] = {
        "input_size": tuple(own.input_size[-2:]),
        "mean": own.mean,
        "std": own.std,
    }
    if own.interpolation in INTERPOLATIONS:
        values["interpolation"] = own.interpolation
    return values


def _try_to_load(entry: ModelEntry) -> None:
    from model_store.loading import load_model

    load_model(entry)
