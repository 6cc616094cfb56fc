from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from model_store.checkpoints import load_head
from model_store.demo import architectures
from model_store.demo.captions import PROMPT_TEMPLATE
from model_store.demo.heads import HEAD_FINDINGS
from model_store.demo.measuring import (
    GRID,
    auroc_by_finding,
    grad_cam,
    load_scorers,
    pointing_hit,
    reference_mask,
)
from model_store.demo.phantom_style import DEMO_FINDINGS, DEMO_STYLE
from model_store.demo.phantoms import DEMO_COUNT, DEMO_FIRST_SEED, Phantom, render_phantom
from model_store.demo.pretraining import MEAN, STD
from model_store.demo.train import FIGURES_NAME, WEIGHTS
from model_store.demo.training_data import shrink_picture, window_pixels
from model_store.files import file_sha256

MODELS = ["demo-cnn", "demo-vit"]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any attempt to reach a network fails the test."""

    def refuse(*_args: Any, **_options: Any) -> None:
        raise AssertionError("a demo model asked for the network")

    monkeypatch.setattr("socket.socket.connect", refuse)


@pytest.fixture(scope="module")
def patients() -> list[Phantom]:
    """The demo set's patients, rendered at half their size: the models see 96 pixels anyway."""
    return [render_phantom(DEMO_FIRST_SEED + index, size=(450, 384)) for index in range(DEMO_COUNT)]


@pytest.fixture(scope="module")
def pictures(patients: list[Phantom]) -> np.ndarray:
    return np.stack([shrink_picture(window_pixels(each.pixels)) for each in patients])


@pytest.fixture(scope="module")
def targets(patients: list[Phantom]) -> np.ndarray:
    shown = np.array([[name in each.findings for name in DEMO_FINDINGS] for each in patients])
    return np.column_stack([shown, ~shown.any(axis=1)]).astype(np.float32)


def load_network(name: str) -> Any:
    architectures.register()
    return open_clip.create_model(f"local-dir:{WEIGHTS / name}").eval()


class Tuned(nn.Module):
    """A fine-tuned model written out by hand, as pytorch-grad-cam wants it: x -> logits."""

    def __init__(self, folder: Path, *, weights_seed: int | None = None) -> None:
        super().__init__()
        head = load_head(folder / "ft.safetensors")
        self.visual = load_network(folder.name).visual
        self.head = nn.Linear(head.weight.shape[1], head.weight.shape[0])
        self.visual.load_state_dict(head.visual)
        self.head.load_state_dict({"weight": head.weight, "bias": head.bias})
        if weights_seed is not None:
            torch.manual_seed(weights_seed)
            for module in self.modules():
                if hasattr(module, "reset_parameters"):
                    module.reset_parameters()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.visual(x))


def model_input(picture: np.ndarray) -> Tensor:
    grey = torch.from_numpy(picture.astype(np.float32) / 255)
    return ((grey - MEAN) / STD).expand(1, 3, *grey.shape)


def library_hits(network: Tuned, patients: list[Phantom], pictures: np.ndarray) -> np.ndarray:
    """Rows of (hit, chance) by pytorch-grad-cam at the last stage, one finding at a time."""
    rows = []
    with GradCAM(model=network, target_layers=[network.visual.trunk.layer4]) as cam:
        for phantom, picture in zip(patients, pictures, strict=True):
            for finding in phantom.findings:
                mask = reference_mask(phantom, finding)
                target = [ClassifierOutputTarget(HEAD_FINDINGS.index(finding))]
                saliency = cam(input_tensor=model_input(picture), targets=target)[0]
                rows.append((pointing_hit(saliency, mask), mask.mean()))
    return np.array(rows)


@pytest.mark.parametrize("name", MODELS)
def test_each_model_is_an_open_clip_folder_of_small_half_precision_files(name: str) -> None:
    from safetensors import safe_open

    folder = WEIGHTS / name
    for file in ("open_clip_model.safetensors", "lp.safetensors", "ft.safetensors"):
        assert (folder / file).stat().st_size <= 4_000_000
        with safe_open(folder / file, framework="np") as content:
            kinds = {str(content.get_slice(key).get_dtype()) for key in content.keys()}  # noqa: SIM118 - safe_open is no mapping
        assert kinds <= {"F16", "I64"}
    config = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))
    assert set(config) == {"model_cfg", "preprocess_cfg"}
    entry = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
    assert entry == {
        "prompt_template": PROMPT_TEMPLATE,
        "prompt_lower": True,
        "preprocessing": "crop",
    }


