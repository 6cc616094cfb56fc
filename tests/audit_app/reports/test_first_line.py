"""What an audit says first: chance, intervals, controls and what was left out."""

from __future__ import annotations

from collections.abc import Mapping

from audit_app.reports.first_line import first_lines
from audit_app.reports.summary import MACRO, POOLED


def line(**changes: object) -> dict[str, object]:
    """A summary line of one mode."""
    return {
        "model": "tiny", "mode": "zs", "method": "gradcam", "finding": MACRO, "hit": 0.8,
        "hit_low": 0.7, "hit_high": 0.9, "chance_hit": 0.1, "human_hit": 0.95, "n_scored": 40,
        "n_patients": 30, "n_no_evidence": 2, "note": "",
    } | changes  # fmt: skip


def control(**changes: object) -> dict[str, object]:
    return {
        "model": "tiny", "mode": "zs", "method": "gradcam", "finding": MACRO,
        "control": "randomcam", "hit": 0.12, "overlaps": False,
    } | changes  # fmt: skip


def said(*lines: Mapping[str, object], controls: object = (), **more: object) -> list[str]:
    return first_lines({"summary": list(lines), "control_summary": list(controls), **more})  # type: ignore[call-overload]


def test_maps_that_beat_chance_and_controls_are_said_to_with_interval_and_chance() -> None:
    first, detail, *_ = said(line(), controls=[control()])
    assert first == (
        "The maps of tiny (Zero-shot; Grad-CAM) point to the readers' regions more often than "
        "chance and the controls do. Hits: 80 % (70 % to 90 %); chance 10 %; a random map 12 %."
    )
    assert "95 % interval 70 % to 90 %" in detail
    assert "a random map in 12 %; another reader in 95 %" in detail
    assert detail.endswith("40 maps of 30 patients, 2 of them empty.")


def test_a_control_that_overlaps_makes_the_first_line_say_that_nothing_is_demonstrated() -> None:
    overlapping = control(overlaps=True, hit=0.74, control="random-weights")
    first, *_ = said(line(), controls=[control(), overlapping])
    assert first.startswith("The maps of tiny (Zero-shot; Grad-CAM) carry no demonstrated info")
    assert "overlaps that of the same network with random weights, 74 %." in first
    assert first.index("overlaps that of") < first.index("Hits:") < first.index("a random map 12 %")


def test_a_control_that_scores_clearly_higher_is_not_beaten() -> None:
    higher = control(hit=0.97, control="random-weights")
    first, *_ = said(line(), controls=[control(), higher])
    assert "no demonstrated information: the interval lies below that of the same net" in first


def test_nothing_is_claimed_of_controls_that_were_not_compared() -> None:
    first, *_ = said(line())
    assert "more often than chance does; no control was compared with them. Hits:" in first
    unsure = control(overlaps=None, control="wrong-finding")
    first, *_ = said(line(), controls=[control(), unsure])
    assert "than chance does; the map of a wrong finding gave no interval. Hits:" in first


def test_a_mode_without_a_control_holds_its_place_in_the_list_of_hits() -> None:
    probe, wrong = line(mode="lp"), control(mode="lp", control="wrong-finding", hit=0.2)
    first, *_ = said(line(), probe, controls=[control(), control(mode="lp"), wrong])
    assert first.endswith("; a random map 12 %, 12 %; the map of a wrong finding n/a, 20 %.")


def test_a_control_that_no_row_could_have_is_named() -> None:
    *_, last = said(line(), controls=[control(), control(control="random-weights")])
    assert last.startswith("Not compared, for no row could have it: the map of a wrong finding.")
    kinds = ("randomcam", "random-weights", "wrong-finding")
    assert len(said(line(), controls=[control(control=kind) for kind in kinds])) == 2


def test_an_interval_that_holds_chance_demonstrates_nothing() -> None:
    first, *_ = said(line(hit=0.15, hit_low=0.05, hit_high=0.3))
    assert "carry no demonstrated information: the interval holds chance, 10 %." in first
    first, *_ = said(line(hit=0.02, hit_low=0.0, hit_high=0.05))
    assert "carry no demonstrated information: the interval lies below chance, 10 %." in first


def test_what_shows_nothing_stands_before_what_does() -> None:
    first, *_ = said(line(), line(mode="lp", hit=0.1, hit_low=0.05, hit_high=0.2))
    assert first.index("Linear probe") < first.index("Zero-shot")
    assert first.index("no demonstrated information") < first.index("more often than chance")


def test_all_regions_speak_where_the_mean_over_findings_has_no_interval() -> None:
    macro = line(hit_low=None, hit_high=None, note="undefined in 9 of 10 replicates")
    pooled = line(finding=POOLED, hit=0.6, hit_low=0.5, hit_high=0.7)
    first, detail, *_ = said(macro, pooled, controls=[control(), control(finding=POOLED, hit=0.2)])
    assert "60 % (50 % to 70 %)" in first
    assert "all regions" in detail
    assert "a random map in 20 %" in detail


def test_too_few_patients_are_a_reason_and_no_number_is_hidden() -> None:
    note = "undefined in 9 of 10 replicates: too few patients for an interval"
    first, detail, *_ = said(line(hit_low=None, hit_high=None, note=note))
    assert "no demonstrated information: too few patients for an interval. Hits: 80 %" in first
    assert "undefined" not in first + detail


def test_without_a_scored_row_it_says_so_and_keeps_the_warnings() -> None:
    empty = line(hit=None, hit_low=None, hit_high=None, chance_hit=None, note="no scored row")
    lines = said(empty, warnings=["weights changed"])
    assert lines == ["No map could be scored: the tables say for each row why.", "weights changed"]


def test_controls_that_were_left_out_are_named() -> None:
    kinds = ["control randomcam", "control random-weights", "control wrong-finding"]
    first, *_, last = said(line(), left_out=[*kinds, "reliance test"])
    assert "no control was compared" in first
    assert last.startswith(
        "Left out by choice: a random map, the same network with random weights, the map of a "
        "wrong finding, reliance test."
    )
