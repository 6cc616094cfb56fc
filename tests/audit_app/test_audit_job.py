"""Which unfinished audit a job or a command takes up again, and what it leaves behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from annotations.records import Job
from annotations.store import Store
from audit_app.audit import run_audit
from audit_app.audit_job import audit_into, choices_of, run_audit_job, run_folder
from audit_app.audit_plan import AuditChoices
from audit_app.errors import AuditError
from tests.audit_app.small_study import Study, TinyModel, make_study

BOX = {"Cardiomegaly": [(8, 12, 22, 28)]}
PARAMS: dict[str, object] = {
    "model": "tiny",
    "modes": ["zs"],
    "replicates": 20,
    "controls": [],
    "reliance": "",
    "report": False,
}


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    made = make_study(tmp_path)
    for name in ("Doe", "Roe", "Poe"):
        made.read(made.add_image(name, name), "R1", BOX)
    yield made
    made.store.close()


def never(*_: object) -> bool:
    return False


def after(n_images: int) -> Callable[[int, int, str], bool]:
    return lambda done, *_: done >= n_images


def begun_job(store: Store) -> Job:
    job = store.jobs.submit("audit", PARAMS, "mira")
    store.jobs.claim(None, 1, 0.0)
    return job


def command(study: Study, out: Path, progress: Callable[..., bool] = never) -> str:
    choices = choices_of(PARAMS, "local reader")
    into = replace(choices, origin=f"folder {out}")
    return audit_into(study.workspace, study.store, TinyModel(), into, out=out, progress=progress)


def spools(study: Study) -> list[str]:
    folder = study.workspace.cache / "audits"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_job_takes_up_its_own_run_and_never_that_of_a_command_or_another_job(
    study: Study, tmp_path: Path
) -> None:
    first, second = begun_job(study.store), begun_job(study.store)
    of_command = command(study, tmp_path / "out", after(1))
    model = TinyModel()

    def run(job: Job, progress: Callable[..., bool] = never) -> str:
        done = run_audit_job(study.workspace, study.store, model, job, progress)  # type: ignore[arg-type] # a small model in the place of the runtime
        return str(done["run_id"])

    cancelled = run(first, after(1))
    assert run(second) not in (cancelled, of_command)
    before = len(model.asked)
    assert run(first) == cancelled
    assert len(model.asked) - before == 2  # one of the three pictures was done before
    assert study.store.audits.get(cancelled).status == "done"
    assert run_folder(study.workspace, cancelled).is_dir()
    assert study.store.audits.get(of_command).status == "cancelled"


def test_the_same_command_into_the_same_folder_goes_on(study: Study, tmp_path: Path) -> None:
    broken = command(study, tmp_path / "out", after(2))
    elsewhere = command(study, tmp_path / "other")
    assert elsewhere != broken
    assert command(study, tmp_path / "out") == broken
    assert study.store.audits.get(broken).status == "done"
    assert (tmp_path / "out" / "agreement.csv").is_file()
    assert command(study, tmp_path / "out") != broken  # done: the same again is a new audit
    assert spools(study) == []


def test_a_command_begins_anew_when_the_readings_changed_and_leaves_no_old_spool(
    study: Study, tmp_path: Path
) -> None:
    broken = command(study, tmp_path / "out", after(2))
    assert spools(study) == [broken]
    study.read(study.add_image("Moe", "Moe"), "R1", BOX)
    fresh = command(study, tmp_path / "out")
    assert fresh != broken
    assert len(study.store.audits.rows(fresh)) == 4
    old = study.store.audits.get(broken)
    assert (old.status, old.summary) == (
        "cancelled",
        {"reason": "given up: a later audit into the same folder took its place"},
    )
    assert spools(study) == []
    assert command(study, tmp_path / "out") not in (broken, fresh)


def test_a_run_that_another_process_works_on_is_left_alone(study: Study, tmp_path: Path) -> None:
    broken = command(study, tmp_path / "out", after(2))
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        started = psutil.Process(other.pid).create_time()
        spool = study.workspace.cache / "audits" / broken
        (spool / "process").write_text(f"{other.pid} {started!r}", encoding="utf-8")
        with pytest.raises(AuditError, match=f"is running in process {other.pid}"):
            command(study, tmp_path / "out")
        study.read(study.add_image("Moe", "Moe"), "R1", BOX)
        with pytest.raises(AuditError, match=f"is running in process {other.pid}"):
            command(study, tmp_path / "out")
        assert spools(study) == [broken]
    finally:
        other.communicate()
    command(study, tmp_path / "out")
    assert spools(study) == []


def test_an_unexpected_error_leaves_its_type_and_place_but_no_value(
    study: Study, tmp_path: Path
) -> None:
    class Broken(TinyModel):
        def explain(self, *_: object) -> object:  # type: ignore[override] # it only fails
            raise RuntimeError("Doe, Jane")

    choices = AuditChoices.from_dict(PARAMS)
    with pytest.raises(RuntimeError, match="Doe"):
        run_audit(study.workspace, study.store, Broken(), choices, out=tmp_path / "out")  # type: ignore[arg-type] # as above
    (run,) = study.store.audits.all()
    reason = str(run.summary["reason"])
    assert run.status == "failed"
    assert reason.startswith("the audit stopped at RuntimeError in test_audit_job.py:")
    assert "Doe" not in reason


def test_no_file_of_a_command_names_its_folder(study: Study, tmp_path: Path) -> None:
    command(study, tmp_path / "out")
    for file in (tmp_path / "out").iterdir():
        assert str(tmp_path) not in file.read_text(encoding="utf-8"), file.name
