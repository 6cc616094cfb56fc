"""BiomedCLIP's real architecture and tokenizer, with random weights."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor

from model_store.catalogue import make_entry
from model_store.entries import PRESETS, ModelEntry
from model_store.errors import MissingFile, WrongWeights
from model_store.loading import LoadedModel, load_model
from model_store.modes import build_mode
from model_store.saliency import SALIENCY_METHODS

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "biomedclip_without_weights"


@pytest.fixture(scope="module")
def model(folder: Path) -> LoadedModel:
    def refuse(*_arguments: object, **_options: object) -> NoReturn:
        raise AssertionError("the network was asked")

    values = {**PRESETS["biomedclip"].to_dict(), "location": f"local-dir:{folder}"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        return load_model(ModelEntry.from_dict(values), random_weights_seed=3)


def test_the_real_architecture_and_tokenizer_are_built_offline(model: LoadedModel) -> None:
    n_parameters = sum(each.numel() for each in model.network.parameters())
    assert round(n_parameters / 1e6, 1) == 195.9
    tokens = model.tokenizer(["Cardiomegaly"])
    assert tokens.shape == (1, 256)
    assert tokens[0, :7].tolist() == [2, 22339, 3947, 7322, 1005, 3, 0]
    assert model.input_size == (224, 224)
    assert model.settings.mean == [0.48145466, 0.4578275, 0.40821073]


def test_zero_shot_maps_at_the_last_norm1_equal_the_library(model: LoadedModel) -> None:
    mode = build_mode(model, "zs", ("Cardiomegaly", "Pleural Effusion", "Fracture"))
    assert mode.target.path == "visual.trunk.blocks[-1].norm1"
    assert mode.grid == (14, 14)
    noise = np.random.default_rng(0).integers(0, 255, (12, 10), dtype=np.uint8)
    x, geometry = model.prepare(np.kron(noise, np.ones((40, 40), dtype=np.uint8)))
    assert geometry.image_size == (480, 400)

    result = SALIENCY_METHODS["gradcam"].maps(mode, x[None])

    def patches(tokens: Tensor) -> Tensor:
        return tokens[:, 1:].reshape(-1, 14, 14, tokens.shape[2]).permute(0, 3, 1, 2)

    n_compared = 0
    mode.network.visual.requires_grad_(True)
    for index in range(3):
        if not result.maps[0, index].any():
            continue
        cam = GradCAM(mode.network, [mode.layer], reshape_transform=patches)
        (expected,) = cam(x[None], [ClassifierOutputTarget(index)])
        cam.activations_and_grads.release()
        found = result.maps[0, index] - result.maps[0, index].min()
        np.testing.assert_allclose(found / found.max(), expected, atol=1e-5)
        n_compared += 1
        if n_compared == 2:
            break
    mode.network.visual.requires_grad_(False)
    assert n_compared >= 1
    with torch.no_grad():
        texts = model.network.encode_text(
            model.tokenizer([f"this is a photo of {each.lower()}" for each in mode.findings])
        )
        image = model.network.encode_image(x[None])
    expected_scores = torch.nn.functional.cosine_similarity(image, texts)
    np.testing.assert_allclose(result.scores[0], expected_scores.numpy(), atol=1e-5)


def test_a_copy_without_weights_is_refused_with_where_to_put_them(folder: Path) -> None:
    with pytest.raises(MissingFile, match=r"holds no weights; put open_clip_model\.safetensors or"):
        make_entry("biomedclip", preset="biomedclip", path=folder)


def test_weights_that_are_not_the_published_ones_are_refused(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(b"not the weights")
    with pytest.raises(WrongWeights, match="the published weights of 'biomedclip' have 52cc993c"):
        make_entry("biomedclip", preset="biomedclip", path=tmp_path)
