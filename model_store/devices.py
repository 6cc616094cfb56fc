"""Which processor computes."""

from __future__ import annotations

from typing import Final

import torch

from model_store.errors import UnknownMethod

AUTO: Final = "auto"


def find_device(name: str = AUTO) -> torch.device:
    """The device with this name; ``auto`` takes a CUDA card, then Apple's, then the processor.

    Raises:
        UnknownMethod: If this machine or this build of torch has no such device.
    """
    if name == AUTO:
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if _is_there(kind)))
    kind = name.partition(":")[0]
    if kind not in ("cuda", "mps", "cpu") or not _is_there(kind):
        there = ", ".join(kind for kind in ("cpu", "cuda", "mps") if _is_there(kind))
        raise UnknownMethod(
            f"device {name!r} given; torch {torch.__version__} finds on this machine: {there}"
        )
    return torch.device(name)


def _is_there(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    if kind == "mps":
        return torch.backends.mps.is_available()
    return True
