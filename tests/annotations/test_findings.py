from __future__ import annotations

import pytest

from annotations.errors import AnnotationError, UnknownFinding
from annotations.findings import (
    DOMAINS,
    NO_FINDING,
    STUDY_FINDINGS,
    check_finding,
    normalise_term,
    resolve_finding,
    unknown_finding_message,
)

ALIASES = {
    "effusion": "Pleural Effusion",
    "nodule/mass": "Lung Lesion",
    "infiltration": "Lung Opacity",
}


def test_the_findings_stand_in_the_order_of_the_study() -> None:
    assert STUDY_FINDINGS == (
        "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema",
        "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion",
        "Pleural Other", "Fracture", "Support Devices", "No Finding",
    )  # fmt: skip
    assert STUDY_FINDINGS[-1] == NO_FINDING


def test_the_domains_hold_every_finding_but_no_finding_once() -> None:
    assert [one for names in DOMAINS.values() for one in names] == list(STUDY_FINDINGS[:-1])
    assert DOMAINS["Pulmonary"][0] == "Lung Opacity"
    assert DOMAINS["Pulmonary"][-1] == "Pleural Other"


@pytest.mark.parametrize(
    ("term", "finding"),
    [
        ("Effusion", "Pleural Effusion"),
        ("  NODULE/MASS ", "Lung Lesion"),
        ("pleural_effusion", "Pleural Effusion"),
        ("Pleural   effusion", "Pleural Effusion"),
        ("Hernia", None),
        ("", None),
    ],
)
def test_a_term_is_resolved_by_alias_or_by_name(term: str, finding: str | None) -> None:
    assert resolve_finding(term, STUDY_FINDINGS, ALIASES) == finding


def test_without_aliases_only_names_are_resolved() -> None:
    assert resolve_finding("Effusion", STUDY_FINDINGS) is None
    assert resolve_finding("edema", STUDY_FINDINGS) == "Edema"


def test_a_finding_of_the_workspace_wins_over_an_alias_and_an_alias_needs_its_finding() -> None:
    assert resolve_finding("effusion", ("Effusion", "Pleural Effusion"), ALIASES) == "Effusion"
    assert resolve_finding("Effusion", ("Edema",), ALIASES) is None


def test_terms_are_normalised_as_the_keys_of_alias_tables_are_written() -> None:
    assert normalise_term("  Pleural_Thickening  X ") == "pleural thickening x"
    assert all(normalise_term(key) == key for key in ALIASES)


def test_an_unknown_finding_is_refused_with_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(UnknownFinding) as refused:
        check_finding("Efusion pleural", ("Edema", "Pleural Effusion"))
    message = str(refused.value)
    assert message.startswith("unknown finding 'Efusion pleural'; known: Edema, Pleural Effusion")
    assert isinstance(refused.value, AnnotationError)
    assert "did you mean 'Cardiomegaly'?" in unknown_finding_message(
        "cardiomegalie", STUDY_FINDINGS
    )
    assert "did you mean" not in unknown_finding_message("zzz", STUDY_FINDINGS)


def test_a_known_finding_comes_back_as_the_workspace_spells_it() -> None:
    assert check_finding("LUNG_OPACITY", STUDY_FINDINGS) == "Lung Opacity"
