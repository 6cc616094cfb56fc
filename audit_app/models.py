"""The models of a workspace: rows of the store, files of the models folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from annotations.store import Store
from annotations.workspace import Workspace
from model_store.checkpoints import HEAD_MODES, read_metadata
from model_store.entries import HUB_PREFIX, PACKAGE_PREFIX, PRESETS, ModelEntry

if TYPE_CHECKING:
    from model_store.runtime import ModelRuntime


def head_file(workspace: Workspace, model: str, mode: str) -> Path:
    """Where the weights of a trained mode lie."""
    return workspace.models / model / f"{mode}.safetensors"


def ready_modes(workspace: Workspace, model: str) -> list[str]:
    """The modes that can be asked now: zero-shot always, the others once they are trained."""
    trained = [mode for mode in HEAD_MODES if head_file(workspace, model, mode).is_file()]
    return ["zs", *trained]


def load_entry(store: Store, name: str) -> ModelEntry:
    """The entry with this name.

    Raises:
        UnknownRecord: With the known names.
    """
    return ModelEntry.from_dict(store.models.get(name))


def make_runtime(workspace: Workspace, store: Store) -> ModelRuntime:
    """The models of this workspace, loaded when they are first asked."""
    from model_store.runtime import ModelRuntime

    return ModelRuntime(lambda name: load_entry(store, name), workspace.models)


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


def describe_models(workspace: Workspace, store: Store) -> list[str]:
    """One line per model: its name, its weights, its modes that are ready."""
    lines = []
    for name in store.models.all():
        entry = load_entry(store, name)
        modes = [
            f"{mode} ({describe_head(workspace, name, mode)})" if mode != "zs" else "zs"
            for mode in ready_modes(workspace, name)
        ]
        lines.append(f"{name}: weights {entry.weights_sha256[:12]}, ready: {', '.join(modes)}")
    return lines


def describe_head(workspace: Workspace, model: str, mode: str) -> str:
    """When a mode was trained."""
    return f"trained {read_metadata(head_file(workspace, model, mode)).created[:10]}"
