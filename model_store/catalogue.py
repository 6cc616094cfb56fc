"""New entries: find or fetch a model's files, check them, write down what they are."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from model_store.checkpoints import current_time
from model_store.entries import FOLDER_PREFIX, HUB_PREFIX, PRESETS, ModelEntry
from model_store.errors import InvalidEntry, MissingFile, WrongWeights
from model_store.files import (
    CONFIG_NAME,
    DEFAULTS_NAME,
    TEXT_CONFIG_NAME,
    TOKENIZER_NAMES,
    WEIGHT_NAMES,
    check_text_files,
    config_sha256,
    file_sha256,
    read_config,
    read_json,
    weights_file,
)
from model_store.versions import library_versions

DEFAULT_KEYS: Final = (
    "preprocessing",
    "precision",
    "layer",
    "prompt_template",
    "prompt_lower",
    "prompts",
    "synonyms",
    "negative_template",
    "negative_prompts",
    "prompt_score",
)
HUB_NOTES: Final = ".cache"  # what huggingface_hub needs to go on with a broken download
RESIZE_KINDS: Final[Mapping[str, str]] = {
    "shortest": "crop",
    "longest": "pad",
    "squash": "squash",
}


def make_entry(
    name: str,
    *,
    preset: str | None = None,
    location: str | None = None,
    path: Path | None = None,
    models_dir: Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> ModelEntry:
    """The entry of a model whose files are there, complete and what they should be.

    Args:
        name: Of the entry and of its folder under ``models/``.
        preset: A key of ``PRESETS``.
        location: ``local-dir:<folder>`` or ``hf-hub:<repository>``; the latter downloads.
        path: A folder with a local copy, used instead of any location.
        models_dir: Where a download goes, into a folder of that name.
        settings: Preprocessing, precision, layer and prompts, before those of the folder and the
            preset.

    Raises:
        InvalidEntry: If the arguments or the folder's files make no entry.
        MissingFile: If a file is not there or cannot be downloaded; says which and where to put it.
        WrongWeights: If the weights are not the published ones of the preset.
    """
    base = _base_entry(name, preset, location, path)
    if base.location.startswith(HUB_PREFIX):
        base = _download(base, models_dir)
    folder = base.folder
    config = read_config(folder)
    check_text_files(folder, config["model_cfg"]["text_cfg"])
    weights = file_sha256(weights_file(folder))
    if base.weights_sha256 and weights != base.weights_sha256:
        raise WrongWeights(
            f"{weights_file(folder)} has SHA-256 {weights}; the published weights of "
            f"'{preset or name}' have {base.weights_sha256}; fetch that file again"
        )
    values = {
        **base.to_dict(),
        **_folder_defaults(folder, config),
        **_known_settings(settings or {}, "settings"),
        "weights_sha256": weights,
        "config_sha256": config_sha256(folder),
        "added_at": current_time(),
        "versions": library_versions(),
    }
    return ModelEntry.from_dict(values)


def _base_entry(
    name: str, preset: str | None, location: str | None, path: Path | None
) -> ModelEntry:
    """What is known before the folder is looked into."""
    if preset is not None and preset not in PRESETS:
        raise InvalidEntry(f"unknown preset '{preset}'; known: {', '.join(PRESETS)}")
    if path is not None and location is not None:
        raise InvalidEntry(f"path {path} and location {location!r} given; give one of them")
    if path is not None:
        location = f"{FOLDER_PREFIX}{path.expanduser().resolve()}"
    if preset is not None:
        known = PRESETS[preset]
        return replace(known, name=name, location=location or known.location, source=known.location)
    if location is None:
        raise InvalidEntry(
            f"model '{name}' has no place; give a preset ({', '.join(PRESETS)}), "
            "a folder or a location"
        )
    source = location if location.startswith(HUB_PREFIX) else ""
    return ModelEntry(name=name, location=location, source=source)


def _folder_defaults(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """What the folder says itself: the resizing of its configuration, then ``entry.json``."""
    defaults: dict[str, Any] = {}
    resizing = str((config.get("preprocess_cfg") or {}).get("resize_mode"))
    if resizing in RESIZE_KINDS:
        defaults["preprocessing"] = RESIZE_KINDS[resizing]
    path = folder / DEFAULTS_NAME
    if path.is_file():
        defaults.update(_known_settings(read_json(path), str(path)))
    return defaults


def _known_settings(settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    unknown = sorted(set(settings) - set(DEFAULT_KEYS))
    if unknown:
        raise InvalidEntry(
            f"{where} has the unknown keys {', '.join(unknown)}; known: {', '.join(DEFAULT_KEYS)}"
        )
    return dict(settings)


def _download(entry: ModelEntry, models_dir: Path | None) -> ModelEntry:
    """The entry with its files in a folder of its own."""
    if models_dir is None:
        raise InvalidEntry(
            f"model '{entry.name}' must be downloaded from {entry.location}, but no folder for "
            "models was given; give one, or a local copy"
        )
    folder = models_dir / entry.name
    folder.mkdir(parents=True, exist_ok=True)
    repository = entry.location.removeprefix(HUB_PREFIX)
    _fetch(repository, CONFIG_NAME, folder)
    for name in TOKENIZER_NAMES:
        _fetch(repository, name, folder, optional=True)
    text = read_config(folder)["model_cfg"]["text_cfg"]
    if text.get("hf_model_name"):
        _fetch(text["hf_model_name"], TEXT_CONFIG_NAME, folder)
    if not any(_fetch(repository, name, folder, optional=True) for name in WEIGHT_NAMES):
        raise MissingFile(
            f"{repository} offers no weights under a name that is read "
            f"({', '.join(WEIGHT_NAMES)}); put the weights into {folder} and add it with --path"
        )
    shutil.rmtree(folder / HUB_NOTES, ignore_errors=True)
    return replace(entry, location=f"{FOLDER_PREFIX}{folder.resolve()}")


def _fetch(repository: str, name: str, folder: Path, *, optional: bool = False) -> bool:
    """Whether the file is now in the folder.

    Raises:
        MissingFile: If it cannot be fetched; an optional file may be absent there, but a hub that
            does not answer is always an error.
    """
    if (folder / name).is_file():
        return True
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
    )

    try:
        hf_hub_download(repository, name, local_dir=folder)
    except LocalEntryNotFoundError as error:  # no answer; also an EntryNotFoundError
        raise MissingFile(_how_to_get(repository, name, folder, str(error))) from error
    except EntryNotFoundError:
        if optional:
            return False
        raise MissingFile(_how_to_get(repository, name, folder, "it has no such file")) from None
    except (HfHubHTTPError, OSError, ValueError, RuntimeError) as error:
        raise MissingFile(_how_to_get(repository, name, folder, str(error))) from error
    return True


def _how_to_get(repository: str, name: str, folder: Path, reason: str) -> str:
    from huggingface_hub import hf_hub_url

    first_line = reason.strip().splitlines()[0] if reason.strip() else "no reason given"
    return (
        f"{name} of {repository} could not be fetched ({first_line}); on a machine with access, "
        f"save {hf_hub_url(repository, name)}, then put it into {folder} and add the model with "
        f"--path {folder}; a complete folder holds {CONFIG_NAME}, the weights "
        f"({' or '.join(WEIGHT_NAMES[:4])}), the tokenizer files and, for a Hugging Face text "
        f"tower, its {TEXT_CONFIG_NAME}"
    )
