"""The checklists: their item numbers, and answers only where something is known."""

from __future__ import annotations

from audit_app.reports.checklists import NOT_RECORDED, checklists, count_answered
from tests.audit_app.reports.made_audit import made_audit


def test_the_items_are_numbered_as_published() -> None:
    filled = checklists({})
    assert list(filled["CLAIM 2024"]) == [str(number) for number in range(1, 45)]
    assert list(filled["METRICS"]) == [str(number) for number in range(1, 31)]
    tripod = list(filled["TRIPOD+AI"])
    assert {item.rstrip("abcdefg") for item in tripod} == {str(n) for n in range(1, 28)}
    assert [item for item in tripod if item.startswith("12")] == [f"12{c}" for c in "abcdefg"]


def test_what_the_run_knows_is_filled_in_and_what_nobody_knows_is_not_recorded() -> None:
    filled = checklists(made_audit().provenance)
    claim = filled["CLAIM 2024"]
    assert claim["29"]["answer"].startswith("patient-cluster bootstrap, 60 replicates; seed 3")
    assert claim["35"]["answer"] == "24 patients, 24 images, 24 readings, 48 rows"
    assert "randomcam" in claim["30"]["answer"]
    assert claim["44"]["answer"] == NOT_RECORDED
    assert filled["TRIPOD+AI"]["8c"]["answer"].startswith("readers were blinded to the maps")


def test_without_facts_only_what_holds_for_every_audit_is_answered() -> None:
    nothing, made = checklists({}), checklists(made_audit().provenance)
    for name, (answered, total) in count_answered(nothing).items():
        assert answered < count_answered(made)[name][0] < total
    assert nothing["CLAIM 2024"]["29"]["answer"] == NOT_RECORDED


def test_an_audit_of_last_commits_does_not_claim_blinding() -> None:
    filled = checklists({"choices": {"latest": True}})
    assert "were blinded to the maps:" not in filled["TRIPOD+AI"]["8c"]["answer"]
