"""Saliency methods: one file per method, one line in the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from model_store.errors import UnknownMethod
from model_store.saliency.gradcam import GRADCAM
from model_store.saliency.methods import SaliencyMethod, SaliencyResult

__all__ = ["SALIENCY_METHODS", "SaliencyMethod", "SaliencyResult", "find_method"]

SALIENCY_METHODS: Final[Mapping[str, SaliencyMethod]] = {
    method.name: method for method in (GRADCAM,)
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
