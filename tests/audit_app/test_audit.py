"""A whole audit on a real store and real picture files; every number is recomputed by loops."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotations.errors import UnknownFinding, UnknownRecord
from annotations.records import Edit, ImageRecord, Region
from annotations.regions import Box
from audit_app.audit import resume_audit, run_audit
from audit_app.audit_images import load_picture
from audit_app.audit_job import audit_into
from audit_app.audit_plan import AuditChoices
from audit_app.errors import AuditError
from audit_app.evaluation import AGREEMENT_COLUMNS
from audit_app.models import head_file
from audit_app.reports.summary import SUMMARY_COLUMNS
from model_store.errors import MissingHead
from model_store.preprocessing import frame_geometry
from tests.audit_app.naive_agreement import CURVE, naive_columns, naive_hit, naive_mask
from tests.audit_app.small_study import GRID, Study, TinyModel, make_study

CHOICES = AuditChoices(
    model="tiny", modes=("zs", "lp"), replicates=50, controls=(), reliance="", report=False
)
HEART = (8, 12, 22, 28)
WIDER = (1, 10, 20, 30)


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    made = make_study(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def filled(study: Study) -> Study:
    """Four patients, one of them with two images; two readers; one reading of No Finding."""
    first = study.add_image("first", "Doe")
    second = study.add_image("second", "Doe")
    third = study.add_image("third", "Roe", (36, 44))
    fourth = study.add_image("fourth", "Poe", (30, 30))
    fifth = study.add_image("fifth", "Moe", (30, 30))
    study.read(
        first, "R1", {"Cardiomegaly": [HEART], "Fracture": [(3, 10, 9, 15), (5, 12, 20, 20)]}
    )
    study.read(first, "R2", {"Cardiomegaly": [(6, 15, 25, 30)]})
    study.read(second, "R1", {"Pneumothorax": [(0, 0, 30, 3)]})  # outside the field of view
    study.read(third, "R1", {"Cardiomegaly": [(10, 4, 30, 20)], "Pneumothorax": [(5, 5, 9, 30)]})
    study.read(fourth, "R2", {"Cardiomegaly": [(2, 2, 14, 20)], "Fracture": [(2, 2, 3, 3)]})
    study.read(fifth, "R1", {})
    return study


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def audit(study: Study, out: Path, runtime: TinyModel | None = None, **changes) -> str:
    choices = AuditChoices.from_dict(CHOICES.to_dict() | changes)
    return run_audit(study.workspace, study.store, runtime or TinyModel(), choices, out=out)


def picture_of(image: ImageRecord) -> np.ndarray:
    return np.asarray(Image.open(image.path))


def naive_prior(study: Study, row: dict[str, str], mask: np.ndarray, window: tuple) -> float | None:
    """The hit of the mean of the other patients' normalised maps, in floats."""
    findings = study.store.findings()
    own = study.store.images.get(row["image_id"]).patient_hash
    others = []
    for image in study.store.images.all():
        regions = [r for one in study.store.readings.of_image(image.image_id) for r in one.regions]
        if image.patient_hash != own and regions:
            answer = TinyModel().explain(
                "tiny", row["mode"], "gradcam", picture_of(image), findings
            )
            saliency = answer.maps[findings.index(row["finding"])].astype(float)
            span = saliency.max() - saliency.min()
            others.append((saliency - saliency.min()) / span if span else saliency * 0)
    if not others:
        return None
    left, top, right, bottom = window
    mean = sum(others)[top:bottom, left:right] / len(others)
    return 0.0 if mean.max() == mean.min() else naive_hit(mean, mask)


