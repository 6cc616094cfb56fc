"""Saved heads: what a linear probe or a fine-tune leaves behind, with where it came from.

A head file is a safetensors file. ``lp.safetensors`` holds ``head.weight`` (K, D) and
``head.bias`` (K); ``ft.safetensors`` holds the image tower as ``visual.*`` beside them. Floats are
float16 on disk and float32 in memory. Nothing here imports torch until tensors are asked for.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from safetensors import SafetensorError, safe_open

from model_store.errors import InvalidHead, MissingHead, TrainingFailed

if TYPE_CHECKING:
    from torch import Tensor

HeadMode = Literal["lp", "ft"]

FORMAT: Final = "saliency-audit-head-1"
HEAD_MODES: Final[tuple[HeadMode, ...]] = ("lp", "ft")
LARGEST_HALF: Final = 65504.0
REQUIRED_FIELDS: Final = (
    "mode",
    "findings",
    "base_weights_sha256",
    "preprocessing",
    "feature",
    "created",
    "training",
)


def current_time() -> str:
    """Now in UTC, as ISO 8601 with seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class HeadMetadata:
    """Where a head came from.

    Attributes:
        mode: ``lp`` or ``ft``.
        findings: One per output, in the order of the rows of ``head.weight``.
        base_weights_sha256: Of the weights file that the head was trained on.
        preprocessing: How pictures became inputs (JSON values only).
        training: Settings and outcome (JSON values only).
        feature: ``raw``: the head reads the image embedding before any normalisation.
        created: ISO 8601.
    """

    mode: HeadMode
    findings: tuple[str, ...]
    base_weights_sha256: str
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    feature: str = "raw"
    created: str = field(default_factory=current_time)

    def to_strings(self) -> dict[str, str]:
        """The metadata as safetensors keeps it: text values only."""
        return {
            "format": FORMAT,
            "mode": self.mode,
            "findings": json.dumps(list(self.findings)),
            "base_weights_sha256": self.base_weights_sha256,
            "preprocessing": json.dumps(dict(self.preprocessing), sort_keys=True),
            "feature": self.feature,
            "created": self.created,
            "training": json.dumps(dict(self.training), sort_keys=True),
        }

    @classmethod
    def from_strings(cls, strings: Mapping[str, str], path: Path) -> HeadMetadata:
        """The metadata that these strings spell.

        Args:
            strings: As ``to_strings`` gives them.
            path: Named in messages.

        Raises:
            InvalidHead: If the format is another one, a field is missing or cannot be read.
        """
        if strings.get("format") != FORMAT:
            raise InvalidHead(
                f"{path} has format {strings.get('format')!r}; expected {FORMAT!r}; "
                "train the head again with this version"
            )
        missing = [name for name in REQUIRED_FIELDS if name not in strings]
        if missing:
            raise InvalidHead(f"{path} lacks the metadata {', '.join(missing)}; train it again")
        mode = next((known for known in HEAD_MODES if known == strings["mode"]), None)
        if mode is None:
            raise InvalidHead(f"{path} has mode {strings['mode']!r}; expected lp or ft")
        try:
            findings = tuple(str(name) for name in json.loads(strings["findings"]))
            preprocessing = json.loads(strings["preprocessing"])
            training = json.loads(strings["training"])
        except (ValueError, TypeError) as error:
            raise InvalidHead(f"{path} has unreadable metadata ({error}); train it again") from None
        return cls(
            mode=mode,
            findings=findings,
            base_weights_sha256=strings["base_weights_sha256"],
            preprocessing=preprocessing,
            training=training,
            feature=strings["feature"],
            created=strings["created"],
        )


@dataclass(frozen=True, eq=False)
class Head:
    """A head file in memory: its metadata and its tensors, floats as float32 on the CPU."""

    metadata: HeadMetadata
    tensors: dict[str, Tensor]

    @property
    def weight(self) -> Tensor:
        """Shape (K, D)."""
        return self.tensors["head.weight"]

    @property
    def bias(self) -> Tensor:
        """Shape (K,)."""
        return self.tensors["head.bias"]

    @property
    def visual(self) -> dict[str, Tensor]:
        """State of the image tower, without the prefix ``visual.``; empty for a probe."""
        prefix = "visual."
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }


