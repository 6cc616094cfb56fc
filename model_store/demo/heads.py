"""Probe and fine-tune of the demo models on the demo's own hospital."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from model_store.demo.phantom_style import DEMO_FINDINGS, NO_FINDING
from model_store.demo.prefetch import prefetched
from model_store.demo.pretraining import Report, augment, to_input
from model_store.demo.training_data import PhantomSet

HEAD_FINDINGS: Final = (*DEMO_FINDINGS, NO_FINDING)


@dataclass(frozen=True)
class HeadSettings:
    """How the heads are fitted.

    Attributes:
        n_pictures: Labelled films of the demo's hospital.
        penalty: Of the probe's squared weights, on standardised embeddings.
        epochs: Of the fine-tune.
        batch: Of the fine-tune.
        learning_rate: Of the fine-tune; cosine to zero.
        weight_decay: Of the fine-tune.
        seed: Of batches and augmentation.
    """

    n_pictures: int = 600
    penalty: float = 5.0
    epochs: int = 12
    batch: int = 32
    learning_rate: float = 4e-4
    weight_decay: float = 0.05
    seed: int = 21


def embed(visual: nn.Module, pictures: NDArray[np.uint8]) -> Tensor:
    """Un-normalised embeddings, shape (N, D)."""
    with torch.no_grad():
        return torch.cat(
            [
                visual(to_input(pictures[start : start + 100]))
                for start in range(0, len(pictures), 100)
            ]
        )


def fit_probe(visual: nn.Module, data: PhantomSet, settings: HeadSettings) -> tuple[Tensor, Tensor]:
    """Weight (K, D) and bias (K) of a penalised logistic regression on frozen embeddings."""
    features, targets = embed(visual, data.pictures), torch.from_numpy(data.targets)
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    scaled = (features - mean) / deviation
    weight = torch.zeros(targets.shape[1], features.shape[1], requires_grad=True)
    bias = torch.zeros(targets.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        fit = functional.binary_cross_entropy_with_logits(
            scaled @ weight.T + bias, targets, reduction="sum"
        )
        loss = fit + settings.penalty * (weight**2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    plain = (weight / deviation).detach()
    return plain, (bias.detach() - plain @ mean)


def fine_tune(
    visual: nn.Module,
    data: PhantomSet,
    head: tuple[Tensor, Tensor],
    settings: HeadSettings,
    report: Report,
) -> tuple[nn.Module, nn.Linear]:
    """A tuned copy of the image tower and its head, begun at the probe's."""
    torch.manual_seed(settings.seed)
    tower = copy.deepcopy(visual).requires_grad_(True)
    linear = nn.Linear(head[0].shape[1], head[0].shape[0])
    linear.load_state_dict({"weight": head[0], "bias": head[1]})
    network = nn.Sequential(tower, linear).train()
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    targets = torch.from_numpy(data.targets)
    total = len(data.pictures) // settings.batch * settings.epochs
    for step, (images, chosen) in enumerate(prefetched(_batches(data, settings))):
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * step / total))
        scores = network(images)
        loss = functional.binary_cross_entropy_with_logits(scores, targets[chosen])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        report(step + 1, total, float(loss.detach()))
    network.eval()
    return tower, linear


def _batches(data: PhantomSet, settings: HeadSettings) -> Iterator[tuple[Tensor, NDArray[np.intp]]]:
    """Inputs and the rows they are of; each epoch goes once over the films in another order."""
    rng = np.random.default_rng(settings.seed)
    for _ in range(settings.epochs):
        order = rng.permutation(len(data.pictures))
        for place in range(0, len(order) - settings.batch + 1, settings.batch):
            chosen = order[place : place + settings.batch]
            yield to_input(augment(data.pictures[chosen], rng)), chosen
