"""Which group a picture belongs to, from hand-written labels and predictions."""

from __future__ import annotations

import numpy as np
import pytest

from audit_app.errors import AuditError
from audit_app.evaluator.explorer_groups import COLOURINGS, group_pictures

FINDINGS = ("Cardiomegaly", "Edema", "Fracture", "Gallstone", "No Finding")
LABELS = np.array(
    [
        [1, 0, 0, 0, 0],  # cardiovascular
        [0, 1, 0, 0, 0],  # pulmonary
        [1, 1, 0, 0, 0],  # both
        [0, 0, 0, 1, 0],  # a finding of no domain
        [0, 0, 0, 0, 1],  # normal
        [0, 0, 0, 0, 0],  # nothing said
        [0, 0, 1, 0, 1],  # contradicts itself
    ],
    dtype=np.uint8,
)
PREDICTED = np.array(
    [
        [1, 0, 0, 0, 0],  # right
        [0, 0, 0, 0, 0],  # misses
        [1, 1, 1, 0, 0],  # too many
        [1, 0, 0, 0, 0],  # both
        [0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0],
        [0, 0, 1, 0, 1],
    ],
    dtype=np.uint8,
)


def named(colouring: str, finding: str | None = None) -> list[str]:
    groups = group_pictures(colouring, finding, FINDINGS, LABELS, PREDICTED)
    return [groups.names[row] for row in groups.rows]


def test_the_first_positive_finding_is_the_group() -> None:
    assert named("finding") == [
        "Cardiomegaly", "Edema", "Cardiomegaly", "Gallstone", "No Finding", "no positive label",
        "Fracture",
    ]  # fmt: skip


def test_one_finding_divides_into_with_and_without() -> None:
    assert named("finding", "Edema") == [
        "no Edema", "Edema", "Edema", "no Edema", "no Edema", "no Edema", "no Edema",
    ]  # fmt: skip


def test_normal_needs_the_label_and_no_other_finding() -> None:
    expected = ["abnormal"] * 4 + ["normal", "no positive label", "abnormal"]
    assert named("normal") == expected
    assert named("normal", "Edema") == expected


def test_without_that_label_whoever_has_nothing_is_normal() -> None:
    groups = group_pictures("normal", None, FINDINGS[:4], LABELS[:, :4], PREDICTED[:, :4])
    assert [groups.names[row] for row in groups.rows] == (
        ["abnormal"] * 4 + ["normal", "normal", "abnormal"]
    )


def test_domains_are_those_of_all_positive_findings() -> None:
    assert named("domain") == [
        "Cardiovascular", "Pulmonary", "several domains", "other findings", "none", "none",
        "Skeletal",
    ]  # fmt: skip


def test_a_set_without_any_domain_has_no_other_groups() -> None:
    groups = group_pictures("domain", None, FINDINGS[4:], LABELS[:, 4:], PREDICTED[:, 4:])
    assert {groups.names[row] for row in groups.rows} == {"none"}


def test_outcomes_of_one_finding_are_the_four_cells_of_its_table() -> None:
    assert named("decision", "Cardiomegaly") == [
        "predicted and true", "neither", "predicted and true", "predicted, not true", "neither",
        "neither", "neither",
    ]  # fmt: skip
    assert named("decision", "Edema")[:3] == ["neither", "missed", "predicted and true"]


def test_outcomes_of_all_findings_say_in_which_way_a_picture_is_wrong() -> None:
    assert named("decision") == [
        "all right", "some missed", "some too many", "some missed, some too many", "all right",
        "all right", "all right",
    ]  # fmt: skip


@pytest.mark.parametrize("colouring", COLOURINGS)
def test_every_picture_is_in_exactly_one_group(colouring: str) -> None:
    groups = group_pictures(colouring, None, FINDINGS, LABELS, PREDICTED)
    members = np.concatenate([groups.members(group) for group in range(len(groups.names))])
    assert sorted(members) == list(range(len(LABELS)))


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(AuditError, match="finding 'Efusion' is not one of Cardiomegaly"):
        group_pictures("finding", "Efusion", FINDINGS, LABELS, PREDICTED)
    with pytest.raises(AuditError, match="cannot be coloured by 'age'; finding, normal, domain"):
        group_pictures("age", None, FINDINGS, LABELS, PREDICTED)
