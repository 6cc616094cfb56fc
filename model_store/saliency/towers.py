"""Image towers: where their layers are, and what their tokens and feature maps look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from model_store.errors import UnsuitableLayer


@dataclass(frozen=True)
class TowerLayers:
    """The layers of a tower that maps are read from, from the input on.

    Attributes:
        noun: ``Block`` of a transformer, ``Stage`` of a convolutional network.
        paths: From the scoring network; the last one is the default.
        one_per_grid: Whether only the last layer of each map size is a stage's end.
    """

    noun: str
    paths: tuple[str, ...]
    one_per_grid: bool = False


@dataclass(frozen=True)
class TokenGrid:
    """How a transformer's tokens lie: ``prefix`` tokens first, then ``size`` patches, row-major."""

    size: tuple[int, int]
    prefix: int


def trunk_of(visual: nn.Module) -> tuple[str, Any]:
    """The path and the network that holds the layers: open_clip keeps timm's under ``trunk``."""
    trunk = getattr(visual, "trunk", None)
    return ("visual", visual) if trunk is None else ("visual.trunk", trunk)


def tower_layers(visual: nn.Module) -> TowerLayers:
    """The layers of this kind of tower.

    A transformer: each block's first norm; in the last block it is the last place whose patches
    still reach the score when only the class token is pooled. A convolutional network: each stage.

    Raises:
        UnsuitableLayer: If the tower is of no known kind.
    """
    root, trunk = trunk_of(visual)
    blocks = getattr(trunk, "blocks", None)
    if blocks is not None and len(blocks) > 0 and hasattr(blocks[-1], "norm1"):
        return TowerLayers("Block", _each(f"{root}.blocks", len(blocks), ".norm1"))
    stages = getattr(trunk, "feature_info", None)
    if stages:
        # timm keeps a list of dictionaries, or an object around one.
        infos = stages if isinstance(stages, list) else stages.get_dicts()
        return TowerLayers("Stage", tuple(f"{root}.{info['module']}" for info in infos))
    resblocks = getattr(getattr(trunk, "transformer", None), "resblocks", None)
    if resblocks is not None:
        return TowerLayers("Block", _each(f"{root}.transformer.resblocks", len(resblocks), ".ln_1"))
    if hasattr(trunk, "layer4"):
        return TowerLayers("Stage", tuple(f"{root}.layer{number}" for number in (1, 2, 3, 4)))
    features = getattr(trunk, "features", None)
    if isinstance(features, nn.Sequential) and len(features) > 0:
        return TowerLayers("Stage", _each(f"{root}.features", len(features)), one_per_grid=True)
    raise UnsuitableLayer(
        f"no default layer is known for an image tower of type {type(trunk).__name__}; "
        "name one in the model's entry, key 'layer'"
    )


def token_grid(visual: nn.Module) -> TokenGrid | None:
    """How the tower's tokens lie; None for a tower without a regular grid of patches."""
    _, trunk = trunk_of(visual)
    if hasattr(trunk, "patch_embed"):
        size = getattr(trunk.patch_embed, "grid_size", None)
        prefix = int(getattr(trunk, "num_prefix_tokens", 0))
    else:
        # open_clip's own transformer always has its class token in front.
        size, prefix = getattr(trunk, "grid_size", None), 1
    return None if size is None else TokenGrid((int(size[0]), int(size[1])), prefix)


def has_channels_last(visual: nn.Module) -> bool:
    """Whether feature maps are (B, rows, columns, C)."""
    return getattr(trunk_of(visual)[1], "output_fmt", "NCHW") == "NHWC"


def has_same_shape(size: tuple[int, int], grid: tuple[int, int]) -> bool:
    """Whether a grid can be what an input of this size became: the sides in the same ratio."""
    expected = grid[0] * size[1] / size[0]
    return abs(expected - grid[1]) <= max(1.5, 0.1 * grid[1])


def _each(root: str, count: int, tail: str = "") -> tuple[str, ...]:
    """``root[0]tail`` and so on; the last one by its customary name ``root[-1]tail``."""
    indices: Sequence[int] = [*range(count - 1), -1]
    return tuple(f"{root}[{index}]{tail}" for index in indices)
