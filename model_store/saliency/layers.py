"""The layer that a map is read from: where it is, and how its output becomes a grid."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NoReturn, cast

import torch
from torch import Tensor, nn

from model_store.errors import UnsuitableLayer
from model_store.saliency.state import as_found
from model_store.saliency.towers import (
    has_channels_last,
    has_same_shape,
    token_grid,
    tower_layers,
    trunk_of,
)

AUTO: Final = "auto"
PROBE_SEED: Final = 0


@dataclass(frozen=True, eq=False)
class TargetLayer:
    """A layer whose output can be read as a grid.

    Attributes:
        path: From the scoring network, for instance ``visual.trunk.blocks[-1].norm1``.
        module: The layer itself.
        grid: (rows, columns) of its output.
        prefix_tokens: Tokens before the patches; 0 for a convolutional layer.
        reshape: Its output (B, ...) to (B, C, rows, columns).
        input_size: (h, w) of the network's input.
    """

    path: str
    module: nn.Module
    grid: tuple[int, int]
    prefix_tokens: int
    reshape: Callable[[Tensor], Tensor]
    input_size: tuple[int, int]


def find_layer(network: nn.Module, path: str, input_size: tuple[int, int]) -> TargetLayer:
    """The target layer at this path, tried with one picture of noise.

    Args:
        network: Scores pictures; its image tower is ``network.visual``, its ``embed`` gives the
            embedding.
        path: ``auto``, or attribute names with ``.`` and indices in ``[]``.
        input_size: (h, w) of its input.

    Raises:
        UnsuitableLayer: If there is no such layer, it takes no part, its output is no grid, or no
            gradient of a patch can reach it.
    """
    visual = cast("Any", network).visual
    resolved = auto_path(visual) if path == AUTO else path
    module = resolve_path(network, resolved)
    output, gradient = _probe(network, module, resolved, input_size)
    layer = read_as_grid(visual, resolved, module, tuple(output.shape), input_size)
    _refuse_structural_zero(gradient, layer)
    return layer


def auto_path(visual: nn.Module) -> str:
    """Where this kind of image tower is looked at by default.

    Raises:
        UnsuitableLayer: If the tower is of no known kind.
    """
    return tower_layers(visual).paths[-1]


def resolve_path(network: nn.Module, path: str) -> nn.Module:
    """The submodule at this path.

    Raises:
        UnsuitableLayer: If a step of the path does not exist; the message lists what does.
    """
    here: Any = network
    for step in re.findall(r"[^.\[\]]+", path):
        try:
            here = here[int(step)] if re.fullmatch(r"-?\d+", step) else getattr(here, step)
        except (AttributeError, IndexError, TypeError, KeyError):
            known = (
                [name for name, _ in here.named_children()] if isinstance(here, nn.Module) else []
            )
            raise UnsuitableLayer(
                f"layer {path!r} does not exist: {type(here).__name__} has no {step!r}; "
                f"it has {', '.join(known[:20]) or 'no parts'}"
            ) from None
    if not isinstance(here, nn.Module):
        raise UnsuitableLayer(f"{path!r} is a {type(here).__name__}, not a layer of the network")
    return here


def read_as_grid(
    visual: nn.Module,
    path: str,
    module: nn.Module,
    shape: tuple[int, ...],
    input_size: tuple[int, int],
) -> TargetLayer:
    """The layer, when an output of this shape has places in the picture.

    Raises:
        UnsuitableLayer: If it has none.
    """
    if len(shape) == 3:
        return _token_layer(visual, path, module, shape, input_size)
    if len(shape) == 4:
        return _map_layer(visual, path, module, shape, input_size)
    raise UnsuitableLayer(
        f"layer {path} gives an output of shape {shape}; "
        "expected patches (B, N, C) or a feature map (B, C, rows, columns)"
    )


@contextmanager
def cut_at(module: nn.Module) -> Iterator[list[Any]]:
    """A list of what the module gives meanwhile; a tensor becomes a leaf that gradients end at.

    Nothing before the leaf is recorded. A copy of it goes on: a layer that works in place must
    not change the leaf.
    """
    leaves: list[Any] = []

    def cut(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if not isinstance(output, Tensor):
            leaves.append(output)
            return output
        leaves.append(output.detach().requires_grad_(True))
        return leaves[-1].clone()

    handle = module.register_forward_hook(cut)
    try:
        with torch.enable_grad():
            yield leaves
    finally:
        handle.remove()


def _probe(
    network: nn.Module, module: nn.Module, path: str, input_size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """The layer's output, and its gradient of one mixture of the embedding's numbers.

    The picture and the mixture are noise: a gradient that is zero by chance would be a wonder.
    """
    generator = torch.Generator().manual_seed(PROBE_SEED)
    device = next(network.parameters()).device
    x = torch.randn(1, 3, *input_size, generator=generator).to(device)
    with as_found(network), cut_at(module) as leaves:
        embedding: Tensor = cast("Any", network).embed(x)
        if len(leaves) != 1 or not isinstance(leaves[0], Tensor):
            kinds = [type(output).__name__ for output in leaves]
            raise UnsuitableLayer(
                f"layer {path} runs {len(leaves)} times in one pass and gives {kinds}; "
                "expected one tensor, once"
            )
        mixture = torch.randn(embedding.shape, generator=generator).to(device)
        gradient = None
        if embedding.requires_grad:
            mixed = (embedding * mixture).sum()
            (gradient,) = torch.autograd.grad(mixed, leaves[0], allow_unused=True)
    if gradient is None:
        _refuse(path, "no score depends on it")
    return leaves[0].detach(), gradient


def _refuse_structural_zero(gradient: Tensor, layer: TargetLayer) -> None:
    """Nothing, unless only tokens that are no patches still reach the embedding from here."""
    prefix = layer.prefix_tokens
    if prefix == 0 or bool(gradient[:, prefix:].any()) or not bool(gradient[:, :prefix].any()):
        return
    _refuse(
        layer.path,
        "the model reads only its class token after it, so the gradient of every patch is zero",
    )


def _refuse(path: str, reason: str) -> NoReturn:
    raise UnsuitableLayer(
        f"layer {path} gives no map: {reason}; choose 'auto', "
        "or an earlier layer such as visual.trunk.blocks[-1].norm1"
    )


def _token_layer(
    visual: nn.Module,
    path: str,
    module: nn.Module,
    shape: tuple[int, ...],
    input_size: tuple[int, int],
) -> TargetLayer:
    tokens = token_grid(visual)
    if tokens is None or shape[1] != tokens.prefix + tokens.size[0] * tokens.size[1]:
        known = "unknown" if tokens is None else f"{tokens.prefix} and a grid of {tokens.size}"
        raise UnsuitableLayer(
            f"layer {path} gives {shape[1]} tokens; the tower's are {known}: "
            "patches that were pooled or merged have no place in the picture"
        )
    prefix, (rows, columns) = tokens.prefix, tokens.size

    def reshape(values: Tensor) -> Tensor:
        patches = values[:, prefix:].reshape(values.shape[0], rows, columns, values.shape[2])
        return patches.permute(0, 3, 1, 2)

    return TargetLayer(path, module, (rows, columns), prefix, reshape, input_size)


def _map_layer(
    visual: nn.Module,
    path: str,
    module: nn.Module,
    shape: tuple[int, ...],
    input_size: tuple[int, int],
) -> TargetLayer:
    channels_last = has_channels_last(visual)
    rows, columns = shape[1:3] if channels_last else shape[2:4]
    if rows * columns < 2:
        raise UnsuitableLayer(f"layer {path} gives {rows} x {columns} places: nothing to compare")
    if not has_same_shape(input_size, (rows, columns)):
        raise UnsuitableLayer(
            f"layer {path} of a {type(trunk_of(visual)[1]).__name__} gives an output of shape "
            f"{shape} for a picture of {input_size}; expected a feature map (B, C, rows, columns) "
            "with the picture's shape"
        )

    def reshape(values: Tensor) -> Tensor:
        return values.permute(0, 3, 1, 2) if channels_last else values

    return TargetLayer(path, module, (rows, columns), 0, reshape, input_size)