def test_every_number_of_the_csv_is_what_loops_over_pixels_give(filled: Study, tmp_path: Path):
    out = tmp_path / "out"
    audit(filled, out)
    rows = read_rows(out / "agreement.csv")
    findings = filled.store.findings()
    checked = dict.fromkeys(("ok", "no_evidence", "not_visible", "no_reference"), 0)
    for row in rows:
        checked[row["status"]] += 1
        image = filled.store.images.get(row["image_id"])
        answer = TinyModel().explain("tiny", row["mode"], "gradcam", picture_of(image), findings)
        index = findings.index(row["finding"])
        assert float(row["score"]) == float(answer.scores[index])
        assert int(row["score_rank"]) == 1 + sum(
            one > answer.scores[index] for one in answer.scores
        )
        if row["status"] not in ("ok", "no_evidence"):
            assert {row[name] for name in ("hit", "iou", "shift_p", "prior_hit", "iou_0.50")} == {
                ""
            }
            continue
        (reading,) = (
            one
            for one in filled.store.readings.of_image(image.image_id)
            if one.reading_id == row["reading_id"]
        )
        geometry = frame_geometry("crop", image.size, GRID)
        boxes = [
            geometry.to_input(region.box.corners)
            for region in reading.regions
            if region.finding == row["finding"]
        ]
        mask = naive_mask(boxes, *GRID)
        prior = naive_prior(filled, row, mask, geometry.input_window)
        assert float(row["prior_hit"]) == pytest.approx(prior, abs=1e-12)
        if row["status"] == "no_evidence":
            assert (row["hit"], row["iou"], row["energy_in_box"]) == ("0.0", "0.0", "0.0")
            continue
        expected = naive_columns(
            answer.maps[index],
            boxes,
            pixel_size=(1 / geometry.scale_y, 1 / geometry.scale_x),
            diagonal=math.hypot(*image.size),
        )
        curve = expected.pop("iou_curve")
        assert expected.pop("status") == row["status"]
        found = {name: float(row[name]) for name in expected}
        assert found == pytest.approx(expected, abs=1e-12)
        assert [float(row[f"iou_{t:.2f}"]) for t in CURVE] == pytest.approx(list(curve))
    assert len(rows) == 2 * 8
    assert checked == {"ok": 11, "no_evidence": 1, "not_visible": 2, "no_reference": 2}


def test_the_csv_has_one_row_per_reading_finding_and_mode_with_its_hashes(
    filled: Study, tmp_path: Path
):
    run_id = audit(filled, tmp_path / "out")
    path = tmp_path / "out" / "agreement.csv"
    assert path.read_bytes().count(b"\r\n") == path.read_bytes().count(b"\n") == 17
    rows = read_rows(path)
    assert tuple(rows[0]) == AGREEMENT_COLUMNS
    keys = {(r["reading_id"], r["finding"], r["mode"]) for r in rows}
    assert len(keys) == len(rows) == 16
    for row in rows:
        image = filled.store.images.get(row["image_id"])
        content = Path(image.path).read_bytes()
        assert row["image_sha256"] == hashlib.sha256(content).hexdigest()
        assert row["run_id"] == run_id
        assert row["weights_sha256"] == f"{row['mode']}-weights"
        readings = {one.reading_id: one for one in filled.store.readings.of_image(image.image_id)}
        assert row["reading_sha256"] == readings[row["reading_id"]].content_sha256
        assert row["commit_number"] == "1"


def test_no_file_of_an_audit_holds_a_patients_name_or_a_folder(filled: Study, tmp_path: Path):
    out = tmp_path / "out"
    Path(filled.store.images.all()[0].path).unlink()
    audit(filled, out)
    for name in ("agreement.csv", "summary.csv", "provenance.json"):
        text = (out / name).read_text(encoding="utf-8")
        for leak in ("Doe", "Roe", "first of", ".png", str(tmp_path), "/home/somebody"):
            assert leak not in text, (name, leak)


def test_the_stored_rows_are_those_of_the_csv(filled: Study, tmp_path: Path):
    run_id = audit(filled, tmp_path / "out")
    rows = read_rows(tmp_path / "out" / "agreement.csv")
    stored = filled.store.audits.rows(run_id)
    assert [row["image_id"] for row in stored] == [row["image_id"] for row in rows]
    assert [None if r["hit"] == "" else float(r["hit"]) for r in rows] == [
        row["hit"] for row in stored
    ]
    run = filled.store.audits.get(run_id)
    assert (run.status, run.owner) == ("done", "local reader")
    assert run.summary["counts"]["rows_by_status"]["ok"] == 11  # type: ignore[index]


