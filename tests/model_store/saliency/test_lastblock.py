"""The closed form at a class token's last block, against gradients of the whole network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from open_clip.timm_model import TimmModel
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from model_store.modes import Mode
from model_store.saliency import SALIENCY_METHODS
from model_store.saliency.lastblock import explain_gradcam, explain_hirescam, last_block_of
from model_store.scoring import HeadScorer
from tests.saliency_towers import (
    EMBEDDING_SIZE,
    FINDINGS,
    GRID,
    INPUT_SIZE,
    TOWERS,
    enliven,
    head_scorer,
    mode_of,
    open_clip_transformer,
    pictures,
    projected,
    text_scorer,
    timm_transformer,
)


def open_clip_tower() -> nn.Module:
    """timm's smallest transformer as open_clip wraps it: it takes inputs of any size."""
    return enliven(lambda: TimmModel("test_vit", EMBEDDING_SIZE, 160, pool="", proj="linear"))


FITTING: dict[str, Callable[[], nn.Module]] = {
    "as BiomedCLIP": timm_transformer,
    "registers": lambda: timm_transformer(reg_tokens=2),
    "layer scale": lambda: timm_transformer(init_values=0.4),
    "no bias": lambda: timm_transformer(qkv_bias=False, proj_bias=False),
    "norm before the blocks": lambda: timm_transformer(pre_norm=True),
    "no last norm": lambda: timm_transformer(final_norm=False),
    "norm of what is read": lambda: timm_transformer(scale_attn_norm=True),
    "open_clip's own": open_clip_transformer,
    "open_clip's own, layer scale": lambda: open_clip_transformer(ls_init_value=0.4),
    "open_clip's own, norm after pooling": lambda: open_clip_transformer(final_ln_after_pool=True),
}


class Subclass(VisionTransformer):
    """It could compute anything."""


def of_subclass() -> nn.Module:
    return projected(
        lambda: Subclass(
            img_size=INPUT_SIZE, patch_size=8, embed_dim=32, depth=3, num_heads=4, num_classes=0
        ),
        32,
    )


OTHERS: dict[str, Callable[[], nn.Module]] = {
    "average pooling": TOWERS["average pooling"],
    "attention pooling": TOWERS["attention pooling"],
    "residual network": TOWERS["residual network"],
    "norm of heads": lambda: timm_transformer(qk_norm=True),
    "a subclass": of_subclass,
    "a single block": lambda: timm_transformer(depth=1),
    "open_clip's average": lambda: open_clip_transformer(pool_type="avg"),
    "open_clip's own attention": lambda: open_clip_transformer(qk_norm=True),
}


def gradients_by_autograd(mode: Mode, x: Tensor) -> tuple[Tensor, Tensor]:
    """Activations (n, D) and gradients (K, n, D) of the patches, in double precision."""
    network = mode.network.double()
    kept: list[Tensor] = []
    handle = mode.layer.register_forward_hook(lambda _m, _i, output: kept.append(output))
    try:
        scores = network(x.double().requires_grad_(True))[0]
        found = [torch.autograd.grad(score, kept[0], retain_graph=True)[0][0] for score in scores]
    finally:
        handle.remove()
        network.float()
    prefix = mode.target.prefix_tokens
    return kept[0].detach()[0, prefix:], torch.stack(found)[:, prefix:]


def assert_equals(found: np.ndarray, coarse: Tensor) -> None:
    """Maps (K, h, w) are the positive part of these (K, n), enlarged, to 1e-5 of the largest."""
    grid = coarse.reshape(1, len(coarse), *GRID).clamp(min=0)
    expected = nn.functional.interpolate(grid, INPUT_SIZE, mode="bilinear")[0].numpy()
    assert expected.max() > 0
    np.testing.assert_allclose(found, expected, atol=1e-5 * coarse.abs().max().item())


