"""One changed cell, image, box or weight is found and named; an untouched audit agrees."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audit_app.audit import run_audit
from audit_app.audit_compare import COMPARISON_COLUMNS, compare_audits, write_comparison
from audit_app.audit_plan import AuditChoices
from audit_app.audit_result import DERIVED, load_audit
from audit_app.errors import AuditError
from audit_app.metrics.bootstrap import paired_cluster_bootstrap
from audit_app.verify_audit import verify_audit
from tests.audit_app.small_study import Study, TinyExplanation, TinyModel, make_read_study

CHOICES = AuditChoices("tiny", ("zs", "lp"), replicates=40, report=False)


class OtherWeights(TinyModel):
    """The same model after a training: other maps, other hash."""

    def _answer(self, mode: str, picture: np.ndarray, findings: tuple[str, ...]) -> TinyExplanation:
        told = super()._answer(mode, picture[::-1], findings)
        return replace(told, provenance={**told.provenance, "weights_sha256": "retrained"})


@dataclass(frozen=True)
class Audited:
    study: Study
    folder: Path

    def copy(self, place: Path) -> Path:
        shutil.copytree(self.folder, place)
        return place

    def problems(self, folder: Path | None = None, model: TinyModel | None = None) -> list[str]:
        """What the whole check says about the folder."""
        study = self.study
        told = verify_audit(
            folder or self.folder, study.workspace, study.store, model or TinyModel()
        )
        assert told.is_right is (not told.problems)
        return list(told.problems)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    root = tmp_path_factory.mktemp("verify")
    study = make_read_study(root)
    run_audit(study.workspace, study.store, TinyModel(), CHOICES, out=root / "out")
    yield Audited(study, root / "out")
    study.store.close()


@pytest.fixture(scope="module")
def reported(audited: Audited, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small audit with its report."""
    out = tmp_path_factory.mktemp("report") / "out"
    choices = replace(CHOICES, modes=("zs",), controls=(), reliance="", report=True)
    run_audit(audited.study.workspace, audited.study.store, TinyModel(), choices, out=out)
    return out


def edit_cell(path: Path, line: int, column: str, change: Callable[[str], str]) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    place = lines[0].split(",").index(column)
    cells = lines[line - 1].split(",")  # no cell before those that are changed holds a comma
    cells[place] = change(cells[place])
    lines[line - 1] = ",".join(cells)
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode())


def rehash(folder: Path) -> None:
    """What a forger would do: the hashes of the changed files, too."""
    from hashlib import sha256

    path = folder / "provenance.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["files"] = {
        name: sha256((folder / name).read_bytes()).hexdigest() for name in facts["files"]
    }
    path.write_text(json.dumps(facts), encoding="utf-8")


def change_facts(folder: Path, change: Callable[[dict], object]) -> None:
    path = folder / "provenance.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    change(facts)
    path.write_text(json.dumps(facts), encoding="utf-8")


def test_an_untouched_audit_agrees_with_itself_and_with_its_workspace(audited: Audited) -> None:
    alone = verify_audit(audited.folder)
    assert alone.is_right
    assert "Images, readings and weights were not looked at" in " ".join(alone.checks)
    assert audited.problems() == []
    assert list(audited.study.workspace.cache.glob("verify-*")) == []


