from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_store.checkpoints import HeadMetadata, save_head
from model_store.entries import ModelEntry
from model_store.errors import InvalidEntry, InvalidHead, MissingHead, UnknownMethod
from model_store.loading import LoadedModel, load_model
from model_store.modes import build_mode
from model_store.prompts import PromptSet

MakePicture = Callable[..., NDArray[np.uint8]]


def save_probe(model: LoadedModel, path: Path, **change: Any) -> Path:
    """A probe for findings A, B and C, or what the changes make of it."""
    generator = torch.Generator().manual_seed(1)
    width = change.pop("width", 24)
    tensors = {"head.weight": torch.randn(3, width, generator=generator).half().float()}
    tensors["head.bias"] = torch.tensor([0.5, -1.0, 2.0])
    metadata = HeadMetadata(
        "lp", ("A", "B", "C"), model.weights_sha256, model.describe_preprocessing()
    )
    return save_head(path, "lp", tensors, replace(metadata, **change))


def reference_cosines(model: LoadedModel, x: Tensor, texts: list[str]) -> NDArray[np.float32]:
    """Written out with open_clip's own functions."""
    network: Any = model.network
    tokenizer = open_clip.get_tokenizer(f"local-dir:{model.entry.folder}")
    with torch.no_grad():
        image = network.encode_image(x[None])[0]
        found = []
        for text in texts:
            words = network.encode_text(tokenizer([text]))[0]
            found.append(float(image @ words / (image.norm() * words.norm())))
    return np.asarray(found, dtype=np.float32)


def test_zero_shot_scores_are_cosines_with_each_findings_prompt(
    any_model: LoadedModel, findings: tuple[str, ...], make_picture: MakePicture
) -> None:
    mode = build_mode(any_model, "zs", findings)
    x, _ = any_model.prepare(make_picture(5))

    scores = mode.network(x[None])[0].detach().numpy()

    texts = [any_model.entry.prompts_for(finding)[0] for finding in findings]
    np.testing.assert_allclose(scores, reference_cosines(any_model, x, texts), atol=1e-5)
    assert len(set(np.round(scores, 6))) == len(findings)
    assert mode.prompts["Pleural Effusion"] == (texts[1],)
    assert mode.weights_sha256 == any_model.weights_sha256


def test_the_template_of_the_model_folder_decides_the_prompt(vit: LoadedModel) -> None:
    assert vit.entry.prompts_for("Pleural Effusion") == ("a photo of pleural effusion",)


def test_several_prompts_of_a_finding_are_averaged_as_embeddings_of_length_one(
    vit: LoadedModel, make_picture: MakePicture
) -> None:
    texts = ("photo of effusion", "no pneumothorax")
    model = replace(vit, entry=replace(vit.entry, prompts=PromptSet(texts={"Both": texts})))
    mode = build_mode(model, "zs", ("Both",))
    x, _ = model.prepare(make_picture(5))

    network: Any = model.network
    with torch.no_grad():
        words = [network.encode_text(model.tokenizer([text]))[0] for text in texts]
        mean = sum(word / word.norm() for word in words) / 2
        image = network.encode_image(x[None])[0]
        expected = float(image @ mean / (image.norm() * mean.norm()))
    assert mode.network(x[None]).item() == pytest.approx(expected, abs=1e-6)


def test_a_prompt_without_a_known_word_is_refused(vit: LoadedModel) -> None:
    model = replace(vit, entry=replace(vit.entry, prompts=PromptSet("xyzzy {finding}")))
    with pytest.raises(InvalidEntry, match="knows no word of the prompt 'xyzzy plugh'"):
        build_mode(model, "zs", ("plugh",))


def test_tokens_beyond_the_text_towers_vocabulary_are_refused(cnn: LoadedModel) -> None:
    def too_large(texts: list[str]) -> Tensor:
        return torch.full((len(texts), 16), 60000)

    with pytest.raises(InvalidEntry, match="gives token 60000, but the text tower knows 49408"):
        build_mode(replace(cnn, tokenizer=too_large), "zs", ("A",))


def test_probe_scores_are_the_heads_logits_on_the_raw_embedding(
    any_model: LoadedModel, make_picture: MakePicture, tmp_path: Path
) -> None:
    path = save_probe(any_model, tmp_path / "lp.safetensors")
    mode = build_mode(any_model, "lp", None, path)
    x, _ = any_model.prepare(make_picture(6))

    network: Any = any_model.network
    with torch.no_grad():
        embedding = network.encode_image(x[None])[0].numpy()
    weight = torch.randn(3, 24, generator=torch.Generator().manual_seed(1)).half().float().numpy()
    expected = weight @ embedding + np.array([0.5, -1.0, 2.0])
    np.testing.assert_allclose(mode.network(x[None])[0].numpy(), expected, rtol=1e-4, atol=1e-4)
    assert mode.findings == ("A", "B", "C")
    assert mode.weights_sha256 != mode.base_weights_sha256 == any_model.weights_sha256


