"""Classifiers of timm and torchvision from local checkpoints; no test asks the network."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from model_store.classifier_spec import read_labels
from model_store.entries import ModelEntry
from model_store.errors import InvalidEntry, InvalidHead, MissingFile, UnknownMethod, WrongWeights
from model_store.linear_probe import train_linear_probe
from model_store.loading import LoadedModel, load_model
from model_store.local_checkpoints import ClassifierFiles, make_classifier_entry
from model_store.modes import build_mode
from model_store.runtime import ModelRuntime
from model_store.saliency import SALIENCY_METHODS
from model_store.training import PRESETS, TrainingSet
from model_store.zero_shot import embed_texts

MakePicture = Callable[..., NDArray[np.uint8]]
LABELS = ("Cardiomegaly", "Pleural Effusion", "Scoliosis")
SIZE = {"input_size": (96, 96)}


@dataclass(frozen=True)
class Kind:
    """An architecture, and where Grad-CAM is read in the library's own network."""

    name: str
    layer: str
    path: str

    def build(self) -> nn.Module:
        library, _, architecture = self.name.partition(":")
        torch.manual_seed(5)
        if library == "timm":
            return timm.create_model(architecture, num_classes=len(LABELS)).eval()
        return torchvision.models.get_model(architecture, num_classes=len(LABELS)).eval()


KINDS = (
    Kind("timm:test_resnet", "layer4", "visual.trunk.layer4"),
    Kind("timm:test_convnext", "stages.3", "visual.trunk.stages.3"),
    Kind("torchvision:resnet18", "layer4", "visual.layer4"),
    Kind("torchvision:densenet121", "features.norm5", "visual.features[-1]"),
    Kind("torchvision:convnext_tiny", "features.7", "visual.features[-1]"),
)


@dataclass(frozen=True, eq=False)
class Made:
    """A classifier as the library builds it, and as it is loaded from its checkpoint."""

    kind: Kind
    own: nn.Module
    model: LoadedModel


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    kind: Kind = request.param
    own = kind.build()
    path = tmp_path_factory.mktemp("classifier") / "weights.safetensors"
    save_file(own.state_dict(), path)
    entry = make_classifier_entry("mine", ClassifierFiles(path, kind.name, LABELS), SIZE)
    return Made(kind, own, load_model(entry))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small residual network's weights, as training programs save them."""
    path = tmp_path_factory.mktemp("small") / "best.pth"
    state = {f"module.{name}": value for name, value in KINDS[0].build().state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, path)
    return path


def small(path: Path, **change: object) -> ModelEntry:
    files = {"path": path, "architecture": "timm:test_resnet", "labels": LABELS, **change}
    return make_classifier_entry("small", ClassifierFiles(**files), SIZE)  # type: ignore[arg-type]


def test_its_own_outputs_are_those_of_the_librarys_network(
    made: Made, make_picture: MakePicture
) -> None:
    x, _ = made.model.prepare(make_picture(1))
    mode = build_mode(made.model, "cls")
    with torch.no_grad():
        expected = made.own(x[None])[0]
    torch.testing.assert_close(mode.network(x[None])[0], expected, rtol=1e-4, atol=1e-5)
    assert (mode.findings, mode.score) == (LABELS, "logit")
    assert mode.weights_sha256 == mode.base_weights_sha256 == made.model.weights_sha256


def gradcam_written_out(
    own: nn.Module, layer: str, x: torch.Tensor, output: int
) -> NDArray[np.float32]:
    """Mean gradient times activations, positive part, bilinear on the input's grid."""
    seen: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: object, value: torch.Tensor) -> torch.Tensor:
        seen.append(value.clone())
        return seen[0].clone()  # what follows may work in place

    handle = own.get_submodule(layer).register_forward_hook(keep)
    logit = own(x[None])[0, output]
    handle.remove()
    (gradient,) = torch.autograd.grad(logit, seen[0])
    weighted = (gradient.mean((2, 3), keepdim=True) * seen[0]).sum(1, keepdim=True).clamp(min=0)
    fine = nn.functional.interpolate(weighted, x.shape[-2:], mode="bilinear", align_corners=False)
    return fine[0, 0].detach().numpy()


def test_its_maps_are_grad_cam_of_the_librarys_network_written_out(
    made: Made, make_picture: MakePicture
) -> None:
    x, _ = made.model.prepare(make_picture(1))
    mode = build_mode(made.model, "cls", LABELS[::-1])
    assert mode.target.path == made.kind.path
    maps = SALIENCY_METHODS["gradcam"].maps(mode, x[None]).maps[0]
    for ours, output in zip(maps, reversed(range(len(LABELS))), strict=True):
        expected = gradcam_written_out(made.own, made.kind.layer, x, output)
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4 * expected.max())


def test_a_probe_reads_what_comes_before_the_last_layer(
    checkpoint: Path, make_picture: MakePicture, tmp_path: Path
) -> None:
    model = load_model(small(checkpoint))
    labels = np.array([[1, 0], [0, 1]] * 3, dtype=np.float32)
    pictures = [make_picture(number) for number in range(6)]
    data = TrainingSet(pictures.__getitem__, labels, ("A", "B"), range(4), [4, 5])
    path = train_linear_probe(
        model, data, tmp_path / "lp.safetensors", settings=PRESETS["lp"]["converged"]
    )
    mode = build_mode(model, "lp", None, path)
    x, _ = model.prepare(pictures[0])
    own = KINDS[0].build()
    with torch.no_grad():
        expected = own.forward_head(own.forward_features(x[None]), pre_logits=True)
    torch.testing.assert_close(mode.network.embed(x[None]), expected, rtol=1e-4, atol=1e-5)
    assert mode.network(x[None]).shape == (1, 2)


