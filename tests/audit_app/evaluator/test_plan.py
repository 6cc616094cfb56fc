"""What takes part, and when a finished stage may be used again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.errors import AuditError
from audit_app.evaluator.choices import EvaluationChoices
from audit_app.evaluator.plan import findings_without_positives, plan_evaluation
from tests.audit_app.evaluator.labelled_set import FINDINGS, MODEL, SOURCE, labels_of

ENTRY = {"name": MODEL, "weights_sha256": "0", "prompt_template": "{finding}", "layer": "auto"}


@pytest.fixture
def plan(workspace: Workspace, store: Store):
    def make(**choices: object):
        chosen = EvaluationChoices(MODEL, **choices)  # type: ignore[arg-type]
        return plan_evaluation(workspace, store, chosen)

    return make


def test_rows_of_a_plan_belong_together(plan) -> None:
    made = plan()
    assert made.labels.tolist() == [
        [int(labels_of(number)[name]) for name in FINDINGS] for number in range(24)
    ]
    assert [one.name for one in made.images] == [f"film-{number:03d}" for number in range(24)]
    assert np.array(made.parts)[made.rows("test", "validation")].tolist() == [
        part for part in made.parts if part != "train"
    ]
    counts = {str(row["finding"]): row for row in made.distribution()}
    assert counts["Cardiomegaly"]["all"] == 8
    assert (
        sum(int(str(counts["Cardiomegaly"][part])) for part in ("train", "validation", "test")) == 8
    )
    assert "Fracture" in findings_without_positives(made)["train"]


def test_a_picture_whose_file_is_gone_is_counted_and_left_out(plan, films: Path) -> None:
    gone = next(one.image_id for one in plan().images if one.name == "film-003")
    (films / "film-003.png").unlink()
    made = plan()
    assert len(made.images) == 23
    assert made.missing == (gone,)
    assert "the files of 1 imported pictures are missing" in made.remarks


def test_without_any_file_of_a_part_it_is_refused(plan) -> None:
    made = plan()
    for row in made.rows("test"):
        Path(made.images[row].path).unlink()
    with pytest.raises(AuditError, match="no picture file of test is there"):
        plan()


def test_a_plan_without_unreadable_pictures_lists_them(plan) -> None:
    made = plan()
    less = made.without({made.images[5].image_id: "broken"})
    assert [one.name for one in less.images] == [
        f"film-{number:03d}" for number in range(24) if number != 5
    ]
    assert less.labels.tolist() == np.delete(made.labels, 5, axis=0).tolist()
    assert less.left_out == (f"{made.images[5].image_id}: broken",)
    assert "1 pictures cannot be read and are left out" in less.remarks


def test_labels_without_any_positive_in_training_are_refused(plan, store: Store) -> None:
    made = plan()
    for row in made.rows("train"):
        store.labels.set(made.images[row].image_id, SOURCE, dict.fromkeys(FINDINGS, False))
    with pytest.raises(AuditError, match="none of the 16 training pictures has any finding"):
        plan()


def test_the_fingerprint_follows_everything_that_training_depends_on(plan, store: Store) -> None:
    made = plan()
    same = made.fingerprint(ENTRY, "fp32")
    assert plan(presets=("study",), modes=("zs",), owner="eva").fingerprint(ENTRY, "fp32") == same
    assert (
        made.fingerprint({**ENTRY, "prompt_template": "a {finding}", "layer": "x"}, "fp32") == same
    )
    assert made.fingerprint({**ENTRY, "weights_sha256": "1"}, "fp32") != same
    assert made.fingerprint(ENTRY, "bf16") != same
    assert plan(seed=1).fingerprint(ENTRY, "fp32") != same
    assert plan(epochs=3).fingerprint(ENTRY, "fp32") != same
    assert plan(split="9").fingerprint(ENTRY, "fp32") != same
    assert replace(made, findings=made.findings[::-1]).fingerprint(ENTRY, "fp32") != same
    store.labels.set(made.images[0].image_id, SOURCE, dict.fromkeys(FINDINGS, False))
    assert plan().fingerprint(ENTRY, "fp32") != same


def test_an_unknown_choice_says_what_is_known() -> None:
    with pytest.raises(AuditError, match=r"modes are \['xx'\]; choose one or more"):
        EvaluationChoices("m", modes=("xx",))
    with pytest.raises(AuditError, match=r"presets are \['best'\]"):
        EvaluationChoices("m", presets=("best",))
    with pytest.raises(AuditError, match="expected not positive or positive or leave out"):
        EvaluationChoices("m", uncertain="maybe")
    with pytest.raises(AuditError, match="epochs is 0"):
        EvaluationChoices("m", epochs=0)
    with pytest.raises(AuditError, match="choices of an evaluation hold"):
        EvaluationChoices.from_dict({"model": "m", "speed": 3})


def test_choices_survive_json_and_spell_the_command_without_paths() -> None:
    choices = EvaluationChoices("m", labels="/home/eva/labels.csv", split="7", epochs=2)
    assert EvaluationChoices.from_dict(choices.to_dict()) == choices
    command = choices.command()
    assert "--labels FILE" in command
    assert "--split 7" in command
    assert "home" not in command