@pytest.mark.parametrize("name", MODELS)
def test_open_clip_loads_model_transform_and_tokenizer_from_the_folder_alone(name: str) -> None:
    architectures.register()
    location = f"local-dir:{WEIGHTS / name}"
    network, transform = open_clip.create_model_from_pretrained(location, return_transform=True)
    tokens = open_clip.get_tokenizer(location)(["there is pleural effusion"])
    from PIL import Image

    x = transform(Image.fromarray(np.full((450, 384), 128, dtype=np.uint8)))[None]
    assert x.shape == (1, 3, 96, 96)
    torch.testing.assert_close(x, torch.full_like(x, (128 / 255 - MEAN) / STD))
    with torch.no_grad():
        image, text = network.encode_image(x), network.encode_text(tokens)
    assert image.shape == text.shape == (1, 128)
    assert torch.isfinite(image).all()
    assert torch.isfinite(text).all()


def test_the_vit_is_a_class_token_transformer_like_biomedclips() -> None:
    trunk = load_network("demo-vit").visual.trunk
    assert isinstance(trunk.blocks[-1].norm1, nn.LayerNorm)
    assert trunk.global_pool == "token"
    assert trunk.cls_token.shape == (1, 1, architectures.VIT_WIDTH)
    tokens = trunk.forward_features(torch.zeros(1, 3, 96, 96))
    assert tokens.shape == (1, 1 + 12 * 12, architectures.VIT_WIDTH)


def test_the_cnns_last_stage_keeps_a_map_of_twelve_by_twelve() -> None:
    trunk = load_network("demo-cnn").visual.trunk
    assert trunk.forward_features(torch.zeros(1, 3, 96, 96)).shape[2:] == (12, 12)


def test_registering_twice_neither_warns_nor_changes_anything() -> None:
    import timm

    architectures.register()
    before = timm.model_entrypoint(architectures.VIT_NAME)
    architectures.register()
    assert timm.model_entrypoint(architectures.VIT_NAME) is before


@pytest.mark.parametrize("name", MODELS)
def test_weights_that_do_not_exist_elsewhere_are_refused(name: str) -> None:
    build = {
        "demo-vit": architectures.saliency_audit_demo_vit,
        "demo-cnn": architectures.saliency_audit_demo_cnn,
    }[name]
    with pytest.raises(ValueError, match="local-dir:"):
        build(pretrained=True)


@pytest.mark.parametrize("name", MODELS)
def test_prompt_words_are_whole_and_unknown_words_are_spelled(name: str) -> None:
    tokenizer = open_clip.get_tokenizer(f"local-dir:{WEIGHTS / name}")
    words = tokenizer.tokenizer
    for finding in HEAD_FINDINGS:
        prompt = PROMPT_TEMPLATE.format(finding=finding.lower())
        assert words.tokenize(prompt) == prompt.split()
    assert words.tokenize("Zebra42") == ["z", "##e", "##b", "##r", "##a", "##4", "##2"]
    ids = tokenizer(["bronchiectasis, éléphant?"])
    assert ids.shape == (1, 32)
    assert words.unk_token_id not in ids[0].tolist()
    assert ids[0, 0] == words.cls_token_id
    assert int((ids[0] == words.sep_token_id).sum()) == 1


def test_a_text_longer_than_the_context_is_cut_and_keeps_its_end_token() -> None:
    tokenizer = open_clip.get_tokenizer(f"local-dir:{WEIGHTS / 'demo-vit'}")
    ids = tokenizer(["pleural effusion " * 60])
    assert ids.shape == (1, 32)
    assert ids[0, -1] == tokenizer.tokenizer.sep_token_id


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("mode", ["lp", "ft"])
def test_heads_know_what_they_were_trained_on(name: str, mode: str) -> None:
    folder = WEIGHTS / name
    head = load_head(folder / f"{mode}.safetensors")
    assert head.metadata.findings == (*DEMO_FINDINGS, "No Finding")
    assert head.weight.shape == (9, 128)
    expected = file_sha256(folder / "open_clip_model.safetensors")
    assert head.metadata.base_weights_sha256 == expected
    assert head.metadata.training["first_seed"] > DEMO_FIRST_SEED + DEMO_COUNT


