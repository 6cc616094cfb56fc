"""IU-Xray's labels and split, against the table that was made by hand."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotations.findings import STUDY_FINDINGS
from annotations.importing import import_source
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.evaluator.choices import EvaluationChoices
from audit_app.evaluator.iu_xray import missing_pictures, study_pictures
from audit_app.evaluator.plan import plan_evaluation

PARTS = {"train": "train", "val": "validation", "test": "test"}


@pytest.fixture(scope="module")
def oracle(shared_data: Path) -> list[dict[str, str]]:
    path = shared_data / "iu_xray" / "reference_labels_and_split.csv"
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.real_data
def test_split_the_fifteen_and_labels_equal_the_oracle_in_all_rows(
    shared_data: Path, oracle: list[dict[str, str]]
) -> None:
    folder = shared_data / "iu_xray"
    pictures = study_pictures(folder / "indiana_projections.csv", folder / "indiana_reports.csv")
    assert len(pictures) == len(oracle) == 3689
    for picture, row in zip(pictures, oracle, strict=True):
        assert f"{picture.name}.dcm.png" == row["filename"]
        assert picture.part == PARTS[row["split"]]
        assert picture.is_radiologist == (row["radiologist15"] == "1")
        assert picture.labels == {name: row[name] == "1" for name in STUDY_FINDINGS}
    assert sum(picture.is_radiologist for picture in pictures) == 15


def few_pictures(source: Path, folder: Path, names: list[str]) -> Path:
    """The tables, and small pictures of these names only."""
    folder.mkdir()
    for table in ("indiana_projections.csv", "indiana_reports.csv"):
        (folder / table).write_bytes((source / table).read_bytes())
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 40), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.mark.real_data
def test_a_plan_over_few_pictures_keeps_the_study_s_split_and_lists_all_missing_ones(
    shared_data: Path, tmp_path: Path, oracle: list[dict[str, str]]
) -> None:
    chosen = [row for part in PARTS for row in oracle if row["split"] == part][::150]
    chosen += [row for row in oracle if row["radiologist15"] == "1"][:3]
    names = [row["filename"] for row in chosen]
    folder = few_pictures(shared_data / "iu_xray", tmp_path / "kaggle", names)
    workspace = create_workspace(tmp_path / "w", name="w", findings=STUDY_FINDINGS)
    with Store.open(workspace) as store:
        import_source(workspace, store, folder, "iu-xray")
        store.models.save("any", {"name": "any"})
        plan = plan_evaluation(workspace, store, EvaluationChoices("any", labels="mesh"))
    by_name = {row["filename"].removesuffix(".dcm.png"): row for row in oracle}
    assert len(plan.images) == len(set(names))
    assert plan.findings == STUDY_FINDINGS
    for image, part, values in zip(plan.images, plan.parts, plan.labels, strict=True):
        row = by_name[image.name]
        assert part == PARTS[row["split"]]
        assert values.tolist() == [int(row[name]) for name in STUDY_FINDINGS]
        assert (image.image_id in plan.radiologist) == (row["radiologist15"] == "1")
    assert len(plan.missing) == 3689 - len(set(names))
    assert set(plan.missing) == set(by_name) - {image.name for image in plan.images}
    said = " ".join(plan.remarks)
    assert f"{len(plan.missing):,} of the study's 3,689 pictures are missing" in said
    assert plan.label_source == "iu-xray-mesh"
    assert plan.split_rule == "imported with 'iu-xray-mesh'"


def test_without_the_table_it_is_said_that_the_missing_ones_are_not_known() -> None:
    names, sentence = missing_pictures([])
    assert names == ()
    assert "is not known, because indiana_projections.csv does not lie beside" in sentence
