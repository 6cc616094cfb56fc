"""What building a network gives, whatever kind of entry it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from open_clip.transform import PreprocessCfg
from torch import Tensor, nn

from model_store.entries import ModelEntry, Preprocessing
from model_store.errors import WrongWeights

Tokenizer = Callable[[list[str]], Tensor]

RESIZE_MODES: Final[dict[Preprocessing, str]] = {
    "crop": "shortest",
    "pad": "longest",
    "squash": "squash",
}
RANDOM_PREFIX: Final = "random:"


@dataclass(frozen=True, eq=False)
class Parts:
    """A network and what goes with it.

    Attributes:
        network: Its image tower is ``visual``; a classifier's last layer is ``head``.
        tokenizer: Texts to token ids (N, context length); None for a classifier.
        settings: Size, mean, standard deviation and interpolation of the input.
        weights_sha256: Of what was loaded; ``random:<seed>`` for random weights.
        embedding_size: Numbers per picture that the image tower gives.
    """

    network: nn.Module
    tokenizer: Tokenizer | None
    settings: PreprocessCfg
    weights_sha256: str
    embedding_size: int


def random_weights(seed: int) -> str:
    """What stands in the place of a hash for random weights."""
    return f"{RANDOM_PREFIX}{seed}"


def check_weights(entry: ModelEntry, place: str, found: str) -> None:
    """Nothing, when the weights are those that were added.

    Raises:
        WrongWeights: If the file at this place has another hash.
    """
    if entry.weights_sha256 and found != entry.weights_sha256:
        raise WrongWeights(
            f"{place} has SHA-256 {found}, but model '{entry.name}' was added with "
            f"{entry.weights_sha256}; put the old file back or add the model again"
        )
