"""A whole evaluation with a real model: what it writes, that it goes on after a kill, that it is
verified."""

from __future__ import annotations

import csv
import hashlib
import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from sklearn.metrics import (
    coverage_error,
    f1_score,
    label_ranking_average_precision_score,
    roc_auc_score,
)

from annotations.store import Store
from annotations.workspace import Workspace, open_workspace
from audit_app.commands.evaluations import verify_folder
from audit_app.errors import AuditError
from audit_app.evaluator.choices import EvaluationChoices
from audit_app.evaluator.explorer import layout_problems, read_layout
from audit_app.evaluator.nulls import NULL_MEANING
from audit_app.evaluator.progress import Cancelled, Watcher
from audit_app.evaluator.result import (
    FILES,
    LAYOUT,
    EvaluationResult,
    is_evaluation,
    load_result,
)
from audit_app.evaluator.run import install_heads, run_evaluation
from audit_app.evaluator.verify import verify_evaluation
from audit_app.evaluator.verify_tables import check_tables
from audit_app.models import head_file, load_entry, make_runtime
from audit_app.prompts import save_prompts
from audit_app.verification import Findings
from model_store.errors import ModelError
from model_store.precision import RECORD_NAME
from tests.audit_app.evaluator.labelled_set import FINDINGS, MODEL, SOURCE, make_labelled_set

LESS_THAN_A_CHECKPOINT = 1 << 20
TIMES = ("minutes", "seconds_per_image")
CHOICES = EvaluationChoices(
    MODEL, epochs=3, replicates=50, permutations=20, null_draws=10, owner="eva"
)


@dataclass(frozen=True)
class Evaluated:
    untouched: Path  # a copy of the workspace from before
    workspace: Workspace
    result: EvaluationResult
    told: list[str]  # while it ran


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    root = tmp_path_factory.mktemp("evaluated")
    workspace = make_labelled_set(root)
    for mode in ("lp", "ft"):  # as for a model that came without heads
        head_file(workspace, MODEL, mode).unlink()
    untouched = root / "untouched"
    shutil.copytree(workspace.root, untouched)
    told: list[str] = []

    def report(done: int, total: int, line: str) -> bool:
        told.append(line)
        return done > total

    return Evaluated(untouched, workspace, evaluate(workspace, root / "out", report=report), told)


def evaluate(
    workspace: Workspace, out: Path, choices: EvaluationChoices = CHOICES, **watched: object
) -> EvaluationResult:
    with Store.open(workspace) as store:
        return run_evaluation(
            workspace,
            store,
            make_runtime(workspace, store),
            choices,
            out=out,
            watcher=Watcher(**watched),  # type: ignore[arg-type]
        )