@pytest.mark.parametrize(
    ("file", "column", "change"),
    [
        ("agreement.csv", "iou", lambda text: f"{float(text) + 0.001!r}"),
        ("agreement.csv", "reader", lambda _: "R9"),
        ("controls.csv", "hit", lambda text: "0.0" if text == "1.0" else "1.0"),
        ("summary.csv", "hit_low", lambda _: "0.987"),
        ("paired.csv", "p_bootstrap", lambda _: "0.001"),
        ("readers.csv", "n_images", lambda _: "999"),
        ("slices.csv", "chance_hit", lambda _: "0.5"),
        ("reliance.csv", "difference", lambda _: "9.5"),
        ("reveal.csv", "iou_after", lambda _: "0.999"),
        ("control_summary.csv", "model_hit", lambda _: "0.9321"),
        ("agreement.csv", "image_sha256", lambda text: "0" + text[1:]),
        ("agreement.csv", "score_rank", lambda text: str(int(text) + 1)),
        ("reliance.csv", "n_outside_lungs", lambda _: "3"),
    ],
)  # fmt: skip
def test_a_single_changed_cell_is_named_even_when_its_hash_was_forged(
    audited: Audited, tmp_path: Path, file: str, column: str, change: Callable[[str], str]
) -> None:
    folder = audited.copy(tmp_path / "copy")
    edit_cell(folder / file, 2, column, change)
    assert f"{file} changed since it was written" in verify_audit(folder).problems
    rehash(folder)
    is_derived = file.removesuffix(".csv") in DERIVED
    said = verify_audit(folder).problems if is_derived else audited.problems(folder)
    assert any(one.startswith(f"{file} line 2 (") for one in said), said
    if column != "reader":  # a changed reader also moves a slice
        assert any(f": {column} is " in one for one in said if one.startswith(file))


def test_the_versions_of_a_row_are_those_of_the_provenance(
    audited: Audited, tmp_path: Path
) -> None:
    folder = audited.copy(tmp_path / "copy")
    path = folder / "agreement.csv"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('{""tiny"":""1""}', '{""tiny"":""2""}', 1), encoding="utf-8")
    rehash(folder)
    assert 'agreement.csv line 2: versions is {"tiny":"2"}; provenance.json has none such' in (
        verify_audit(folder).problems
    )


@pytest.mark.parametrize(
    "name", ["report.html", "report.pdf", "charts/tiny-gradcam-hit_rate.svg", "summary.csv"]
)
def test_a_changed_byte_of_any_file_is_named(reported: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(reported, folder)
    assert verify_audit(folder).is_right
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    assert f"{name} changed since it was written" in verify_audit(folder).problems


def test_an_untouched_report_is_drawn_again_to_the_byte(reported: Path) -> None:
    told = verify_audit(reported)
    assert told.is_right
    assert "12 files of the report follow from the tables" in told.checks


REPORT_CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "report.html": lambda content: content.replace(b"hit rate", b"hit Rate", 1),
    "report.pdf": lambda content: content + b"%",
    "charts/tiny-gradcam-score.svg": lambda content: content.replace(b"</svg>", b"<g/></svg>"),
}


