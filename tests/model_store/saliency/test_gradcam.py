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
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from model_store.checkpoints import HeadMetadata, save_head
from model_store.errors import UnsuitableLayer
from model_store.loading import LoadedModel, load_model
from model_store.modes import Mode, build_mode
from model_store.saliency import SALIENCY_METHODS

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


def library_map(mode: Mode, x: Tensor, index: int) -> NDArray[np.float32]:
    """pytorch-grad-cam as its documentation runs it: one label, the whole network back."""

    def drop_class_token(tokens: Tensor) -> Tensor:
        side = int((tokens.shape[1] - 1) ** 0.5)
        patches = tokens[:, 1:, :].reshape(tokens.shape[0], side, side, tokens.shape[2])
        return patches.transpose(2, 3).transpose(1, 2)

    is_vit = "blocks" in mode.target.path
    mode.network.requires_grad_(True)
    cam = GradCAM(
        model=mode.network,
        target_layers=[mode.layer],
        reshape_transform=drop_class_token if is_vit else None,
    )
    try:
        (values,) = cam(input_tensor=x, targets=[ClassifierOutputTarget(index)])
    finally:
        cam.activations_and_grads.release()
        mode.network.zero_grad(set_to_none=True)
        mode.network.requires_grad_(False)
    return np.asarray(values, dtype=np.float32)


def stretched(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return (values - values.min()) / (values.max() - values.min())


def test_each_map_equals_pytorch_grad_cam_run_one_label_at_a_time(mode: Mode, x: Tensor) -> None:
    result = SALIENCY_METHODS["gradcam"].maps(mode, x)

    n_compared = 0
    for index in range(len(mode.findings)):
        expected = library_map(mode, x, index)
        if expected.max() == 0:
            assert not result.maps[index].any()
            continue
        np.testing.assert_allclose(stretched(result.maps[index]), expected, atol=1e-5)
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
        np.testing.assert_allclose(result.maps[index] / scale, expected / scale, atol=1e-5)
    np.testing.assert_allclose(result.scores, scores.detach().numpy(), atol=1e-6)
    mode.network.requires_grad_(False)


def test_maps_are_finite_not_negative_and_on_the_input_grid(mode: Mode, x: Tensor) -> None:
    result = SALIENCY_METHODS["gradcam"].maps(mode, x)
    assert result.maps.shape == (4, 160, 160)
    assert result.maps.dtype == np.float32
    assert result.scores.shape == (4,)
    assert np.isfinite(result.maps).all()
    assert result.maps.min() >= 0


def snapshot(network: nn.Module) -> list[object]:
    hooks = [len(module._forward_hooks) for module in network.modules()]
    training = [module.training for module in network.modules()]
    required = [each.requires_grad for each in network.parameters()]
    gradients = [None if each.grad is None else each.grad.clone() for each in network.parameters()]
    values = [value.clone() for value in network.state_dict().values()]
    return [hooks, training, required, gradients, values]


def same(first: object, second: object) -> bool:
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.equal(first, second)
    return first == second


def unusual_state(network: nn.Module) -> list[object]:
    """Some parts training, some parameters with gradients: all of it must be kept."""
    network.train()
    next(network.children()).eval()
    for number, parameter in enumerate(network.parameters()):
        parameter.requires_grad_(number % 2 == 0)
        if number % 3 == 0:
            parameter.grad = torch.full_like(parameter, number)
    return snapshot(network)


def test_the_network_comes_back_as_it_was(mode: Mode, x: Tensor) -> None:
    before = unusual_state(mode.network)
    SALIENCY_METHODS["gradcam"].maps(mode, x)
    assert same(snapshot(mode.network), before)


class BreaksAfter(nn.Module):
    """Passes its input on, then fails from the second call."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        self.inner(x)
        raise IndexError("broken on purpose")


def test_the_network_comes_back_as_it_was_after_an_error_and_the_error_is_not_swallowed(
    mode: Mode, x: Tensor
) -> None:
    mode.network.visual.head = BreaksAfter(mode.network.visual.head)
    before = unusual_state(mode.network)
    # pytorch-grad-cam's own context manager would print this and go on.
    with pytest.raises(IndexError, match="broken on purpose"):
        SALIENCY_METHODS["gradcam"].maps(mode, x)
    assert same(snapshot(mode.network), before)


def test_a_map_without_any_evidence_stays_all_zero(
    cnn: LoadedModel, findings: tuple[str, ...], tmp_path: Path, make_picture: MakePicture
) -> None:
    path = head_file(cnn, "lp", findings, tmp_path)
    built = build_mode(cnn, "lp", findings, path)
    head: Any = built.network.head
    with torch.no_grad():
        head.weight[1].zero_()

    result = SALIENCY_METHODS["gradcam"].maps(built, cnn.prepare(make_picture(3))[0][None])

    assert not result.maps[1].any()
    assert result.maps[2].any() or result.maps[3].any()


@pytest.mark.parametrize(
    "layer",
    [
        "visual.trunk.blocks[-1].attn",
        "visual.trunk.blocks[-1].attn.proj",
        "visual.trunk.blocks[-1].norm2",
        "visual.trunk.blocks[-1]",
        "visual.trunk.norm",
    ],
)
def test_a_layer_behind_which_only_the_class_token_counts_is_refused_with_the_reason(
    vit: LoadedModel, findings: tuple[str, ...], make_picture: MakePicture, layer: str
) -> None:
    model = replace(vit, entry=replace(vit.entry, layer=layer))
    built = build_mode(model, "zs", findings)
    with pytest.raises(UnsuitableLayer, match="the gradient of every patch is zero") as caught:
        SALIENCY_METHODS["gradcam"].maps(built, vit.prepare(make_picture(1))[0][None])
    assert f"layer {layer} gives no map" in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("visual.trunk.stages[2]", "ResNet has no 'stages'; it has conv1, bn1"),
        ("visual.trunk.global_pool", "expected patches"),
        ("visual.input_size", "TimmModel has no 'input_size'"),
        ("visual.image_size", "is a tuple, not a layer"),
    ],
)
def test_a_layer_that_is_not_there_or_has_no_grid_is_refused(
    cnn: LoadedModel, findings: tuple[str, ...], layer: str, words: str
) -> None:
    model = replace(cnn, entry=replace(cnn.entry, layer=layer))
    with pytest.raises(UnsuitableLayer) as caught:
        build_mode(model, "zs", findings)
    assert words in str(caught.value)


def test_an_earlier_layer_can_be_named(
    cnn: LoadedModel, findings: tuple[str, ...], make_picture: MakePicture
) -> None:
    model = replace(cnn, entry=replace(cnn.entry, layer="visual.trunk.layer3"))
    built = build_mode(model, "zs", findings)
    assert built.grid == (10, 10)
    x = cnn.prepare(make_picture(4))[0][None]
    result = SALIENCY_METHODS["gradcam"].maps(built, x)
    expected = library_map(built, x, 0)
    np.testing.assert_allclose(stretched(result.maps[0]), expected, atol=1e-5)


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


def test_more_than_one_picture_at_once_is_refused(mode: Mode, x: Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected one picture \(1, 3, h, w\)"):
        SALIENCY_METHODS["gradcam"].maps(mode, x.repeat(2, 1, 1, 1))
