"""The maps of an embedding's dimensions, and the maps of any score that are made of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from model_store.preprocessing import frame_geometry
from model_store.prompt_basis import LINEAR_METHODS, PromptBasis, pack_basis, prompt_maps
from model_store.saliency import SALIENCY_METHODS
from model_store.saliency.basis import EmbeddingScorer, embedding_basis
from model_store.saliency.layers import TargetLayer, find_layer
from model_store.scoring import TextScorer
from tests.network_state import make_unusual, same, snapshot
from tests.saliency_towers import EMBEDDING_SIZE, GRID, INPUT_SIZE, TOWERS, mode_of, pictures


def basis_of(
    visual: nn.Module, method: str = "gradcam"
) -> tuple[NDArray[np.float32], NDArray[np.float32], TargetLayer]:
    network = EmbeddingScorer(visual).eval()
    target = find_layer(network, "auto", INPUT_SIZE)
    return *embedding_basis(network, target, pictures(1), method=method), target


def random_texts(count: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(5).normal(size=(count, EMBEDDING_SIZE)).astype(np.float32)
    unit: NDArray[np.float32] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit


@pytest.mark.parametrize("method", LINEAR_METHODS)
@pytest.mark.parametrize("tower", TOWERS)
def test_each_dimension_has_its_own_map(tower: str, method: str) -> None:
    visual = TOWERS[tower]()
    maps, embedding, target = basis_of(visual, method)

    kept: list[torch.Tensor] = []
    handle = target.module.register_forward_hook(lambda _m, _i, output: kept.append(output))
    x = pictures(1).requires_grad_(True)
    expected_embedding = EmbeddingScorer(visual).embed(x)[0]
    handle.remove()
    activations = target.reshape(kept[0])[0].detach()
    assert maps.shape == (EMBEDDING_SIZE, *GRID)
    for index in (0, 7, EMBEDDING_SIZE - 1):
        (gradient,) = torch.autograd.grad(expected_embedding[index], kept[0], retain_graph=True)
        grid = target.reshape(gradient)[0]
        weights = grid if method == "hirescam" else grid.mean((1, 2))[:, None, None]
        expected = (weights * activations).sum(0).numpy()
        np.testing.assert_allclose(maps[index], expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(embedding, expected_embedding.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("method", LINEAR_METHODS)
@pytest.mark.parametrize("tower", TOWERS)
def test_a_prompts_map_from_the_basis_is_its_zero_shot_map(tower: str, method: str) -> None:
    visual = TOWERS[tower]()
    maps, embedding, target = basis_of(visual, method)
    texts = random_texts(3)
    packed, scale = pack_basis(maps)
    geometry = frame_geometry("squash", INPUT_SIZE, INPUT_SIZE)
    basis = PromptBasis(packed, embedding, INPUT_SIZE, geometry, target.path, "", scale)

    found, scores = prompt_maps(basis, texts)

    mode = mode_of(TextScorer(visual, torch.from_numpy(texts)))
    expected = SALIENCY_METHODS[method].maps(mode, pictures(1))
    highest = expected.maps.max()
    assert highest > 0
    # Half precision keeps three digits of the basis.
    np.testing.assert_allclose(found / highest, expected.maps[0] / highest, atol=2e-3)
    np.testing.assert_allclose(scores, expected.scores[0], atol=1e-5)


def test_making_a_basis_gives_the_network_back_as_it_was() -> None:
    for tower in ("class token", "residual network"):
        network = EmbeddingScorer(TOWERS[tower]())
        target = find_layer(network, "auto", INPUT_SIZE)
        before = make_unusual(network)
        embedding_basis(network, target, pictures(1))
        assert same(snapshot(network), before)


def test_a_method_whose_maps_are_not_linear_has_no_basis() -> None:
    network = EmbeddingScorer(TOWERS["class token"]()).eval()
    target = find_layer(network, "auto", INPUT_SIZE)
    with pytest.raises(ValueError, match="'layercam' has no basis maps; expected one of gradcam"):
        embedding_basis(network, target, pictures(1), method="layercam")


def test_several_pictures_at_once_are_refused() -> None:
    network = EmbeddingScorer(TOWERS["class token"]()).eval()
    target = find_layer(network, "auto", INPUT_SIZE)
    with pytest.raises(ValueError, match=r"expected one picture \(1, 3, h, w\)"):
        embedding_basis(network, target, pictures(2))