@pytest.mark.parametrize("name", REPORT_CHANGES)
def test_a_changed_report_is_named_even_when_its_hash_was_forged(
    reported: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(reported, folder)
    before = (folder / name).read_bytes()
    (folder / name).write_bytes(REPORT_CHANGES[name](before))
    assert (folder / name).read_bytes() != before
    rehash(folder)
    (said,) = verify_audit(folder).problems
    assert said.startswith(f"not what the tables and provenance.json give: {name}; ")
    assert said.endswith("restore the folder from a copy, or run the audit again")


def test_a_report_that_was_taken_away_with_its_hash_is_named(
    reported: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(reported, folder)
    (folder / "report.pdf").unlink()
    change_facts(folder, lambda facts: facts["files"].pop("report.pdf"))
    (said,) = verify_audit(folder).problems
    assert "give: report.pdf; " in said


def test_a_report_of_another_version_is_not_compared_and_this_is_said(
    reported: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(reported, folder)
    change_facts(folder, lambda facts: facts["drawn_by"].update({"matplotlib": "3.0"}))
    assert "12 files of the report follow from the tables" in verify_audit(folder).checks
    path = folder / "report.html"
    path.write_bytes(path.read_bytes().replace(b"1.45 system-ui", b"1.5 system-ui"))
    rehash(folder)
    told = verify_audit(folder)
    assert told.is_right
    assert any(
        one.startswith("Not compared with the tables: report.html. ")
        and "(not the same: matplotlib)" in one
        for one in told.checks
    )


def test_facts_that_no_report_can_be_drawn_from_are_said(reported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(reported, folder)
    change_facts(folder, lambda facts: facts.update({"definitions": ["none"]}))
    (said,) = verify_audit(folder).problems
    assert said.startswith("no report can be drawn from the tables and provenance.json (Attr")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda facts: facts["weights"].update({"tiny zs": ["others"]}),
            "weights: tiny zs is ['others'] in provenance.json, ['zs-weights'] recomputed",
        ),
        (
            lambda facts: facts["counts"]["rows_by_status"].update({"ok": 1}),
            "counts: rows_by_status: ok is 1 in provenance.json, ",
        ),
        (
            lambda facts: facts.update({"left_out": ["reliance test"]}),
            "left_out is ['reliance test'] in provenance.json, [] recomputed",
        ),
        (
            lambda facts: facts["prompts"].update({"extra": None}),
            "prompts: extra is None in provenance.json, '(missing)' recomputed",
        ),
        (
            lambda facts: facts["versions"].pop("model"),
            "provenance.json has none such",
        ),
        (
            lambda facts: facts["images"].update(dict.fromkeys(list(facts["images"])[:1])),
            "audited was None",
        ),
        (
            lambda facts: facts["images"].update(
                dict.fromkeys(list(facts["images"])[:1], "0" * 64)
            ),
            "audited was 000000000000",
        ),
    ],
    ids=["weights", "counts", "left out", "prompts", "versions", "no hash", "image"],
)
def test_a_changed_fact_of_the_provenance_is_named(
    audited: Audited, tmp_path: Path, change: Callable[[dict], None], said: str
) -> None:
    folder = audited.copy(tmp_path / "copy")
    change_facts(folder, change)
    assert any(said in one for one in audited.problems(folder))


def test_a_provenance_that_lacks_something_is_refused(audited: Audited, tmp_path: Path) -> None:
    folder = audited.copy(tmp_path / "copy")
    path = folder / "provenance.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    del facts["images"], facts["vocabulary"]
    path.write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(AuditError, match="lacks vocabulary, images; restore it from a copy"):
        verify_audit(folder)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("images", 5, "images is 5; expected a table of names: restore it from a copy"),
        ("files", ["report.html"], "files is ['report.html']; expected a table of names"),
        ("vocabulary", None, "vocabulary is None; expected a list"),
        ("choices", {"model": "tiny", "modes": 5}, "hold a value of another kind"),
        ("choices", {"model": "tiny", "threshold": None}, "hold a value of another kind"),
    ],
)
def test_facts_of_another_kind_are_refused_in_a_sentence(
    audited: Audited, tmp_path: Path, name: str, value: object, said: str
) -> None:
    folder = audited.copy(tmp_path / "copy")
    change_facts(folder, lambda facts: facts.update({name: value}))
    with pytest.raises(AuditError) as refused:
        verify_audit(folder)
    assert said in str(refused.value)


def test_a_row_that_was_taken_out_or_copied_is_named(audited: Audited, tmp_path: Path) -> None:
    folder = audited.copy(tmp_path / "copy")
    lines = (folder / "agreement.csv").read_bytes().splitlines(keepends=True)
    (folder / "agreement.csv").write_bytes(b"".join([*lines[:2], *lines[3:], lines[4]]))
    rehash(folder)
    said = audited.problems(folder)
    assert any(one.startswith("agreement.csv: the row ") and "missing" in one for one in said)
    assert any("two rows have the same key" in one for one in said)


def test_a_changed_choice_is_named(audited: Audited, tmp_path: Path) -> None:
    folder = audited.copy(tmp_path / "copy")
    path = folder / "provenance.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["choices"]["threshold"] = 0.45
    path.write_text(json.dumps(facts), encoding="utf-8")
    said = audited.problems(folder)
    assert "provenance.json: choice threshold is 0.45, the workspace has 0.5" in said