def test_findings_are_scored_in_the_order_that_was_asked_for(
    cnn: LoadedModel, make_picture: MakePicture, tmp_path: Path
) -> None:
    path = save_probe(cnn, tmp_path / "lp.safetensors")
    x = cnn.prepare(make_picture(6))[0][None]
    everything = build_mode(cnn, "lp", None, path).network(x)[0]
    some = build_mode(cnn, "lp", ("C", "A"), path)
    assert some.findings == ("C", "A")
    torch.testing.assert_close(some.network(x)[0], everything[[2, 0]])


def test_a_finding_that_the_head_does_not_know_is_named(cnn: LoadedModel, tmp_path: Path) -> None:
    path = save_probe(cnn, tmp_path / "lp.safetensors")
    with pytest.raises(InvalidHead, match="know no finding 'D'; they were trained for A, B, C"):
        build_mode(cnn, "lp", ("A", "D"), path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base_weights_sha256": "cd" * 32}, "was trained on weights cdcd.*; train it again"),
        ({"preprocessing": {"kind": "pad"}}, "prepared by 'pad', but model 'tiny-cnn' uses 'crop'"),
        ({"width": 23}, "reads 23 numbers per picture, but model 'tiny-cnn' gives 24"),
    ],
)
def test_a_head_of_another_model_is_refused(
    cnn: LoadedModel, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    path = save_probe(cnn, tmp_path / "lp.safetensors", **change)
    with pytest.raises(InvalidHead, match=words):
        build_mode(cnn, "lp", None, path)


def test_a_probe_is_not_taken_for_a_fine_tune(cnn: LoadedModel, tmp_path: Path) -> None:
    path = save_probe(cnn, tmp_path / "lp.safetensors")
    shutil.copyfile(path, tmp_path / "ft.safetensors")
    with pytest.raises(InvalidHead, match="holds a linear probe, not a fine-tune"):
        build_mode(cnn, "ft", None, tmp_path / "ft.safetensors")


def test_a_tower_of_another_shape_is_refused(
    cnn: LoadedModel, vit: LoadedModel, tmp_path: Path
) -> None:
    visual: Any = vit.network.visual
    tensors = {f"visual.{name}": value for name, value in visual.state_dict().items()}
    tensors |= {"head.weight": torch.zeros(1, 24), "head.bias": torch.zeros(1)}
    path = tmp_path / "ft.safetensors"
    save_head(path, "ft", tensors, HeadMetadata("ft", ("A",), cnn.weights_sha256))
    with pytest.raises(InvalidHead, match="does not fit the image tower"):
        build_mode(cnn, "ft", None, path)


def test_a_head_that_was_not_trained_yet_says_which_command_makes_it(
    cnn: LoadedModel, tmp_path: Path
) -> None:
    with pytest.raises(MissingHead) as caught:
        build_mode(cnn, "ft", None, tmp_path / "ft.safetensors")
    assert "run 'launch.py train WORKSPACE --model tiny-cnn --mode ft' first" in str(caught.value)


def test_an_unknown_mode_and_no_findings_are_refused(cnn: LoadedModel) -> None:
    with pytest.raises(UnknownMethod, match="unknown mode 'xx'; known: zs"):
        build_mode(cnn, "xx", ("A",))
    with pytest.raises(ValueError, match="no finding given"):
        build_mode(cnn, "zs", ())


@pytest.mark.parametrize(
    ("vision", "layer", "grid"),
    [
        (
            {"image_size": 48, "patch_size": 8, "layers": 2, "width": 32, "head_width": 16},
            "visual.transformer.resblocks[-1].ln_1",
            (6, 6),
        ),
        (
            {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8},
            "visual.layer4",
            (2, 2),
        ),
    ],
)
def test_open_clips_own_towers_have_a_default_layer_too(
    tmp_path: Path,
    make_picture: MakePicture,
    vision: dict[str, Any],
    layer: str,
    grid: tuple[int, int],
) -> None:
    import json

    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    config = {"model_cfg": {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    entry = ModelEntry(name="native", location=f"local-dir:{tmp_path}")
    model = load_model(entry, random_weights_seed=1)

    mode = build_mode(model, "zs", ("Edema", "Fracture"))

    assert (mode.target.path, mode.grid) == (layer, grid)
    from model_store.saliency import SALIENCY_METHODS

    x, _ = model.prepare(make_picture(1))
    result = SALIENCY_METHODS["gradcam"].maps(mode, x[None])
    assert result.maps.shape == (1, 2, vision["image_size"], vision["image_size"])
    assert result.maps.any()