def test_the_summary_holds_the_means_of_the_scored_rows(filled: Study, tmp_path: Path):
    audit(filled, tmp_path / "out")
    rows = read_rows(tmp_path / "out" / "agreement.csv")
    lines = read_rows(tmp_path / "out" / "summary.csv")
    assert tuple(lines[0]) == SUMMARY_COLUMNS
    by_key = {(line["finding"], line["mode"]): line for line in lines}
    assert len(by_key) == 2 * 5  # three findings, the macro, all regions
    line = by_key["Cardiomegaly", "zs"]
    hearts = [r for r in rows if (r["finding"], r["mode"]) == ("Cardiomegaly", "zs")]
    assert (line["n_rows"], line["n_scored"], line["n_patients"]) == ("4", "4", "3")
    for name in ("hit", "iou", "energy_in_box", "chance_hit"):
        assert float(line[name]) == pytest.approx(sum(float(r[name]) for r in hearts) / 4)
    hit, chance = float(line["hit"]), float(line["chance_hit"])
    assert float(line["lift"]) == pytest.approx(hit / chance)
    assert float(line["corrected"]) == pytest.approx((hit - chance) / (1 - chance))
    assert (line["hit_low"], line["note"]) == ("", "too few patients for an interval")
    lung = by_key["Pneumothorax", "lp"]
    assert (lung["n_rows"], lung["n_scored"], lung["n_not_visible"]) == ("2", "1", "1")
    macro = by_key["macro over findings", "zs"]
    means = [float(by_key[name, "zs"]["iou"]) for name in ("Cardiomegaly", "Pneumothorax")]
    fracture = float(by_key["Fracture", "zs"]["iou"])
    assert float(macro["iou"]) == pytest.approx((sum(means) + fracture) / 3)
    assert (macro["n_findings"], macro["n_rows"], macro["n_patients"]) == ("3", "8", "3")


def test_the_provenance_says_what_decided_the_numbers(filled: Study, tmp_path: Path):
    out = tmp_path / "out"
    run_id = audit(filled, out, threshold=0.4, seed=7)
    facts = json.loads((out / "provenance.json").read_text(encoding="utf-8"))
    assert facts["run_id"] == run_id
    assert facts["choices"]["threshold"] == 0.4
    assert facts["seeds"] == {"bootstrap": 7, "controls": 7, "reliance": 7}
    assert facts["definitions"]["grid_sizes"] == [list(GRID)]
    assert facts["weights"] == {"tiny zs": ["zs-weights"], "tiny lp": ["lp-weights"]}
    assert facts["maps"]["tiny zs gradcam"]["layer"] == "blocks"
    assert facts["left_out"] == [
        "control randomcam", "control random-weights", "control wrong-finding", "reliance test",
    ]  # fmt: skip
    assert facts["command"] == (
        "launch.py audit WORKSPACE --model tiny --modes zs,lp --methods gradcam --no-report "
        "--controls none --reliance none --threshold 0.4 --replicates 50 --seed 7 --out DIR"
    )
    counts = facts["counts"]
    assert (counts["readings"], counts["readings_with_no_finding"]) == (6, 1)
    assert (counts["images"], counts["patients"], counts["rows"]) == (4, 3, 16)
    assert counts["rows_by_status"] == {
        "ok": 11, "no_evidence": 1, "no_reference": 2, "not_visible": 2, "invalid_input": 0,
    }  # fmt: skip
    for name, digest in facts["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest


def test_a_missing_and_a_changed_picture_become_invalid_rows_and_the_run_goes_on(
    filled: Study, tmp_path: Path
):
    images = filled.store.images.all()
    Path(images[0].path).unlink()
    Image.fromarray(np.zeros((36, 44), dtype=np.uint8)).save(images[2].path)
    run_id = audit(filled, tmp_path / "out")
    rows = filled.store.audits.rows(run_id)
    reasons = {row["image_id"]: row["status_reason"] for row in rows if row["status_reason"]}
    assert "the image file is missing" in str(reasons[images[0].image_id])
    assert "changed since it was imported" in str(reasons[images[2].image_id])
    invalid = [row for row in rows if row["status"] == "invalid_input"]
    assert {row["image_id"] for row in invalid} == {images[0].image_id, images[2].image_id}
    assert {row["hit"] for row in invalid} == {None}
    assert {row["status"] for row in rows if row["image_id"] == images[3].image_id} >= {"ok"}
    facts = json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))
    assert facts["warnings"] == [
        f"{len(invalid)} of {len(rows)} rows have status invalid_input and are not scored; "
        "the column status_reason says why"
    ]


