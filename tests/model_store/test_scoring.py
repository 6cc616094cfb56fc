"""Scores of an embedding, and their gradients in closed form."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from model_store.saliency.basis import EmbeddingScorer
from model_store.scoring import HeadScorer, Scorer, TextScorer, linear

WIDTH = 6


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


SCORERS = {
    "cosine": TextScorer(nn.Identity(), nn.functional.normalize(random(4, WIDTH), dim=-1)),
    "difference of cosines": TextScorer(nn.Identity(), random(4, WIDTH)),
    "dot product": TextScorer(nn.Identity(), random(4, WIDTH), is_cosine=False),
    "logit": HeadScorer(nn.Identity(), linear(random(4, WIDTH), random(4))),
    "embedding": EmbeddingScorer(nn.Identity()),
    "some dimensions": EmbeddingScorer(nn.Identity(), [4, 1]),
}


@pytest.mark.parametrize("name", SCORERS)
@pytest.mark.parametrize("length", [1e-3, 1.0, 50.0])
def test_gradients_are_those_that_autograd_finds(name: str, length: float) -> None:
    scorer: Scorer = SCORERS[name]
    embedding = length * random(3, WIDTH, seed=1)
    found = scorer.gradients(embedding)
    for row, picture in enumerate(embedding):
        expected = torch.autograd.functional.jacobian(
            lambda one: scorer.score(one[None])[0], picture
        )
        torch.testing.assert_close(found[row], expected, rtol=1e-5, atol=1e-6 / length)


def test_an_embedding_of_zeros_has_finite_gradients() -> None:
    for scorer in SCORERS.values():
        assert torch.isfinite(scorer.gradients(torch.zeros(1, WIDTH))).all()
