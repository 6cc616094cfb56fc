"""The layers of a network that a user can choose from, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from model_store.errors import UnsuitableLayer
from model_store.saliency.layers import AUTO, TargetLayer, read_as_grid, resolve_path
from model_store.saliency.methods import LayerChoice
from model_store.saliency.state import as_found
from model_store.saliency.towers import TowerLayers, tower_layers


def list_layers(
    network: nn.Module, default: str, input_size: tuple[int, int]
) -> tuple[LayerChoice, ...]:
    """Every layer of the tower that has places in the picture, from the input on.

    Args:
        network: Scores pictures; its image tower is ``network.visual``.
        default: What the model's entry names: ``auto``, or a path, which is listed too.
        input_size: (h, w) of its input.

    Raises:
        UnsuitableLayer: If the default is a layer that does not exist, or it is ``auto`` and the
            tower is of no known kind.
    """
    visual = cast("Any", network).visual
    known = _known(visual, default)
    named = known.paths[-1] if default == AUTO else default
    modules = {path: resolve_path(network, path) for path in (*known.paths, named)}
    chosen = modules[named]
    shapes = _shapes(network, modules, input_size)
    readable = [
        layer
        for path, shape in shapes.items()
        if (layer := _readable(visual, path, modules[path], shape, input_size)) is not None
    ]
    if known.one_per_grid:
        readable = _last_of_each_grid(readable, chosen)
    return tuple(
        LayerChoice(layer.path, _title(known, readable, number), layer.grid, layer.module is chosen)
        for number, layer in enumerate(readable)
    )


def _known(visual: nn.Module, default: str) -> TowerLayers:
    try:
        return tower_layers(visual)
    except UnsuitableLayer:
        if default == AUTO:
            raise
        return TowerLayers("Layer", (default,))


def _shapes(
    network: nn.Module, modules: Mapping[str, nn.Module], input_size: tuple[int, int]
) -> dict[str, tuple[int, ...]]:
    """Path to output shape, in the order in which the layers run; one path per layer."""
    seen: dict[str, tuple[int, ...]] = {}
    device = next(network.parameters()).device
    with as_found(network), torch.no_grad(), _watched(modules, seen):
        cast("Any", network).embed(torch.zeros(1, 3, *input_size, device=device))
    return seen


@contextmanager
def _watched(modules: Mapping[str, nn.Module], seen: dict[str, tuple[int, ...]]) -> Iterator[None]:
    with ExitStack() as stack:
        done: set[nn.Module] = set()
        for path, module in modules.items():
            if module in done:
                continue
            done.add(module)

            def note(_module: nn.Module, _inputs: Any, output: Any, path: str = path) -> None:
                if isinstance(output, Tensor):
                    seen[path] = tuple(output.shape)

            stack.callback(module.register_forward_hook(note).remove)
        yield


def _readable(
    visual: nn.Module,
    path: str,
    module: nn.Module,
    shape: tuple[int, ...],
    input_size: tuple[int, int],
) -> TargetLayer | None:
    try:
        return read_as_grid(visual, path, module, shape, input_size)
    except UnsuitableLayer:
        return None


def _last_of_each_grid(layers: Sequence[TargetLayer], chosen: nn.Module) -> list[TargetLayer]:
    """The end of each stage: after it the map gets smaller."""
    last = {layer.grid: layer.path for layer in layers}
    return [layer for layer in layers if last[layer.grid] == layer.path or layer.module is chosen]


def _title(known: TowerLayers, layers: Sequence[TargetLayer], number: int) -> str:
    """``Block 3 of 12``, or ``Stage 2 of 5 (layer1)``: stages have names of their own."""
    counted = f"{known.noun} {number + 1} of {len(layers)}"
    layer = layers[number]
    if known.noun == "Block" and layer.path in known.paths:
        return counted
    return f"{counted} ({layer.path.rpartition('.')[2]})"