def test_a_file_that_is_no_picture_gives_a_reason_without_the_files_name(study: Study):
    image = study.add_image("Doe_John", "Doe")
    Path(image.path).write_bytes(b"no picture")
    digest = hashlib.sha256(b"no picture").hexdigest()
    reason = load_picture(dataclasses.replace(image, sha256=digest))
    assert isinstance(reason, str)
    assert "no PNG, JPEG, TIFF or DICOM" in reason
    assert "Doe" not in reason
    assert str(study.folder) not in reason


def test_a_map_with_a_nan_is_an_invalid_row_and_no_part_of_the_mean_map(
    study: Study, tmp_path: Path
):
    images = [study.add_image(name, name) for name in ("a", "b", "c")]
    for image in images:
        study.read(image, "R1", {"Cardiomegaly": [HEART]})
    spoiled = float(picture_of(images[1]).mean())
    run_id = audit(study, tmp_path / "out", TinyModel(spoiled_at=spoiled), modes=["zs"])
    rows = {row["image_id"]: row for row in study.store.audits.rows(run_id)}
    assert rows[images[1].image_id]["status"] == "invalid_input"
    assert "nan at row 3, column 4" in str(rows[images[1].image_id]["status_reason"])
    # With the second map out, the mean map for the first patient is the third patient's map.
    picture = picture_of(images[2])
    other = TinyModel().explain("tiny", "zs", "gradcam", picture, study.store.findings()).maps[0]
    mask = naive_mask([frame_geometry("crop", (40, 30), GRID).to_input(HEART)], *GRID)
    assert rows[images[0].image_id]["prior_hit"] == naive_hit(other, mask)


def test_a_lone_patient_has_no_prior(study: Study, tmp_path: Path):
    for name in ("a", "b"):
        study.read(study.add_image(name, "Doe"), "R1", {"Cardiomegaly": [HEART]})
    run_id = audit(study, tmp_path / "out")
    assert {row["prior_hit"] for row in study.store.audits.rows(run_id)} == {None}
    (line, *_) = read_rows(tmp_path / "out" / "summary.csv")
    assert (line["prior_hit"], line["n_patients"]) == ("", "1")


def cancel_after(n_images: int):
    def progress(done: int, total: int, message: str) -> bool:
        assert 0 < done <= total
        assert message
        return done >= n_images

    return progress


def without_run(path: Path) -> list[dict[str, str]]:
    return [row | {"run_id": ""} for row in read_rows(path)]


