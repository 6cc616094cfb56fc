"""Giving a network back as it was, and letting one thread at a time borrow it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, RLock
from typing import Final
from weakref import WeakKeyDictionary

from torch import nn

# Modes of one model share its image tower, so the tower is what is locked.
_TOWER_LOCKS: Final[WeakKeyDictionary[nn.Module, RLock]] = WeakKeyDictionary()
_REGISTRY: Final = Lock()


@contextmanager
def as_found(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, for one thread at a time, given back as it was.

    Training flags and ``requires_grad`` are afterwards as before, also on an error. Within, no
    parameter requires a gradient, so that none gets one: only what a caller marks is recorded.
    """
    with _tower_lock(network):
        # Only what differs is touched: on a small network this is a good part of a map's time.
        modules = _modules_of(network)
        awake = [module for module in modules if module.training]
        learning = [
            each
            for module in modules
            if module._parameters
            for each in module._parameters.values()
            if each is not None and each.requires_grad
        ]
        try:
            if awake:
                network.eval()
            for parameter in learning:
                parameter.requires_grad_(False)
            yield
        finally:
            for module in awake:
                module.training = True
            for parameter in learning:
                parameter.requires_grad_(True)


def _modules_of(network: nn.Module) -> list[nn.Module]:
    """The network and all in it; ``modules()`` takes ten times as long over names and doubles."""
    found = [network]
    for module in found:  # it grows meanwhile
        if module._modules:
            found += [child for child in module._modules.values() if child is not None]
    return found


def _tower_lock(network: nn.Module) -> RLock:
    tower = getattr(network, "visual", network)
    with _REGISTRY:
        return _TOWER_LOCKS.setdefault(tower, RLock())
