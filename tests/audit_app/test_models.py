"""Models and prompts of a workspace, as command line and page change them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from annotations.errors import UnknownFinding
from annotations.store import Store
from annotations.workspace import Workspace, create_workspace
from audit_app.errors import AuditError
from audit_app.models import (
    add_checkpoint,
    add_model,
    change_entry,
    describe_models,
    load_entry,
    outputs_as_findings,
    ready_modes,
)
from audit_app.prompts import (
    PromptChange,
    change_prompts,
    describe_history,
    describe_prompts,
)
from model_store.errors import InvalidEntry
from model_store.local_checkpoints import ClassifierFiles

FINDINGS = ("Cardiomegaly", "Pleural Effusion", "Lung Lesion", "No Finding")


@dataclass(frozen=True)
class Place:
    workspace: Workspace
    store: Store


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    workspace = create_workspace(tmp_path / "w", name="w", findings=list(FINDINGS))
    with Store.open(workspace) as store:
        yield Place(workspace, store)


@pytest.fixture
def demo(place: Place) -> Place:
    add_model(place.workspace, place.store, "demo-cnn")
    return place


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=3)
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def test_other_data_sets_words_for_outputs_become_the_workspaces_findings() -> None:
    labels = ("Effusion", "cardiomegaly", "Scoliosis")
    assert outputs_as_findings(labels, FINDINGS) == (
        "Pleural Effusion",
        "Cardiomegaly",
        "Scoliosis",
    )


def test_two_outputs_never_become_the_same_finding() -> None:
    assert outputs_as_findings(("Mass", "Nodule"), FINDINGS) == ("Lung Lesion", "Nodule")
    assert outputs_as_findings(("Mass", "Lung Lesion"), FINDINGS) == ("Mass", "Lung Lesion")


def test_a_classifier_is_added_with_its_outputs_as_findings(place: Place, checkpoint: Path) -> None:
    files = ClassifierFiles(checkpoint, "timm:test_resnet", ("Effusion", "Mass", "Scoliosis"))
    add_checkpoint(place.workspace, place.store, "net", files)

    entry = load_entry(place.store, "net")
    assert entry.outputs == ("Pleural Effusion", "Lung Lesion", "Scoliosis")
    assert ready_modes(place.workspace, entry) == ["cls"]
    (line,) = describe_models(place.workspace, place.store)
    assert line.startswith("net: classifier test_resnet, weights ")
    assert line.endswith("ready: cls")
    assert describe_prompts(entry, FINDINGS) == ["net is a classifier: it reads no prompts."]


def test_a_presets_name_is_not_taken_for_a_checkpoint(place: Place, checkpoint: Path) -> None:
    files = ClassifierFiles(checkpoint, "timm:test_resnet", ("A", "B", "C"))
    with pytest.raises(InvalidEntry, match="'demo-cnn' is the name of a preset"):
        add_checkpoint(place.workspace, place.store, "demo-cnn", files)


def test_prompts_are_changed_line_by_line_and_every_version_is_kept(demo: Place) -> None:
    change = PromptChange(
        template="film with {finding}",
        synonyms=["cardiomegaly=big heart; large heart"],
        texts=["No Finding=clear lungs"],
        negative_texts=["Cardiomegaly=a small heart"],
    )
    change_prompts(demo.store, "demo-cnn", change)
    entry = change_prompts(demo.store, "demo-cnn", PromptChange(synonyms=["Cardiomegaly="]))

    assert describe_prompts(entry, ("Cardiomegaly", "No Finding"))[1:] == [
        "Template: film with {finding} (names in lower case)",
        "Cardiomegaly: film with cardiomegaly | against: a small heart",
        "No Finding: clear lungs",
    ]
    assert entry.prompt_version(2).synonyms == {"Cardiomegaly": ("big heart", "large heart")}
    assert [line.split(",")[0] for line in describe_history(entry)] == [
        "version 3",
        "version 2",
        "version 1",
    ]
    assert load_entry(demo.store, "demo-cnn") == entry


def test_presets_and_earlier_versions_come_back_as_new_versions(demo: Place) -> None:
    first = load_entry(demo.store, "demo-cnn").prompts
    studied = change_prompts(demo.store, "demo-cnn", PromptChange(preset="study"))
    assert studied.prompts.score_kind == "dot"
    assert studied.prompts_for("Pleural Effusion") == ("Pleural Effusion",)
    restored = change_prompts(demo.store, "demo-cnn", PromptChange(restore=1))
    assert restored.prompts.version == 3
    assert restored.prompts.has_content_of(first)
    again = change_prompts(demo.store, "demo-cnn", PromptChange(preset="default"))
    assert again == restored


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (PromptChange(preset="x"), AuditError, "unknown prompt preset 'x'; known: default, study"),
        (PromptChange(preset="study", restore=1), AuditError, "give one of them"),
        (PromptChange(synonyms=["Cardiomegaly"]), AuditError, "expected 'FINDING=text; text'"),
        (PromptChange(texts=["Cardiomegal=x"]), UnknownFinding, "did you mean 'Cardiomegaly'"),
        (PromptChange(template="film"), InvalidEntry, "it must hold {finding}"),
        (PromptChange(restore=9), InvalidEntry, "has no prompts of version 9; known: 1"),
    ],
)
def test_a_change_that_cannot_be_is_refused_and_nothing_is_saved(
    demo: Place, change: PromptChange, error: type[Exception], words: str
) -> None:
    before = load_entry(demo.store, "demo-cnn")
    with pytest.raises(error, match=words):
        change_prompts(demo.store, "demo-cnn", change)
    assert load_entry(demo.store, "demo-cnn") == before


def test_how_a_model_is_asked_can_be_changed(demo: Place) -> None:
    change_entry(demo.store, "demo-cnn", precision="bf16", layer="visual.trunk.layer3")
    entry = load_entry(demo.store, "demo-cnn")
    assert (entry.precision, entry.layer) == ("bf16", "visual.trunk.layer3")
    with pytest.raises(InvalidEntry, match="has the precision 'fp8'; expected auto or fp32"):
        change_entry(demo.store, "demo-cnn", precision="fp8")
