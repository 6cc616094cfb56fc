"""Frames to un-normalised image embeddings, in batches."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from model_store.errors import OutOfMemory
from model_store.loading import LoadedModel
from model_store.precision import autocast
from model_store.scoring import Embedder


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
        self._tower = Embedder(cast("Any", model.network).visual)
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
        """Embeddings (B, D) of frames (B, h, w), grey pictures on the model's grid.

        A batch that does not fit into the card's memory goes through it in halves.

        Raises:
            OutOfMemory: If a single picture is too much.
        """
        with self._lock:
            return self._embed(frames)

    def _embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            return self._pass(frames)
        except torch.OutOfMemoryError:
            if len(frames) == 1:
                raise OutOfMemory(
                    f"a single picture does not fit into the memory of {self._model.device} beside "
                    f"model '{self._model.entry.name}'; close other programs there, or choose the "
                    "processor (--device cpu)"
                ) from None
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()
        half = len(frames) // 2
        return np.concatenate([self._embed(frames[:half]), self._embed(frames[half:])])

    def _pass(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        device = self._model.device
        with torch.no_grad(), autocast(device, self._precision):
            values = self._tower.embed(self._model.normalise(frames, device))
        embeddings: NDArray[np.float32] = values.float().cpu().numpy()
        return embeddings
