from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from model_store.classifier_spec import ClassifierSpec
from model_store.entries import ModelEntry
from model_store.errors import InvalidHead, MissingHead, UnknownMethod, UnsuitableLayer
from model_store.prompt_basis import prompt_maps
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


@pytest.fixture
def classifier_entry(tmp_path: Path) -> ModelEntry:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = timm.create_model("test_resnet", pretrained=False, num_classes=2)
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    spec = ClassifierSpec(
        "timm", "test_resnet", ("Edema", "Other"), "net.safetensors", input_size=(96, 96)
    )
    return ModelEntry("tiny-net", f"local-dir:{tmp_path}", kind="classifier", classifier=spec)


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


def test_another_layer_is_read_when_it_is_named(
    runtime: ModelRuntime, make_picture: MakePicture
) -> None:
    picture = make_picture(1)
    ask = ("tiny-cnn", "zs", "gradcam", picture, ("Edema", "Fracture"))
    default = runtime.explain(*ask)
    named = runtime.explain(*ask, layer="visual.trunk.layer4")
    earlier = runtime.explain(*ask, layer="visual.trunk.layer3")

    assert default.provenance["layer"] == named.provenance["layer"] == "visual.trunk.layer4"
    assert earlier.provenance["layer"] == "visual.trunk.layer3"
    assert earlier.provenance["grid"] == [10, 10]
    np.testing.assert_array_equal(default.maps, named.maps)
    assert not np.array_equal(default.maps, earlier.maps)
    again = runtime.explain(*ask)
    np.testing.assert_array_equal(default.maps, again.maps)


def test_a_layer_that_gives_no_map_is_refused_with_the_reason(
    runtime: ModelRuntime, make_picture: MakePicture
) -> None:
    with pytest.raises(UnsuitableLayer, match="the gradient of every patch is zero"):
        runtime.explain(
            "tiny-vit",
            "zs",
            "gradcam",
            make_picture(1),
            ("Edema",),
            layer="visual.trunk.blocks[-1].attn.proj",
        )


def test_the_layers_of_a_model_can_all_be_asked_for(
    runtime: ModelRuntime, make_picture: MakePicture
) -> None:
    layers = runtime.layers("tiny-vit")
    assert [layer.title for layer in layers] == [f"Block {n} of 6" for n in range(1, 7)]
    assert [layer.is_default for layer in layers] == [False] * 5 + [True]
    assert {layer.grid for layer in layers} == {(10, 10)}
    assert runtime.layers("tiny-vit") is layers
    for layer in layers:
        told = runtime.explain(
            "tiny-vit", "zs", "hirescam", make_picture(1), ("Edema",), layer=layer.path
        )
        assert told.provenance["layer"] == layer.path


def test_pictures_asked_for_together_get_what_each_gets_alone(
    runtime: ModelRuntime, make_picture: MakePicture
) -> None:
    pictures = [make_picture(seed, (160 + 20 * seed, 180)) for seed in range(3)]
    findings = ("Pneumothorax", "Cardiomegaly")
    together = runtime.explain_batch("tiny-vit", "zs", "gradcam", pictures, findings)

    assert len(together) == 3
    for told, picture in zip(together, pictures, strict=True):
        alone = runtime.explain("tiny-vit", "zs", "gradcam", picture, findings)
        scale = max(float(alone.maps.max()), 1e-12)
        np.testing.assert_allclose(told.maps / scale, alone.maps / scale, atol=1e-5)
        np.testing.assert_allclose(told.scores, alone.scores, atol=1e-6)
        assert told.geometry == alone.geometry
        assert told.provenance == alone.provenance
    assert together[0].provenance is not together[1].provenance
    assert runtime.explain_batch("tiny-vit", "zs", "gradcam", [], findings) == []


@pytest.mark.parametrize("model", ["tiny-vit", "tiny-cnn"])
def test_a_prompt_of_ones_own_has_the_map_that_a_finding_of_that_name_has(
    runtime: ModelRuntime, make_picture: MakePicture, model: str
) -> None:
    picture = make_picture(4, (200, 260))
    findings = ("Pneumothorax", "Cardiomegaly", "Pleural Effusion")
    told = runtime.explain(model, "zs", "gradcam", picture, findings)

    basis = runtime.prompt_basis(model, picture)
    prompts = [told.provenance["prompts"][finding][0] for finding in findings]
    texts = runtime.embed_texts(model, prompts)
    maps, scores = prompt_maps(basis, texts)

    assert basis.geometry == told.geometry
    assert basis.layer == told.provenance["layer"]
    assert basis.weights_sha256 == told.provenance["weights_sha256"]
    assert basis.input_size == told.maps.shape[1:]
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(scores, told.scores, atol=1e-5)
    scale = told.maps.max()
    assert scale > 0
    np.testing.assert_allclose(maps / scale, told.maps / scale, atol=5e-3)


def test_a_model_without_texts_of_its_own_refuses_prompts(
    classifier_entry: ModelEntry, make_picture: MakePicture, tmp_path: Path
) -> None:
    runtime = ModelRuntime({"tiny-net": classifier_entry}.__getitem__, tmp_path)
    for ask in (
        lambda: runtime.prompt_basis("tiny-net", make_picture(1)),
        lambda: runtime.embed_texts("tiny-net", ["effusion"]),
    ):
        with pytest.raises(UnknownMethod, match="'tiny-net' is a classifier: it reads no text"):
            ask()
    with pytest.raises(UnknownMethod, match="has no mode 'zs'; it has cls, lp, ft"):
        runtime.explain("tiny-net", "zs", "gradcam", make_picture(1), ("Edema",))
    assert runtime.supported("tiny-net", "cls", ("Edema", "Fracture")) == ("Edema",)
    told = runtime.explain("tiny-net", "cls", "gradcam", make_picture(1), ("Edema",))
    assert told.provenance["score"] == "logit"
    assert runtime.layers("tiny-net")[-1].is_default