@pytest.mark.parametrize("name", MODELS)
def test_zero_shot_is_clearly_worse_than_probe_and_fine_tune(
    name: str, pictures: np.ndarray, targets: np.ndarray
) -> None:
    auroc = {
        mode: np.mean(list(auroc_by_finding(scorer, pictures, targets).values()))
        for mode, scorer in load_scorers(WEIGHTS / name).items()
    }
    assert auroc["zs"] > 0.5
    assert auroc["zs"] + 0.03 < auroc["lp"]
    assert auroc["zs"] + 0.05 < auroc["ft"]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("mode", ["zs", "lp", "ft"])
def test_the_written_figures_are_what_the_models_give(
    name: str, mode: str, pictures: np.ndarray, targets: np.ndarray
) -> None:
    written = json.loads((WEIGHTS / FIGURES_NAME).read_text(encoding="utf-8"))["models"][name]
    scorer = load_scorers(WEIGHTS / name)[mode]
    auroc = np.mean(list(auroc_by_finding(scorer, pictures, targets).values()))
    # Half the size gives other noise, so not the same digits.
    assert written[mode]["auroc"] == pytest.approx(auroc, abs=0.04)


@pytest.mark.parametrize(("name", "reshape"), [("demo-cnn", None), ("demo-vit", 12)])
def test_maps_are_those_of_pytorch_grad_cam(
    name: str, reshape: int | None, pictures: np.ndarray
) -> None:
    scorer = load_scorers(WEIGHTS / name)["ft"]
    network = Tuned(WEIGHTS / name)
    trunk = network.visual.trunk
    layer = trunk.layer4 if reshape is None else trunk.blocks[-1].norm1

    def to_grid(tokens: Tensor) -> Tensor:
        return tokens[:, 1:].reshape(len(tokens), 12, 12, -1).permute(0, 3, 1, 2)

    x = model_input(pictures[0])
    options = {} if reshape is None else {"reshape_transform": to_grid}
    with GradCAM(model=network, target_layers=[layer], **options) as cam:
        for index in range(len(HEAD_FINDINGS)):
            expected = cam(input_tensor=x, targets=[ClassifierOutputTarget(index)])[0]
            ours = grad_cam(scorer, x, index)[0]
            if ours.max() == 0:
                assert expected.max() < 1e-3
                continue
            scaled = (ours - ours.min()) / (ours.max() - ours.min())
            assert np.abs(scaled - expected).mean() < 0.02
            assert np.unravel_index(ours.argmax(), GRID) == pytest.approx(
                np.unravel_index(expected.argmax(), GRID), abs=1
            )


def test_the_fine_tuned_cnn_looks_at_the_findings_and_with_random_weights_it_does_not(
    patients: list[Phantom], pictures: np.ndarray
) -> None:
    folder = WEIGHTS / "demo-cnn"
    hit, chance = library_hits(Tuned(folder), patients, pictures).mean(axis=0)
    assert hit >= 3 * chance
    random_hits = [
        library_hits(Tuned(folder, weights_seed=seed), patients, pictures)[:, 0].mean()
        for seed in range(3)
    ]
    # About chance: far from the trained model and within what three random networks scatter.
    assert np.mean(random_hits) < 1.8 * chance
    assert np.mean(random_hits) < 0.4 * hit


def test_the_written_hits_of_the_vit_are_reported_as_they_are() -> None:
    written = json.loads((WEIGHTS / FIGURES_NAME).read_text(encoding="utf-8"))["models"]["demo-vit"]
    for mode in ("zs", "lp", "ft"):
        assert 0 <= written[mode]["hit"] <= 1
        assert written[mode]["n_rows"] > 60
        total = sum(row["hit"] * row["n_rows"] for row in written[mode]["by_finding"].values())
        assert written[mode]["hit"] == pytest.approx(total / written[mode]["n_rows"], abs=1e-3)


def test_the_reference_mask_holds_the_pixel_centres_of_the_box_on_the_models_grid() -> None:
    phantom = render_phantom(5, size=(900, 768), style=DEMO_STYLE, findings=["Lung Lesion"])
    mask = reference_mask(phantom, "Lung Lesion")
    ((x_min, y_min, x_max, y_max),) = phantom.boxes["Lung Lesion"]
    # 900 x 768 becomes 112 x 96, of which the middle 96 rows are seen.
    centres_x = (np.arange(96) + 0.5) * 768 / 96
    centres_y = (np.arange(96) + 8 + 0.5) * 900 / 112
    expected = ((centres_y >= y_min) & (centres_y < y_max))[:, None] & (
        (centres_x >= x_min) & (centres_x < x_max)
    )
    np.testing.assert_array_equal(mask, expected)