def test_a_changed_image_is_named_by_its_id_and_not_by_its_file(audited: Audited) -> None:
    image = audited.study.store.images.all()[3]
    before = Path(image.path).read_bytes()
    try:
        Image.fromarray(np.full(image.size, 9, dtype=np.uint8)).save(image.path)
        said = audited.problems()
    finally:
        Path(image.path).write_bytes(before)
    assert said[0].startswith(f"image {image.image_id} changed: its file has SHA-256 ")
    assert any("status is ok in the file, invalid_input recomputed" in one for one in said)
    assert "picture 3" not in " ".join(said)
    assert audited.problems() == []


def test_other_weights_are_named(audited: Audited) -> None:
    said = audited.problems(model=OtherWeights())
    named = [one for one in said if "weights_sha256 is zs-weights in the file, retrained" in one]
    assert sum(one.startswith("agreement.csv line") for one in named) == 37
    assert (
        said[0] == "weights: tiny zs is ['zs-weights'] in provenance.json, ['retrained'] recomputed"
    )


def test_a_box_that_was_changed_behind_the_programs_back_is_named(
    audited: Audited, tmp_path: Path
) -> None:
    import sqlite3

    from annotations.store import Store
    from annotations.workspace import open_workspace

    root = tmp_path / "workspace"
    shutil.copytree(audited.study.workspace.root, root)
    with sqlite3.connect(root / "audit.sqlite") as connection:
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        (reading_id,) = connection.execute("SELECT reading_id FROM commits LIMIT 1").fetchone()
        connection.execute(
            "UPDATE commit_regions SET x_max = x_max + 6 WHERE reading_id = ? AND position = 0",
            (reading_id,),
        )
        for _, statement in triggers:
            connection.execute(statement)
    connection.close()
    workspace = open_workspace(root)
    with Store.open(workspace) as store:
        said = verify_audit(audited.folder, workspace, store, TinyModel()).problems
    assert any(
        f"reading {reading_id} of image" in one and "a box or finding" in one for one in said
    )
    assert any("in the file" in one and reading_id in one for one in said)


def test_a_reading_that_came_later_is_named(audited: Audited, tmp_path: Path) -> None:
    from annotations.store import Store
    from annotations.workspace import open_workspace

    root = tmp_path / "workspace"
    shutil.copytree(audited.study.workspace.root, root)
    workspace = open_workspace(root)
    with Store.open(workspace) as store:
        copy = Study(workspace, store, tmp_path)
        copy.read(store.images.all()[5], "R8", {"Fracture": [(3, 3, 9, 12)]})
        said = verify_audit(audited.folder, workspace, store, TinyModel()).problems
    assert any("by 'R8' was made after the audit" in one for one in said)


def test_a_finding_that_came_into_the_workspace_later_changes_nothing(
    audited: Audited, tmp_path: Path
) -> None:
    from annotations.store import Store
    from annotations.workspace import open_workspace

    root = tmp_path / "workspace"
    shutil.copytree(audited.study.workspace.root, root)
    workspace = open_workspace(root)
    with Store.open(workspace) as store:
        store.add_finding("Mass")
        assert "Mass" in store.findings()
        assert verify_audit(audited.folder, workspace, store, TinyModel()).problems == ()


@pytest.mark.parametrize("change", ["remove", "header", "json"])
def test_a_damaged_folder_is_said_in_a_sentence(
    audited: Audited, tmp_path: Path, change: str
) -> None:
    folder = audited.copy(tmp_path / "copy")
    if change == "remove":
        (folder / "slices.csv").unlink()
        said = verify_audit(folder).problems
        assert "slices.csv is missing" in said
        return
    if change == "header":
        path = folder / "paired.csv"
        path.write_text(path.read_text(encoding="utf-8").replace("metric", "metre", 1))
        assert any("paired.csv has the columns" in one for one in verify_audit(folder).problems)
        return
    (folder / "provenance.json").write_text("{", encoding="utf-8")
    with pytest.raises(AuditError, match=r"provenance\.json cannot be read"):
        verify_audit(folder)


