"""A picture's maps for every dimension of its embedding: what any prompt's map is made of.

Grad-CAM and HiResCAM are linear in the score's gradient, so the map of a score whose gradient with
respect to the embedding is ``g`` is ``sum_e g_e basis_e``, before its negative part is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_store.prompt_basis import LINEAR_METHODS
from model_store.saliency import lastblock
from model_store.saliency.lastblock import LastBlock, find_last_block
from model_store.saliency.layers import TargetLayer
from model_store.saliency.shared import Recording, record
from model_store.saliency.state import as_found
from model_store.scoring import Scorer

# So many dimensions go back through the tail together.
DIMENSIONS_AT_ONCE: Final = 32


class EmbeddingScorer(Scorer):
    """Scores that are the embedding itself: one per dimension.

    Args:
        visual: The image tower.
        dimensions: Only these, in this order; None: all.
    """

    def __init__(self, visual: nn.Module, dimensions: Sequence[int] | None = None) -> None:
        super().__init__(visual)
        self.dimensions = None if dimensions is None else list(dimensions)

    def score(self, embedding: Tensor) -> Tensor:
        """The embedding (B, E)."""
        return embedding if self.dimensions is None else embedding[:, self.dimensions]

    def gradients(self, embedding: Tensor) -> Tensor:
        """One of each dimension."""
        width = embedding.shape[1]
        each = torch.eye(width, dtype=embedding.dtype, device=embedding.device)
        chosen = each if self.dimensions is None else each[self.dimensions]
        return chosen.expand(len(embedding), -1, -1)

    def select(self, rows: Sequence[int]) -> EmbeddingScorer:
        """A scorer for some of the dimensions that shares this one's tower."""
        own = self.dimensions
        return EmbeddingScorer(self.visual, [row if own is None else own[row] for row in rows])


def embedding_basis(
    network: EmbeddingScorer, target: TargetLayer, x: Tensor, *, method: str = "gradcam"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Maps (E, rows, columns), with their negative part, and the embedding (E,).

    In closed form where there is one; else the dimensions go back through the tail in groups.

    Args:
        network: The image tower.
        target: Where it is read.
        x: Shape (1, 3, h, w), on the network's device.
        method: One of ``LINEAR_METHODS``.

    Raises:
        ValueError: If ``x`` is not one picture, or the method's maps are not linear.
    """
    if method not in LINEAR_METHODS:
        raise ValueError(
            f"{method!r} has no basis maps; expected one of {', '.join(LINEAR_METHODS)}"
        )
    if x.ndim != 4 or x.shape[:2] != (1, 3):
        raise ValueError(
            f"input of shape {tuple(x.shape)} given; expected one picture (1, 3, h, w)"
        )
    block = find_last_block(network.visual, target.module)
    with as_found(network):
        if block is not None:
            maps, embedding = _in_closed_form(block, x, method)
        else:
            maps, embedding = _through_the_tail(record(network, target, x), method)
    return maps.float().cpu().numpy(), embedding.float().cpu().numpy()


def _in_closed_form(block: LastBlock, x: Tensor, method: str) -> tuple[Tensor, Tensor]:
    coarse = lastblock.hirescam_maps if method == "hirescam" else lastblock.gradcam_maps
    done = lastblock.run(block, x)
    embedding, gradients = lastblock.many_gradients(block, done, nn.Identity())
    with torch.inference_mode():
        return coarse(block, done, gradients)[0], embedding[0]


def _through_the_tail(recording: Recording, method: str) -> tuple[Tensor, Tensor]:
    activations = recording.activations[0]
    embedding = recording.scores
    maps = []
    for start in range(0, embedding.shape[1], DIMENSIONS_AT_ONCE):
        for gradient in _gradients(recording, start):
            weights = gradient if method == "hirescam" else gradient.mean((1, 2), keepdim=True)
            maps.append((weights * activations).sum(0))
    return torch.stack(maps), embedding.detach()[0]


def _gradients(recording: Recording, start: int) -> Iterator[Tensor]:
    """The gradients (C, rows, columns) of the dimensions from ``start`` on."""
    n_all = recording.scores.shape[1]
    chosen = range(start, min(start + DIMENSIONS_AT_ONCE, n_all))
    each = torch.eye(n_all, device=recording.leaf.device)[list(chosen)][:, None]
    (gradients,) = torch.autograd.grad(
        recording.scores, recording.leaf, each, retain_graph=True, is_grads_batched=True
    )
    return (recording.target.reshape(one)[0] for one in gradients)
