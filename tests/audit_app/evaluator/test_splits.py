"""Who is in which part, and that nobody is in two."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sklearn.model_selection import train_test_split

from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.errors import AuditError
from audit_app.evaluator.choices import EvaluationChoices
from audit_app.evaluator.labels import load_labels
from audit_app.evaluator.splits import make_split, split_by_patient
from tests.audit_app.evaluator.labelled_set import MODEL, SOURCE, add_picture


@pytest.fixture
def split(workspace: Workspace, store: Store):
    def make(**choices: object):
        chosen = EvaluationChoices(MODEL, **choices)  # type: ignore[arg-type]
        return make_split(store, load_labels(workspace, store, chosen), chosen)

    return make


def test_patients_are_split_as_scikit_learn_splits_them_twice() -> None:
    patients = [f"p{number:03d}" for number in range(200)]
    train, rest = train_test_split(patients, test_size=0.3, random_state=7, shuffle=True)
    validation, test = train_test_split(rest, test_size=0.5, random_state=7, shuffle=True)
    parts = split_by_patient([one for one in patients for _ in range(2)], seed=7)
    assert {one for one, part in parts.items() if part == "train"} == set(train)
    assert {one for one, part in parts.items() if part == "validation"} == set(validation)
    assert {one for one, part in parts.items() if part == "test"} == set(test)


def test_too_few_patients_cannot_be_split() -> None:
    with pytest.raises(AuditError, match=r"9 patients cannot be split.*at least 10"):
        split_by_patient([f"p{number}" for number in range(9)], seed=1)


def test_without_any_split_the_study_s_rule_is_used_over_patients(split, store: Store) -> None:
    made = split()
    assert "seed 42" in made.rule
    by_patient: dict[str, set[str]] = {}
    for image in store.images.all():
        by_patient.setdefault(image.patient_hash, set()).add(made.parts[image.image_id])
    assert all(len(parts) == 1 for parts in by_patient.values())
    assert Counter(made.parts.values()) == {"train": 16, "validation": 4, "test": 4}
    assert made.parts == split(split="study").parts == split(split="42").parts
    assert made.parts != split(split="1").parts


def test_the_split_that_came_with_the_labels_is_kept(split, store: Store) -> None:
    images = store.images.all()
    for number, image in enumerate(images[:12]):
        store.labels.set_split(image.image_id, SOURCE, ("train", "validation", "test")[number // 4])
    for image in images[8:10]:
        store.labels.set_split(image.image_id, "radiologist15", "test")
    made = split()
    assert made.rule == "imported with 'by hand'"
    assert list(made.parts.values()) == ["train"] * 4 + ["validation"] * 4 + ["test"] * 4
    assert made.radiologist == {images[8].image_id, images[9].image_id}


def test_a_patient_in_two_parts_is_refused_loudly(split, store: Store) -> None:
    for number, image in enumerate(store.images.all()[:12]):
        part = ("train", "validation", "test")[number % 3]
        store.labels.set_split(image.image_id, SOURCE, part)  # type: ignore[arg-type]
    with pytest.raises(
        AuditError, match="6 of 6 patients have pictures in more than one part"
    ) as told:
        split()
    assert f"{store.images.all()[0].image_id} in train" in str(told.value)


def test_images_without_a_patient_are_patients_of_their_own(
    workspace: Workspace, store: Store, films: Path, split
) -> None:
    for number in range(24, 34):
        add_picture(workspace, store, films, number, "")
    assert len(split(split="5").parts) == 34


def test_a_table_of_parts_decides(split, tmp_path: Path) -> None:
    table = tmp_path / "split.csv"
    rows = [(k, ("train", "val", "test")[min(k // 8, 2)]) for k in range(24)]
    table.write_text("path,split\n" + "".join(f"film-{k:03d}.png,{part}\n" for k, part in rows))
    made = split(split=str(table))
    assert list(made.parts.values()) == ["train"] * 8 + ["validation"] * 8 + ["test"] * 8
    table.write_text("path,split\nfilm-000.png,train\nfilm-000.png,test\n")
    with pytest.raises(AuditError, match=r"puts picture \w{32} into train and into test"):
        split(split=str(table))
    table.write_text("path,split\nnone.png,train\n")
    with pytest.raises(AuditError, match=r"no row of split\.csv names a labelled picture"):
        split(split=str(table))


def test_a_part_without_pictures_is_refused(split, tmp_path: Path) -> None:
    table = tmp_path / "split.csv"
    table.write_text("path,split\nfilm-000.png,train\nfilm-004.png,val\n")
    with pytest.raises(AuditError, match="leaves no picture for test"):
        split(split=str(table))


def test_an_unknown_word_for_a_split_says_what_is_expected(split) -> None:
    with pytest.raises(AuditError, match=r"split is 'random'; expected 'study', a CSV.*seed"):
        split(split="random")
