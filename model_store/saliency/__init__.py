"""Saliency methods: one file per method, one line in the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from model_store.errors import UnknownMethod
from model_store.saliency.eigencam import EIGENCAM
from model_store.saliency.gradcam import GRADCAM
from model_store.saliency.gradcam_elementwise import GRADCAM_ELEMENTWISE
from model_store.saliency.gradcampp import GRADCAMPP
from model_store.saliency.hirescam import HIRESCAM
from model_store.saliency.layercam import LAYERCAM
from model_store.saliency.legrad import LEGRAD
from model_store.saliency.methods import LayerChoice, SaliencyMethod, SaliencyResult
from model_store.saliency.randomcam import RANDOMCAM
from model_store.saliency.rollout import ROLLOUT

__all__ = [
    "SALIENCY_METHODS",
    "LayerChoice",
    "SaliencyMethod",
    "SaliencyResult",
    "find_method",
]

SALIENCY_METHODS: Final[Mapping[str, SaliencyMethod]] = {
    method.name: method
    for method in (
        GRADCAM,
        HIRESCAM,
        GRADCAMPP,
        LAYERCAM,
        GRADCAM_ELEMENTWISE,
        EIGENCAM,
        ROLLOUT,
        LEGRAD,
        RANDOMCAM,
    )
}


def find_method(name: str) -> SaliencyMethod:
    """The method with this name.

    Raises:
        UnknownMethod: With the known names.
    """
    if name not in SALIENCY_METHODS:
        known = ", ".join(SALIENCY_METHODS)
        raise UnknownMethod(f"unknown saliency method {name!r}; known: {known}")
    return SALIENCY_METHODS[name]
