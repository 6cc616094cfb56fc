"""Heads with random weights, for the control that has learnt nothing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch

from model_store.modes import LOGIT, Mode, check_mode
from model_store.saliency.layers import find_layer
from model_store.scoring import HeadScorer, linear

if TYPE_CHECKING:
    from model_store.loading import LoadedModel


def build_random_head(model: LoadedModel, mode: str, findings: Sequence[str]) -> Mode:
    """A trained mode as it was before any training: random image tower, random head.

    Each finding's row is drawn from the model's seed, the mode and the finding alone, as
    ``torch.nn.Linear`` draws it: which other findings are asked for changes nothing.

    Args:
        model: Loaded with random weights.
        mode: ``lp`` or ``ft``.
        findings: One row each.
    """
    rows = [_row(model, mode, finding) for finding in findings]
    weight, bias = torch.stack([row[:-1] for row in rows]), torch.stack([row[-1] for row in rows])
    visual = cast("Any", model.network).visual
    network = HeadScorer(visual, linear(weight, bias)).to(model.device).eval()
    return Mode(
        mode=check_mode(mode),
        findings=tuple(findings),
        network=network,
        target=find_layer(network, model.entry.layer, model.input_size),
        device=model.device,
        weights_sha256=model.weights_sha256,
        base_weights_sha256=model.weights_sha256,
        score=LOGIT,
    )


def _row(model: LoadedModel, mode: str, finding: str) -> torch.Tensor:
    """Weights and, last, the bias of one finding."""
    words = f"{model.weights_sha256} {mode} {finding}".encode()
    seed = int.from_bytes(hashlib.sha256(words).digest()[:4], "big")
    generator = torch.Generator().manual_seed(seed)
    bound = 1 / math.sqrt(model.embedding_size)
    return torch.empty(model.embedding_size + 1).uniform_(-bound, bound, generator=generator)