def copy_of(evaluated: Evaluated, folder: Path) -> Workspace:
    shutil.copytree(evaluated.untouched, folder)
    return open_workspace(folder)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def without_times(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def test_all_files_are_there_and_every_mode_stands_under_both_presets(evaluated) -> None:
    result = evaluated.result
    assert sorted(path.name for path in result.folder.iterdir()) == sorted(FILES)
    assert [(row["preset"], row["mode"]) for row in result.rows] == [
        (preset, mode) for preset in ("study", "recommended") for mode in ("zs", "lp", "ft")
    ]
    assert result.findings == FINDINGS
    assert result.table["parts"] == {"train": 28, "validation": 6, "test": 6}
    assert result.table["label_source"] == SOURCE
    kinds = [row["kind"] for row in read_csv(result.folder / "three_modes.csv")]
    assert kinds == ["measured"] * 6 + ["null"] * 6 + ["published"] * 3


def test_every_stage_is_told_and_epochs_are_counted_towards_what_was_asked_for(evaluated) -> None:
    probe = [line for line in evaluated.told if line.startswith("train the probe (3 of 9)")]
    tuned = [line for line in evaluated.told if line.startswith("fine-tune (4 of 9)")]
    for lines in (probe, tuned):
        assert {line.split(", ")[1] for line in lines if "epoch 3 of" in line} == {"epoch 3 of 3"}
    assert evaluated.told[-1].startswith("report (9 of 9)")


def test_the_table_is_what_scikit_learn_makes_of_the_predictions(evaluated) -> None:
    result = evaluated.result
    for row in result.rows:
        table = result.predictions(row["preset"], row["mode"]).of("test")
        if row["preset"] == "study":
            low = table.scores.min(1, keepdims=True)
            scaled = (table.scores - low) / (table.scores.max(1, keepdims=True) - low)
            assert (table.predictions == (scaled > 0.5)).all()
        expected = {
            "f1": f1_score(table.labels, table.predictions, average="macro", zero_division=0),
            "exact_match": (table.labels == table.predictions).all(axis=1).mean(),
            "lrap": label_ranking_average_precision_score(table.labels, table.scores),
            "coverage_error": coverage_error(table.labels, table.scores),
            "predictions_per_image": table.predictions.sum(axis=1).mean(),
        }
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_findings_without_positives_are_not_available_and_others_are_counted(evaluated) -> None:
    result = evaluated.result
    table = result.predictions("recommended", "lp").of("test")
    for row in result.per_finding:
        if (row["preset"], row["mode"]) != ("recommended", "lp"):
            continue
        column = FINDINGS.index(row["finding"])
        positive = table.labels[:, column]
        assert row["support"] == positive.sum()
        assert row["predicted"] == table.predictions[:, column].sum()
        if not positive.any():
            assert row["auroc"] is row["f1"] is None
            assert "no positive test picture" in row["note"]
        elif not positive.all():
            assert row["auroc"] == pytest.approx(roc_auc_score(positive, table.scores[:, column]))


def test_zero_shot_and_probe_have_the_same_distances(evaluated) -> None:
    check = evaluated.result.table["distance_check"]
    assert check["relative_difference"] == 0.0
    assert check["n_pictures_encoded_again"] == 6
    assert check["largest_embedding_difference"] < 1e-6
    rows = {(row["preset"], row["mode"]): row for row in evaluated.result.rows}
    assert rows["study", "zs"]["inter"] == rows["study", "lp"]["inter"]
    assert rows["study", "zs"]["inter"] != rows["study", "ft"]["inter"]


def test_distances_are_those_of_the_embeddings_in_the_file(evaluated) -> None:
    result = evaluated.result
    embeddings = result.embeddings()
    assert embeddings["zs"] is not embeddings["ft"]
    table = result.predictions("study", "ft").of("test")
    assert table.image_ids == result.embedded_ids()
    first = table.labels.argmax(axis=1)
    groups = [embeddings["ft"][first == k].astype(np.float64) for k in sorted(set(first))]
    centres = [group.mean(axis=0) for group in groups]
    spreads = [
        np.mean([np.linalg.norm(point - centre) for point in group])
        for group, centre in zip(groups, centres, strict=True)
    ]
    between = [
        np.linalg.norm(one - other) for i, one in enumerate(centres) for other in centres[:i]
    ]
    row = next(row for row in result.rows if (row["preset"], row["mode"]) == ("study", "ft"))
    assert row["intra"] == pytest.approx(np.mean(spreads))
    assert row["inter"] == pytest.approx(np.mean(between))
    assert row["ratio"] == pytest.approx(np.mean(between) / np.mean(spreads))


def test_study_zero_shot_is_the_dot_product_and_the_other_the_cosine(evaluated) -> None:
    rows = {(row["preset"], row["mode"]): row for row in evaluated.result.rows}
    assert rows["study", "zs"]["score"] == "dot"
    assert rows["recommended", "zs"]["score"] == "cosine"
    assert np.abs(evaluated.result.predictions("recommended", "zs").scores).max() <= 1 + 1e-6
    prompts = evaluated.result.provenance["made_by"]["study zs"]["prompts"]
    assert prompts == {finding: [finding] for finding in FINDINGS}


def test_the_recommended_probe_chose_its_penalty_on_validation(evaluated) -> None:
    training = evaluated.result.table["training"]
    losses = training["recommended lp"]["validation_loss_by_penalty"]
    chosen = training["recommended lp"]["penalty"]
    assert losses[f"{chosen:g}"] == min(losses.values())
    assert training["study lp"]["solver"] == "adamw"
    assert training["study lp"]["epochs_run"] == 3
    assert len(training["study ft"]["validation_losses"]) == 3


def test_heads_are_stored_once_and_the_workspace_uses_them(evaluated) -> None:
    workspace, provenance = evaluated.workspace, evaluated.result.provenance
    assert provenance["installed_heads"] == ["lp", "ft"]
    weights = provenance["weights"]
    assert weights["study ft"] == weights["recommended ft"]
    tuned = workspace.models / weights["study ft"]["file"]
    assert tuned.samefile(head_file(workspace, MODEL, "ft"))


@pytest.mark.parametrize("came_first", [False, True])
def test_a_head_is_copied_where_nothing_can_be_linked_and_another_s_is_never_written_into(
    evaluated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, came_first: bool
) -> None:
    workspace = copy_of(evaluated, tmp_path / "w")
    own, target = tmp_path / "lp.safetensors", head_file(workspace, MODEL, "lp")
    own.write_bytes(b"of this evaluation")

    def link(*_: object) -> None:
        if came_first:
            target.write_bytes(b"of another one")
            raise FileExistsError
        raise PermissionError

    monkeypatch.setattr("os.link", link)
    installed = install_heads(workspace, CHOICES, {("study", "lp"): own})
    assert installed == ([] if came_first else ["lp"])
    assert target.read_bytes() == (b"of another one" if came_first else b"of this evaluation")
    assert not list(target.parent.glob("*.part"))


def test_the_report_is_one_file_without_any_reference(evaluated) -> None:
    page = (evaluated.result.folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "src=" not in page.replace('src="data:image/jpeg;base64,', "")
    assert "zero-shot (published)" in page
    assert "no information: zero-shot, linear probe" in page
    assert NULL_MEANING in page
    assert SOURCE in page


def test_no_file_names_a_place_on_the_disk(evaluated) -> None:
    for name in FILES:
        content = (evaluated.result.folder / name).read_bytes()
        assert str(evaluated.workspace.root).encode() not in content
        assert b"patient 1" not in content


def test_everything_is_verified_and_what_was_changed_is_found(evaluated, tmp_path: Path) -> None:
    with Store.open(evaluated.workspace) as store:
        told = verify_evaluation(evaluated.workspace, store, evaluated.result.folder)
        assert told.problems == ()
        assert told.lines()[-1] == "Everything agrees."
        changed = tmp_path / "changed"
        shutil.copytree(evaluated.result.folder, changed)
        rows = read_csv(changed / "predictions.csv")
        rows[-1]["score: Cardiomegaly"] = "9.5"
        write_csv(changed / "predictions.csv", rows)
        said = " ".join(verify_evaluation(evaluated.workspace, store, changed).problems)
    assert "predictions.csv changed since it was written" in said
    assert "do not follow from their scores" in said
    assert "recommended ft" in said
    assert "the weights give other scores than predictions.csv" in said


def test_each_changed_cell_of_the_tables_is_named_and_nothing_else(
    evaluated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(evaluated.result.folder, changed)
    table = json.loads((changed / "three_modes.json").read_text())
    grey = next(row for row in table["nulls"] if (row["preset"], row["mode"]) == ("study", "lp"))
    grey["ece"], grey["ratio_l2_high"] = 0.987, 0.5
    table["distance_check"] |= {"relative_difference": 0.01, "largest_embedding_difference": 0.02}
    table["histograms"]["recommended ft"][1] += 7
    table["calibration"]["study lp"]["bins"][4]["count"] += 5
    (changed / "three_modes.json").write_text(json.dumps(table))
    rows = read_csv(changed / "three_modes.csv")
    next(row for row in rows if row["kind"] == "published")["f1"] = "0.9"
    write_csv(changed / "three_modes.csv", rows)
    accept_hashes(changed)
    with pytest.raises(typer.Exit) as ended:
        verify_folder(evaluated.workspace.root, changed)
    assert ended.value.exit_code == 1
    said = " ".join(capsys.readouterr().out.split())
    for sentence in (
        "three_modes.json: study lp, grey row: ratio_l2_high is 0.5 in the table,",
        "three_modes.json: study lp, grey row: ece is 0.987 in the table,",
        "three_modes.csv: study lp, grey row: ece is",
        "three_modes.json: recommended ft: histograms 1 is",
        "three_modes.json: study lp: calibration bins 4 count is",
        "distance_check: relative_difference is 0.01 in the table, 0.0 recomputed",
        "distance_check: largest_embedding_difference is 0.02 in the table,",
        "three_modes.csv: published zs: f1 is 0.9 in the table, 0.105 recomputed",
    ):
        assert sentence in said
    assert "8 do not agree." in said


def test_a_changed_embedding_of_a_sampled_picture_is_named(evaluated, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(evaluated.result.folder, changed)
    with np.load(changed / "embeddings.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["ft"][2] *= 1.002
    np.savez(changed / "embeddings.npz", **arrays)
    accept_hashes(changed)
    with Store.open(evaluated.workspace) as store:
        name = store.images.get(str(arrays["image_ids"][2])).name
        problems = verify_evaluation(evaluated.workspace, store, changed).problems
        missed = verify_evaluation(evaluated.workspace, store, changed, sample=2).problems
    said = f"embeddings.npz: the weights (ft) give another embedding of '{name}', 0.20% of its"
    assert [one for one in problems if "another embedding" in one] == [f"{said} length away"]
    assert any(one.startswith("three_modes.json: study ft: intra is") for one in problems)
    # The second picture of two is the last one: the tables alone tell of this one.
    assert missed
    assert not any("another embedding" in one for one in missed)


def test_a_row_that_was_taken_out_is_noticed(evaluated, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(evaluated.result.folder, changed)
    write_csv(changed / "per_domain.csv", read_csv(changed / "per_domain.csv")[:-1])
    accept_hashes(changed)
    told = Findings()
    check_tables(load_result(changed), told)
    assert told.problems[0].startswith("per_domain.csv: recommended ft ")
    assert "is None in the table" in told.problems[0]


def test_prompts_that_were_edited_since_change_no_verdict(evaluated) -> None:
    with Store.open(evaluated.workspace) as store:
        kept = load_entry(store, MODEL)
        edited = replace(kept.prompts, template="no {finding} at all", texts={})
        try:
            save_prompts(store, MODEL, edited)
            assert load_entry(store, MODEL).prompts != kept.prompts
            told = verify_evaluation(evaluated.workspace, store, evaluated.result.folder)
        finally:
            save_prompts(store, MODEL, kept.prompts)
    assert told.problems == ()


def accept_hashes(folder: Path) -> None:
    """As somebody would who changes a file and its hash."""
    path = folder / "provenance.json"
    told = json.loads(path.read_text())
    told["files"] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in told["files"]
    }
    path.write_text(json.dumps(told))


def test_other_weights_are_noticed(evaluated, tmp_path: Path) -> None:
    workspace = copy_of(evaluated, tmp_path / "w")
    with Store.open(workspace) as store:
        told = verify_evaluation(workspace, store, evaluated.result.folder)
    assert any("lp-study.safetensors are gone" in problem for problem in told.problems)


def test_a_second_start_trains_nothing_and_says_the_same(evaluated, tmp_path: Path) -> None:
    weights = evaluated.workspace.models / MODEL / "evaluations"
    before = {path: path.stat().st_mtime_ns for path in weights.rglob("*.safetensors")}
    again = evaluate(evaluated.workspace, tmp_path / "again")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert again.rows == evaluated.result.rows
    again_files = again.provenance["files"]
    for name in ("three_modes.csv", "per_finding.csv", "per_domain.csv", "predictions.csv"):
        assert again_files[name] == evaluated.result.provenance["files"][name]


def test_fewer_presets_and_modes_use_what_is_finished(evaluated, tmp_path: Path) -> None:
    fewer = replace(CHOICES, presets=("study",), modes=("lp",))
    result = evaluate(evaluated.workspace, tmp_path / "fewer", fewer)
    whole = next(
        row for row in evaluated.result.rows if (row["preset"], row["mode"]) == ("study", "lp")
    )
    assert result.rows == [whole]
    assert result.table["distance_check"] is None


KILLED = """
import sys
from pathlib import Path
from annotations.store import Store
from annotations.workspace import open_workspace
from audit_app.evaluator.choices import EvaluationChoices
from audit_app.evaluator.nulls import NULL_MEANING
from audit_app.evaluator.progress import Watcher
from audit_app.evaluator.run import run_evaluation
from audit_app.models import make_runtime

workspace = open_workspace(Path(sys.argv[1]))
choices = EvaluationChoices.from_dict(__import__("json").loads(sys.argv[2]))
with Store.open(workspace) as store:
    run_evaluation(workspace, store, make_runtime(workspace, store), choices,
                   out=Path(sys.argv[3]), watcher=Watcher(file=Path(sys.argv[4])))
"""


def test_a_killed_evaluation_goes_on_to_the_same_table(
    evaluated, tmp_path: Path, repo_root: Path
) -> None:
    workspace = copy_of(evaluated, tmp_path / "w")
    moment = tmp_path / "progress.json"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(workspace.root), json.dumps(CHOICES.to_dict()),
         str(tmp_path / "out"), str(moment)],
        cwd=repo_root,
    )  # fmt: skip
    try:
        assert wait_for_epoch(process, moment) == "fine-tune"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    stages = workspace.cache / "evaluations"
    finished = {path.name: path.stat().st_mtime_ns for path in stages.rglob("*.json")}
    assert "lp-study.json" in finished
    assert "train-ft.json" not in finished
    unfinished = list((workspace.models / MODEL / "evaluations").rglob("ft.resume*"))
    result = evaluate(workspace, tmp_path / "out")
    for path in stages.rglob("*.json"):
        assert finished.get(path.name, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
    assert len(unfinished) == 1
    assert result.table["training"]["study ft"]["resumed_after_epoch"] >= 1
    assert without_times(result.rows) == without_times(evaluated.result.rows)
    assert result.table["nulls"] == evaluated.result.table["nulls"]
    assert without_times(result.per_finding) == without_times(evaluated.result.per_finding)


def wait_for_epoch(process: subprocess.Popen[bytes], moment: Path) -> str:
    """The stage in which an epoch of the fine-tune has just ended."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert process.poll() is None, "the evaluation ended before it could be killed"
        if moment.is_file():
            told = json.loads(moment.read_text())
            if told["stage"] == "fine-tune" and told["epoch"] >= 1:
                return str(told["stage"])
        time.sleep(0.005)
    return "no epoch ended in time"


def test_a_cancelled_evaluation_keeps_its_stages_and_goes_on(evaluated, tmp_path: Path) -> None:
    workspace = copy_of(evaluated, tmp_path / "w")
    quick = replace(CHOICES, modes=("zs", "lp"))
    with pytest.raises(Cancelled, match="stopped on request"):
        evaluate(
            workspace,
            tmp_path / "out",
            quick,
            report=lambda *told: told[2].startswith("train the probe"),
        )
    assert not (tmp_path / "out" / "provenance.json").exists()
    with pytest.raises(AuditError, match="is no finished evaluation: it lacks"):
        load_result(tmp_path / "out")
    result = evaluate(workspace, tmp_path / "out", quick)
    expected = [row for row in evaluated.result.rows if row["mode"] != "ft"]
    assert without_times(result.rows) == without_times(expected)


def test_scores_of_another_precision_are_not_taken_up(evaluated, tmp_path: Path) -> None:
    workspace = copy_of(evaluated, tmp_path / "w")
    quick = replace(CHOICES, modes=("zs",))
    with Store.open(workspace) as store:
        entry = load_entry(store, MODEL)
        store.models.save(MODEL, {**entry.to_dict(), "precision": "auto"})
    first = evaluate(workspace, tmp_path / "first", quick)
    # As when the same workspace goes to a machine on which the other one pays.
    record = workspace.models / MODEL / RECORD_NAME
    other = {"fp32": "bf16", "bf16": "fp32"}[first.provenance["made_by"]["encode"]["precision"]]
    checks = json.loads(record.read_text())
    record.write_text(json.dumps({key: one | {"chosen": other} for key, one in checks.items()}))
    second = evaluate(workspace, tmp_path / "second", quick)
    assert second.provenance["made_by"]["encode"]["precision"] == other
    scores = [one.predictions("study", "zs").scores for one in (first, second)]
    embeddings = [one.embeddings()["zs"] for one in (first, second)]
    assert (embeddings[0] != embeddings[1]).any()
    assert (scores[0] != scores[1]).any()
    assert second.provenance["fingerprint"] != first.provenance["fingerprint"]


@pytest.mark.parametrize(
    "moment",
    [
        "20 of 20 permutations",
        "1 of 10 sets",
        "1 of 10 shuffles",
        "writing predictions: zs (study), test",
    ],
)
def test_numbers_and_tables_can_be_stopped_in_the_middle(
    evaluated, tmp_path: Path, moment: str
) -> None:
    told: list[str] = []

    def report(*now: object) -> bool:
        told.append(str(now[2]))
        return moment in told[-1]

    with pytest.raises(Cancelled, match="stopped on request in the stage"):
        evaluate(evaluated.workspace, tmp_path / "out", report=report)
    assert [line for line in told if moment in line] == told[-1:]


def test_unreadable_pictures_are_left_out_and_listed(evaluated, tmp_path: Path) -> None:
    workspace = copy_of(evaluated, tmp_path / "w")
    with Store.open(workspace) as store:
        victim = store.images.all()[0]
    path = Path(victim.path)
    content = path.read_bytes()
    quick = replace(CHOICES, modes=("zs",), presets=("study",))
    try:
        path.write_bytes(b"no picture any more")
        result = evaluate(workspace, tmp_path / "out", quick)
    finally:
        path.write_bytes(content)
    assert "1 pictures cannot be read and are left out" in result.table["remarks"]
    assert result.table["left_out"] == [
        f"{victim.image_id}: its file cannot be read, or the model's embedding of it is not finite"
    ]
    assert sum(result.table["parts"].values()) == 39
    for file in result.folder.iterdir():
        assert victim.name.encode() not in file.read_bytes(), file.name


def test_a_batch_too_large_for_the_card_is_cut_and_the_report_says_so(
    evaluated, tmp_path: Path
) -> None:
    workspace = copy_of(evaluated, tmp_path / "w")
    with Store.open(workspace) as store:
        runtime = make_runtime(workspace, store)
        runtime.loaded(MODEL).network.visual.register_forward_pre_hook(small_card)
        quick = replace(CHOICES, modes=("ft",), presets=("study",), epochs=1)
        result = run_evaluation(workspace, store, runtime, quick, out=tmp_path / "out")
    said = "a batch of 24 did not fit into the card's memory; 6 pictures at a time"
    assert result.table["training"]["study ft"]["memory"].startswith(said)
    assert f"fine-tune: {escape(said)}" in (tmp_path / "out" / "report.html").read_text()


def small_card(network: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
    """Memory for six pictures."""
    del network
    if len(given[0]) > 6:
        raise torch.OutOfMemoryError("CUDA out of memory.")


def test_a_full_disk_in_the_fine_tune_is_said_and_what_was_finished_is_not_done_again(
    evaluated, tmp_path: Path, small_disk: Callable[[int], None]
) -> None:
    workspace = copy_of(evaluated, tmp_path / "w")
    small_disk(LESS_THAN_A_CHECKPOINT)
    with pytest.raises(ModelError, match="free some space"):
        evaluate(workspace, tmp_path / "out")
    small_disk(resource.RLIM_INFINITY)
    stages = workspace.cache / "evaluations"
    finished = {path.name: path.stat().st_mtime_ns for path in stages.rglob("*.json")}
    assert {"lp-study.json", "lp-recommended.json"} <= set(finished)
    assert "train-ft.json" not in finished
    result = evaluate(workspace, tmp_path / "out")
    again = {path.name: path.stat().st_mtime_ns for path in stages.rglob("*.json")}
    assert finished.items() <= again.items()
    assert without_times(result.rows) == without_times(evaluated.result.rows)


def test_the_map_is_that_of_the_kept_embeddings_and_another_one_is_noticed(
    evaluated,
) -> None:
    result = evaluated.result
    layout = read_layout(result.folder / LAYOUT)
    assert layout.image_ids == result.embedded_ids()
    towers = {result.table["embeddings"][m]: values for m, values in result.embeddings().items()}
    assert list(layout.places["PCA"]) == list(towers) == ["frozen", "ft"]
    assert layout_problems(layout, towers) == []
    assert layout_problems(layout, towers | {"ft": towers["ft"][::-1]}) == [
        "the map of the ft embeddings does not follow from them"
    ]


def test_every_table_names_its_labels_and_its_rule(evaluated) -> None:
    for name in ("three_modes.csv", "per_finding.csv", "per_domain.csv", "predictions.csv"):
        rows = read_csv(evaluated.result.folder / name)
        ours = [row for row in rows if row.get("kind") != "published"]
        assert {row["label_source"] for row in ours} == {SOURCE}
        assert all(row["rule"] for row in ours)


def test_verify_knows_an_evaluation_and_asks_for_its_workspace(evaluated, tmp_path: Path) -> None:
    assert is_evaluation(evaluated.result.folder)
    assert not is_evaluation(tmp_path)
    with pytest.raises(AuditError, match="name it with --workspace"):
        verify_folder(None, evaluated.result.folder)
