from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import model_store
from model_store.entries import PRESETS, ModelEntry
from model_store.errors import InvalidEntry, MissingFile
from model_store.prompts import PromptSet

ENTRY = ModelEntry(
    name="mine",
    location="local-dir:/somewhere/mine",
    preprocessing="pad",
    prompts=PromptSet(
        template="film of {finding}.", lower=True, texts={"Edema": ("wet lung", "lung oedema")}
    ),
    weights_sha256="00",
    versions={"torch": "2"},
)


def test_an_entry_survives_json() -> None:
    assert ModelEntry.from_dict(json.loads(json.dumps(ENTRY.to_dict()))) == ENTRY


def test_a_prompt_comes_from_the_override_or_else_from_the_template() -> None:
    assert ENTRY.prompts_for("Edema") == ("wet lung", "lung oedema")
    assert ENTRY.prompts_for("Pleural Effusion") == ("film of pleural effusion.",)
    assert replace(ENTRY, prompts=replace(ENTRY.prompts, lower=False)).prompts_for("Edema {x}") == (
        "film of Edema {x}.",
    )


def test_biomedclip_carries_its_published_hash() -> None:
    entry = PRESETS["biomedclip"]
    assert entry.weights_sha256 == (
        "52cc993c5c5ff962bd0c60931874bc001e7e9b41666a385530f4a036294576be"
    )
    assert entry.preprocessing == "crop"


def test_a_model_that_was_not_downloaded_says_how_to_get_it() -> None:
    with pytest.raises(MissingFile, match=r"was not downloaded; add it again .* or with --path"):
        PRESETS["biomedclip"].folder.exists()


def test_the_demo_models_lie_inside_the_package() -> None:
    package = Path(model_store.__file__).parent
    assert PRESETS["demo-vit"].folder.is_relative_to(package)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": 1}, "unknown keys colour; known: name, location"),
        ({"location": ""}, "lacks location"),
        ({"location": "https://x"}, "has the location 'https://x'; expected 'local-dir:"),
        ({"name": "../up"}, r"model name '\.\./up' cannot name a folder"),
        ({"preprocessing": "stretch"}, "preprocessing 'stretch'; expected crop or pad or squash"),
        ({"precision": "fp16"}, "precision 'fp16'; expected auto or fp32 or bf16"),
        ({"kind": "torch"}, "kind 'torch'; expected open_clip or classifier"),
        ({"prompt_template": "film"}, "prompt template 'film' given; it must hold {finding}"),
        ({"prompts": {"Edema": "wet"}}, "prompts 'wet' given for Edema; expected a list"),
        ({"prompts": {"Edema": []}}, r"prompts \[\] given for Edema; expected at least one text"),
    ],
)
def test_an_entry_that_cannot_be_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidEntry, match=words):
        ModelEntry.from_dict({**ENTRY.to_dict(), **change})


@pytest.mark.parametrize(
    "module",
    [
        "entries",
        "prompts",
        "classifier_spec",
        "errors",
        "checkpoints",
        "preprocessing",
        "files",
        "catalogue",
        "training",
        "saliency",
        "versions",
        "runtime",
    ],
)
def test_what_the_page_process_imports_loads_no_heavy_library(module: str) -> None:
    heavy = ["torch", "open_clip", "transformers", "timm", "pytorch_grad_cam", "torchvision"]
    code = (
        f"import sys, model_store.{module}\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(model_store.__file__).parent.parent,
    )
    assert done.stdout.strip() == "[]"


def test_metadata_of_a_head_is_read_without_torch(tmp_path: Path) -> None:
    import torch

    from model_store.checkpoints import HeadMetadata, save_head

    tensors = {"head.weight": torch.zeros(1, 2), "head.bias": torch.zeros(1)}
    path = save_head(
        tmp_path / "lp.safetensors", "lp", tensors, HeadMetadata("lp", ("Edema",), "00")
    )
    code = (
        "import sys, pathlib\n"
        "from model_store.checkpoints import read_metadata\n"
        f"print(read_metadata(pathlib.Path({str(path)!r})).findings, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(model_store.__file__).parent.parent,
    )
    assert done.stdout.strip() == "('Edema',) False"
