"""The three modes: zero-shot (zs), linear probe (lp), fine-tune (ft)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, cast

import torch
from torch import nn

from model_store.checkpoints import Head, HeadMetadata, load_head, missing_head
from model_store.errors import InvalidHead, UnknownMethod
from model_store.files import file_sha256
from model_store.loading import LoadedModel
from model_store.saliency.layers import TargetLayer, find_layer
from model_store.scoring import HeadScorer, Scorer, linear
from model_store.zero_shot import build_zero_shot

ModeName = Literal["zs", "lp", "ft"]

MODE_WORDS: Final[Mapping[str, str]] = {
    "zs": "zero-shot",
    "lp": "linear probe",
    "ft": "fine-tune",
}


@dataclass(frozen=True, eq=False)
class Mode:
    """One way to get scores and maps from a model.

    Attributes:
        mode: ``zs``, ``lp`` or ``ft``.
        findings: One per score.
        network: Pictures (B, 3, h, w) to scores (B, K): cosines for zs, logits for lp and ft.
        target: The layer that maps are read from.
        device: Where the network lies.
        weights_sha256: Of the head file for lp and ft, of the model's weights for zs.
        base_weights_sha256: Of the model's weights.
        prompts: What stood for each finding; empty but for zs.
        head: Metadata of the head file; None for zs.
    """

    mode: ModeName
    findings: tuple[str, ...]
    network: Scorer
    target: TargetLayer
    device: torch.device
    weights_sha256: str
    base_weights_sha256: str
    prompts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    head: HeadMetadata | None = None

    @property
    def layer(self) -> nn.Module:
        """The target layer itself."""
        return self.target.module

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of the maps before they are enlarged."""
        return self.target.grid

    def select(self, findings: Sequence[str]) -> Mode:
        """The same mode for some of its findings, in the given order; the tower is shared.

        Raises:
            InvalidHead: If a finding is not among those of this mode.
        """
        chosen = tuple(findings)
        if chosen == self.findings:
            return self
        rows = [_row(self, finding) for finding in chosen]
        prompts = {name: texts for name, texts in self.prompts.items() if name in chosen}
        return replace(self, findings=chosen, network=self.network.select(rows), prompts=prompts)


def build_mode(
    model: LoadedModel,
    mode: str,
    findings: Sequence[str] | None = None,
    head_path: Path | None = None,
) -> Mode:
    """The mode, ready for scores and maps.

    Args:
        model: The base model.
        mode: ``zs``, ``lp`` or ``ft``.
        findings: What to score, in this order; None with lp and ft: all that the head was
            trained on.
        head_path: The head file of lp and ft.

    Raises:
        UnknownMethod: If there is no such mode.
        MissingHead: If the head was not trained yet; the message says which command does it.
        InvalidHead: If the head is of another model or lacks a finding.
        UnsuitableLayer: If the entry's layer cannot give maps.
    """
    name = check_mode(mode)
    if name == "zs":
        return _zero_shot_mode(model, findings)
    built = _head_mode(model, name, head_path)
    return built if findings is None else built.select(_some(findings))


def check_mode(mode: str) -> ModeName:
    """The mode with this name.

    Raises:
        UnknownMethod: With the known names.
    """
    if mode not in MODE_WORDS:
        known = ", ".join(f"{name} ({words})" for name, words in MODE_WORDS.items())
        raise UnknownMethod(f"unknown mode {mode!r}; known: {known}")
    return cast("ModeName", mode)


def _zero_shot_mode(model: LoadedModel, findings: Sequence[str] | None) -> Mode:
    chosen = _some(findings or ())
    network = build_zero_shot(model, chosen).eval()
    return Mode(
        mode="zs",
        findings=chosen,
        network=network,
        target=find_layer(network, model.entry.layer, model.input_size),
        device=model.device,
        weights_sha256=model.weights_sha256,
        base_weights_sha256=model.weights_sha256,
        prompts={finding: model.entry.prompts_for(finding) for finding in chosen},
    )


def _head_mode(model: LoadedModel, mode: ModeName, head_path: Path | None) -> Mode:
    if head_path is None:
        raise ValueError(f"mode {mode} needs the path of its head file")
    if not head_path.is_file():
        raise missing_head(model.entry.name, mode, head_path)
    head = load_head(head_path)
    _check_head(model, mode, head_path, head)
    visual = cast("Any", model.network).visual
    tower = _tuned_tower(visual, head, head_path) if mode == "ft" else visual
    network = HeadScorer(tower, linear(head.weight, head.bias)).to(model.device).eval()
    return Mode(
        mode=mode,
        findings=head.metadata.findings,
        network=network,
        target=find_layer(network, model.entry.layer, model.input_size),
        device=model.device,
        weights_sha256=file_sha256(head_path),
        base_weights_sha256=model.weights_sha256,
        head=head.metadata,
    )


def _check_head(model: LoadedModel, mode: ModeName, path: Path, head: Head) -> None:
    """Nothing, when this head was made for this model, mode and preprocessing."""
    again = f"train it again: launch.py train WORKSPACE --model {model.entry.name} --mode {mode}"
    metadata = head.metadata
    if metadata.mode != mode:
        raise InvalidHead(f"{path} holds a {MODE_WORDS[metadata.mode]}, not a {MODE_WORDS[mode]}")
    if metadata.base_weights_sha256 != model.weights_sha256:
        raise InvalidHead(
            f"{path} was trained on weights {metadata.base_weights_sha256 or '(none named)'}, but "
            f"model '{model.entry.name}' has {model.weights_sha256}; {again}"
        )
    kind = metadata.preprocessing.get("kind", model.entry.preprocessing)
    if kind != model.entry.preprocessing:
        raise InvalidHead(
            f"{path} was trained on pictures prepared by '{kind}', but model "
            f"'{model.entry.name}' uses '{model.entry.preprocessing}'; {again}"
        )
    if head.weight.shape[1] != model.embedding_size:
        raise InvalidHead(
            f"{path} reads {head.weight.shape[1]} numbers per picture, but model "
            f"'{model.entry.name}' gives {model.embedding_size}; {again}"
        )


def _tuned_tower(visual: nn.Module, head: Head, path: Path) -> nn.Module:
    tower = deepcopy(visual)
    try:
        tower.load_state_dict(head.visual, strict=True)
    except RuntimeError as error:
        raise InvalidHead(f"{path} does not fit the image tower: {error}") from None
    return tower


def _row(mode: Mode, finding: str) -> int:
    if finding in mode.findings:
        return mode.findings.index(finding)
    raise InvalidHead(
        f"the {MODE_WORDS[mode.mode]} weights know no finding '{finding}'; they were trained for "
        f"{', '.join(mode.findings)}; train again with labels of '{finding}'"
    )


def _some(findings: Sequence[str]) -> tuple[str, ...]:
    if not findings:
        raise ValueError("no finding given; name at least one")
    return tuple(findings)