def test_two_threads_that_ask_at_once_get_what_one_gets(
    runtime: ModelRuntime, make_picture: MakePicture
) -> None:
    questions = [
        (model, method, make_picture(seed), finding)
        for model in ("tiny-vit", "tiny-cnn")
        for method in ("gradcam", "layercam")
        for seed, finding in ((1, "Edema"), (2, "Fracture"), (3, "Pneumonia"))
    ]

    def ask(question: tuple[str, str, NDArray[np.uint8], str]) -> NDArray[np.float32]:
        model, method, picture, finding = question
        return runtime.explain(model, "zs", method, picture, (finding,)).maps

    with ThreadPoolExecutor(max_workers=4) as threads:
        together = list(threads.map(ask, [*questions, *questions]))
    for found, question in zip(together, [*questions, *questions], strict=True):
        np.testing.assert_allclose(found, ask(question), rtol=1e-4, atol=1e-9)


def test_an_unchanged_head_file_is_not_read_again(
    runtime: ModelRuntime,
    data: TrainingSet,
    make_picture: MakePicture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = runtime.train("tiny-cnn", "lp", data, settings=QUICK)
    first = runtime.explain("tiny-cnn", "lp", "gradcam", make_picture(1), ("Edema",))

    def never(_path: Path) -> str:
        raise AssertionError("the head file was hashed again")

    with monkeypatch.context() as patch:
        patch.setattr("model_store.held.file_sha256", never)
        again = runtime.explain("tiny-cnn", "lp", "gradcam", make_picture(1), ("Edema",))
    np.testing.assert_array_equal(first.maps, again.maps)
    # A copy of the same content is recognised by its hash, and the mode is kept.
    path.write_bytes(path.read_bytes())
    third = runtime.explain("tiny-cnn", "lp", "gradcam", make_picture(1), ("Edema",))
    np.testing.assert_array_equal(first.maps, third.maps)


def test_embeddings_are_taken_for_a_probe_and_refused_for_a_fine_tune(
    runtime: ModelRuntime, data: TrainingSet
) -> None:
    known = np.random.default_rng(1).normal(size=(6, 24)).astype(np.float32)
    path = runtime.train("tiny-cnn", "lp", data, settings=QUICK, embeddings=known)
    assert path.is_file()
    with pytest.raises(ValueError, match="embeddings given for ft"):
        runtime.train("tiny-cnn", "ft", data, settings=QUICK, embeddings=known)


def test_another_head_file_answers_one_question_and_leaves_the_models_own_in_place(
    runtime: ModelRuntime, data: TrainingSet, make_picture: MakePicture, tmp_path: Path
) -> None:
    own = runtime.train("tiny-cnn", "lp", data, settings=QUICK)
    pictures, findings = (make_picture(1), make_picture(2)), ("Edema", "Cardiomegaly")
    kept = own.replace(tmp_path / "other.safetensors")
    runtime.train("tiny-cnn", "lp", data, settings=replace(QUICK, seed=7))
    before = runtime.explain("tiny-cnn", "lp", "gradcam", pictures[0], findings)

    told = runtime.explain_head("tiny-cnn", "lp", "gradcam", pictures, findings, kept)

    after = runtime.explain("tiny-cnn", "lp", "gradcam", pictures[0], findings)
    np.testing.assert_array_equal(after.scores, before.scores)
    assert not np.allclose(told[0].scores, before.scores)
    kept.replace(own)
    wanted = [runtime.explain("tiny-cnn", "lp", "gradcam", one, findings) for one in pictures]
    for one, other in zip(told, wanted, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-5)
        np.testing.assert_allclose(one.maps, other.maps, atol=1e-4 * float(other.maps.max()))


@pytest.mark.parametrize("mode", ["zs", "lp", "ft"])
def test_random_weights_give_other_maps_that_the_seed_alone_decides(
    runtime: ModelRuntime, make_picture: MakePicture, mode: str
) -> None:
    findings = ("Cardiomegaly", "Edema")
    picture = make_picture(1)

    def ask(seed: int, names: tuple[str, ...] = findings) -> NDArray[np.float32]:
        told = runtime.explain_random("tiny-cnn", mode, "gradcam", picture, names, seed=seed)
        assert told.provenance["weights_sha256"] == f"random:{seed}"
        assert told.findings == names
        return told.maps

    first = ask(1)
    np.testing.assert_array_equal(ask(1), first)
    assert not np.array_equal(ask(2), first)
    np.testing.assert_array_equal(ask(1, findings[::-1]), first[::-1])
    if mode == "zs":
        own = runtime.explain("tiny-cnn", "zs", "gradcam", picture, findings)
        assert not np.array_equal(own.maps, first)
        assert not str(own.provenance["weights_sha256"]).startswith("random:")


def test_scores_of_frames_are_those_of_the_pictures_that_they_are_made_from(
    runtime: ModelRuntime, make_picture: MakePicture
) -> None:
    findings = ("Cardiomegaly", "Edema")
    pictures = [make_picture(number) for number in range(3)]
    frames = np.stack([runtime.frame("tiny-vit", picture)[0] for picture in pictures])
    expected = [runtime.scores("tiny-vit", "zs", picture, findings) for picture in pictures]
    found = runtime.frame_scores("tiny-vit", "zs", frames, findings)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    geometry = runtime.frame("tiny-vit", pictures[0])[1]
    assert geometry == runtime.explain("tiny-vit", "zs", "gradcam", pictures[0], findings).geometry
