"""The 14 labels of the study from MeSH terms, and its split.

Source:
    arXiv 2506.14136 and its public notebook: one frontal picture per report, two
    ``train_test_split`` calls with seed 42, 15 pictures of the test part for the radiologist. Its
    own label file is not public; this rule reproduces a public 3,677-picture label set exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from annotations.findings import NO_FINDING, STUDY_FINDINGS

LABEL_SOURCE: Final = "iu-xray-mesh"
RADIOLOGIST_SUBSET: Final = "radiologist15"
N_STUDY_REPORTS: Final = 3689
N_RADIOLOGIST: Final = 15
SEED: Final = 42

_HEADS: Final[Mapping[str, frozenset[str]]] = {
    "Cardiomegaly": frozenset({"cardiomegaly"}),
    "Lung Lesion": frozenset({"nodule", "mass"}),
    "Edema": frozenset({"pulmonary edema"}),
    "Consolidation": frozenset({"consolidation", "pneumonia"}),
    "Pneumonia": frozenset({"pneumonia"}),
    "Atelectasis": frozenset({"pulmonary atelectasis"}),
    "Pneumothorax": frozenset({"pneumothorax", "hydropneumothorax"}),
    "Pleural Effusion": frozenset({"pleural effusion", "pericardial effusion"}),
    "Fracture": frozenset({"fractures, bone"}),
    "Support Devices": frozenset(
        {"catheters, indwelling", "implanted medical device", "medical device"}
    ),
    "Enlarged Cardiomediastinum": frozenset({"cardiomegaly"}),
}
_STARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "Pleural Other": ("thickening/pleura", "cicatrix/pleura"),
    "Enlarged Cardiomediastinum": ("cardiac shadow/enlarged", "mediastinum/enlarged"),
    "Lung Opacity": ("opacity/lung", "opacity/pulm", "density/lung"),
}
_IMPLY_LUNG_OPACITY: Final = ("Atelectasis", "Edema", "Consolidation", "Lung Lesion")


def labels_of_mesh(mesh: str) -> dict[str, bool]:
    """The 14 labels of a report, in the study's order.

    Args:
        mesh: Terms joined by ``;`` as in ``indiana_reports.csv``; terms contain commas.
    """
    terms = [term.strip().lower() for term in mesh.split(";") if term.strip()]
    heads = {term.split("/", 1)[0].strip() for term in terms}
    labels = {
        finding: bool(heads & _HEADS.get(finding, frozenset()))
        or any(term.startswith(_STARTS.get(finding, ())) for term in terms)
        for finding in STUDY_FINDINGS
        if finding != NO_FINDING
    }
    labels["Lung Opacity"] |= any(labels[finding] for finding in _IMPLY_LUNG_OPACITY)
    labels[NO_FINDING] = not any(labels.values())
    return labels


@dataclass(frozen=True, slots=True)
class StudySplit:
    """Which report is in which part of the study."""

    parts: Mapping[str, str]  # uid -> train, validation or test
    radiologist: frozenset[str]  # uids marked by the radiologist
    is_of_study: bool  # made over the study's 3,689 reports, so equal to its split


def split_of_study(uids: Sequence[str]) -> StudySplit:
    """The study's split of these reports.

    Args:
        uids: Reports with a frontal picture, in the order of ``indiana_projections.csv``.

    Returns:
        70 % train, the rest in equal parts validation and test. Below 10 reports no split.
    """
    is_of_study = len(uids) == N_STUDY_REPORTS
    if len(uids) < 10:
        return StudySplit({}, frozenset(), is_of_study)
    # scikit-learn and pandas take over a second to import; only this import needs them.
    import pandas as pd
    from sklearn.model_selection import train_test_split

    train, rest = train_test_split(list(uids), test_size=0.3, random_state=SEED, shuffle=True)
    validation, test = train_test_split(rest, test_size=0.5, random_state=SEED, shuffle=True)
    parts = dict.fromkeys(train, "train")
    parts |= dict.fromkeys(validation, "validation")
    parts |= dict.fromkeys(test, "test")
    marked: list[str] = []
    if is_of_study:
        # The 15 were drawn from the test part in the order of the table, not of the split.
        in_order = pd.Series([uid for uid in uids if parts[uid] == "test"])
        marked = in_order.sample(n=N_RADIOLOGIST, random_state=SEED).tolist()
    return StudySplit(parts, frozenset(marked), is_of_study)
