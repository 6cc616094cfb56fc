from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model_store.entries import ModelEntry
from model_store.errors import InvalidHead, MissingHead, UnknownMethod
from model_store.runtime import ModelRuntime
from model_store.training import TrainingSet, TrainingSettings

MakePicture = Callable[..., NDArray[np.uint8]]
QUICK = TrainingSettings(epochs=2, batch_size=4, learning_rate=1e-3)


@pytest.fixture
def runtime(vit_entry: ModelEntry, cnn_entry: ModelEntry, tmp_path: Path) -> ModelRuntime:
    entries = {"tiny-vit": vit_entry, "tiny-cnn": cnn_entry}
    return ModelRuntime(entries.__getitem__, tmp_path / "models")


@pytest.fixture
def data(make_picture: MakePicture) -> TrainingSet:
    labels = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1]], dtype=float)
    return TrainingSet(make_picture, labels, ("Cardiomegaly", "Edema"), range(4), (4, 5))


def test_an_explanation_carries_maps_scores_geometry_and_where_they_came_from(
    runtime: ModelRuntime, vit_entry: ModelEntry, make_picture: MakePicture
) -> None:
    picture = make_picture(1, (300, 200))

    told = runtime.explain("tiny-vit", "zs", "gradcam", picture, ("Pneumothorax", "No Finding"))

    assert told.findings == ("Pneumothorax", "No Finding")
    assert told.maps.shape == (2, 160, 160)
    assert told.maps.dtype == np.float32
    assert told.scores.shape == (2,)
    assert told.geometry.image_size == (300, 200)
    assert told.geometry.to_original(told.maps[0]).values.shape == (200, 200)
    facts = told.provenance
    assert facts == json.loads(json.dumps(facts))
    assert facts["weights_sha256"] == vit_entry.weights_sha256
    assert facts["config_sha256"] == vit_entry.config_sha256
    assert facts["layer"] == "visual.trunk.blocks[-1].norm1"
    assert facts["preprocessing"]["kind"] == "crop"
    assert facts["prompts"] == {
        "Pneumothorax": ["a photo of pneumothorax"],
        "No Finding": ["a photo of no finding"],
    }
    assert {"torch", "open_clip_torch", "grad-cam"} <= set(facts["versions"])


def test_the_same_question_gives_the_same_answer_whatever_was_asked_between(
    runtime: ModelRuntime, make_picture: MakePicture
) -> None:
    picture = make_picture(2)
    first = runtime.explain("tiny-cnn", "zs", "gradcam", picture, ("Edema", "Fracture"))
    runtime.explain("tiny-vit", "zs", "gradcam", picture, ("Cardiomegaly",))
    other = runtime.explain("tiny-cnn", "zs", "gradcam", picture, ("Fracture", "Pneumonia"))
    again = runtime.explain("tiny-cnn", "zs", "gradcam", picture, ("Edema", "Fracture"))

    np.testing.assert_array_equal(first.maps, again.maps)
    np.testing.assert_array_equal(first.scores, again.scores)
    np.testing.assert_allclose(first.maps[1], other.maps[0], rtol=1e-4, atol=1e-9)
    assert other.scores[0] == pytest.approx(first.scores[1], abs=1e-6)
    assert other.provenance["prompts"].keys() == {"Fracture", "Pneumonia"}
    alone = runtime.scores("tiny-cnn", "zs", picture, ("Fracture", "Edema"))
    np.testing.assert_allclose(alone, first.scores[::-1], atol=1e-6)


@pytest.mark.parametrize("mode", ["lp", "ft"])
def test_a_trained_mode_answers_at_once_and_a_new_training_replaces_it(
    runtime: ModelRuntime, data: TrainingSet, make_picture: MakePicture, mode: str
) -> None:
    with pytest.raises(MissingHead, match=f"--model tiny-cnn --mode {mode}' first"):
        runtime.explain("tiny-cnn", mode, "gradcam", make_picture(1), ("Edema",))
    with pytest.raises(MissingHead, match=f"--mode {mode}' first"):
        runtime.supported("tiny-cnn", mode, ("Edema",))

    path = runtime.train("tiny-cnn", mode, data, settings=QUICK)

    assert path == runtime.head_path("tiny-cnn", mode)
    assert path.parent.name == "tiny-cnn"
    first = runtime.explain("tiny-cnn", mode, "gradcam", make_picture(1), ("Edema",))
    assert first.provenance["weights_sha256"] != first.provenance["base_weights_sha256"]
    assert first.provenance["score"] == "logit"
    runtime.train("tiny-cnn", mode, data, settings=replace(QUICK, seed=7))
    second = runtime.explain("tiny-cnn", mode, "gradcam", make_picture(1), ("Edema",))
    assert second.provenance["weights_sha256"] != first.provenance["weights_sha256"]
    assert second.scores[0] != first.scores[0]


def test_what_a_mode_can_score_is_known_without_asking_for_it(
    runtime: ModelRuntime, data: TrainingSet, make_picture: MakePicture
) -> None:
    runtime.train("tiny-cnn", "lp", data, settings=QUICK)
    wanted = ("Fracture", "Edema", "Cardiomegaly")
    assert runtime.supported("tiny-cnn", "lp", wanted) == ("Edema", "Cardiomegaly")
    assert runtime.supported("tiny-cnn", "zs", wanted) == wanted
    with pytest.raises(InvalidHead, match="know no finding 'Fracture'"):
        runtime.explain("tiny-cnn", "lp", "gradcam", make_picture(1), wanted)


def test_a_changed_entry_is_loaded_anew(
    vit_entry: ModelEntry, make_picture: MakePicture, tmp_path: Path
) -> None:
    entries = {"tiny-vit": vit_entry}
    runtime = ModelRuntime(entries.__getitem__, tmp_path)
    picture = make_picture(1, (300, 200))
    before = runtime.explain("tiny-vit", "zs", "gradcam", picture, ("Pneumothorax",))
    entries["tiny-vit"] = replace(vit_entry, preprocessing="pad")
    after = runtime.explain("tiny-vit", "zs", "gradcam", picture, ("Pneumothorax",))
    assert before.geometry.offset_y > 0
    assert after.geometry.offset_x < 0
    assert after.provenance["preprocessing"]["kind"] == "pad"


def test_unknown_modes_and_methods_are_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    def never(name: str) -> ModelEntry:
        raise AssertionError(f"asked for {name}")

    runtime = ModelRuntime(never, tmp_path)
    picture = np.zeros((9, 9), dtype=np.uint8)
    with pytest.raises(UnknownMethod, match="unknown mode 'few-shot'; known: zs, lp, ft"):
        runtime.explain("m", "few-shot", "gradcam", picture, ("A",))
    with pytest.raises(UnknownMethod, match="unknown saliency method 'magic'; known: gradcam"):
        runtime.explain("m", "zs", "magic", picture, ("A",))
