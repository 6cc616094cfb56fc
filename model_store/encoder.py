"""Frames to un-normalised image embeddings, in batches."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from model_store.loading import LoadedModel
from model_store.precision import autocast
from model_store.scoring import Scorer


class ImageEncoder:
    """The image tower of a loaded model, asked for embeddings alone.

    Zero-shot mode, linear probe and evaluation share it: they read the same embedding.

    Args:
        model: Stays as it is.
        precision: Of the arithmetic: ``fp32``, ``bf16`` or ``fp16``.
        lock: Held while the network runs, where other threads may ask it too.
    """

    def __init__(
        self,
        model: LoadedModel,
        precision: str = "fp32",
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self._model = model
        self._scorer = Scorer(cast("Any", model.network).visual)
        self._precision = precision
        self._lock = lock or nullcontext()

    @property
    def input_size(self) -> tuple[int, int]:
        """(h, w) of a frame."""
        return self._model.input_size

    @property
    def preprocessing(self) -> dict[str, Any]:
        """How a picture becomes a frame and a frame an input, as JSON values."""
        return self._model.describe_preprocessing()

    @property
    def weights_sha256(self) -> str:
        """Of the weights that encode."""
        return self._model.weights_sha256

    @property
    def precision(self) -> str:
        """Of the arithmetic."""
        return self._precision

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings (B, D) of frames (B, h, w), grey pictures on the model's grid."""
        device = self._model.device
        with self._lock, torch.no_grad(), autocast(device, self._precision):
            values = self._scorer.embed(self._model.normalise(frames, device))
        embeddings: NDArray[np.float32] = values.float().cpu().numpy()
        return embeddings
