"""A plain image classifier is evaluated by its own outputs, a probe and a fine-tune."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.errors import AuditError
from audit_app.evaluator.choices import EvaluationChoices
from audit_app.evaluator.run import modes_of, run_evaluation
from audit_app.models import add_checkpoint, load_entry, make_runtime
from model_store.local_checkpoints import ClassifierFiles
from tests.audit_app.evaluator.labelled_set import FINDINGS, SOURCE, make_labelled_set

QUICK = {"replicates": 20, "permutations": 10, "null_draws": 5, "presets": ("study",)}


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("classifier")
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=len(FINDINGS))
    checkpoint = root / "network.safetensors"
    save_file(network.state_dict(), checkpoint)
    workspace = make_labelled_set(root, 24, model=False)
    with Store.open(workspace) as store:
        add_checkpoint(
            workspace, store, "plain", ClassifierFiles(checkpoint, "timm:test_resnet", FINDINGS)
        )
        add_checkpoint(
            workspace,
            store,
            "other",
            ClassifierFiles(checkpoint, "timm:test_resnet", ("Edema", *FINDINGS[1:])),
        )
    return workspace


def test_own_outputs_stand_where_zero_shot_stands(ward: Workspace, tmp_path: Path) -> None:
    choices = EvaluationChoices("plain", modes=("zs", "lp"), **QUICK)  # type: ignore[arg-type]
    with Store.open(ward) as store:
        result = run_evaluation(ward, store, make_runtime(ward, store), choices, out=tmp_path)
    assert result.modes == ("cls", "lp")
    own, probe = result.rows
    assert (own["score"], probe["score"]) == ("logit", "logit")
    assert own["ece"] is not None
    assert own["inter"] == probe["inter"]
    assert result.table["distance_check"] is None
    assert [row["mode"] for row in result.table["published"]] == ["lp"]
    table = result.predictions("study", "cls")
    assert np.isfinite(table.scores).all()
    assert "own outputs" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_finding_without_an_output_is_refused_before_anything_is_done(
    ward: Workspace, tmp_path: Path
) -> None:
    choices = EvaluationChoices("other", labels=SOURCE, modes=("cls",), **QUICK)  # type: ignore[arg-type]
    with (
        Store.open(ward) as store,
        pytest.raises(
            AuditError, match=r"'other' has no own output for Cardiomegaly; .* --modes lp,ft"
        ),
    ):
        run_evaluation(ward, store, make_runtime(ward, store), choices, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_each_kind_of_model_has_its_own_first_mode(ward: Workspace) -> None:
    with Store.open(ward) as store:
        entry = load_entry(store, "plain")
    assert modes_of(entry, ("zs", "lp", "ft")) == ("cls", "lp", "ft")
    assert modes_of(entry, ("cls", "zs")) == ("cls",)
