"""The modes of a model: zero-shot (zs) or own outputs (cls), linear probe (lp), fine-tune (ft)."""

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
from model_store.prompts import PromptSet
from model_store.saliency.layers import TargetLayer, find_layer
from model_store.scoring import HeadScorer, Scorer, linear
from model_store.zero_shot import build_zero_shot

ModeName = Literal["zs", "cls", "lp", "ft"]

MODE_WORDS: Final[Mapping[str, str]] = {
    "zs": "zero-shot",
    "cls": "own outputs",
    "lp": "linear probe",
    "ft": "fine-tune",
}
LOGIT: Final = "logit"


@dataclass(frozen=True, eq=False)
class Mode:
    """One way to get scores and maps from a model.

    Attributes:
        mode: ``zs``, ``cls``, ``lp`` or ``ft``.
        findings: One per score.
        network: Pictures (B, 3, h, w) to scores (B, K).
        target: The layer that maps are read from.
        device: Where the network lies.
        weights_sha256: Of the head file for lp and ft, else of the model's weights.
        base_weights_sha256: Of the model's weights.
        score: What a score is: ``logit``, or for zs ``cosine``, ``dot`` or a ``difference`` of
            them between a finding's prompt and its negative.
        prompts: What stood for each finding; empty but for zs.
        negative_prompts: What stood against it; empty without pairs.
        prompt_version: Of the model's prompts; 0 but for zs.
        head: Metadata of the head file; None for zs and cls.
    """

    mode: ModeName
    findings: tuple[str, ...]
    network: Scorer
    target: TargetLayer
    device: torch.device
    weights_sha256: str
    base_weights_sha256: str
    score: str = LOGIT
    prompts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    negative_prompts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prompt_version: int = 0
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
        return replace(
            self,
            findings=chosen,
            network=self.network.select(rows),
            prompts=_only(self.prompts, chosen),
            negative_prompts=_only(self.negative_prompts, chosen),
        )

    def at_layer(self, path: str) -> Mode:
        """The same network, looked at in another layer.

        Raises:
            UnsuitableLayer: If no map can come from there; the message says why.
        """
        if path == self.target.path:
            return self
        target = find_layer(self.network, path, self.target.input_size)
        return replace(self, target=target)


def build_mode(
    model: LoadedModel,
    mode: str,
    findings: Sequence[str] | None = None,
    head_path: Path | None = None,
) -> Mode:
    """The mode, ready for scores and maps.

    Args:
        model: The base model.
        mode: One of the entry's modes.
        findings: What to score, in this order; None but for zs: all that the mode knows.
        head_path: The head file of lp and ft.

    Raises:
        UnknownMethod: If the model has no such mode.
        MissingHead: If the head was not trained yet; the message says which command does it.
        InvalidHead: If the head is of another model or lacks a finding.
        UnsuitableLayer: If the entry's layer cannot give maps.
    """
    name = check_mode(mode, model.entry.modes)
    if name == "zs":
        return _zero_shot_mode(model, findings)
    built = _own_mode(model) if name == "cls" else _head_mode(model, name, head_path)
    return built if findings is None else built.select(_some(findings))


def check_mode(mode: str, modes: Sequence[str] = tuple(MODE_WORDS)) -> ModeName:
    """The mode with this name.

    Args:
        mode: Its name.
        modes: Those that may be asked for, for instance those of an entry.

    Raises:
        UnknownMethod: With the known names.
    """
    if mode not in modes:
        known = ", ".join(f"{name} ({MODE_WORDS[name]})" for name in modes)
        raise UnknownMethod(f"unknown mode {mode!r}; known: {known}")
    return cast("ModeName", mode)


def _zero_shot_mode(model: LoadedModel, findings: Sequence[str] | None) -> Mode:
    chosen = _some(findings or ())
    network = build_zero_shot(model, chosen).eval()
    prompts: PromptSet = model.entry.prompts
    against = {finding: prompts.negatives_for(finding) for finding in chosen}
    return Mode(
        mode="zs",
        findings=chosen,
        network=network,
        target=find_layer(network, model.entry.layer, model.input_size),
        device=model.device,
        weights_sha256=model.weights_sha256,
        base_weights_sha256=model.weights_sha256,
        score=prompts.score_kind,
        prompts={finding: prompts.prompts_for(finding) for finding in chosen},
        negative_prompts={finding: texts for finding, texts in against.items() if texts},
        prompt_version=prompts.version,
    )


def _own_mode(model: LoadedModel) -> Mode:
    """A classifier's own outputs."""
    classifier = cast("Any", model.network)
    network = HeadScorer(classifier.visual, classifier.head).eval()
    return Mode(
        mode="cls",
        findings=model.entry.outputs,
        network=network,
        target=find_layer(network, model.entry.layer, model.input_size),
        device=model.device,
        weights_sha256=model.weights_sha256,
        base_weights_sha256=model.weights_sha256,
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
    known = ", ".join(mode.findings)
    if mode.mode == "cls":
        raise InvalidHead(f"this classifier has no output '{finding}'; its outputs are {known}")
    raise InvalidHead(
        f"the {MODE_WORDS[mode.mode]} weights know no finding '{finding}'; they were trained for "
        f"{known}; train again with labels of '{finding}'"
    )


def _only(
    texts: Mapping[str, tuple[str, ...]], chosen: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    return {finding: each for finding, each in texts.items() if finding in chosen}


def _some(findings: Sequence[str]) -> tuple[str, ...]:
    if not findings:
        raise ValueError("no finding given; name at least one")
    return tuple(findings)
