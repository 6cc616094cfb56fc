"""Agreement over a set: means, counts and patient intervals, drawn a second time by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from audit_app.evaluation import Row
from audit_app.reports.summary import MACRO, POOLED, pool, summarise

SEED, REPLICATES = 11, 200


def make_rows(n_patients: int) -> list[Row]:
    """One to three rows a patient, over two findings."""
    rng = np.random.default_rng(5)
    rows: list[Row] = []
    for patient in range(n_patients):
        for _ in range(int(rng.integers(1, 4))):
            rows.append(
                {
                    "run_id": "run",
                    "model": "tiny",
                    "mode": "zs",
                    "method": "gradcam",
                    "finding": "Fracture" if rng.random() < 0.3 else "Edema",
                    "status": "ok",
                    "image_id": f"image {len(rows)}",
                    "patient_hash": f"{patient:03d}",
                    "hit": float(rng.integers(0, 2)),
                    "iou": float(rng.random()),
                    "energy_in_box": float(rng.random()),
                    "chance_hit": 0.125,
                    "centre_hit": 0.0,
                    "prior_hit": None if patient == 0 else 0.5,
                    "shift_null_iou": 0.0625,
                }
            )
    return rows


def lines_of(rows: list[Row]) -> dict[str, Row]:
    lines = summarise(rows, replicates=REPLICATES, seed=SEED)
    return {str(line["finding"]): line for line in lines}


def drawn_intervals(rows: list[Row], name: str) -> tuple[float, float]:
    """Percentiles of the mean over present findings of means, patients drawn with all rows."""
    patients = sorted({str(row["patient_hash"]) for row in rows})
    rng = np.random.default_rng(SEED)
    replicates = []
    for draw in rng.integers(len(patients), size=(REPLICATES, len(patients))):
        drawn = [row for k in draw for row in rows if row["patient_hash"] == patients[k]]
        by_finding: dict[object, list[float]] = {}
        for row in drawn:
            by_finding.setdefault(row["finding"], []).append(float(str(row[name])))
        means = [math.fsum(values) / len(values) for values in by_finding.values()]
        replicates.append(math.fsum(means) / len(means))
    low, high = np.percentile(replicates, [2.5, 97.5])
    return float(low), float(high)


@pytest.mark.parametrize("name", ["hit", "iou", "energy_in_box"])
def test_intervals_of_a_finding_and_of_the_macro_draw_whole_patients(name: str):
    rows = make_rows(16)
    lines = lines_of(rows)
    edema = [row for row in rows if row["finding"] == "Edema"]
    for line, group in ((lines["Edema"], edema), (lines[MACRO], rows)):
        found = (line[f"{name}_low"], line[f"{name}_high"])
        assert found == pytest.approx(drawn_intervals(group, name), abs=1e-12)
        assert (line["note"], line["replicates"], line["seed"]) == ("", REPLICATES, SEED)


@pytest.mark.parametrize("name", ["hit", "iou", "energy_in_box"])
def test_the_pooled_line_has_an_interval_where_the_macro_lacks_one(name: str):
    rows = make_rows(16)
    for number, row in enumerate(rows):
        row["finding"] = "Fracture" if number == 0 else "Edema"
    lines = lines_of(rows)
    assert lines[MACRO][f"{name}_low"] is None
    line = pool(rows, replicates=REPLICATES, seed=SEED)
    as_one = [{**row, "finding": "any"} for row in rows]
    assert (line["finding"], line["n_findings"], line["n_scored"]) == (POOLED, 2, len(rows))
    assert line[name] == pytest.approx(math.fsum(float(str(row[name])) for row in rows) / len(rows))
    assert (line[f"{name}_low"], line[f"{name}_high"]) == pytest.approx(
        drawn_intervals(as_one, name), abs=1e-12
    )


def test_the_macro_weighs_findings_equally_and_not_their_rows():
    rows = make_rows(12)
    lines = lines_of(rows)
    expected = (lines["Edema"]["iou"] + lines["Fracture"]["iou"]) / 2  # type: ignore[operator]
    assert lines["Edema"]["n_rows"] != lines["Fracture"]["n_rows"]
    assert lines[MACRO]["iou"] == pytest.approx(expected)
    assert lines[MACRO]["n_findings"] == 2


def test_lift_and_the_corrected_hit_follow_from_hit_and_chance():
    rows = make_rows(12)[:4]
    for row, hit in zip(rows, (1.0, 1.0, 1.0, 0.0), strict=True):
        row |= {"finding": "Edema", "hit": hit}
    line = lines_of(rows)["Edema"]
    assert (line["hit"], line["lift"], line["corrected"]) == (0.75, 6.0, (0.75 - 0.125) / 0.875)


def test_boxes_over_the_whole_field_of_view_cannot_be_corrected_for_chance():
    rows = make_rows(3)
    for row in rows:
        row |= {"chance_hit": 1.0, "hit": 1.0}
    assert lines_of(rows)["Edema"]["corrected"] is None


def test_only_scored_rows_enter_the_means_and_each_status_is_counted():
    rows = make_rows(12)
    for row, status in zip(rows, ("not_visible", "no_reference", "invalid_input"), strict=False):
        row |= {"status": status, "finding": "Edema", "hit": None, "iou": None}
        row |= {"energy_in_box": None, "chance_hit": None, "prior_hit": None}
    rows[3] |= {"status": "no_evidence", "finding": "Edema", "hit": 0.0}
    line = lines_of(rows)["Edema"]
    scored = [r for r in rows if r["finding"] == "Edema" and r["status"] in ("ok", "no_evidence")]
    assert line["n_scored"] == len(scored) == line["n_rows"] - 3  # type: ignore[operator]
    counts = {name: line[f"n_{name}"] for name in ("not_visible", "no_reference", "invalid_input")}
    assert counts == {"not_visible": 1, "no_reference": 1, "invalid_input": 1}
    assert line["n_no_evidence"] == 1
    assert line["n_patients"] == len({row["patient_hash"] for row in scored})
    assert line["hit"] == pytest.approx(np.mean([row["hit"] for row in scored]))


def test_a_group_without_a_scored_row_has_counts_and_no_numbers():
    rows = make_rows(3)
    for row in rows:
        row |= {"finding": "Edema", "status": "not_visible"}
    line = lines_of(rows)["Edema"]
    assert (line["n_rows"], line["n_scored"], line["n_patients"]) == (len(rows), 0, 0)
    assert (line["hit"], line["lift"], line["note"]) == (None, None, "no scored row")


def test_rows_without_a_prior_do_not_pull_its_mean_down():
    assert lines_of(make_rows(12))["Edema"]["prior_hit"] == 0.5


def test_images_without_a_known_patient_count_as_patients_of_their_own():
    rows = make_rows(4)
    for row in rows:
        row |= {"finding": "Edema", "patient_hash": ""}
    assert lines_of(rows)["Edema"]["n_patients"] == len(rows)


def test_modes_are_summed_up_apart():
    rows = make_rows(12)
    doubled = rows + [row | {"mode": "ft", "hit": 1.0} for row in rows]
    lines = summarise(doubled, replicates=10, seed=0)
    assert [(line["mode"], line["finding"]) for line in lines if line["finding"] == MACRO] == [
        ("zs", MACRO),
        ("ft", MACRO),
    ]
    assert {line["hit"] for line in lines if line["mode"] == "ft"} == {1.0}


def test_a_macro_with_a_finding_of_one_patient_has_a_number_and_the_reason_for_no_interval():
    rows = make_rows(20)
    for row in rows:
        row |= {"finding": "Edema", "hit": 0.0}
    rows.append(rows[0] | {"finding": "Fracture", "hit": 1.0})
    lines = lines_of(rows)
    # Resamples without that patient would hold Edema alone: their mean hit is 0, not about 0.5.
    assert (lines[MACRO]["hit"], lines[MACRO]["hit_low"], lines[MACRO]["hit_high"]) == (
        0.5,
        None,
        None,
    )
    assert "too few patients for an interval" in str(lines[MACRO]["note"])
    assert (lines["Edema"]["hit_low"], lines["Edema"]["note"]) == (0.0, "")
