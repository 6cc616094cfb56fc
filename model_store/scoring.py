"""Networks that score one picture for each finding: (B, 3, h, w) to (B, K)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

# What torch's own normalisation divides by at least.
SHORTEST: Final = 1e-12


class Embedder(nn.Module):
    """An image tower under ``visual``.

    Args:
        visual: The image tower of an image-text model, or a classifier without its last layer.
    """

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual

    def embed(self, x: Tensor) -> Tensor:
        """The un-normalised image embedding (B, D)."""
        output = self.visual(x)
        # Some towers give their tokens beside the embedding.
        embedding: Tensor = output[0] if isinstance(output, tuple) else output
        return embedding


class Scorer(Embedder, ABC):
    """An image tower and one row of numbers per finding."""

    @abstractmethod
    def score(self, embedding: Tensor) -> Tensor:
        """Scores (B, K) of embeddings (B, D); row by row, so that one row never moves another."""

    @abstractmethod
    def gradients(self, embedding: Tensor) -> Tensor:
        """The gradient (B, K, D) of each score with respect to the embedding (B, D)."""

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, K)."""
        return self.score(self.embed(x))

    @abstractmethod
    def select(self, rows: Sequence[int]) -> Scorer:
        """A scorer for some of the findings that shares this one's tower."""


class TextScorer(Scorer):
    """Similarity of the image embedding with one text vector per finding.

    Args:
        visual: The image tower.
        texts: Shape (K, D). For a cosine the rows have length 1; with a negative prompt, the
            positive row minus the negative one.
        is_cosine: Whether the image embedding is brought to length 1 first.
    """

    def __init__(self, visual: nn.Module, texts: Tensor, *, is_cosine: bool = True) -> None:
        super().__init__(visual)
        self.register_buffer("texts", texts, persistent=False)
        self.is_cosine = is_cosine

    def score(self, embedding: Tensor) -> Tensor:
        """Scores (B, K): cosines, dot products, or differences of them."""
        if self.is_cosine:
            embedding = nn.functional.normalize(embedding, dim=-1)
        return embedding @ self.get_buffer("texts").T

    def gradients(self, embedding: Tensor) -> Tensor:
        """The texts; for a cosine, what of them moves the direction, by the embedding's length."""
        texts = self.get_buffer("texts").expand(len(embedding), -1, -1)
        if not self.is_cosine:
            return texts
        length = embedding.norm(dim=-1, keepdim=True).clamp(min=SHORTEST)
        direction = embedding / length
        along = (direction @ self.get_buffer("texts").T)[:, :, None] * direction[:, None]
        gradients: Tensor = (texts - along) / length[:, :, None]
        return gradients

    def select(self, rows: Sequence[int]) -> TextScorer:
        """A scorer for some of the findings that shares this one's tower."""
        texts = self.get_buffer("texts")[list(rows)]
        return TextScorer(self.visual, texts, is_cosine=self.is_cosine)


class HeadScorer(Scorer):
    """Logits of a linear head on the un-normalised image embedding.

    Args:
        visual: The image tower.
        head: D inputs, K outputs.
    """

    def __init__(self, visual: nn.Module, head: nn.Linear) -> None:
        super().__init__(visual)
        self.head = head

    def score(self, embedding: Tensor) -> Tensor:
        """Logits (B, K)."""
        logits: Tensor = self.head(embedding)
        return logits

    def gradients(self, embedding: Tensor) -> Tensor:
        """The rows of the head."""
        return self.head.weight.expand(len(embedding), -1, -1)

    def select(self, rows: Sequence[int]) -> HeadScorer:
        """A scorer for some of the findings that shares this one's tower."""
        kept = list(rows)
        return HeadScorer(self.visual, linear(self.head.weight[kept], self.head.bias[kept]))


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A linear layer with copies of these values, without gradients, in evaluation mode."""
    head = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device)
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(bias)
    head.requires_grad_(False)
    return head.eval()