def save_head(
    path: Path, mode: HeadMode, tensors: Mapping[str, Tensor], metadata: HeadMetadata
) -> Path:
    """The path of the written file; an older file is replaced only when the new one is complete.

    Args:
        path: ``.../lp.safetensors`` or ``.../ft.safetensors``; folders are made.
        mode: Must be that of the metadata.
        tensors: ``head.weight`` (K, D), ``head.bias`` (K); for ``ft`` also ``visual.*``.
        metadata: Its findings name the K rows.

    Raises:
        InvalidHead: If tensors, mode and metadata do not fit, or a value is not finite.
        TrainingFailed: If the disk is full or may not be written to.
    """
    if mode != metadata.mode:
        raise InvalidHead(
            f"the head for {path} is saved as {mode!r} with metadata of {metadata.mode!r}"
        )
    check_tensors(path, tensors, metadata)
    stored = {name: _to_disk(path, name, tensor) for name, tensor in tensors.items()}
    try:
        write_safetensors(path, stored, metadata.to_strings())
    except (SafetensorError, OSError) as error:
        raise TrainingFailed(
            f"the trained weights cannot be written to {path} ({error}); free some space there, "
            "then start the same training again"
        ) from None
    return path


def load_head(path: Path) -> Head:
    """The head in this file.

    Raises:
        InvalidHead: If the file is missing, damaged, or its tensors do not fit its metadata.
    """
    metadata = read_metadata(path)
    from safetensors.torch import load_file

    try:
        raw = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InvalidHead(f"{path} is damaged ({error}); train the head again") from None
    tensors = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in raw.items()
    }
    check_tensors(path, tensors, metadata)
    return Head(metadata, tensors)


def read_metadata(path: Path) -> HeadMetadata:
    """The metadata of a head file, without reading its tensors and without torch.

    Raises:
        InvalidHead: If the file is missing or is no head file.
    """
    if not path.is_file():
        raise InvalidHead(f"{path} does not exist; train the head first")
    try:
        with safe_open(path, framework="np") as file:
            strings: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InvalidHead(
            f"{path} is no readable safetensors file ({error}); train it again"
        ) from None
    return HeadMetadata.from_strings(strings, path)


def missing_head(model: str, mode: str, path: Path) -> MissingHead:
    """The error for a mode that was not trained yet: it says which command does it."""
    return MissingHead(
        f"model '{model}' has no {mode} weights ({path} does not exist); "
        f"run 'launch.py train WORKSPACE --model {model} --mode {mode}' first"
    )


def check_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: HeadMetadata) -> None:
    """Nothing, when the tensors are those that the mode and the findings call for.

    Raises:
        InvalidHead: If they are not; the message names the file and both shapes.
    """
    for name in ("head.weight", "head.bias"):
        if name not in tensors:
            raise InvalidHead(f"{path} lacks the tensor {name}; it holds {sorted(tensors)[:5]}")
    n_findings = len(metadata.findings)
    weight, bias = tuple(tensors["head.weight"].shape), tuple(tensors["head.bias"].shape)
    if len(weight) != 2 or weight[0] != n_findings or bias != (n_findings,):
        raise InvalidHead(
            f"{path} has head.weight {weight} and head.bias {bias} for {n_findings} findings; "
            f"expected ({n_findings}, D) and ({n_findings},)"
        )
    has_tower = any(name.startswith("visual.") for name in tensors)
    if has_tower != (metadata.mode == "ft"):
        stands = "holds" if has_tower else "lacks"
        raise InvalidHead(f"{path} of mode {metadata.mode} {stands} the image tower (visual.*)")


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], strings: dict[str, str]) -> None:
    """Nothing; the file appears under its name only once all of it is on the disk.

    Args:
        path: Folders are made.
        tensors: Contiguous, none sharing memory with another.
        strings: The metadata.
    """
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    unfinished = Path(name)
    try:
        save_file(dict(tensors), unfinished, strings)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _to_disk(path: Path, name: str, tensor: Tensor) -> Tensor:
    """A contiguous CPU copy, floats as float16 unless a value is too large for it."""
    import torch

    kept = tensor.detach().cpu()
    if not kept.is_floating_point():
        return kept.clone().contiguous()
    if not bool(torch.isfinite(kept).all()):
        raise InvalidHead(
            f"tensor {name} for {path} holds a value that is not finite; nothing was saved"
        )
    fits = kept.numel() == 0 or float(kept.abs().max()) <= LARGEST_HALF
    return kept.to(torch.float16 if fits else torch.float32).clone().contiguous()
