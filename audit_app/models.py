"""The models of a workspace: rows of the store, files of the models folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotations.findings import resolve_finding
from annotations.sources.coco import ALIASES
from annotations.store import Store
from annotations.workspace import Workspace
from model_store.checkpoints import HEAD_MODES, read_metadata
from model_store.entries import HUB_PREFIX, PACKAGE_PREFIX, PRESETS, ModelEntry
from model_store.errors import InvalidEntry
from model_store.files import file_sha256

if TYPE_CHECKING:
    from model_store.local_checkpoints import ClassifierFiles
    from model_store.runtime import ModelRuntime


def head_file(workspace: Workspace, model: str, mode: str) -> Path:
    """Where the weights of a trained mode lie."""
    return workspace.models / model / f"{mode}.safetensors"


def head_sha256(workspace: Workspace, model: str, mode: str) -> str:
    """Of the trained weights of a mode; "" for a mode without any."""
    head = head_file(workspace, model, mode)
    return file_sha256(head) if head.is_file() else ""


def precision_record(workspace: Workspace, model: str) -> Path:
    """Where the measured precision of a model lies."""
    from model_store.precision import RECORD_NAME

    return workspace.models / model / RECORD_NAME


def ready_modes(workspace: Workspace, entry: ModelEntry) -> list[str]:
    """The modes that can be asked now: the one that needs no training, and the trained ones."""
    own, *others = entry.modes
    return [own, *(mode for mode in others if head_file(workspace, entry.name, mode).is_file())]


def load_entry(store: Store, name: str) -> ModelEntry:
    """The entry with this name.

    Raises:
        UnknownRecord: With the known names.
    """
    return ModelEntry.from_dict(store.models.get(name))


def make_runtime(workspace: Workspace, store: Store, device: str = "cpu") -> ModelRuntime:
    """The models of this workspace, loaded when they are first asked."""
    from model_store.runtime import ModelRuntime

    return ModelRuntime(lambda name: load_entry(store, name), workspace.models, device)


def add_model(
    workspace: Workspace,
    store: Store,
    name: str,
    *,
    path: Path | None = None,
    hub: str | None = None,
) -> ModelEntry:
    """Check a model's files and put it into the workspace's catalogue.

    Args:
        workspace: Where downloads and heads go.
        store: Its store.
        name: A preset's name, or one of the user's own for a folder or a hub repository.
        path: Folder with a local copy; no network is used then.
        hub: Repository to download from.

    Raises:
        ModelError: If files are missing, are not the published ones, or the name says nothing.
    """
    from model_store.catalogue import make_entry

    preset = name if name in PRESETS else None
    location = f"{HUB_PREFIX}{hub.removeprefix(HUB_PREFIX)}" if hub else None
    entry = make_entry(
        name, preset=preset, location=location, path=path, models_dir=workspace.models
    )
    copy_shipped_heads(workspace, entry)
    store.models.save(name, entry.to_dict())
    return entry


def add_checkpoint(
    workspace: Workspace, store: Store, name: str, files: ClassifierFiles
) -> ModelEntry:
    """Put a model that is one checkpoint file into the workspace's catalogue.

    Args:
        workspace: Where an open_clip checkpoint is copied to.
        store: Its store.
        name: Of the entry.
        files: Checkpoint and architecture; a classifier's labels, too: those that name a finding
            of the workspace, also in another data set's words, become that finding.

    Raises:
        ModelError: If files are missing or do not fit each other, or the name is a preset's.
    """
    from model_store.local_checkpoints import (
        OPEN_CLIP_PREFIX,
        make_checkpoint_entry,
        make_classifier_entry,
    )

    if name in PRESETS:
        raise InvalidEntry(f"'{name}' is the name of a preset; give the model a name of its own")
    if files.architecture.startswith(OPEN_CLIP_PREFIX):
        entry = make_checkpoint_entry(name, files.path, files.architecture, workspace.models)
    else:
        entry = make_classifier_entry(name, files)
        entry = entry.with_outputs(outputs_as_findings(entry.outputs, store.findings()))
    store.models.save(name, entry.to_dict())
    return entry


def outputs_as_findings(labels: Sequence[str], findings: Sequence[str]) -> tuple[str, ...]:
    """The finding of each output; a label that names none, or one that was named, stays as it is.

    Args:
        labels: In the network's order, in any data set's words.
        findings: Of the workspace.
    """
    named: list[str] = []
    for label in labels:
        finding = resolve_finding(label, findings, ALIASES) or label
        is_new = finding in findings and finding not in named and finding not in labels
        named.append(finding if is_new else label)
    return tuple(named)


def copy_shipped_heads(workspace: Workspace, entry: ModelEntry) -> None:
    """Give the workspace the trained heads that come with an embedded model."""
    if not entry.location.startswith(PACKAGE_PREFIX):
        return
    for mode in HEAD_MODES:
        shipped = entry.folder / f"{mode}.safetensors"
        target = head_file(workspace, entry.name, mode)
        if shipped.is_file() and not target.exists():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(shipped, target)


def change_entry(store: Store, name: str, **changes: Any) -> ModelEntry:
    """The model with other settings, for instance ``precision`` or ``layer``.

    Raises:
        UnknownRecord: If there is no such model.
        InvalidEntry: If a setting does not fit.
    """
    entry = replace(load_entry(store, name), **changes)
    store.models.save(name, entry.to_dict())
    return entry


def describe_models(workspace: Workspace, store: Store) -> list[str]:
    """One line per model: its name, its weights, its modes that are ready."""
    lines = []
    for name in store.models.all():
        entry = load_entry(store, name)
        own, *trained = ready_modes(workspace, entry)
        modes = [own, *(f"{mode} ({describe_head(workspace, name, mode)})" for mode in trained)]
        what = "" if entry.classifier is None else f"classifier {entry.classifier.architecture}, "
        lines.append(
            f"{name}: {what}weights {entry.weights_sha256[:12]}, ready: {', '.join(modes)}"
        )
    return lines


def describe_head(workspace: Workspace, model: str, mode: str) -> str:
    """When a mode was trained."""
    return f"trained {read_metadata(head_file(workspace, model, mode)).created[:10]}"
