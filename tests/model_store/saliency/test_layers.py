"""Which layers can be read, which are refused and why, and how they are listed."""

from __future__ import annotations

import pytest
import torch
import torchvision
from timm.models.convnext import ConvNeXt
from torch import Tensor, nn

from model_store.errors import UnsuitableLayer
from model_store.saliency.layers import find_layer
from model_store.saliency.listing import list_layers
from model_store.saliency.methods import LayerChoice
from model_store.scoring import Embedder
from tests.network_state import make_unusual, same, snapshot
from tests.saliency_towers import (
    GRID,
    INPUT_SIZE,
    TOWERS,
    enliven,
    head_scorer,
    mode_of,
    projected,
    timm_transformer,
)


def torchvision_tower(name: str) -> nn.Module:
    """A network of torchvision as a classifier entry holds it, its last layer taken away."""
    return enliven(lambda: torchvision.models.get_model(name, weights=None, num_classes=3))


@pytest.mark.parametrize(
    ("tower", "layers", "paths"),
    [
        (
            "class token",
            ["blocks[-1].attn", "blocks[-1].attn.proj", "blocks[-1].norm2", "blocks[-1]", "norm"],
            "visual.trunk.",
        ),
        (
            "open_clip's class token",
            ["resblocks[-1].ln_2", "resblocks[-1].mlp", "resblocks[-1]"],
            "visual.transformer.",
        ),
    ],
)
def test_a_layer_behind_which_only_the_class_token_counts_is_refused_with_the_reason(
    tower: str, layers: list[str], paths: str
) -> None:
    mode = mode_of(head_scorer(TOWERS[tower]()))
    for layer in layers:
        with pytest.raises(UnsuitableLayer, match="the gradient of every patch is zero") as caught:
            mode.at_layer(paths + layer)
        assert f"layer {paths}{layer} gives no map" in str(caught.value)
        assert "choose 'auto', or an earlier layer" in str(caught.value)


def test_those_layers_are_read_where_patches_are_pooled() -> None:
    mode = mode_of(head_scorer(TOWERS["average pooling"]()))
    for layer in ("blocks[-1].attn.proj", "blocks[-1].norm2", "blocks[-1]"):
        assert mode.at_layer(f"visual.trunk.{layer}").grid == GRID


def test_registers_beside_the_class_token_do_not_make_a_layer_readable() -> None:
    mode = mode_of(head_scorer(timm_transformer(reg_tokens=2)))
    assert mode.target.prefix_tokens == 3
    with pytest.raises(UnsuitableLayer, match="the gradient of every patch is zero"):
        mode.at_layer("visual.trunk.blocks[-1]")


def test_another_layer_is_read_without_touching_the_mode() -> None:
    mode = mode_of(head_scorer(TOWERS["residual network"]()))
    earlier = mode.at_layer("visual.trunk.layer1")
    assert (earlier.target.path, earlier.grid) == ("visual.trunk.layer1", (12, 16))
    assert (mode.target.path, mode.grid) == ("visual.trunk.layer4", GRID)
    assert earlier.network is mode.network
    assert earlier.at_layer("auto").target.path == mode.target.path


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("visual.trunk.stages[2]", "ResNet has no 'stages'; it has conv1, bn1"),
        ("visual.trunk.global_pool", "expected patches"),
        ("visual.trunk.layer4[7]", "Sequential has no '7'"),
        ("visual.forward", "is a method, not a layer"),
        ("visual.trunk.fc", "expected patches"),
    ],
)
def test_a_layer_that_is_not_there_or_has_no_grid_is_refused(layer: str, words: str) -> None:
    mode = mode_of(head_scorer(TOWERS["residual network"]()))
    with pytest.raises(UnsuitableLayer) as caught:
        mode.at_layer(layer)
    assert words in str(caught.value)


