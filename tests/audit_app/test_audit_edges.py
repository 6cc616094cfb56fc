"""Audits with next to nothing in them: a sentence, and never a NaN in a file."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from audit_app.audit import run_audit
from audit_app.audit_job import describe_run
from audit_app.audit_plan import AuditChoices
from audit_app.audit_result import TABLES, load_audit
from audit_app.errors import AuditError
from audit_app.verify_audit import verify_audit
from launch import app
from tests.audit_app.small_study import Study, TinyModel, make_study

CHOICES = AuditChoices("tiny", ("zs", "lp"), replicates=20, report=False)
HEART = (8, 12, 22, 28)


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    made = make_study(tmp_path)
    yield made
    made.store.close()


def run(
    study: Study, out: Path, choices: AuditChoices = CHOICES, model: TinyModel | None = None
) -> list[str]:
    """What the audit says; every cell of every table is read and none is NaN or infinite."""
    run_id = run_audit(study.workspace, study.store, model or TinyModel(), choices, out=out)
    for file, columns in TABLES.values():
        with (out / file).open(encoding="utf-8-sig", newline="") as opened:
            rows = list(csv.DictReader(opened))
        for row in rows:
            assert tuple(row) == columns
            assert not [v for v in row.values() if re.fullmatch(r"(?i)-?(nan|inf|infinity)", v)]
    assert "NaN" not in (out / "provenance.json").read_text(encoding="utf-8")
    assert verify_audit(out).is_right
    return describe_run(study.store.audits.get(run_id))


def test_a_workspace_without_committed_readings_says_what_to_do(
    study: Study, tmp_path: Path
) -> None:
    study.add_image("a", "Doe")
    with pytest.raises(AuditError, match=r"nothing to audit: 0 committed readings .*; commit a"):
        run(study, tmp_path / "out")


def test_one_reader_one_patient_and_one_finding_give_numbers_and_the_reasons_for_the_others(
    study: Study, tmp_path: Path
) -> None:
    study.read(study.add_image("a", "Doe"), "R1", {"Cardiomegaly": [HEART]})
    said = run(study, tmp_path / "out")
    assert said
    result = load_audit(tmp_path / "out")
    assert {row["prior_hit"] for row in result.rows} == {None}
    assert {line["note"] for line in result.summary} == {"too few patients for an interval"}
    assert {line["overlaps"] for line in result.control_summary} == {None}
    assert {line["human_hit"] for line in result.summary} == {None}
    notes = {line["measure"]: line["note"] for line in result.readers}
    assert notes["inter: presence kappa (Cohen)"] == "n/a: no audited image was read by two readers"
    assert notes["intra: presence kappa (Cohen)"].startswith("n/a: no audited image was read twice")
    assert notes["reveal: readings seen again"].startswith("n/a: no reading was committed again")


def two_readers_of_one_patient(study: Study) -> None:
    for name in ("a", "b", "c"):
        image = study.add_image(name, "Doe")
        study.read(image, "R1", {"Cardiomegaly": [HEART]})
        study.read(image, "R2", {"Cardiomegaly": [HEART], "Fracture": [(3, 10, 12, 20)]})


def one_reader_of_many_patients(study: Study) -> None:
    for number in range(11):
        image = study.add_image(f"picture {number}", f"patient {number}")
        study.read(image, "R1", {"Cardiomegaly": [HEART], "Fracture": [(3, 10, 12, 20)]})


def two_readers_of_one_finding(study: Study) -> None:
    for number in range(11):
        image = study.add_image(f"picture {number}", f"patient {number}")
        for reader in ("R1", "R2"):
            study.read(image, reader, {"Cardiomegaly": [HEART]})


@pytest.mark.parametrize(
    ("fill", "known"),
    [
        (two_readers_of_one_patient, None),
        (one_reader_of_many_patients, None),
        (one_reader_of_many_patients, ("Fracture",)),
        (two_readers_of_one_finding, None),
    ],
    ids=["one patient", "one reader", "a head without that finding", "one finding"],
)
def test_a_report_of_next_to_nothing_is_written_without_a_nan(
    study: Study, tmp_path: Path, fill: Callable[[Study], None], known: tuple[str, ...] | None
) -> None:
    fill(study)
    out = tmp_path / "out"
    model = TinyModel(known={"lp": known} if known else {})
    said = run(study, out, replace(CHOICES, report=True), model)
    assert said
    assert all("nan" not in re.findall(r"[a-z]+", line.lower()) for line in said)
    for path in (out / "report.html", *(out / "charts").glob("*.svg")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\bnan\b|\binf\b", text, re.IGNORECASE), path.name
        assert "(None)" not in text
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF-")
    reasons = {row["status_reason"] for row in load_audit(out).rows}
    lacks = "mode lp has no output for 'Cardiomegaly'; it knows: Fracture"
    assert (lacks in reasons) is (known is not None)


def test_the_command_says_in_a_sentence_that_nothing_was_committed(
    study: Study, tmp_path: Path
) -> None:
    study.add_image("a", "Doe")
    words = ["audit", str(study.workspace.root), "--model", "tiny", "--out", str(tmp_path / "out")]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 1
    assert "nothing to audit: 0 committed readings match" in " ".join(said.output.split())
    assert "Traceback" not in said.output
    assert not (tmp_path / "out").exists()


def test_pictures_that_all_are_gone_give_counted_rows_and_no_number(
    study: Study, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        image = study.add_image(name, name)
        study.read(image, "R1", {"Cardiomegaly": [HEART]})
        Path(image.path).unlink()
    said = run(study, tmp_path / "out")
    assert said
    result = load_audit(tmp_path / "out")
    assert {row["status"] for row in result.rows} == {"invalid_input"}
    assert {line["note"] for line in result.summary} == {"no scored row"}
    assert result.controls == []
    assert {line["hit"] for line in result.summary} == {None}


def test_a_picture_on_which_everything_is_marked_has_no_wrong_finding_to_ask_for(
    study: Study, tmp_path: Path
) -> None:
    marked = {name: [HEART] for name in ("Cardiomegaly", "Pneumothorax", "Fracture")}
    study.read(study.add_image("a", "Doe"), "R1", marked)
    run(study, tmp_path / "out")
    controls = load_audit(tmp_path / "out").controls
    assert {row["control"] for row in controls} == {"randomcam", "random-weights"}


def test_a_region_over_the_whole_picture_cannot_be_filled_and_says_why(
    study: Study, tmp_path: Path
) -> None:
    study.read(study.add_image("a", "Doe", (30, 30)), "R1", {"Cardiomegaly": [(0, 0, 30, 30)]})
    run(study, tmp_path / "out")
    result = load_audit(tmp_path / "out")
    assert {row["score_drop_region"] for row in result.rows} == {None}
    assert {row["reliance_note"] for row in result.rows} == {
        "the region is all that the model saw; nothing is left to fill it from"
    }
    assert all(line["n_left_out"] == 1 and line["note"] for line in result.reliance)


def test_a_reader_who_read_a_picture_twice_is_compared_with_themselves(
    study: Study, tmp_path: Path
) -> None:
    from annotations.cases import REPEAT, case_id_of
    from annotations.records import Edit, Region
    from annotations.regions import Box

    image = study.add_image("a", "Doe")
    study.store.readers.ensure("R1")
    for number, (occasion, box) in enumerate(((1, HEART), (REPEAT, (8, 12, 22, 36)))):
        case = case_id_of(image.image_id, occasion)
        region = Region("r", "Cardiomegaly", "definite", Box(*box))
        made = study.store.readings.apply(Edit("page", number, case, 0, "put", region), "R1")
        study.store.readings.commit(case, "R1", base_version=made.version)
    run(study, tmp_path / "out")
    result = load_audit(tmp_path / "out")
    assert len(result.rows) == 2  # the repeat is no further reading
    (line,) = (
        one
        for one in result.readers
        if (one["measure"], one["finding"]) == ("intra: IoU where both marked", "Cardiomegaly")
    )
    assert (line["first"], line["n"]) == ("R1", 1)
    assert line["value"] == pytest.approx(16 / 24)  # 14 x 16 of 14 x 24 pixels


def test_verify_and_compare_on_the_command_line_end_with_the_right_status(
    study: Study, tmp_path: Path
) -> None:
    study.read(study.add_image("a", "Doe"), "R1", {"Cardiomegaly": [HEART]})
    out = tmp_path / "out"
    run(study, out)
    runner = CliRunner()
    right = runner.invoke(app, ["verify", str(out)])
    assert (right.exit_code, right.output.splitlines()[-1]) == (0, "Everything agrees.")
    same = runner.invoke(app, ["compare", str(out), str(out), "--out", str(tmp_path / "table")])
    assert same.exit_code == 0
    assert same.output.startswith("2 common rows; 0 only in the first")
    assert (tmp_path / "table" / "comparison.csv").is_file()
    path = out / "summary.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("gradcam", "gradcam2", 1))
    wrong = runner.invoke(app, ["verify", str(out)])
    assert wrong.exit_code == 1
    assert "summary.csv changed since it was written" in wrong.output
    none = runner.invoke(app, ["verify", str(tmp_path)])
    assert none.exit_code == 1
    assert "give the folder of a finished audit" in " ".join(none.output.split())