@pytest.mark.parametrize("n_images", [1, 2, 3, 4])
def test_a_cancelled_audit_goes_on_where_it_was_and_ends_like_an_unbroken_one(
    filled: Study, tmp_path: Path, n_images: int
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    audit(filled, whole)
    model = TinyModel()
    places = {"out": broken, "progress": cancel_after(n_images)}
    run_id = run_audit(filled.workspace, filled.store, model, CHOICES, **places)
    assert filled.store.audits.get(run_id).status == "cancelled"
    assert filled.store.audits.rows(run_id) == []
    assert list(broken.iterdir()) == []
    before = len(model.asked)
    assert 0 < before <= 2 * n_images
    assert resume_audit(filled.workspace, filled.store, model, run_id, out=broken) == run_id
    assert filled.store.audits.get(run_id).status == "done"
    for name in ("agreement.csv", "summary.csv"):
        assert without_run(broken / name) == without_run(whole / name)
    # Nothing is asked twice but the first image of the patient whose second one was cut off.
    assert len(model.asked) == (10 if n_images == 1 else 8)


def test_a_killed_run_goes_on_from_the_last_checkpoint(
    filled: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Killed(BaseException):
        pass

    def die(done: int, total: int, _: str) -> bool:
        if done == total:
            raise Killed
        return False

    monkeypatch.setattr("audit_app.audit_spool.CHECKPOINT_EVERY_S", -1.0)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    audit(filled, whole)
    with pytest.raises(Killed):
        run_audit(filled.workspace, filled.store, TinyModel(), CHOICES, out=broken, progress=die)
    (run_id,) = (run.run_id for run in filled.store.audits.all() if run.status == "running")
    model = TinyModel()
    resume_audit(filled.workspace, filled.store, model, run_id, out=broken)
    assert model.asked == []
    assert without_run(broken / "agreement.csv") == without_run(whole / "agreement.csv")


def test_ctrl_c_leaves_a_cancelled_run_that_is_running_again_once_it_is_resumed(
    filled: Study, tmp_path: Path
):
    def interrupt(*_: object) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_audit(
            filled.workspace,
            filled.store,
            TinyModel(),
            CHOICES,
            out=tmp_path / "out",
            progress=interrupt,
        )
    (run,) = filled.store.audits.all()
    assert (run.status, run.summary) == (
        "cancelled",
        {"reason": "cancelled; what was done is kept"},
    )
    states = []

    def look(*_: object) -> bool:
        now = filled.store.audits.get(run.run_id)
        states.append((now.status, now.summary))
        return False

    place = {"out": tmp_path / "out", "progress": look}
    resume_audit(filled.workspace, filled.store, TinyModel(), run.run_id, **place)
    assert states
    assert all(state == ("running", {}) for state in states)
    assert filled.store.audits.get(run.run_id).status == "done"


def test_a_missing_head_fails_the_run_with_its_sentence_and_a_resume_works_once_it_is_there(
    filled: Study, tmp_path: Path
):
    with pytest.raises(MissingHead, match="no lp weights"):
        audit(filled, tmp_path / "out", TinyModel(missing=frozenset({"lp"})))
    (run,) = filled.store.audits.all()
    assert run.status == "failed"
    assert run.summary == {"reason": "model 'tiny' has no lp weights; train it first"}
    resume_audit(filled.workspace, filled.store, TinyModel(), run.run_id, out=tmp_path / "out")
    assert filled.store.audits.get(run.run_id).status == "done"
    assert list((filled.workspace.cache / "audits").iterdir()) == []


def test_a_resume_on_changed_readings_is_refused(filled: Study, tmp_path: Path):
    run_id = run_audit(
        filled.workspace,
        filled.store,
        TinyModel(),
        CHOICES,
        out=tmp_path / "out",
        progress=cancel_after(2),
    )
    filled.read(filled.store.images.all()[4], "R2", {"Fracture": [(3, 3, 20, 20)]})
    with pytest.raises(AuditError, match="changed since this audit was interrupted"):
        resume_audit(filled.workspace, filled.store, TinyModel(), run_id, out=tmp_path / "out")
    assert filled.store.audits.get(run_id).status == "cancelled"


def retrain(mode: str) -> Callable[[Study], None]:
    def change(study: Study) -> None:
        head_file(study.workspace, "tiny", mode).write_bytes(b"trained again")

    return change


def change_model(**changes: object) -> Callable[[Study], None]:
    def change(study: Study) -> None:
        study.store.models.save("tiny", dict(study.store.models.get("tiny")) | changes)

    return change


@pytest.mark.parametrize(
    "change",
    [
        retrain("lp"),
        retrain("ft"),
        change_model(prompts={"Fracture": ["a broken rib"]}),
        change_model(preprocessing="pad"),
        change_model(weights_sha256="other weights"),
    ],
    ids=["probe", "fine-tune", "prompts", "preprocessing", "weights"],
)
def test_a_resume_with_another_model_than_at_first_is_refused_and_a_command_begins_anew(
    filled: Study, tmp_path: Path, change: Callable[[Study], None]
):
    for mode in ("lp", "ft"):
        head_file(filled.workspace, "tiny", mode).parent.mkdir(parents=True, exist_ok=True)
        head_file(filled.workspace, "tiny", mode).write_bytes(b"trained")
    choices = dataclasses.replace(CHOICES, modes=("zs", "lp", "ft"), origin="folder out")
    work = (filled.workspace, filled.store, TinyModel())
    place = {"out": tmp_path / "out"}
    run_id = run_audit(*work, choices, **place, progress=cancel_after(2))
    change(filled)
    with pytest.raises(AuditError, match=r"a model \(its weights, training, prompts or"):
        resume_audit(*work, run_id, **place)
    assert filled.store.audits.get(run_id).status == "cancelled"
    fresh = audit_into(*work, choices, **place, progress=lambda *_: False)
    assert fresh != run_id
    assert filled.store.audits.get(fresh).status == "done"


def test_a_head_that_is_not_audited_may_be_trained_while_an_audit_is_stopped(
    filled: Study, tmp_path: Path
):
    work = (filled.workspace, filled.store, TinyModel())
    place = {"out": tmp_path / "out"}
    run_id = run_audit(*work, CHOICES, **place, progress=cancel_after(2))
    head_file(filled.workspace, "tiny", "ft").parent.mkdir(parents=True, exist_ok=True)
    retrain("ft")(filled)
    assert resume_audit(*work, run_id, **place) == run_id


def test_a_finished_run_cannot_be_resumed(filled: Study, tmp_path: Path):
    run_id = audit(filled, tmp_path / "out")
    with pytest.raises(AuditError, match="is done; there is nothing left"):
        resume_audit(filled.workspace, filled.store, TinyModel(), run_id, out=tmp_path / "out")


def test_a_head_that_knows_fewer_findings_scores_those_and_names_the_others(
    filled: Study, tmp_path: Path
):
    model = TinyModel(known={"lp": ("Cardiomegaly",)})
    run_id = audit(filled, tmp_path / "out", model)
    rows = filled.store.audits.rows(run_id)
    unknown = [row for row in rows if row["mode"] == "lp" and row["finding"] != "Cardiomegaly"]
    assert len(unknown) == 4
    assert {row["status"] for row in unknown} == {"invalid_input"}
    assert "mode lp has no output for 'Fracture'; it knows: Cardiomegaly" in {
        row["status_reason"] for row in unknown
    }
    hearts = [row for row in rows if row["mode"] == "lp" and row["finding"] == "Cardiomegaly"]
    assert {row["status"] for row in hearts} == {"ok"}
    assert {row["n_ranked"] for row in hearts} == {1}


def test_a_mode_that_knows_no_audited_finding_is_refused_before_anything_begins(
    filled: Study, tmp_path: Path
):
    with pytest.raises(AuditError, match="mode ft of model 'tiny' is not trained for any"):
        audit(filled, tmp_path / "out", TinyModel(known={"ft": ()}), modes=["zs", "ft"])
    assert filled.store.audits.all() == []


def test_chosen_findings_and_readers_limit_the_rows(filled: Study, tmp_path: Path):
    run_id = audit(filled, tmp_path / "out", findings=["Cardiomegaly"], readers=["R2"])
    rows = filled.store.audits.rows(run_id)
    assert {(row["reader"], row["finding"]) for row in rows} == {("R2", "Cardiomegaly")}
    assert len(rows) == 4


def test_the_first_blinded_commit_is_audited_unless_the_latest_is_asked_for(
    study: Study, tmp_path: Path
):
    image = study.add_image("a", "Doe")
    study.read(image, "R1", {"Cardiomegaly": [HEART]})
    study.read(image, "R1", {"Cardiomegaly": [WIDER]})
    first = study.store.audits.rows(audit(study, tmp_path / "first", modes=["zs"]))
    latest = study.store.audits.rows(audit(study, tmp_path / "latest", modes=["zs"], latest=True))
    assert [row["commit_number"] for row in first] == [1]
    assert [row["commit_number"] for row in latest] == [2]
    assert first[0]["chance_hit"] != latest[0]["chance_hit"]


def test_a_commit_made_after_the_map_was_seen_is_left_out_unless_the_latest_is_asked_for(
    study: Study, tmp_path: Path
):
    image = study.add_image("a", "Doe")
    study.store.readers.ensure("R1")
    readings = study.store.readings
    heart, wider = (Region("r1", "Cardiomegaly", "definite", Box(*box)) for box in (HEART, WIDER))
    first = readings.apply(Edit("page", 1, image.image_id, 0, "put", heart), "R1")
    readings.commit(image.image_id, "R1", base_version=first.version)
    readings.reveal(image.image_id, "R1")
    opened = readings.reopen(image.image_id, "R1")
    second = readings.apply(Edit("page", 2, image.image_id, opened.version, "put", wider), "R1")
    readings.commit(image.image_id, "R1", base_version=second.version)
    first_rows = study.store.audits.rows(audit(study, tmp_path / "first", modes=["zs"]))
    last_rows = study.store.audits.rows(audit(study, tmp_path / "last", modes=["zs"], latest=True))
    assert [(row["commit_number"], row["blinded"]) for row in first_rows] == [(1, True)]
    assert [(row["commit_number"], row["blinded"]) for row in last_rows] == [(2, False)]
    assert first_rows[0]["chance_hit"] != last_rows[0]["chance_hit"]


def test_a_readers_name_that_looks_like_a_formula_is_made_harmless(study: Study, tmp_path: Path):
    study.read(study.add_image("a", "Doe"), "=2+3", {"Cardiomegaly": [HEART]})
    audit(study, tmp_path / "out")
    assert read_rows(tmp_path / "out" / "agreement.csv")[0]["reader"] == "'=2+3"


def test_two_audits_of_the_same_state_write_the_same_numbers(filled: Study, tmp_path: Path):
    audit(filled, tmp_path / "one")
    audit(filled, tmp_path / "two")
    for name in ("agreement.csv", "summary.csv"):
        assert without_run(tmp_path / "one" / name) == without_run(tmp_path / "two" / name)


def test_readings_without_a_region_leave_nothing_to_audit(study: Study, tmp_path: Path):
    study.read(study.add_image("a", "Doe"), "R1", {})
    with pytest.raises(AuditError, match="nothing to audit: 1 committed readings match, 1 of them"):
        audit(study, tmp_path / "out")


def test_what_the_workspace_does_not_know_is_refused_by_name(filled: Study, tmp_path: Path):
    with pytest.raises(UnknownFinding, match="did you mean 'Cardiomegaly'"):
        audit(filled, tmp_path / "out", findings=["Cardiomegly"])
    with pytest.raises(UnknownRecord, match="unknown model 'tinny'"):
        audit(filled, tmp_path / "out", model="tinny")


def test_a_folder_that_cannot_be_written_is_refused_before_anything_begins(
    filled: Study, tmp_path: Path
):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(AuditError, match="cannot write to the folder"):
        audit(filled, tmp_path / "file")
    assert filled.store.audits.all() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modes": ["zs", "tuned"]}, r"modes are \['zs', 'tuned'\]; choose one or more"),
        ({"modes": []}, "choose one or more"),
        ({"methods": []}, "no saliency method"),
        ({"modes": ["zs", "zs"]}, "give each of them once"),
        ({"threshold": 1.2}, "threshold is 1.2"),
        ({"replicates": 0}, "replicates is 0"),
        ({"colour": "red"}, "expected model and any of"),
    ],
)
def test_choices_that_make_no_audit_are_refused_with_what_was_given(changes: dict, message: str):
    with pytest.raises(AuditError, match=message):
        AuditChoices.from_dict(CHOICES.to_dict() | changes)


def test_choices_survive_the_way_through_json():
    choices = AuditChoices("m", ("ft",), ("gradcam",), ("Edema",), ("R",), latest=True, seed=3)
    assert AuditChoices.from_dict(json.loads(json.dumps(choices.to_dict()))) == choices
