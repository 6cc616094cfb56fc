"""The files of a model folder: which there must be, which weights are meant, and their hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from model_store.errors import InvalidEntry, MissingFile

CONFIG_NAME: Final = "open_clip_config.json"
TEXT_CONFIG_NAME: Final = "config.json"
DEFAULTS_NAME: Final = "entry.json"

# The order in which open_clip itself prefers them.
WEIGHT_NAMES: Final = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
)
TOKENIZER_NAMES: Final = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)
VOCABULARY_NAMES: Final = ("tokenizer.json", "vocab.txt", "vocab.json")

_hashes: dict[tuple[str, int, int], str] = {}


def file_sha256(path: Path) -> str:
    """SHA-256 of the file in hex; computed again only when its size or time changed.

    Raises:
        MissingFile: If there is no such file.
    """
    if not path.is_file():
        raise MissingFile(f"{path} does not exist or is no file")
    status = path.stat()
    key = (str(path.resolve()), status.st_mtime_ns, status.st_size)
    if key not in _hashes:
        with path.open("rb") as file:
            _hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _hashes[key]


def weights_file(folder: Path) -> Path:
    """The weights of the model in this folder; saved heads beside them are not meant.

    Raises:
        MissingFile: If the folder holds none of the names that open_clip uses.
    """
    for name in WEIGHT_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise MissingFile(
        f"{folder} holds no weights; put open_clip_model.safetensors or "
        f"open_clip_pytorch_model.bin there (other names read: {', '.join(WEIGHT_NAMES[4:])})"
    )


def read_config(folder: Path) -> dict[str, Any]:
    """What ``open_clip_config.json`` says: ``model_cfg`` and perhaps ``preprocess_cfg``.

    Raises:
        MissingFile: If the folder or the file is not there.
        InvalidEntry: If it is no open_clip configuration.
    """
    path = folder / CONFIG_NAME
    if not folder.is_dir():
        raise MissingFile(f"the model folder {folder} does not exist; give the folder of the model")
    if not path.is_file():
        raise MissingFile(
            f"{folder} lacks {CONFIG_NAME}; a model folder holds that file, the weights and, for a "
            "Hugging Face text tower, its config.json and tokenizer files"
        )
    config = read_json(path)
    model = config.get("model_cfg")
    if not isinstance(model, dict) or not {"embed_dim", "vision_cfg", "text_cfg"} <= set(model):
        raise InvalidEntry(
            f"{path} is no open_clip configuration; "
            "expected model_cfg with embed_dim, vision_cfg and text_cfg"
        )
    return config


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in this file.

    Raises:
        InvalidEntry: If the file holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InvalidEntry(f"{path} is no readable JSON ({error})") from None
    if not isinstance(content, dict):
        raise InvalidEntry(f"{path} holds {type(content).__name__}; expected a JSON object")
    return content


def check_text_files(folder: Path, text_config: Mapping[str, Any]) -> None:
    """Nothing, when all that the text tower needs lies in the folder itself.

    Args:
        folder: The model folder.
        text_config: ``model_cfg.text_cfg``.

    Raises:
        MissingFile: Which file is missing, whose it is, and where to put it.
    """
    tower = text_config.get("hf_model_name")
    if tower and not (folder / TEXT_CONFIG_NAME).is_file():
        raise MissingFile(
            f"{folder} lacks {TEXT_CONFIG_NAME}, the configuration of the text tower {tower}; "
            f"take it from that repository and put it into {folder}"
        )
    tokenizer = text_config.get("hf_tokenizer_name")
    if tokenizer and not any((folder / name).is_file() for name in VOCABULARY_NAMES):
        raise MissingFile(
            f"{folder} lacks the tokenizer of {tokenizer}; put tokenizer.json (or vocab.txt) and "
            f"tokenizer_config.json of that repository into {folder}"
        )


def config_sha256(folder: Path) -> str:
    """SHA-256 over name and SHA-256 of each configuration and tokenizer file that is there.

    Each line is ``name``, two spaces, hash; the lines are sorted and end with a line feed.
    """
    names = sorted({CONFIG_NAME, TEXT_CONFIG_NAME, *TOKENIZER_NAMES})
    lines = [
        f"{name}  {file_sha256(folder / name)}\n" for name in names if (folder / name).is_file()
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
