from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model_store.encoder import ImageEncoder
from model_store.loading import LoadedModel
from model_store.precision import (
    LEAST_COSINE,
    LEAST_SPEEDUP,
    autocast,
    choose_precision,
    describe_machine,
    measure_precision,
)

CPU = torch.device("cpu")


def automatic(model: LoadedModel) -> LoadedModel:
    return replace(model, entry=replace(model.entry, precision="auto"))


def test_what_the_entry_says_is_taken_without_measuring(vit: LoadedModel, tmp_path: Path) -> None:
    record = tmp_path / "precision.json"
    asked = replace(vit, entry=replace(vit.entry, precision="bf16"))
    check = choose_precision(asked, record)
    assert (check.chosen, check.reason, check.speedup) == ("bf16", "the entry says so", None)
    assert not record.exists()


def test_bf16_is_chosen_exactly_when_it_was_fast_and_true_enough(vit: LoadedModel) -> None:
    check = measure_precision(automatic(vit), "here")
    assert check.speedup is not None
    assert check.cosine is not None
    assert check.speedup > 0
    assert 0.9 < check.cosine <= 1
    pays = check.speedup >= LEAST_SPEEDUP and check.cosine >= LEAST_COSINE
    assert check.chosen == ("bf16" if pays else "fp32")
    assert f"{check.speedup:.2f} x" in check.reason


def test_what_was_measured_once_is_taken_from_then_on(vit: LoadedModel, tmp_path: Path) -> None:
    record = tmp_path / "models" / "precision.json"
    first = choose_precision(automatic(vit), record)
    (key,) = json.loads(record.read_text())
    assert vit.weights_sha256 in key
    assert describe_machine(CPU) in key
    other = "fp32" if first.chosen == "bf16" else "bf16"
    record.write_text(json.dumps({key: {**first.to_dict(), "chosen": other}}))

    assert choose_precision(automatic(vit), record).chosen == other


def test_another_model_and_a_damaged_record_are_measured_anew(
    vit: LoadedModel, cnn: LoadedModel, tmp_path: Path
) -> None:
    record = tmp_path / "precision.json"
    record.write_text("{")
    choose_precision(automatic(vit), record)
    choose_precision(automatic(cnn), record)
    assert len(json.loads(record.read_text())) == 2


def test_autocast_computes_products_in_bf16_and_fp32_changes_nothing() -> None:
    values = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    with autocast(CPU, "bf16"):
        assert (values @ values).dtype == torch.bfloat16
    with autocast(CPU, "fp32"):
        assert torch.equal(values @ values, values.mm(values))


@pytest.mark.parametrize("kind", ["vit", "cnn"])
def test_embeddings_in_bf16_are_nearly_those_in_fp32(
    kind: str, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(kind)
    frames = np.random.default_rng(0).integers(0, 255, (3, 160, 160)).astype(np.uint8)
    plain, fast = (ImageEncoder(model, name).embed(frames) for name in ("fp32", "bf16"))
    assert fast.dtype == np.float32
    assert not np.array_equal(plain, fast)
    lengths = np.linalg.norm(plain, axis=1) * np.linalg.norm(fast, axis=1)
    assert ((plain * fast).sum(1) / lengths).min() > 0.99
