from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from annotations.findings import STUDY_FINDINGS
from annotations.sources.iu_xray_labels import labels_of_mesh, split_of_study


@pytest.mark.parametrize(
    ("mesh", "positive"),
    [
        ("normal", {"No Finding"}),
        ("Cardiomegaly/borderline;Pulmonary Artery/enlarged",
         {"Cardiomegaly", "Enlarged Cardiomediastinum"}),
        ("Pulmonary Atelectasis/base/left", {"Atelectasis", "Lung Opacity"}),
        ("Pneumonia/upper lobe", {"Pneumonia", "Consolidation", "Lung Opacity"}),
        ("Nodule/lung/base", {"Lung Lesion", "Lung Opacity"}),
        ("Pulmonary Edema", {"Edema", "Lung Opacity"}),
        ("Hydropneumothorax/right", {"Pneumothorax"}),
        ("Pericardial Effusion", {"Pleural Effusion"}),
        ("Fractures, Bone/ribs;Catheters, Indwelling", {"Fracture", "Support Devices"}),
        ("Thickening/pleura/apex", {"Pleural Other"}),
        ("Thickening/bronchi", {"No Finding"}),
        ("Cardiac Shadow/enlarged", {"Enlarged Cardiomediastinum"}),
        ("Density/lung/base", {"Lung Opacity"}),
        ("Opacity/pulmonary alveoli", {"Lung Opacity"}),
        ("", {"No Finding"}),
    ],
)  # fmt: skip
def test_the_mesh_rule_gives_these_labels(mesh: str, positive: set[str]) -> None:
    labels = labels_of_mesh(mesh)

    assert tuple(labels) == STUDY_FINDINGS
    assert {finding for finding, value in labels.items() if value} == positive


def test_the_split_is_two_calls_of_scikit_learn_and_covers_every_report_once() -> None:
    uids = [str(number) for number in range(1, 101)]
    train, rest = train_test_split(uids, test_size=0.3, random_state=42, shuffle=True)
    validation, test = train_test_split(rest, test_size=0.5, random_state=42, shuffle=True)

    split = split_of_study(uids)

    assert split.parts == {
        **dict.fromkeys(train, "train"),
        **dict.fromkeys(validation, "validation"),
        **dict.fromkeys(test, "test"),
    }
    assert set(split.parts) == set(uids)
    assert split.radiologist == frozenset()
    assert split.is_of_study is False


def test_a_handful_of_reports_is_not_split() -> None:
    assert split_of_study(["1", "2", "3"]).parts == {}


@pytest.mark.real_data
def test_labels_split_and_radiologists_pictures_equal_the_reference(shared_data: Path) -> None:
    folder = shared_data / "iu_xray"
    reports = pd.read_csv(folder / "indiana_reports.csv", dtype=str).set_index("uid")
    with (folder / "reference_labels_and_split.csv").open(newline="", encoding="utf-8") as file:
        expected = list(csv.DictReader(file))

    split = split_of_study([row["uid"] for row in expected])

    assert len(expected) == 3689
    assert split.is_of_study is True
    part_names = {"train": "train", "val": "validation", "test": "test"}
    for row in expected:
        assert split.parts[row["uid"]] == part_names[row["split"]]
        labels = labels_of_mesh(str(reports.loc[row["uid"], "MeSH"]))
        assert labels == {finding: row[finding] == "1" for finding in STUDY_FINDINGS}
    assert split.radiologist == {row["uid"] for row in expected if row["radiologist15"] == "1"}
