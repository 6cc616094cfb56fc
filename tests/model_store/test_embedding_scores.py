"""Scores from known embeddings equal those from pictures; memory that does not suffice is split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model_store.embedding_scores import (
    Tower,
    ask_mode,
    score_embeddings,
    train_within_memory,
    tuned_model,
    visual_tower,
)
from model_store.encoder import ImageEncoder
from model_store.errors import InvalidHead, MissingHead, OutOfMemory, TrainingFailed
from model_store.files import file_sha256
from model_store.linear_probe import train_linear_probe
from model_store.loading import LoadedModel
from model_store.modes import build_mode
from model_store.prompts import STUDY_PROMPTS
from model_store.training import TrainingSet, TrainingSettings

Pictures = Callable[..., np.ndarray]
SETTINGS = TrainingSettings(epochs=1, batch_size=8, precision="fp32")


@pytest.fixture
def frames(vit: LoadedModel, make_picture: Pictures) -> np.ndarray:
    return np.stack([vit.frame_pixels(make_picture(seed)) for seed in range(12)])


@pytest.fixture
def data(frames: np.ndarray, findings: tuple[str, ...]) -> TrainingSet:
    labels = (np.random.default_rng(0).random((12, len(findings))) < 0.5).astype(np.float32)
    return TrainingSet(lambda row: frames[row], labels, findings, list(range(9)), [9, 10, 11])


def test_zero_shot_scores_are_the_products_with_the_texts_own_embeddings(
    cnn: LoadedModel, make_picture: Pictures, findings: tuple[str, ...]
) -> None:
    frames = np.stack([cnn.frame_pixels(make_picture(seed)) for seed in range(12)])
    embeddings = ImageEncoder(cnn).embed(frames)
    asked = score_embeddings(cnn, "zs", findings, embeddings, prompts=STUDY_PROMPTS)
    network = cnn.network
    with torch.no_grad():
        texts = network.encode_text(cnn.tokenizer(list(findings)))  # type: ignore[operator, misc]
        images = network.encode_image(cnn.normalise(frames))  # type: ignore[operator]
        expected = (images @ texts.T).numpy()
    np.testing.assert_allclose(asked.scores, expected, rtol=1e-4, atol=1e-4)
    assert asked.kind == "dot"
    assert asked.prompts == {finding: [finding] for finding in findings}
    own = score_embeddings(cnn, "zs", findings, embeddings)
    assert own.kind == "cosine"
    assert np.abs(own.scores).max() <= 1 + 1e-6


def test_a_probe_s_scores_from_embeddings_are_those_from_pictures(
    vit: LoadedModel, frames: np.ndarray, data: TrainingSet, tmp_path: Path
) -> None:
    path = train_linear_probe(vit, data, tmp_path / "lp.safetensors", settings=SETTINGS)
    embeddings = ImageEncoder(vit).embed(frames)
    scored = score_embeddings(vit, "lp", data.findings, embeddings, head_path=path)
    again, scores = ask_mode(vit, "lp", data.findings, frames, head_path=path)
    np.testing.assert_allclose(scored.scores, scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(again, embeddings, rtol=1e-4, atol=1e-5)
    assert (scored.kind, scored.weights_sha256) == ("logit", file_sha256(path))
    with pytest.raises(MissingHead, match="train"):
        score_embeddings(vit, "lp", data.findings, embeddings, head_path=tmp_path / "none")
    with pytest.raises(InvalidHead, match="know no finding 'Edema'"):
        score_embeddings(vit, "lp", ("Edema",), embeddings, head_path=path)


def test_a_tuned_model_encodes_with_the_tuned_tower_under_its_own_hash(
    vit: LoadedModel, frames: np.ndarray, data: TrainingSet, tmp_path: Path
) -> None:
    strong = replace(SETTINGS, learning_rate=1e-2)
    path, used = train_within_memory(vit, data, tmp_path / "ft.safetensors", settings=strong)
    assert used == strong
    tuned = tuned_model(vit, path)
    built = build_mode(vit, "ft", head_path=path)
    with torch.no_grad():
        expected = built.network.embed(vit.normalise(frames)).numpy()
    embeddings = ImageEncoder(tuned).embed(frames)
    np.testing.assert_allclose(embeddings, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(embeddings - ImageEncoder(vit).embed(frames)).max() > 1e-3
    assert tuned.weights_sha256 == file_sha256(path) != vit.weights_sha256


class SmallMemory(nn.Module):
    """A tower on a card that takes only so many pictures at a time."""

    def __init__(self, inner: nn.Module, most: int) -> None:
        super().__init__()
        self.inner = inner
        self.most = most

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        output: Tensor = self.inner(x)
        return output


def on_small_card(model: LoadedModel, most: int) -> LoadedModel:
    return replace(model, network=Tower(SmallMemory(visual_tower(model), most)))


def test_a_batch_that_does_not_fit_is_cut_and_the_training_stays_the_same(
    vit: LoadedModel, data: TrainingSet, tmp_path: Path
) -> None:
    whole, used = train_within_memory(
        on_small_card(vit, 99), data, tmp_path / "whole" / "ft.safetensors", settings=SETTINGS
    )
    assert used.micro_batch == 0
    cut, used = train_within_memory(
        on_small_card(vit, 3), data, tmp_path / "cut" / "ft.safetensors", settings=SETTINGS
    )
    assert used == replace(SETTINGS, micro_batch=2)
    from model_store.checkpoints import load_head

    first, second = load_head(whole), load_head(cut)
    torch.testing.assert_close(first.weight, second.weight, rtol=1e-2, atol=1e-4)


def test_a_single_picture_that_does_not_fit_ends_the_training(
    vit: LoadedModel, data: TrainingSet, tmp_path: Path
) -> None:
    with pytest.raises(TrainingFailed, match=r"a single picture .* does not fit"):
        train_within_memory(
            on_small_card(vit, 0), data, tmp_path / "ft.safetensors", settings=SETTINGS
        )


def test_a_batch_that_does_not_fit_is_encoded_in_halves(
    vit: LoadedModel, frames: np.ndarray
) -> None:
    expected = ImageEncoder(vit).embed(frames)
    cut = ImageEncoder(on_small_card(vit, 3)).embed(frames)
    np.testing.assert_allclose(cut, expected, rtol=1e-4, atol=1e-5)


def test_a_single_picture_that_does_not_fit_is_said(vit: LoadedModel, frames: np.ndarray) -> None:
    with pytest.raises(OutOfMemory, match=r"a single picture does not fit .*--device cpu"):
        ImageEncoder(on_small_card(vit, 0)).embed(frames)