class Aside(nn.Module):
    """A tower with one layer that changes nothing and one that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Conv2d(3, 4, 8, stride=8)
        self.watched = nn.Conv2d(3, 4, 8, stride=8)
        self.idle = nn.Conv2d(3, 4, 8, stride=8)

    def forward(self, x: Tensor) -> Tensor:
        self.watched(x)
        return self.used(x).mean((2, 3))


def test_a_layer_that_takes_no_part_is_refused() -> None:
    network = Embedder(Aside())
    assert find_layer(network, "visual.used", INPUT_SIZE).grid == GRID
    with pytest.raises(UnsuitableLayer, match=r"visual\.watched gives no map: no score depends"):
        find_layer(network, "visual.watched", INPUT_SIZE)
    with pytest.raises(UnsuitableLayer, match=r"visual\.idle runs 0 times in one pass"):
        find_layer(network, "visual.idle", INPUT_SIZE)


def test_a_tower_of_no_known_kind_needs_a_layer_in_its_entry() -> None:
    network = Embedder(Aside())
    with pytest.raises(UnsuitableLayer, match="no default layer is known for an image tower of ty"):
        find_layer(network, "auto", INPUT_SIZE)
    with pytest.raises(UnsuitableLayer, match="name one in the model's entry, key 'layer'"):
        list_layers(network, "auto", INPUT_SIZE)
    (only,) = list_layers(network, "visual.used", INPUT_SIZE)
    assert only == LayerChoice("visual.used", "Layer 1 of 1 (used)", GRID, is_default=True)


def test_a_feature_map_with_its_channels_last_is_not_taken_for_a_wide_one() -> None:
    class ChannelsLast(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.permute(0, 2, 3, 1)

    class Tower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 32, 8, stride=8)
            self.turned = ChannelsLast()

        def forward(self, x: Tensor) -> Tensor:
            return self.turned(self.first(x)).mean((1, 2))

    with pytest.raises(UnsuitableLayer, match=r"output of shape \(1, 6, 8, 32\) for a picture of"):
        find_layer(Embedder(Tower()), "visual.turned", INPUT_SIZE)


def test_finding_a_layer_gives_the_network_back_as_it_was() -> None:
    network = head_scorer(TOWERS["class token"]())
    before = make_unusual(network)
    find_layer(network, "auto", INPUT_SIZE)
    with pytest.raises(UnsuitableLayer):
        find_layer(network, "visual.trunk.norm", INPUT_SIZE)
    list_layers(network, "auto", INPUT_SIZE)
    assert same(snapshot(network), before)


@pytest.mark.parametrize(
    ("tower", "root", "norm"),
    [
        ("class token", "visual.trunk.blocks", "norm1"),
        ("attention pooling", "visual.trunk.blocks", "norm1"),
        ("open_clip's class token", "visual.transformer.resblocks", "ln_1"),
    ],
)
def test_a_transformers_layers_are_its_blocks_first_norms(tower: str, root: str, norm: str) -> None:
    network = head_scorer(TOWERS[tower]())
    assert list_layers(network, "auto", INPUT_SIZE) == (
        LayerChoice(f"{root}[0].{norm}", "Block 1 of 3", GRID, is_default=False),
        LayerChoice(f"{root}[1].{norm}", "Block 2 of 3", GRID, is_default=False),
        LayerChoice(f"{root}[-1].{norm}", "Block 3 of 3", GRID, is_default=True),
    )


def test_a_convolutional_networks_layers_are_its_stages() -> None:
    network = head_scorer(TOWERS["residual network"]())
    listed = list_layers(network, "auto", INPUT_SIZE)
    assert [(layer.path, layer.title, layer.grid) for layer in listed] == [
        ("visual.trunk.act1", "Stage 1 of 5 (act1)", (24, 32)),
        ("visual.trunk.layer1", "Stage 2 of 5 (layer1)", (12, 16)),
        ("visual.trunk.layer2", "Stage 3 of 5 (layer2)", (6, 8)),
        ("visual.trunk.layer3", "Stage 4 of 5 (layer3)", (6, 8)),
        ("visual.trunk.layer4", "Stage 5 of 5 (layer4)", (6, 8)),
    ]
    assert [layer.is_default for layer in listed] == [False, False, False, False, True]


def test_the_layer_that_the_entry_names_is_the_default_and_is_listed_where_it_runs() -> None:
    network = head_scorer(TOWERS["residual network"]())
    listed = list_layers(network, "visual.trunk.layer2[0].conv1", INPUT_SIZE)
    assert [layer.path for layer in listed if layer.is_default] == ["visual.trunk.layer2[0].conv1"]
    assert listed[2].title == "Stage 3 of 6 (conv1)"
    by_index = list_layers(
        head_scorer(TOWERS["class token"]()), "visual.trunk.blocks[2].norm1", INPUT_SIZE
    )
    assert [layer.is_default for layer in by_index] == [False, False, True]


@pytest.mark.parametrize(
    ("name", "paths", "grids"),
    [
        (
            "resnet18",
            ["layer1", "layer2", "layer3", "layer4"],
            [(24, 32), (12, 16), (6, 8), (3, 4)],
        ),
        (
            "densenet121",
            ["[2]", "[4]", "[6]", "[8]", "[-1]"],
            [(48, 64), (24, 32), (12, 16), (6, 8), (3, 4)],
        ),
        ("convnext_tiny", ["[1]", "[3]", "[5]", "[-1]"], [(24, 32), (12, 16), (6, 8), (3, 4)]),
    ],
)
def test_torchvisions_networks_are_read_at_the_end_of_each_stage(
    name: str, paths: list[str], grids: list[tuple[int, int]]
) -> None:
    network = Embedder(torchvision_tower(name))
    listed = list_layers(network, "auto", (96, 128))
    ends = [path if path.startswith("layer") else f"features{path}" for path in paths]
    assert [layer.path for layer in listed] == [f"visual.{end}" for end in ends]
    assert [layer.grid for layer in listed] == grids
    default = find_layer(network, "auto", (96, 128))
    assert (default.path, default.grid) == (listed[-1].path, grids[-1])


def test_timms_convnext_is_read_at_its_stages() -> None:
    network = head_scorer(
        projected(lambda: ConvNeXt(depths=(1, 1, 1, 1), dims=(8, 12, 16, 24), num_classes=0), 24)
    )
    listed = list_layers(network, "auto", (64, 96))
    assert [layer.grid for layer in listed] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    assert listed[-1].path == find_layer(network, "auto", (64, 96)).path == "visual.trunk.stages.3"


def test_noise_that_tries_a_layer_leaves_the_random_numbers_of_others_alone() -> None:
    network = head_scorer(TOWERS["class token"]())
    torch.manual_seed(4)
    expected = torch.randn(3)
    torch.manual_seed(4)
    find_layer(network, "auto", INPUT_SIZE)
    assert torch.equal(torch.randn(3), expected)
