"""Which libraries made a number."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Final

PACKAGES: Final = (
    "torch",
    "torchvision",
    "open_clip_torch",
    "timm",
    "transformers",
    "grad-cam",
    "safetensors",
    "numpy",
    "pillow",
)


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    return tuple((name, metadata.version(name)) for name in PACKAGES)


def library_versions() -> dict[str, str]:
    """Package name to installed version, read without importing the packages."""
    return dict(_versions())
