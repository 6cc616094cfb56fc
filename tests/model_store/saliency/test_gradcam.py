"""Grad-CAM on models as they are loaded, in all modes; towers one by one are in the contracts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytorch_grad_cam import GradCAM
from torch import Tensor

from model_store.checkpoints import HeadMetadata, save_head
from model_store.loading import LoadedModel, load_model
from model_store.modes import Mode, build_mode
from model_store.saliency import SALIENCY_METHODS
from tests.saliency_oracles import library_map, stretched

MakePicture = Callable[..., NDArray[np.uint8]]


def head_file(model: LoadedModel, mode: str, findings: tuple[str, ...], folder: Path) -> Path:
    """A head with random rows; for ft beside a slightly changed tower.

    The rows come in opposite pairs: a map that is empty for one of them is not for the other.
    """
    generator = torch.Generator().manual_seed(5)
    half = torch.randn(len(findings) // 2, 24, generator=generator)
    tensors: dict[str, Tensor] = {
        "head.weight": torch.stack([half, -half], dim=1).flatten(0, 1),
        "head.bias": torch.randn(len(findings), generator=generator),
    }
    if mode == "ft":
        visual: Any = model.network.visual
        for name, value in visual.state_dict().items():
            tensors[f"visual.{name}"] = value * 1.01 if value.is_floating_point() else value
    metadata = HeadMetadata(mode, findings, model.weights_sha256, {"kind": "crop"})
    return save_head(folder / f"{mode}.safetensors", mode, tensors, metadata)


@pytest.fixture(params=["zs", "lp", "ft"])
def mode(
    request: pytest.FixtureRequest,
    any_model: LoadedModel,
    findings: tuple[str, ...],
    tmp_path: Path,
) -> Mode:
    if request.param == "zs":
        return build_mode(any_model, "zs", findings)
    path = head_file(any_model, request.param, findings, tmp_path)
    return build_mode(any_model, request.param, findings, path)


@pytest.fixture
def x(any_model: LoadedModel, make_picture: MakePicture) -> Tensor:
    return any_model.prepare(make_picture(11))[0][None]


def test_each_map_equals_pytorch_grad_cam_run_one_label_at_a_time(mode: Mode, x: Tensor) -> None:
    result = SALIENCY_METHODS["gradcam"].maps(mode, x)

    n_compared = 0
    for index in range(len(mode.findings)):
        expected = library_map(GradCAM, mode, x, index)
        found = result.maps[0, index]
        if expected.max() == 0:
            assert not found.any()
            continue
        np.testing.assert_allclose(stretched(found), expected, atol=1e-5)
        n_compared += 1
    assert n_compared >= 2


def test_each_map_equals_the_formula_written_out_and_is_not_stretched(
    mode: Mode, x: Tensor
) -> None:
    result = SALIENCY_METHODS["gradcam"].maps(mode, x)

    kept: list[Tensor] = []
    handle = mode.layer.register_forward_hook(lambda _m, _i, output: kept.append(output))
    mode.network.requires_grad_(True)
    scores = mode.network(x)[0]
    handle.remove()
    for index in range(len(mode.findings)):
        (gradient,) = torch.autograd.grad(scores[index], kept[0], retain_graph=True)
        activation = kept[0].detach()
        if gradient.ndim == 3:
            weights = gradient[0, 1:].mean(0)
            cam = (activation[0, 1:] @ weights).reshape(mode.grid).numpy()
        else:
            weights = gradient[0].mean((1, 2))
            cam = torch.einsum("c,chw->hw", weights, activation[0]).numpy()
        expected = cv2.resize(np.maximum(cam, 0), (160, 160), interpolation=cv2.INTER_LINEAR)
        scale = max(float(np.abs(cam).max()), 1e-12)
        np.testing.assert_allclose(result.maps[0, index] / scale, expected / scale, atol=1e-5)
    np.testing.assert_allclose(result.scores[0], scores.detach().numpy(), rtol=1e-5, atol=1e-6)
    mode.network.requires_grad_(False)


def test_a_map_without_any_evidence_stays_all_zero(
    any_model: LoadedModel, findings: tuple[str, ...], tmp_path: Path, make_picture: MakePicture
) -> None:
    path = head_file(any_model, "lp", findings, tmp_path)
    built = build_mode(any_model, "lp", findings, path)
    head: Any = built.network.head
    with torch.no_grad():
        head.weight[1].zero_()

    result = SALIENCY_METHODS["gradcam"].maps(built, any_model.prepare(make_picture(3))[0][None])

    assert not result.maps[0, 1].any()
    assert result.maps[0, 2].any() or result.maps[0, 3].any()


def test_an_earlier_layer_can_be_named_in_the_entry(
    cnn: LoadedModel, findings: tuple[str, ...], make_picture: MakePicture
) -> None:
    model = replace(cnn, entry=replace(cnn.entry, layer="visual.trunk.layer3"))
    built = build_mode(model, "zs", findings)
    assert built.grid == (10, 10)
    x = cnn.prepare(make_picture(4))[0][None]
    result = SALIENCY_METHODS["gradcam"].maps(built, x)
    expected = library_map(GradCAM, built, x, 0)
    np.testing.assert_allclose(stretched(result.maps[0, 0]), expected, atol=1e-5)


def test_the_same_maps_come_from_random_weights_only_for_the_same_seed(
    cnn: LoadedModel, findings: tuple[str, ...], make_picture: MakePicture
) -> None:
    x = cnn.prepare(make_picture(4))[0][None]
    maps = [
        SALIENCY_METHODS["gradcam"]
        .maps(build_mode(load_model(cnn.entry, random_weights_seed=seed), "zs", findings), x)
        .maps
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0], maps[2])
