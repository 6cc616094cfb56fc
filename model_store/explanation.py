"""What a model says about pictures in one mode, where it looked, and how to get the same again.

Importing this module loads no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from model_store.preprocessing import FrameGeometry
from model_store.saliency import find_method
from model_store.versions import library_versions

if TYPE_CHECKING:
    from torch import Tensor

    from model_store.loading import LoadedModel
    from model_store.modes import Mode
    from model_store.saliency.methods import SaliencyMethod, SaliencyResult

Picture = NDArray[np.uint8]

PICTURES_AT_ONCE: Final = 32
# Maps are compared to five digits, whatever embeddings are computed in.
MAP_PRECISION: Final = "fp32"


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a model says about one picture in one mode, and where it looked.

    Attributes:
        maps: Shape (K, h, w), not negative, on the model's input grid; an empty map is all zero.
        scores: Shape (K,): what ``provenance["score"]`` says, for instance cosines or logits.
        findings: K names.
        geometry: From the picture's pixels to the grid of the maps, and back.
        provenance: JSON values: hashes, preprocessing, layer, method, prompts, versions.
    """

    maps: NDArray[np.float32]
    scores: NDArray[np.float32]
    findings: tuple[str, ...]
    geometry: FrameGeometry
    provenance: dict[str, Any]


def _prepared(
    loaded: LoadedModel, pictures: Sequence[Picture]
) -> tuple[Tensor, list[FrameGeometry]]:
    """Inputs (B, 3, h, w), and each picture's way to them."""
    import torch

    prepared = [loaded.prepare(picture) for picture in pictures]
    return torch.stack([x for x, _ in prepared]), [geometry for _, geometry in prepared]


def explain_pictures(
    loaded: LoadedModel, mode: Mode, method: SaliencyMethod, pictures: Sequence[Picture]
) -> list[Explanation]:
    """Maps and scores of the mode's findings on each picture, some pictures at once.

    Raises:
        UnsuitableLayer: If the mode's layer gives no map by this method.
        ValueError: If a picture is not (H, W) uint8, or is too narrow for the model.
    """
    facts = _provenance(loaded, mode, method.name)
    told: list[Explanation] = []
    for start in range(0, len(pictures), PICTURES_AT_ONCE):
        x, geometries = _prepared(loaded, pictures[start : start + PICTURES_AT_ONCE])
        told += _explanations(method.maps(mode, x), geometries, mode.findings, facts)
    return told


def _explanations(
    result: SaliencyResult,
    geometries: Sequence[FrameGeometry],
    findings: tuple[str, ...],
    facts: dict[str, Any],
) -> list[Explanation]:
    return [
        Explanation(maps, scores, findings, geometry, dict(facts))
        for maps, scores, geometry in zip(result.maps, result.scores, geometries, strict=True)
    ]


def _provenance(loaded: LoadedModel, mode: Mode, method: str) -> dict[str, Any]:
    """All that is needed to get the same maps again, as JSON values."""
    head = mode.head
    return {
        "model": loaded.entry.name,
        "source": loaded.entry.source or loaded.entry.location,
        "mode": mode.mode,
        "method": method,
        "method_source": find_method(method).source,
        "findings": list(mode.findings),
        "score": mode.score,
        "weights_sha256": mode.weights_sha256,
        "base_weights_sha256": mode.base_weights_sha256,
        "config_sha256": loaded.entry.config_sha256,
        "preprocessing": loaded.describe_preprocessing(),
        "layer": mode.target.path,
        "grid": list(mode.grid),
        "prompts": {finding: list(texts) for finding, texts in mode.prompts.items()},
        "negative_prompts": {name: list(texts) for name, texts in mode.negative_prompts.items()},
        "prompt_version": mode.prompt_version,
        "head_created": head.created if head else "",
        "precision": MAP_PRECISION,
        "device": str(loaded.device),
        "versions": library_versions(),
    }
