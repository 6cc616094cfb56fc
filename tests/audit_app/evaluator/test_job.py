"""An evaluation as a job: from the queue to a folder that any page can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.evaluator.choices import EvaluationChoices, presets_of
from audit_app.evaluator.job import (
    evaluation_folder,
    finished_evaluations,
    result_of_job,
)
from audit_app.evaluator.progress import read_progress
from audit_app.job_kinds import JOB_KINDS, JobContext
from audit_app.worker import Worker
from tests.audit_app.evaluator.labelled_set import MODEL, make_labelled_set

QUICK = {"model": MODEL, "modes": ["zs", "lp"], "presets": ["study"], "epochs": 1,
         "replicates": 20, "permutations": 10, "null_draws": 5}  # fmt: skip


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_labelled_set(tmp_path_factory.mktemp("ward"), 24)


def test_the_worker_runs_it_and_the_page_reads_it(ward: Workspace) -> None:
    with Store.open(ward) as store:
        job = store.jobs.submit("evaluate", QUICK, "mira")
        claimed = store.jobs.claim(None, 1, 1.0)
        assert claimed is not None
        Worker(ward, store, parent=1).run_job(claimed)
        done = store.jobs.get(job.job_id)
        assert (done.status, done.message) == ("done", "")
        assert done.result["folder"] == evaluation_folder(ward, job.job_id).name
        assert [one.job_id for one, _ in finished_evaluations(ward, store)] == [job.job_id]
    result = result_of_job(ward, job.job_id)
    assert [row["mode"] for row in result.rows] == ["zs", "lp"]
    assert result.provenance["choices"]["owner"] == "mira"
    last = read_progress(ward, job.job_id)
    assert last is not None
    assert last.stage == "report"
    assert last.finished_stages[0] == "encode pictures"


def test_a_cancel_in_the_middle_ends_the_job_as_cancelled(ward: Workspace) -> None:
    with Store.open(ward) as store:
        store.jobs.submit("evaluate", {**QUICK, "seed": 5}, "mira")
        job = store.jobs.claim(None, 1, 1.0)
        assert job is not None
        asked: list[str] = []

        def stop(*told: object) -> bool:
            asked.append(str(told[2]))
            return True

        result = JOB_KINDS["evaluate"](JobContext(ward, store, job, stop))
        assert "stopped on request" in str(result["reason"])
        assert not (evaluation_folder(ward, job.job_id) / "provenance.json").exists()
        store.jobs.finish(job.job_id, "cancelled", result, "")


def test_bad_parameters_fail_with_a_sentence(ward: Workspace) -> None:
    with Store.open(ward) as store:
        store.jobs.submit("evaluate", {"model": MODEL, "modes": ["zz"]}, "mira")
        job = store.jobs.claim(None, 1, 1.0)
        assert job is not None
        Worker(ward, store, parent=1).run_job(job)
        done = store.jobs.get(job.job_id)
    assert done.status == "failed"
    assert "choose one or more of" in done.message


def test_both_stands_for_all_presets() -> None:
    assert presets_of("both") == EvaluationChoices("m").presets == ("study", "recommended")
    assert presets_of("study") == ("study",)


def test_the_read_side_needs_no_torch(repo_root: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; import audit_app.evaluator.job, audit_app.evaluator.result, "
        "audit_app.evaluator.progress; "
        "print(sorted({'torch', 'open_clip', 'sklearn', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo_root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