def test_a_training_programs_wrapping_is_taken_off(checkpoint: Path) -> None:
    entry = small(checkpoint)
    assert entry.classifier is not None
    assert (entry.classifier.weights, entry.classifier.input_size) == ("best.pth", (96, 96))
    assert (entry.modes, entry.outputs) == (("cls", "lp", "ft"), LABELS)
    assert entry.config_sha256 == entry.classifier.sha256
    assert ModelEntry.from_dict(json.loads(json.dumps(entry.to_dict()))) == entry


def test_timms_own_configuration_says_architecture_and_labels(
    checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "model.pth").write_bytes(checkpoint.read_bytes())
    own = {"input_size": [3, 64, 64], "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}
    config = {"architecture": "test_resnet", "label_names": list(LABELS), "pretrained_cfg": own}
    (tmp_path / "config.json").write_text(json.dumps(config))

    entry = make_classifier_entry("mine", ClassifierFiles(tmp_path))

    assert entry.classifier is not None
    assert (entry.classifier.input_size, entry.classifier.mean) == ((64, 64), (0.5, 0.5, 0.5))
    assert entry.outputs == LABELS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": LABELS[:2]}, "with 2 outputs.*one line per output"),
        ({"labels": ()}, "nothing says what the outputs .* mean"),
        ({"labels": ("A", "B", "A")}, "name A twice"),
        ({"architecture": ""}, "nothing says which network"),
        ({"architecture": "timm:test_convnext"}, "is no checkpoint of timm:test_convnext"),
        ({"architecture": "timm:no_such_net"}, "timm cannot build a classifier 'no_such_net'"),
        ({"architecture": "keras:resnet"}, "classifier 'keras:resnet' given; expected timm:"),
        ({"architecture": "timm:hf-hub:a/b"}, "classifier 'timm:hf-hub:a/b' given"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    checkpoint: Path, change: dict[str, object], words: str
) -> None:
    with pytest.raises(InvalidEntry, match=words):
        small(checkpoint, **change)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save(KINDS[0].build(), tmp_path / "whole.pth")
    with pytest.raises(InvalidEntry, match="reading it would run code from it"):
        small(tmp_path / "whole.pth")


def test_a_missing_a_changed_and_an_unclear_checkpoint_are_named(
    checkpoint: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.pth"
    copy.write_bytes(checkpoint.read_bytes())
    entry = small(copy)
    torch.save(KINDS[0].build().state_dict(), tmp_path / "other.pth")
    with pytest.raises(InvalidEntry, match=r"several checkpoints \(copy.pth, other.pth\)"):
        small(tmp_path)
    copy.write_bytes((tmp_path / "other.pth").read_bytes())
    with pytest.raises(WrongWeights, match="was added with"):
        load_model(entry)
    copy.unlink()
    with pytest.raises(MissingFile, match=f"put copy.pth with SHA-256 {entry.weights_sha256} into"):
        load_model(entry)


def test_random_weights_are_a_control_of_the_same_shape(checkpoint: Path) -> None:
    control = load_model(small(checkpoint), random_weights_seed=3)
    assert control.weights_sha256 == "random:3"
    assert build_mode(control, "cls").findings == LABELS


def test_a_classifier_reads_no_text_and_has_no_zero_shot_mode(checkpoint: Path) -> None:
    model = load_model(small(checkpoint))
    with pytest.raises(UnknownMethod, match=r"unknown mode 'zs'; known: cls \(own outputs\), lp"):
        build_mode(model, "zs", LABELS)
    with pytest.raises(UnknownMethod, match="is a classifier: it reads no text"):
        embed_texts(model, ["edema"])
    with pytest.raises(InvalidHead, match="has no output 'Edema'; its outputs are Cardiomegaly"):
        build_mode(model, "cls", ["Edema"])


def test_the_runtime_asks_a_classifier_for_the_findings_that_it_has(
    checkpoint: Path, make_picture: MakePicture, tmp_path: Path
) -> None:
    entry = small(checkpoint)
    runtime = ModelRuntime(lambda _name: entry, tmp_path)
    assert runtime.supported("small", "cls", ("Edema", "Cardiomegaly")) == ("Cardiomegaly",)
    told = runtime.explain("small", "cls", "gradcam", make_picture(4), ("Pleural Effusion",))
    assert told.maps.shape == (1, 96, 96)
    assert (told.provenance["score"], told.provenance["precision"]) == ("logit", "fp32")


def test_labels_are_read_one_a_line(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("Edema\n\n Größe \n", encoding="utf-8")
    assert read_labels(tmp_path / "labels.txt") == ("Edema", "Größe")
    with pytest.raises(MissingFile, match=r"the label list .* does not exist"):
        read_labels(tmp_path / "nothing.txt")


def test_outputs_may_be_renamed_but_not_lost(checkpoint: Path) -> None:
    entry = small(checkpoint)
    renamed = entry.with_outputs(("A", "B", "C"))
    assert renamed.outputs == ("A", "B", "C")
    assert renamed.config_sha256 != entry.config_sha256
    with pytest.raises(InvalidEntry, match="has 3 outputs; 2 names given"):
        entry.with_outputs(("A", "B"))
    with pytest.raises(InvalidEntry, match="is a classifier: it reads no prompts"):
        entry.with_prompts(replace(entry.prompts, lower=True), "now")
