"""Scores from embeddings that are known already, and the tower of a fine-tune as a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model_store.errors import TrainingFailed
from model_store.loading import LoadedModel
from model_store.modes import Mode, build_mode
from model_store.prompts import PromptSet
from model_store.training import Progress, TrainingSet, TrainingSettings

FloatTable = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class EmbeddingScores:
    """What one mode makes of embeddings.

    Attributes:
        scores: Shape (N, K).
        kind: ``cosine``, ``dot``, a ``difference`` of them, or ``logit``.
        weights_sha256: Of the head file, or of the model where there is none.
        prompts: What stood for each finding; empty but for zero-shot.
    """

    scores: FloatTable
    kind: str
    weights_sha256: str
    prompts: dict[str, list[str]]


def score_embeddings(
    model: LoadedModel,
    mode: str,
    findings: Sequence[str],
    embeddings: FloatTable,
    *,
    head_path: Path | None = None,
    prompts: PromptSet | None = None,
) -> EmbeddingScores:
    """The scores (N, K) that a mode gives to pictures with these embeddings (N, D).

    The same numbers as asking the mode with the pictures, without encoding them again.

    Args:
        model: The base model.
        mode: One of its modes.
        findings: K names.
        embeddings: Un-normalised, of the mode's own tower.
        head_path: Of lp and ft.
        prompts: Of zero-shot, instead of the entry's.

    Raises:
        ModelError: As ``build_mode``.
    """
    built = build_mode(_asked(model, prompts), mode, findings, head_path)
    with torch.no_grad():
        scores = built.network.score(torch.from_numpy(embeddings).to(built.device))
    return EmbeddingScores(
        scores=scores.float().cpu().numpy(),
        kind=built.score,
        weights_sha256=built.weights_sha256,
        prompts={name: list(texts) for name, texts in built.prompts.items()},
    )


def ask_mode(
    model: LoadedModel,
    mode: str,
    findings: Sequence[str],
    frames: NDArray[np.uint8],
    *,
    head_path: Path | None = None,
    prompts: PromptSet | None = None,
) -> tuple[FloatTable, FloatTable]:
    """Embeddings (B, D) and scores (B, K) of frames (B, h, w), straight through the mode's network.

    In fp32, whatever embeddings are computed in: this is what kept numbers are checked against.

    Raises:
        ModelError: As ``build_mode``.
    """
    built = build_mode(_asked(model, prompts), mode, findings, head_path)
    with torch.no_grad():
        embedded = built.network.embed(model.normalise(frames).to(built.device))
        scores = built.network.score(embedded)
    return embedded.float().cpu().numpy(), scores.float().cpu().numpy()


def _asked(model: LoadedModel, prompts: PromptSet | None) -> LoadedModel:
    return model if prompts is None else replace(model, entry=replace(model.entry, prompts=prompts))


class Tower(nn.Module):
    """A network that is an image tower and nothing else.

    Args:
        visual: The tower.
    """

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual


def tuned_model(model: LoadedModel, head_path: Path) -> LoadedModel:
    """The model with the image tower of a fine-tune; its weights are those of the file.

    Raises:
        ModelError: If the file is missing, damaged or of another model.
    """
    built: Mode = build_mode(model, "ft", head_path=head_path)
    tower = Tower(built.network.visual).eval().requires_grad_(False)
    return replace(model, network=tower, weights_sha256=built.weights_sha256)


def train_within_memory(
    model: LoadedModel,
    data: TrainingSet,
    path: Path,
    *,
    settings: TrainingSettings,
    progress: Progress | None = None,
) -> tuple[Path, TrainingSettings]:
    """A fine-tune, with as many pictures at a time as the card's memory takes.

    A step whose batch does not fit is cut into halves whose gradients add up; the batch that the
    weights are changed by stays as large as asked for.

    Returns:
        The file, and the settings that it was trained with; ``micro_batch`` says what fitted.

    Raises:
        ModelError: As ``train_fine_tune``, and if a single picture is too much.
    """
    from model_store.fine_tune import train_fine_tune

    chosen = settings
    while True:
        try:
            return train_fine_tune(model, data, path, settings=chosen, progress=progress), chosen
        except torch.OutOfMemoryError:
            size = (chosen.micro_batch or chosen.batch_size) // 2
            if size < 1:
                raise TrainingFailed(
                    f"a single picture of model '{model.entry.name}' does not fit into the memory "
                    f"of {model.device}; close other programs there, or train on the processor"
                ) from None
            chosen = replace(chosen, micro_batch=size)
        if model.device.type == "cuda":
            torch.cuda.empty_cache()


def visual_tower(model: LoadedModel) -> nn.Module:
    """The image tower of a loaded model."""
    tower: nn.Module = cast("Any", model.network).visual
    return tower
