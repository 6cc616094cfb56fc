"""A fine-tune in a process of its own, so that a test can kill it.

``python -m tests.model_store.long_training ENTRY HEAD`` says each step on a line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_store.entries import ModelEntry
from model_store.fine_tune import train_fine_tune
from model_store.loading import load_model
from model_store.training import TrainingSet, TrainingSettings

SETTINGS = TrainingSettings(
    epochs=5, batch_size=6, learning_rate=1e-3, schedule="cosine", micro_batch=3, precision="fp32"
)


def noise(n_pictures: int = 16) -> TrainingSet:
    """Pictures of noise with two findings at random."""
    labels = np.random.default_rng(1).integers(0, 2, (n_pictures, 2)).astype(np.float32)

    def picture(index: int) -> NDArray[np.uint8]:
        return np.random.default_rng(index).integers(0, 255, (160, 160)).astype(np.uint8)

    return TrainingSet(picture, labels, ("A", "B"), range(12), range(12, n_pictures))


def main(entry: Path, head: Path) -> None:
    model = load_model(ModelEntry.from_dict(json.loads(entry.read_text())))

    def say(_done: int, _total: int, message: str) -> bool:
        sys.stdout.write(message + "\n")
        sys.stdout.flush()
        return False

    train_fine_tune(model, noise(), head, settings=SETTINGS, progress=say)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
