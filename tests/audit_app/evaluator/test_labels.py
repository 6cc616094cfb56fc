"""Where labels come from, and which pictures they mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.errors import AuditError
from audit_app.evaluator.choices import EvaluationChoices
from audit_app.evaluator.labels import ImageFinder, load_labels
from tests.audit_app.evaluator.labelled_set import FINDINGS, MODEL, SOURCE, labels_of


def test_the_only_source_of_the_workspace_is_taken(workspace: Workspace, store: Store) -> None:
    labels = load_labels(workspace, store, EvaluationChoices(MODEL))
    assert (labels.name, labels.findings, len(labels.images)) == (SOURCE, FINDINGS, 24)
    for number, one in enumerate(labels.images):
        assert one.positive == {name for name, value in labels_of(number).items() if value}
    assert len({one.patient for one in labels.images}) == 12


def test_images_without_labels_are_counted(workspace: Workspace, store: Store) -> None:
    first = store.images.all()[0]
    store.labels.set(first.image_id, SOURCE, {})
    labels = load_labels(workspace, store, EvaluationChoices(MODEL))
    assert len(labels.images) == 23
    assert "1 images of the workspace have no labels of 'by hand'" in labels.remarks[0]


def test_mesh_stands_for_the_labels_of_the_iu_xray_import(workspace, store: Store) -> None:
    with pytest.raises(AuditError, match="no labels named 'iu-xray-mesh'; there are: by hand"):
        load_labels(workspace, store, EvaluationChoices(MODEL, labels="mesh"))


def test_a_table_names_pictures_by_path_or_name_and_patients_by_hash(
    workspace: Workspace, store: Store, films: Path
) -> None:
    table = films.parent / "labels.csv"
    table.write_text(
        "path,patient,split,Cardiomegaly\n"
        f"{films / 'film-000.png'},Ann,train,1\n"
        "films/film-001.png,Bob,val,0\n"
        "film-002.png,,test,1\n"
        "elsewhere/film-003,Bob,test,0\n"
        "gone.png,Eve,test,0\n"
        "film-002.png,,test,0\n"
    )
    labels = load_labels(workspace, store, EvaluationChoices(MODEL, labels=str(table)))
    assert [one.image.name for one in labels.images] == [f"film-00{k}" for k in range(4)]
    assert [one.part for one in labels.images] == ["train", "validation", "test", "test"]
    assert labels.missing == ("labels.csv, row 6",)
    assert labels.left_out == (
        "labels.csv, row 7: its picture is labelled by an earlier row already",
    )
    patients = [one.patient for one in labels.images]
    assert patients[1] == patients[3] == workspace.patient_hash("patient", "Bob")
    assert patients[2] == workspace.patient_hash("patient", "patient 1")
    assert not {"Ann", "Bob", "Eve"} & set(patients)
    assert labels.name == "file labels.csv"


def test_a_table_without_any_picture_of_the_workspace_says_what_to_do(
    workspace: Workspace, store: Store, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("path,Cardiomegaly\nother.png,1\n")
    expected = r"none of the 1 rows.*labels\.csv, row 2.*import the pictures"
    with pytest.raises(AuditError, match=expected):
        load_labels(workspace, store, EvaluationChoices(MODEL, labels=str(table)))


def test_two_pictures_of_one_name_are_found_by_path_only(
    workspace: Workspace, store: Store, films: Path
) -> None:
    from tests.audit_app.evaluator.labelled_set import add_picture

    other = films.parent / "other"
    other.mkdir()
    twin = add_picture(workspace, store, other, 0, "patient 0")
    finder = ImageFinder(store, films.parent)
    assert finder.find("film-000.png") is None
    assert finder.find("other/film-000.png") == twin
