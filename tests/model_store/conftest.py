"""Tiny image-text models with random weights, in folders as open_clip reads them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from model_store.catalogue import make_entry
from model_store.entries import ModelEntry
from model_store.loading import LoadedModel, load_model, offline, quiet_root_logger

FINDINGS = ("Cardiomegaly", "Pleural Effusion", "Pneumothorax", "No Finding")
WORDS = ("a", "photo", "of", "cardiomegaly", "pleural", "effusion", "pneumothorax", "no", "finding")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")

# Tiny networks lose more time to handing work between threads than they gain.
torch.set_num_threads(1)


def _write_tokenizer(folder: Path) -> None:
    vocabulary = {token: number for number, token in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}
    settings |= {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def _write_text_tower(folder: Path) -> None:
    config = {"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 1}
    config |= {"num_attention_heads": 2, "intermediate_size": 48, "vocab_size": 13}
    config |= {"max_position_embeddings": 32}
    (folder / "config.json").write_text(json.dumps(config))


def _hugging_face_text() -> dict[str, Any]:
    name = "nobody/a-text-tower-that-no-hub-has"
    return {
        "hf_model_name": name,
        "hf_tokenizer_name": name,
        "hf_proj_type": "mlp",
        "hf_pooler_type": "cls_last_hidden_state_pooler",
        "context_length": 16,
    }


def _native_text() -> dict[str, Any]:
    return {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}


def _write_weights(folder: Path, text: dict[str, Any]) -> None:
    overrides = {}
    if "hf_model_name" in text:
        overrides = {
            "text_cfg": {**text, "hf_model_name": str(folder), "hf_model_pretrained": False}
        }
    with offline(), quiet_root_logger(), torch.random.fork_rng():
        torch.manual_seed(7)
        network = open_clip.create_model(f"local-dir:{folder}", load_weights=False, **overrides)
        # Tiny random towers hardly react to a picture; wider weights make scores differ.
        for name, value in network.visual.state_dict().items():
            if name.endswith("weight") and value.ndim > 1:
                value.mul_(2.0)
    save_file(network.state_dict(), folder / "open_clip_model.safetensors")


def write_model_folder(folder: Path, trunk: str, *, hugging_face: bool, **vision: Any) -> Path:
    """A folder with configuration, weights and, where asked, a Hugging Face text tower."""
    folder.mkdir(parents=True)
    text = _hugging_face_text() if hugging_face else _native_text()
    vision = {"timm_model_name": trunk, "timm_pool": "", "image_size": 160, **vision}
    config = {"model_cfg": {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}}
    config["preprocess_cfg"] = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    if hugging_face:
        _write_tokenizer(folder)
        _write_text_tower(folder)
        (folder / "entry.json").write_text(
            json.dumps({"prompt_template": "a photo of {finding}", "prompt_lower": True})
        )
    _write_weights(folder, text)
    return folder


@pytest.fixture(scope="session")
def vit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class-token transformer with a Hugging Face text tower, as BiomedCLIP is built."""
    folder = tmp_path_factory.mktemp("models") / "tiny-vit"
    return write_model_folder(folder, "test_vit", hugging_face=True)


@pytest.fixture(scope="session")
def cnn_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A residual network with open_clip's own text tower and tokenizer."""
    folder = tmp_path_factory.mktemp("models") / "tiny-cnn"
    return write_model_folder(folder, "test_resnet", hugging_face=False)


@pytest.fixture(scope="session")
def vit_entry(vit_folder: Path) -> ModelEntry:
    return make_entry("tiny-vit", path=vit_folder, settings={"precision": "fp32"})


@pytest.fixture(scope="session")
def cnn_entry(cnn_folder: Path) -> ModelEntry:
    return make_entry("tiny-cnn", path=cnn_folder, settings={"precision": "fp32"})


@pytest.fixture
def vit(vit_entry: ModelEntry) -> LoadedModel:
    return load_model(vit_entry)


@pytest.fixture
def cnn(cnn_entry: ModelEntry) -> LoadedModel:
    return load_model(cnn_entry)


@pytest.fixture(params=["vit", "cnn"])
def any_model(request: pytest.FixtureRequest) -> LoadedModel:
    """Each kind of image tower in turn."""
    model = request.getfixturevalue(request.param)
    assert isinstance(model, LoadedModel)
    return model


@pytest.fixture
def findings() -> tuple[str, ...]:
    return FINDINGS


@pytest.fixture
def make_picture() -> Callable[..., NDArray[np.uint8]]:
    """Seed and size (H, W) to a picture with smooth structure."""

    def make(seed: int, size: tuple[int, int] = (190, 170)) -> NDArray[np.uint8]:
        noise = np.random.default_rng(seed)
        coarse = noise.random((9, 9))
        fine = np.kron(coarse, np.ones((size[0] // 9 + 1, size[1] // 9 + 1)))
        picture = 200 * fine[: size[0], : size[1]] + 50 * noise.random(size)
        return picture.astype(np.uint8)

    return make
