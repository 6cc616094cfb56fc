"""The layer that a map is read from: where it is, and how its output becomes a grid."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from model_store.errors import UnsuitableLayer
from model_store.saliency.state import as_found

AUTO: Final = "auto"


@dataclass(frozen=True, eq=False)
class TargetLayer:
    """A layer whose output can be read as a grid.

    Attributes:
        path: From the scoring network, for instance ``visual.trunk.blocks[-1].norm1``.
        module: The layer itself.
        grid: (rows, columns) of its output.
        prefix_tokens: Tokens before the patches; 0 for a convolutional layer.
        reshape: Its output (B, ...) to (B, C, rows, columns).
    """

    path: str
    module: nn.Module
    grid: tuple[int, int]
    prefix_tokens: int
    reshape: Callable[[Tensor], Tensor]


def find_layer(network: nn.Module, path: str, input_size: tuple[int, int]) -> TargetLayer:
    """The target layer at this path, tried with one empty picture.

    Args:
        network: Scores pictures; its image tower is ``network.visual``.
        path: ``auto``, or attribute names with ``.`` and indices in ``[]``.
        input_size: (h, w) of its input.

    Raises:
        UnsuitableLayer: If there is no such layer, it takes no part, or its output is no grid.
    """
    visual = cast("Any", network).visual
    resolved = auto_path(visual) if path == AUTO else path
    module = resolve_path(network, resolved)
    shape = _output_shape(network, module, resolved, input_size)
    if len(shape) == 3:
        return _token_layer(visual, resolved, module, shape)
    if len(shape) == 4:
        return _grid_layer(visual, resolved, module, shape)
    raise UnsuitableLayer(
        f"layer {resolved} gives an output of shape {shape}; "
        "expected patches (B, N, C) or a feature map (B, C, rows, columns)"
    )


def auto_path(visual: Any) -> str:
    """Where this kind of image tower is looked at by default.

    A transformer: the last block's first norm, the last place whose patches still reach the score.
    A convolutional network: the last stage.

    Raises:
        UnsuitableLayer: If the tower is of no known kind.
    """
    trunk = getattr(visual, "trunk", None)
    blocks = getattr(trunk, "blocks", None)
    if blocks is not None and hasattr(blocks[-1], "norm1"):
        return "visual.trunk.blocks[-1].norm1"
    stages = getattr(trunk, "feature_info", None)
    if stages:
        # timm keeps a list of dictionaries, or an object around one.
        last = stages[-1] if isinstance(stages, list) else stages.get_dicts()[-1]
        return f"visual.trunk.{last['module']}"
    if hasattr(getattr(visual, "transformer", None), "resblocks"):
        return "visual.transformer.resblocks[-1].ln_1"
    if hasattr(visual, "layer4"):
        return "visual.layer4"
    raise UnsuitableLayer(
        f"no default layer is known for an image tower of type {type(trunk or visual).__name__}; "
        "name one in the model's entry, key 'layer'"
    )


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


def _output_shape(
    network: nn.Module, module: nn.Module, path: str, input_size: tuple[int, int]
) -> tuple[int, ...]:
    seen: list[Any] = []
    device = next(network.parameters()).device
    handle = module.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    try:
        with as_found(network), torch.no_grad():
            network.eval()
            network(torch.zeros(1, 3, *input_size, device=device))
    finally:
        handle.remove()
    if len(seen) != 1 or not isinstance(seen[0], Tensor):
        kinds = [type(output).__name__ for output in seen]
        raise UnsuitableLayer(
            f"layer {path} runs {len(seen)} times in one pass and gives {kinds}; "
            "expected one tensor, once"
        )
    return tuple(seen[0].shape)


def _token_layer(visual: Any, path: str, module: nn.Module, shape: tuple[int, ...]) -> TargetLayer:
    trunk = getattr(visual, "trunk", None)
    if trunk is None:
        grid, prefix = getattr(visual, "grid_size", None), 1
    else:
        grid = getattr(getattr(trunk, "patch_embed", None), "grid_size", None)
        prefix = getattr(trunk, "num_prefix_tokens", 0)
    if grid is None or shape[1] != prefix + grid[0] * grid[1]:
        raise UnsuitableLayer(
            f"layer {path} gives {shape[1]} tokens; expected {prefix} and a grid of {grid}: "
            "patches that were pooled or merged have no place in the picture"
        )
    rows, columns = int(grid[0]), int(grid[1])

    def reshape(tokens: Tensor) -> Tensor:
        patches = tokens[:, prefix:].reshape(tokens.shape[0], rows, columns, tokens.shape[2])
        return patches.permute(0, 3, 1, 2)

    return TargetLayer(path, module, (rows, columns), prefix, reshape)


def _grid_layer(visual: Any, path: str, module: nn.Module, shape: tuple[int, ...]) -> TargetLayer:
    channels_last = getattr(getattr(visual, "trunk", None), "output_fmt", "NCHW") == "NHWC"
    rows, columns = shape[1:3] if channels_last else shape[2:4]
    if rows * columns < 2:
        raise UnsuitableLayer(f"layer {path} gives {rows} x {columns} places: nothing to compare")

    def reshape(values: Tensor) -> Tensor:
        return values.permute(0, 3, 1, 2) if channels_last else values

    return TargetLayer(path, module, (rows, columns), 0, reshape)
