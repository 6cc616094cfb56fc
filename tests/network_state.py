"""What a network must look like again after somebody borrowed it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def snapshot(network: nn.Module) -> list[object]:
    """Hooks, training flags, required gradients, gradients, types and values."""
    hooks = [
        (len(module._forward_hooks), len(module._forward_pre_hooks), len(module._backward_hooks))
        for module in network.modules()
    ]
    training = [module.training for module in network.modules()]
    required = [each.requires_grad for each in network.parameters()]
    gradients = [None if each.grad is None else each.grad.clone() for each in network.parameters()]
    types = [value.dtype for value in network.state_dict().values()]
    values = [value.clone() for value in network.state_dict().values()]
    return [hooks, training, required, gradients, types, values]


def same(first: object, second: object) -> bool:
    """Whether two snapshots are equal."""
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.equal(first, second)
    return first == second


def make_unusual(network: nn.Module) -> list[object]:
    """Some parts training, some parameters with gradients; the snapshot of all of it."""
    network.train()
    next(network.children()).eval()
    for number, parameter in enumerate(network.parameters()):
        parameter.requires_grad_(number % 2 == 0)
        if number % 3 == 0:
            parameter.grad = torch.full_like(parameter, number)
    return snapshot(network)
