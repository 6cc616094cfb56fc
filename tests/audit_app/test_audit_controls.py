"""A whole audit with its controls, the reliance test, readers and reveals, each recomputed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import cohen_kappa_score

from annotations.regions import Box
from audit_app.audit import resume_audit, run_audit
from audit_app.audit_plan import AuditChoices, plan_audit
from audit_app.audit_readers import with_ceiling
from audit_app.audit_result import AuditResult, load_audit, result_of_run
from audit_app.errors import AuditError
from audit_app.evaluation import Row
from audit_app.metrics.bootstrap import cluster_bootstrap, paired_cluster_bootstrap
from audit_app.metrics.mcnemar import mcnemar_exact
from audit_app.metrics.reliance import FILLS
from audit_app.reader_lines import ALL_FINDINGS
from audit_app.reliance_summary import NOT_TESTED, reliance_summary
from audit_app.reliance_test import FALLBACKS, OUTSIDE_LUNGS, fill_regions, key_of
from audit_app.reports.audit_tables import reliance_table
from audit_app.reports.summary import MACRO, POOLED
from model_store.preprocessing import frame_geometry
from tests.audit_app.naive_agreement import naive_hit, naive_iou, naive_mask
from tests.audit_app.small_study import GRID, Study, TinyModel, make_read_study

CHOICES = AuditChoices("tiny", ("zs", "lp"), replicates=60, seed=5, report=False)
GEOMETRY = frame_geometry("crop", (40, 30), GRID)
AREAS = ("zs", "box_area")


@dataclass(frozen=True)
class Audited:
    study: Study
    run_id: str
    folder: Path
    result: AuditResult


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    root = tmp_path_factory.mktemp("controls")
    study = make_read_study(root)
    out = root / "out"
    run_id = run_audit(study.workspace, study.store, TinyModel(), CHOICES, out=out)
    yield Audited(study, run_id, out, load_audit(out))
    study.store.close()


def picture_of(study: Study, image_id: object) -> np.ndarray:
    return np.asarray(Image.open(study.store.images.get(str(image_id)).path))


def mask_of(study: Study, row: dict) -> np.ndarray:
    (reading,) = (
        one
        for one in study.store.readings.of_image(str(row["image_id"]))
        if one.reading_id == row["reading_id"] and one.commit_number == 1
    )
    boxes = [
        GEOMETRY.to_input(region.box.corners)
        for region in reading.regions
        if region.finding == row["finding"]
    ]
    return naive_mask(boxes, *GRID)


def control_map(study: Study, row: dict) -> np.ndarray:
    model, findings = TinyModel(), study.store.findings()
    picture = picture_of(study, row["image_id"])
    if row["control"] == "random-weights":
        told = model.explain_random("tiny", row["mode"], "gradcam", picture, findings, seed=5)
    else:
        told = model.explain("tiny", row["mode"], row["method"], picture, findings)
    name = row["asked"] if row["control"] == "wrong-finding" else row["finding"]
    return told.maps[findings.index(name)].astype(float)


def test_every_row_of_every_control_is_what_loops_give_for_the_controls_map(
    audited: Audited,
) -> None:
    counts: dict[object, int] = {}
    for row in audited.result.controls:
        saliency, mask = control_map(audited.study, row), mask_of(audited.study, row)
        counts[row["control"]] = counts.get(row["control"], 0) + 1
        if saliency.max() == saliency.min():
            assert (row["status"], row["hit"], row["iou"]) == ("no_evidence", 0.0, 0.0)
            continue
        stretched = (saliency - saliency.min()) / (saliency.max() - saliency.min())
        assert row["hit"] == naive_hit(saliency, mask)
        assert row["iou"] == pytest.approx(naive_iou(stretched > 0.5, mask))
        assert row["energy_in_box"] == pytest.approx(saliency[mask].sum() / saliency.sum())
        assert row["chance_hit"] == pytest.approx(mask.mean())
    assert counts == {"wrong-finding": 74, "randomcam": 74, "random-weights": 74}


def test_a_wrong_finding_is_one_that_nobody_marked_on_the_picture(audited: Audited) -> None:
    for row in audited.result.controls:
        if row["control"] == "wrong-finding":
            assert row["asked"] == "Pneumothorax"
        elif row["control"] == "random-weights":
            assert (row["asked"], row["weights_sha256"]) == ("seed 5", "random:5")
        else:
            assert (row["asked"], row["method"]) == ("", "randomcam")


def test_a_control_is_compared_with_the_model_on_the_same_rows(audited: Audited) -> None:
    result = audited.result
    for line in result.control_summary:
        if line["finding"] not in ("Cardiomegaly", "all regions"):
            continue
        findings = ("Cardiomegaly", "Fracture")[: 1 if line["finding"] == "Cardiomegaly" else 2]
        known = {
            (row["reading_id"], row["finding"]): row["hit"]
            for row in result.controls
            if (row["control"], row["mode"]) == (line["control"], line["mode"])
        }
        own = [r for r in result.rows if r["mode"] == line["mode"] and r["finding"] in findings]
        patients = [row["patient_hash"] for row in own]
        hits = [row["hit"] for row in own]
        others = [known[row["reading_id"], row["finding"]] for row in own]
        draws = {"replicates": 60, "seed": 5}
        control = cluster_bootstrap(others, patients, **draws)
        model = cluster_bootstrap(hits, patients, **draws)
        paired = paired_cluster_bootstrap(hits, others, patients, **draws)
        assert line["hit_low"] == pytest.approx(control.low, abs=1e-12)
        assert line["model_hit_high"] == pytest.approx(model.high, abs=1e-12)
        assert line["difference"] == pytest.approx(paired.interval.estimate, abs=1e-12)
        assert line["p_value"] == pytest.approx(paired.p_value)
        assert line["overlaps"] is (model.low <= control.high and control.low <= model.high)
    assert len(result.control_summary) == 2 * 3 * 4


def test_the_reliance_test_compares_scores_of_filled_pictures(audited: Audited) -> None:
    study, model = audited.study, TinyModel()
    findings = study.store.findings()
    plan = plan_audit(study.store, CHOICES)
    for planned in plan.images[:4]:
        frame, geometry = model.frame("tiny", picture_of(study, planned.image.image_id))
        for case in planned.cases:
            boxes = [GEOMETRY.to_input(one.corners) for one in case.outlines]
            filled = FILLS["inpaint"](frame, naive_mask(boxes, *GRID))
            (row,) = (
                row
                for row in audited.result.rows
                if (row["reading_id"], row["finding"], row["mode"])
                == (case.reading.reading_id, case.finding, "lp")
            )
            scores = model.frame_scores("tiny", "lp", np.stack([frame, filled]), findings)
            column = findings.index(case.finding)
            drop = float(scores[0, column]) - float(scores[1, column])
            assert row["score_drop_region"] == pytest.approx(drop, abs=1e-6)
            assert row["reliance_note"] in FALLBACKS
        prepared = fill_regions(planned, frame, geometry, fill="inpaint", seed=5)
        for case in planned.cases:
            place = prepared.places[key_of(case)]
            assert place.region is not None
            assert place.elsewhere is not None
            changed = prepared.frames[place.elsewhere] != frame
            boxes = [GEOMETRY.to_input(one.corners) for one in case.outlines]
            assert not (changed & naive_mask(boxes, *GRID)).any()


def test_the_summary_of_the_reliance_test_counts_each_reading_once_and_only_those_in_the_lungs(
    audited: Audited,
) -> None:
    rows = [row for row in audited.result.rows if row["mode"] == "zs"]
    # As if a lung field had been found in all pictures but those of the first readings.
    found = [
        row | {"reliance_note": "" if at > 5 else OUTSIDE_LUNGS} for at, row in enumerate(rows)
    ]
    lines = reliance_summary(found, fill="inpaint", replicates=60, seed=5)
    line = next(line for line in lines if line["finding"] == "all regions")
    names = ("score_drop_region", "score_drop_elsewhere")
    placed = [row for row in found if None not in [row[name] for name in names]]
    tested = [row for row in placed if row["reliance_note"] == ""]
    first, second = ([row[name] for row in tested] for name in names)
    patients = [row["patient_hash"] for row in tested]
    expected = paired_cluster_bootstrap(first, second, patients, replicates=60, seed=5)
    assert (line["n_rows"], line["n_left_out"]) == (len(tested), len(rows) - len(tested))
    assert line["n_outside_lungs"] == len(placed) - len(tested) == 6
    assert line["drop_region"] == pytest.approx(np.mean(first))
    assert line["difference_low"] == pytest.approx(expected.interval.low, abs=1e-12)
    assert line["uses_region"] is (line["difference_low"] > 0)
    assert line["fill"] == "inpaint"
    shown = reliance_table([line])
    cells = dict(zip(shown.head, shown.body[0], strict=True))
    assert cells["Rows left out"] == f"{line['n_left_out']} (6 outside the lungs)"


def test_pictures_without_a_place_in_the_lungs_are_counted_in_the_reliance_test_and_give_no_number(
    audited: Audited,
) -> None:
    assert {row["reliance_note"] for row in audited.result.rows} == FALLBACKS
    (line,) = (
        line
        for line in audited.result.reliance
        if (line["mode"], line["finding"]) == ("zs", "all regions")
    )
    assert (line["n_rows"], line["n_left_out"], line["n_outside_lungs"]) == (0, 37, 37)
    assert (line["drop_region"], line["uses_region"], line["note"]) == (None, None, NOT_TESTED)


def test_modes_are_compared_on_the_same_rows_with_holms_correction(audited: Audited) -> None:
    lines = [line for line in audited.result.paired if line["metric"] == "hit"]
    by_finding = {line["finding"]: line for line in lines}
    assert set(by_finding) == {"Cardiomegaly", "Fracture", "macro over findings", "all regions"}
    hits = {
        mode: [
            row["hit"]
            for row in audited.result.rows
            if (row["mode"], row["finding"]) == (mode, "Cardiomegaly")
        ]
        for mode in ("zs", "lp")
    }
    line = by_finding["Cardiomegaly"]
    tested = mcnemar_exact(hits["zs"], hits["lp"])
    assert (line["first"], line["second"], line["compared"]) == ("zs", "lp", "modes")
    assert (line["only_first"], line["only_second"]) == (tested.only_first, tested.only_second)
    assert line["p_mcnemar"] == pytest.approx(tested.p_value)
    assert line["difference"] == pytest.approx(np.mean(hits["zs"]) - np.mean(hits["lp"]))
    family = sorted([by_finding[name]["p_mcnemar"] for name in ("Cardiomegaly", "Fracture")])
    corrected = sorted(
        [by_finding[name]["p_mcnemar_holm"] for name in ("Cardiomegaly", "Fracture")]
    )
    assert corrected[0] == pytest.approx(min(1.0, 2 * family[0]))
    assert by_finding["macro over findings"]["p_bootstrap_holm"] is None


def test_slices_hold_the_means_of_their_rows(audited: Audited) -> None:
    lines = {(line["mode"], line["slice"], line["value"]): line for line in audited.result.slices}
    rows = [row for row in audited.result.rows if row["mode"] == "zs"]
    own = [row["hit"] for row in rows if row["reader"] == "R2"]
    line = lines["zs", "reader", "R2"]
    assert (line["n_rows"], line["hit"]) == (12, pytest.approx(np.mean(own)))
    assert lines["zs", "reader", "R3"]["note"] == "too few patients for an interval"
    said = {True: "positive", False: "negative", None: "not known"}
    for value in {row["model_positive"] for row in rows}:
        hits = [row["hit"] for row in rows if row["model_positive"] is value]
        assert lines["zs", "model_says", said[value]]["hit"] == pytest.approx(np.mean(hits))
    areas = [line["n_rows"] for (mode, name, _), line in lines.items() if (mode, name) == AREAS]
    assert sum(areas) == len(rows) == 37


def test_the_human_ceiling_is_that_of_two_readers_on_the_audited_images(audited: Audited) -> None:
    pairs = {}
    for image in audited.study.store.images.all():
        readings = audited.study.store.readings.of_image(image.image_id)
        boxes = {
            one.reader: next(r.box for r in one.regions if r.finding == "Cardiomegaly")
            for one in readings
            if one.commit_number == 1
        }
        names = sorted(boxes)
        for k, first in enumerate(names):
            for second in names[k + 1 :]:
                one, other = (naive_mask([boxes[name].corners], 40, 30) for name in (first, second))
                pointing = np.mean(
                    [
                        _points_into(boxes[a], boxes[b])
                        for a, b in ((first, second), (second, first))
                    ]
                )
                pairs[image.image_id, first, second] = (naive_iou(one, other), pointing)
    lines = {
        (line["measure"], line["finding"], line["first"]): line for line in audited.result.readers
    }
    line = lines["inter: IoU where both marked", "Cardiomegaly", ""]
    assert line["n"] == len(pairs) == 14
    assert line["value"] == pytest.approx(np.mean([one[0] for one in pairs.values()]))
    hits = lines["inter: pointing where both marked", "Cardiomegaly", ""]
    assert hits["value"] == pytest.approx(np.mean([one[1] for one in pairs.values()]))
    (summed,) = (
        one
        for one in audited.result.summary
        if (one["finding"], one["mode"]) == ("Cardiomegaly", "lp")
    )
    assert (summed["human_iou"], summed["human_pairs"]) == (line["value"], 14)
    assert summed["human_hit"] == hits["value"]


def _points_into(pointer: Box, target: Box) -> bool:
    x_min, y_min, x_max, y_max = pointer.corners
    left, top, right, bottom = target.corners
    return left <= (x_min + x_max) // 2 < right and top <= (y_min + y_max) // 2 < bottom


def test_presence_is_compared_by_kappa_and_an_undefined_one_says_why(audited: Audited) -> None:
    lines = [
        line
        for line in audited.result.readers
        if (line["first"], line["second"]) == ("R1", "R2") and "Cohen" in str(line["measure"])
    ]
    by_finding = {line["finding"]: line for line in lines}
    heart, fracture = by_finding["Cardiomegaly"], by_finding["Fracture"]
    assert heart["value"] is None
    assert "everybody always says present" in str(heart["note"])
    assert fracture["value"] == pytest.approx(cohen_kappa_score([1] * 12, [0] * 12, labels=[0, 1]))
    assert (fracture["prevalence"], fracture["observed"]) == (0.5, 0.0)


def test_a_region_that_was_changed_after_the_map_is_told_with_its_direction(
    audited: Audited,
) -> None:
    rows = {row["mode"]: row for row in audited.result.reveal}
    assert set(rows) == {"zs", "lp"}
    for mode, row in rows.items():
        findings = audited.study.store.findings()
        picture = picture_of(audited.study, row["image_id"])
        saliency = TinyModel().explain("tiny", mode, "gradcam", picture, findings).maps[0]
        stretched = (saliency - saliency.min()) / (saliency.max() - saliency.min())
        before, after = (
            naive_mask([GEOMETRY.to_input(box)], *GRID) for box in ((8, 10, 18, 22), (2, 8, 24, 30))
        )
        assert (row["commit_before"], row["commit_after"], row["change"]) == (1, 2, "moved")
        assert row["iou_before"] == pytest.approx(naive_iou(stretched > 0.5, before), abs=1e-6)
        assert row["iou_after"] == pytest.approx(naive_iou(stretched > 0.5, after), abs=1e-6)
        assert row["iou_regions"] == pytest.approx(naive_iou(before, after))
        assert row["towards"] is (row["iou_after"] > row["iou_before"])
    told = {line["measure"]: line for line in audited.result.readers if line["mode"] in ("", "zs")}
    assert told["reveal: readings seen again"]["n"] == 1
    assert told["reveal: regions changed"]["value"] == 1.0
    assert told["reveal: moved towards the map"]["value"] == float(rows["zs"]["towards"] is True)


def test_what_the_run_keeps_is_what_its_files_say(audited: Audited) -> None:
    kept = result_of_run(audited.study.workspace, audited.study.store, audited.run_id)
    for name in ("summary", "slices", "control_summary", "reliance", "paired", "readers"):
        told, read = kept.table(name), audited.result.table(name)
        assert [{k: v or None for k, v in row.items()} for row in told] == [
            {k: v or None for k, v in row.items()} for row in read
        ]
    facts = json.loads((audited.folder / "provenance.json").read_text(encoding="utf-8"))
    assert facts["left_out"] == []
    assert set(facts["controls"]) == {"randomcam", "random-weights", "wrong-finding"}
    assert facts["checklists"]


@pytest.mark.parametrize("finding", ["Cardiomegaly", "Fracture"])
def test_a_finding_that_is_audited_alone_has_the_rows_and_controls_that_it_has_among_all(
    audited: Audited, tmp_path: Path, finding: str
) -> None:
    choices = replace(CHOICES, findings=(finding,))
    run_audit(audited.study.workspace, audited.study.store, TinyModel(), choices, out=tmp_path)
    alone = load_audit(tmp_path)
    for name in ("rows", "controls"):
        among = [row for row in audited.result.table(name) if row["finding"] == finding]
        told = [row | {"run_id": audited.run_id} for row in alone.table(name)]
        assert told == among
    assert {row["n_ranked"] for row in alone.rows} == {4}
    assert {row["control"] for row in alone.controls} >= {"wrong-finding"}
    assert alone.provenance["vocabulary"] == audited.result.provenance["vocabulary"]
    assert alone.provenance["findings"] == [finding]


@pytest.mark.parametrize("n_images", [3, 20])
def test_an_audit_with_controls_that_was_cut_off_ends_like_an_unbroken_one(
    audited: Audited, tmp_path: Path, n_images: int
) -> None:
    study, model = audited.study, TinyModel()
    place = {"out": tmp_path, "progress": lambda done, *_: done >= n_images}
    run_id = run_audit(study.workspace, study.store, model, CHOICES, **place)
    assert study.store.audits.get(run_id).status == "cancelled"
    resume_audit(study.workspace, study.store, model, run_id, out=tmp_path)
    again = load_audit(tmp_path)
    for name in ("rows", "controls", "reveal", "summary", "control_summary", "reliance", "readers"):
        told = [row | {"run_id": ""} for row in again.table(name)]
        assert told == [row | {"run_id": ""} for row in audited.result.table(name)]


def test_two_models_are_compared_on_the_same_rows(audited: Audited, tmp_path: Path) -> None:
    choices = AuditChoices(
        "tiny", ("zs",), further_models=("other",), replicates=20, controls=("randomcam",),
        reliance="", report=False,
    )  # fmt: skip
    study = audited.study
    run_audit(study.workspace, study.store, TinyModel(), choices, out=tmp_path)
    result = load_audit(tmp_path)
    assert {row["model"] for row in result.rows} == {"tiny", "other"}
    lines = [line for line in result.paired if line["finding"] == "all regions"]
    assert {(line["compared"], line["first"], line["second"]) for line in lines} == {
        ("models", "tiny", "other")
    }
    assert {line["difference"] for line in lines} == {0.0}  # both answer alike
    assert result.provenance["command"].startswith("launch.py audit WORKSPACE --model tiny,other")


def test_the_original_grid_compares_on_the_pictures_own_pixels(
    audited: Audited, tmp_path: Path
) -> None:
    study = audited.study
    choices = AuditChoices(
        "tiny", ("zs",), grid="original", replicates=20, controls=(), reliance="", report=False
    )
    run_audit(study.workspace, study.store, TinyModel(), choices, out=tmp_path)
    findings = study.store.findings()
    for row in load_audit(tmp_path).rows:
        picture = picture_of(study, row["image_id"])
        told = TinyModel().explain("tiny", "zs", "gradcam", picture, findings)
        mapped = GEOMETRY.to_original(told.maps[findings.index(row["finding"])])
        left, top, right, bottom = mapped.window
        reading = next(
            one
            for one in study.store.readings.of_image(str(row["image_id"]))
            if one.reading_id == row["reading_id"]
        )
        mask = naive_mask(
            [one.box.corners for one in reading.regions if one.finding == row["finding"]], 40, 30
        )[top:bottom, left:right]
        assert (row["grid_height"], row["grid_width"]) == (bottom - top, right - left) == (30, 30)
        assert row["hit"] == naive_hit(mapped.values, mask)
        assert row["chance_hit"] == pytest.approx(mask.mean())
        y, x = np.unravel_index(mapped.values.argmax(), mapped.values.shape)
        assert (row["peak_x_px"], row["peak_y_px"]) == (left + x + 0.5, top + y + 0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"controls": ["shuffled"]}, "unknown control 'shuffled'; known: 'randomcam'"),
        ({"reference": "truth"}, "unknown reference 'truth'; known: 'readers'"),
        ({"grid": "fine"}, "unknown grid 'fine'"),
        ({"reliance": "black"}, "unknown fill for the reliance test 'black'"),
        ({"further_models": ["tiny"]}, "give each of them once"),
    ],
)
def test_unknown_choices_are_refused_with_what_is_known(changes: dict, message: str) -> None:
    with pytest.raises(AuditError, match=message):
        AuditChoices.from_dict(CHOICES.to_dict() | changes)


def test_a_model_without_any_of_the_marked_findings_says_what_it_knows(
    audited: Audited, tmp_path: Path
) -> None:
    model = TinyModel(known={"lp": ("Pneumothorax",)})
    with pytest.raises(AuditError, match=r"none of the marked findings \(Cardiomegaly, Frac"):
        run_audit(audited.study.workspace, audited.study.store, model, CHOICES, out=tmp_path)


def test_the_macros_ceiling_is_the_mean_over_its_own_findings_or_none() -> None:
    way = {"model": "tiny", "mode": "zs", "method": "gradcam"}
    lines: list[Row] = [
        way | {"finding": name, "hit": hit}
        for name, hit in (
            ("Edema", 0.5),
            ("Mass", 0.7),
            ("Nodule", None),
            (MACRO, 0.6),
            (POOLED, 0.6),
        )
    ]
    pointing = "inter: pointing where both marked"
    said: list[Row] = [
        {"measure": pointing, "first": "", "finding": name, "value": value, "n": n}
        for name, value, n in (
            ("Edema", 0.8, 4), ("Mass", 0.6, 6), ("Nodule", 0.0, 2), (ALL_FINDINGS, 0.75, 12)
        )
    ]  # fmt: skip
    *_, macro, pooled = with_ceiling(lines, said)
    assert (macro["human_hit"], macro["human_pairs"]) == (pytest.approx(0.7), 10)
    assert pooled["human_hit"] == 0.75
    without_mass = [line for line in said if line["finding"] != "Mass"]
    assert "human_hit" not in with_ceiling(lines, without_mass)[3]
