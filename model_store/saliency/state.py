"""Giving a network back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def as_found(network: nn.Module) -> Iterator[None]:
    """Training flags, ``requires_grad`` and ``grad`` are afterwards as before, also on an error.

    Within, no parameter requires a gradient: only what a caller marks is recorded.
    """
    training = [(module, module.training) for module in network.modules()]
    parameters = [(each, each.requires_grad, each.grad) for each in network.parameters()]
    try:
        for parameter, _, _ in parameters:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, flag in training:
            module.training = flag
        for parameter, required, gradient in parameters:
            parameter.requires_grad_(required)
            parameter.grad = gradient