@pytest.mark.parametrize("scorer", [text_scorer, head_scorer])
@pytest.mark.parametrize("name", FITTING)
def test_the_closed_form_is_what_gradients_of_the_whole_network_give(
    name: str, scorer: Callable[[nn.Module], Any]
) -> None:
    mode = mode_of(scorer(FITTING[name]()))
    block = last_block_of(mode)
    assert block is not None
    x = pictures(1)
    activations, gradients = gradients_by_autograd(mode, x)

    gradcam = explain_gradcam(mode, block, x)
    hirescam = explain_hirescam(mode, block, x)

    by_channel = torch.einsum("kd,nd->kn", gradients.mean(1), activations)
    assert_equals(gradcam.maps[0], by_channel)
    assert_equals(hirescam.maps[0], (gradients * activations).sum(-1))
    with torch.no_grad():
        np.testing.assert_allclose(gradcam.scores, mode.network(x).numpy(), atol=1e-5)


@pytest.mark.parametrize("name", OTHERS)
def test_towers_that_do_not_fit_exactly_take_the_other_way(name: str) -> None:
    mode = mode_of(head_scorer(OTHERS[name]()))
    assert last_block_of(mode) is None
    assert SALIENCY_METHODS["gradcam"].maps(mode, pictures(1)).maps.max() > 0


@pytest.mark.parametrize("layer", ["blocks[1].norm1", "blocks[0].mlp"])
def test_other_layers_take_the_other_way(layer: str) -> None:
    mode = mode_of(head_scorer(timm_transformer()), f"visual.trunk.{layer}")
    assert last_block_of(mode) is None


def test_the_layer_is_known_by_what_it_is_not_by_its_path() -> None:
    mode = mode_of(head_scorer(timm_transformer()), "visual.trunk.blocks[2].norm1")
    assert last_block_of(mode) is not None


def test_a_tower_that_takes_inputs_of_any_size_fits_too() -> None:
    visual: Any = open_clip_tower()
    network = head_scorer(visual)
    from model_store.saliency.layers import find_layer

    mode = Mode("lp", FINDINGS, network, find_layer(network, "auto", (160, 160)), CPU, "", "")
    assert visual.trunk.dynamic_img_size
    assert last_block_of(mode) is not None
    x = torch.randn(1, 3, 160, 160, generator=torch.Generator().manual_seed(2))
    activations, gradients = gradients_by_autograd(mode, x)
    expected = torch.einsum("kd,nd->kn", gradients.mean(1), activations).clamp(min=0)
    found = SALIENCY_METHODS["gradcam"].maps(mode, x).maps[0]
    np.testing.assert_allclose(
        found.max((1, 2)),
        nn.functional.interpolate(expected.reshape(1, 3, 10, 10), (160, 160), mode="bilinear")
        .amax((2, 3))[0]
        .numpy(),
        rtol=1e-4,
    )


CPU = torch.device("cpu")


@pytest.mark.parametrize("method", ["gradcam", "hirescam"])
def test_the_network_runs_once_whatever_the_number_of_findings_and_records_nothing(
    method: str,
) -> None:
    visual: Any = timm_transformer()
    mode = mode_of(head_scorer(visual))
    runs: list[tuple[str, bool]] = []

    def note(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: runs.append((name, output.requires_grad))

    for name, module in visual.trunk.named_modules():
        if name in ("patch_embed", "blocks.0", "blocks.1", "blocks.2", "blocks.2.attn"):
            module.register_forward_hook(note(name))

    SALIENCY_METHODS[method].maps(mode, pictures(4))

    # The last block never runs as a whole: its class token does.
    assert runs == [("patch_embed", False), ("blocks.0", False), ("blocks.1", False)]


class Squashed(HeadScorer):
    """Scores that are no linear function of the embedding."""

    def score(self, embedding: Tensor) -> Tensor:
        return torch.tanh(super().score(embedding) / 5)

    def gradients(self, embedding: Tensor) -> Tensor:
        slope = (1 - self.score(embedding) ** 2) / 5
        return slope[..., None] * super().gradients(embedding)


def test_a_score_that_is_no_linear_function_has_its_maps_too() -> None:
    linear_scorer = head_scorer(timm_transformer())
    mode = mode_of(Squashed(linear_scorer.visual, linear_scorer.head))
    x = pictures(1)
    activations, gradients = gradients_by_autograd(mode, x)
    found = SALIENCY_METHODS["gradcam"].maps(mode, x)
    assert_equals(found.maps[0], torch.einsum("kd,nd->kn", gradients.mean(1), activations))
