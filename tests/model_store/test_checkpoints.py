from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from model_store.checkpoints import HeadMetadata, load_head, read_metadata, save_head
from model_store.errors import InvalidHead

METADATA = HeadMetadata(
    mode="lp",
    findings=("Edema", "Größe, mit Komma"),
    base_weights_sha256="ab" * 32,
    preprocessing={"kind": "crop", "input_size": [224, 224]},
    training={"seed": 42, "lr": 1e-4},
)


def probe() -> dict[str, Tensor]:
    return {"head.weight": torch.arange(6.0).reshape(2, 3) / 7, "head.bias": torch.tensor([0.5, 2])}


def test_a_head_comes_back_as_it_was_saved_but_for_half_precision(tmp_path: Path) -> None:
    path = save_head(tmp_path / "new" / "lp.safetensors", "lp", probe(), METADATA)

    head = load_head(path)

    assert head.metadata == METADATA == read_metadata(path)
    assert head.weight.dtype == torch.float32
    expected = (np.arange(6).reshape(2, 3) / 7).astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(head.weight.numpy(), expected)
    assert head.visual == {}
    assert [each.name for each in path.parent.iterdir()] == ["lp.safetensors"]


def test_the_file_holds_float16_and_text_metadata(tmp_path: Path) -> None:
    path = save_head(tmp_path / "lp.safetensors", "lp", probe(), METADATA)
    with safe_open(path, framework="np") as file:
        strings = file.metadata()
        assert file.get_tensor("head.weight").dtype == np.float16
    assert strings["format"] == "saliency-audit-head-1"
    assert json.loads(strings["findings"]) == ["Edema", "Größe, mit Komma"]
    assert json.loads(strings["training"]) == {"lr": 1e-4, "seed": 42}


def test_a_tower_keeps_its_counters_and_what_half_precision_cannot_hold(tmp_path: Path) -> None:
    tensors = {
        **probe(),
        "visual.bn.num_batches_tracked": torch.tensor(70001),
        "visual.bn.running_var": torch.tensor([70000.0, 1.0]),
    }
    path = save_head(tmp_path / "ft.safetensors", "ft", tensors, replace(METADATA, mode="ft"))
    visual = load_head(path).visual
    assert visual["bn.num_batches_tracked"].item() == 70001
    assert visual["bn.running_var"].tolist() == [70000.0, 1.0]


@pytest.mark.parametrize(
    ("mode", "tensors", "words"),
    [
        ("ft", probe(), "is saved as 'ft' with metadata of 'lp'"),
        ("lp", {"head.bias": torch.zeros(2)}, r"lacks the tensor head.weight; it holds \['head.b"),
        ("lp", {**probe(), "head.weight": torch.zeros(3, 3)}, r"expected \(2, D\) and \(2,\)"),
        ("lp", {**probe(), "visual.a": torch.zeros(1)}, "mode lp holds the image tower"),
        ("lp", {**probe(), "head.bias": torch.tensor([0.0, torch.nan])}, "head.bias .* not finite"),
    ],
)
def test_a_head_that_does_not_fit_is_refused_and_the_old_one_stays(
    tmp_path: Path, mode: str, tensors: dict[str, Tensor], words: str
) -> None:
    path = save_head(tmp_path / "lp.safetensors", "lp", probe(), METADATA)
    before = path.read_bytes()

    with pytest.raises(InvalidHead, match=words):
        save_head(path, mode, tensors, METADATA)  # type: ignore[arg-type]

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_fine_tune_without_its_tower_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidHead, match="mode ft lacks the image tower"):
        save_head(tmp_path / "ft.safetensors", "ft", probe(), replace(METADATA, mode="ft"))


def test_a_missing_damaged_or_foreign_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidHead, match=r"nowhere.safetensors does not exist; train"):
        read_metadata(tmp_path / "nowhere.safetensors")

    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"\xff" * 40)
    with pytest.raises(InvalidHead, match=r"damaged.safetensors is no readable safetensors file"):
        read_metadata(damaged)

    foreign = tmp_path / "foreign.safetensors"
    save_file(probe(), foreign)
    with pytest.raises(InvalidHead, match="format None; expected 'saliency-audit-head-1'"):
        load_head(foreign)


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    path = save_head(tmp_path / "lp.safetensors", "lp", probe(), METADATA)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InvalidHead, match=r"lp\.safetensors"):
        load_head(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mode": "zs"}, "mode 'zs'; expected lp or ft"),
        ({"findings": "no json"}, "unreadable metadata"),
        ({"training": None}, "lacks the metadata training"),
    ],
)
def test_unusable_metadata_is_named(
    tmp_path: Path, change: dict[str, str | None], words: str
) -> None:
    strings = {**METADATA.to_strings(), **change}
    path = tmp_path / "lp.safetensors"
    save_file(probe(), path, {key: value for key, value in strings.items() if value is not None})
    with pytest.raises(InvalidHead, match=words):
        read_metadata(path)
