from __future__ import annotations

import json
import logging
import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import huggingface_hub.constants
import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from model_store.entries import ModelEntry
from model_store.errors import InvalidEntry, MissingFile, WrongWeights
from model_store.loading import LoadedModel, load_model

MakePicture = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> NoReturn:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def copy_of(entry: ModelEntry, place: Path) -> ModelEntry:
    """The entry with a folder of its own that a test may damage."""
    shutil.copytree(entry.folder, place)
    return replace(entry, location=f"local-dir:{place}")


@pytest.mark.parametrize("size", [(190, 170), (160, 160), (301, 517), (40, 90)])
def test_the_input_equals_that_of_open_clip_for_the_same_picture(
    cnn: LoadedModel, make_picture: MakePicture, size: tuple[int, int]
) -> None:
    # The reference loads the folder by open_clip's own means.
    _, _, transform = open_clip.create_model_and_transforms(f"local-dir:{cnn.entry.folder}")
    picture = make_picture(1, size)

    x, geometry = cnn.prepare(picture)

    expected = transform(Image.fromarray(picture).convert("RGB"))
    torch.testing.assert_close(x, expected, rtol=0, atol=0)
    assert geometry.image_size == size
    assert geometry.input_size == (160, 160)


@pytest.mark.parametrize(("kind", "mode"), [("pad", "longest"), ("squash", "squash")])
def test_other_preprocessings_equal_open_clips_own(
    cnn_entry: ModelEntry, make_picture: MakePicture, kind: str, mode: str
) -> None:
    model = load_model(ModelEntry.from_dict({**cnn_entry.to_dict(), "preprocessing": kind}))
    _, _, transform = open_clip.create_model_and_transforms(
        f"local-dir:{cnn_entry.folder}", image_resize_mode=mode
    )
    picture = make_picture(2, (301, 217))

    x, _ = model.prepare(picture)

    torch.testing.assert_close(x, transform(Image.fromarray(picture)), rtol=0, atol=0)


def test_the_weights_are_those_that_open_clip_loads(cnn: LoadedModel) -> None:
    reference = open_clip.create_model(f"local-dir:{cnn.entry.folder}")
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(cnn.network.state_dict()[name], value, rtol=0, atol=0)


def test_a_hugging_face_text_tower_is_built_from_the_folder_alone(
    vit_entry: ModelEntry, no_network: None
) -> None:
    del no_network
    model = load_model(vit_entry)
    assert model.tokenizer(["a photo of cardiomegaly"])[0, :6].tolist() == [2, 4, 5, 6, 7, 3]
    assert not model.network.training
    assert not any(each.requires_grad for each in model.network.parameters())


def test_loading_leaves_logging_random_numbers_and_the_hub_as_they_were(
    vit_entry: ModelEntry,
) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers), huggingface_hub.constants.HF_HUB_OFFLINE)
    state = torch.random.get_rng_state()

    load_model(vit_entry)

    assert (root.level, list(root.handlers), huggingface_hub.constants.HF_HUB_OFFLINE) == before
    assert torch.equal(torch.random.get_rng_state(), state)


def test_saved_heads_in_the_model_folder_are_not_taken_for_its_weights(
    cnn_entry: ModelEntry, tmp_path: Path
) -> None:
    entry = copy_of(cnn_entry, tmp_path / "model")
    (tmp_path / "model" / "ft.safetensors").write_bytes(b"no weights")
    assert load_model(entry).weights_sha256 == cnn_entry.weights_sha256


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("open_clip_config.json", "lacks open_clip_config.json"),
        ("open_clip_model.safetensors", "holds no weights; put open_clip_model.safetensors or"),
        ("config.json", "lacks config.json, the configuration of the text tower nobody/"),
        ("tokenizer.json", "lacks the tokenizer of nobody/"),
    ],
)
def test_a_missing_file_is_named_with_the_folder_it_belongs_into(
    vit_entry: ModelEntry, tmp_path: Path, missing: str, words: str
) -> None:
    entry = replace(copy_of(vit_entry, tmp_path / "model"), config_sha256="")
    (tmp_path / "model" / missing).unlink()

    with pytest.raises(MissingFile) as caught:
        load_model(entry)

    assert words in str(caught.value)
    assert str(tmp_path / "model") in str(caught.value)


def test_weights_that_changed_since_the_model_was_added_are_refused(
    cnn_entry: ModelEntry, tmp_path: Path
) -> None:
    entry = copy_of(cnn_entry, tmp_path / "model")
    with (tmp_path / "model" / "open_clip_model.safetensors").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(WrongWeights, match="was added with"):
        load_model(entry)


def test_a_configuration_that_changed_since_the_model_was_added_is_refused(
    vit_entry: ModelEntry, tmp_path: Path
) -> None:
    entry = copy_of(vit_entry, tmp_path / "model")
    path = tmp_path / "model" / "tokenizer_config.json"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(WrongWeights, match=r"configuration or tokenizer in .* changed"):
        load_model(entry)


def test_weights_of_another_network_are_refused_by_name(
    cnn_entry: ModelEntry, vit_folder: Path, tmp_path: Path
) -> None:
    entry = replace(copy_of(cnn_entry, tmp_path / "model"), weights_sha256="")
    name = "open_clip_model.safetensors"
    shutil.copyfile(vit_folder / name, tmp_path / "model" / name)
    with pytest.raises(InvalidEntry, match=r"open_clip_model\.safetensors does not fit"):
        load_model(entry)


def test_an_architecture_that_timm_does_not_know_is_named(
    cnn_entry: ModelEntry, tmp_path: Path
) -> None:
    entry = replace(copy_of(cnn_entry, tmp_path / "model"), config_sha256="")
    path = tmp_path / "model" / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"]["vision_cfg"]["timm_model_name"] = "resnet_of_tomorrow"
    path.write_text(json.dumps(config))
    with pytest.raises(InvalidEntry, match=r"'resnet_of_tomorrow', which timm .* does not know"):
        load_model(entry)


def test_random_weights_come_from_their_seed_and_say_so(cnn_entry: ModelEntry) -> None:
    first, again, other = (
        load_model(cnn_entry, random_weights_seed=seed).network.state_dict() for seed in (1, 1, 2)
    )
    name = "visual.head.proj.weight"
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name])
    assert load_model(cnn_entry, random_weights_seed=1).weights_sha256 == "random:1"


@pytest.mark.parametrize(
    "picture",
    [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint16), np.zeros((0, 4), np.uint8)],
)
def test_what_is_no_display_picture_is_refused(
    cnn: LoadedModel, picture: NDArray[np.uint8]
) -> None:
    with pytest.raises(ValueError, match=r"expected the display picture, \(H, W\) uint8"):
        cnn.prepare(picture)