def test_a_folder_without_an_audit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"holds no provenance\.json; give the folder of a"):
        verify_audit(tmp_path)


def test_two_audits_are_put_side_by_side_on_their_common_rows(
    audited: Audited, tmp_path: Path
) -> None:
    study, other = audited.study, tmp_path / "other"
    choices = AuditChoices(
        "other", ("lp",), readers=("R1",), replicates=40, controls=(), reliance="", report=False
    )
    run_audit(study.workspace, study.store, OtherWeights(), choices, out=other)
    comparison = compare_audits(audited.folder, other)
    assert (comparison.n_common, comparison.n_first, comparison.n_second) == (24, 50, 0)
    before = {
        (row["image_sha256"], row["finding"]): row
        for row in load_audit(audited.folder).rows
        if (row["mode"], row["reader"]) == ("lp", "R1")
    }
    after = [row for row in load_audit(other).rows if row["finding"] == "Cardiomegaly"]
    first = [before[row["image_sha256"], "Cardiomegaly"]["iou"] for row in after]
    second = [row["iou"] for row in after]
    patients = [row["patient_hash"] for row in after]
    expected = paired_cluster_bootstrap(first, second, patients, replicates=40, seed=42)
    (line,) = (
        line
        for line in comparison.lines
        if (line["finding"], line["metric"]) == ("Cardiomegaly", "iou")
    )
    assert line["difference"] == pytest.approx(expected.interval.estimate, abs=1e-12)
    assert line["low"] == pytest.approx(expected.interval.low, abs=1e-12)
    assert line["model"] == "tiny against other"
    said = comparison.sentences()
    assert said[0].startswith("24 common rows; 50 only in the first, 0 only in the second")
    assert any("choices model: 'tiny' and 'other'." in one for one in said)
    write_comparison(tmp_path / "table", comparison)
    header = (tmp_path / "table" / "comparison.csv").read_text(encoding="utf-8-sig").splitlines()[0]
    assert header == ",".join(COMPARISON_COLUMNS)


def test_a_comparison_says_whether_the_prompts_differ_and_counts_one_row_in_the_singular(
    audited: Audited, tmp_path: Path
) -> None:
    one, other = (audited.copy(tmp_path / name) for name in ("one", "other"))
    for folder, text in ((one, "a rib"), (other, "a broken rib")):
        path = folder / "provenance.json"
        facts = json.loads(path.read_text(encoding="utf-8"))
        facts["prompts"] = {"tiny zs gradcam": {"prompts": {"Fracture": [text]}}}
        path.write_text(json.dumps(facts), encoding="utf-8")
    comparison = compare_audits(one, other)
    said = comparison.sentences()
    assert "prompts of tiny zs gradcam differ; provenance.json holds them." in said
    assert not [line for line in compare_audits(one, one).sentences() if "prompts" in line]
    alone = replace(comparison, lines=(comparison.lines[0] | {"n_rows": 1, "n_patients": 1},))
    assert alone.sentences()[-1].endswith("; 1 row of 1 patient.")


def test_audits_without_a_common_row_are_refused_with_what_each_has(
    audited: Audited, tmp_path: Path
) -> None:
    study = audited.study
    choices = AuditChoices("tiny", ("ft",), replicates=20, controls=(), reliance="", report=False)
    run_audit(study.workspace, study.store, TinyModel(), choices, out=tmp_path)
    with pytest.raises(AuditError, match="no scored row in common: 74 and 37 rows, 0 of the same"):
        compare_audits(audited.folder, tmp_path)
