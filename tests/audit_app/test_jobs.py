"""Background work: a real worker process on a real workspace."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from annotations.records import Job
from annotations.store import Store
from annotations.workspace import Workspace, create_workspace
from audit_app.errors import AuditError
from audit_app.job_kinds import JOB_KINDS, JobContext
from audit_app.jobs import (
    MOST_ACTIVE,
    describe_job,
    ensure_worker,
    is_alive,
    own_start,
    rouse_worker,
    submit_job,
)
from audit_app.worker import Worker
from model_store.errors import TrainingCancelled

WAIT_S = 60.0
NO_PROCESS = 2**31 - 1


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "w", name="w")


@pytest.fixture
def store(workspace: Workspace):
    with Store.open(workspace) as opened:
        yield opened
        worker = opened.jobs.worker()
        if worker is not None and is_alive(*worker):
            process = psutil.Process(worker[0])
            process.kill()
            process.wait()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(300):
        values = random.integers(0, 256, (64, 64), dtype=np.uint8)
        Image.fromarray(values).save(folder / f"{number:03d}.png")
    return folder


def wait_for(store: Store, job: Job, is_enough: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        current = store.jobs.get(job.job_id)
        if is_enough(current):
            return current
        time.sleep(0.05)
    raise AssertionError(f"the job is {describe_job(store.jobs.get(job.job_id))}")


def has_ended(job: Job) -> bool:
    return job.status not in {"queued", "running"}


def has_begun(job: Job) -> bool:
    """The pictures are listed; the first one still waits for the decoder to start."""
    return job.total > 0


def import_job(workspace: Workspace, store: Store, source: Path) -> Job:
    params: dict[str, object] = {"source": str(source), "kind": "folder"}
    return submit_job(workspace, store, "import", params, owner="mira")


def test_a_job_runs_in_another_process_and_leaves_its_report(workspace, store, pictures) -> None:
    done = wait_for(store, import_job(workspace, store, pictures), has_ended)
    assert done.status == "done", done.message
    assert store.images.count() == 300
    assert any("300" in line for line in done.result["lines"])
    assert store.jobs.worker()[0] != os.getpid()


def test_a_second_job_goes_to_the_same_worker(workspace, store, pictures) -> None:
    wait_for(store, import_job(workspace, store, pictures), has_ended)
    first = store.jobs.worker()
    wait_for(store, import_job(workspace, store, pictures), has_ended)
    assert store.jobs.worker() == first


def test_a_refused_job_fails_with_its_sentence_and_the_worker_goes_on(
    workspace, store, tmp_path, pictures
) -> None:
    failed = wait_for(store, import_job(workspace, store, tmp_path / "nowhere"), has_ended)
    assert failed.status == "failed"
    assert "nowhere" in failed.message
    done = wait_for(store, import_job(workspace, store, pictures), has_ended)
    assert done.status == "done"


def test_an_unexpected_error_keeps_type_and_place_but_no_value(workspace, store) -> None:
    params: dict[str, object] = {"wanted": "Patient Name", "method": "y"}
    job = submit_job(workspace, store, "explain", params, owner="mira")
    failed = wait_for(store, job, has_ended)
    assert failed.status == "failed"
    assert "TypeError in job_kinds.py" in failed.message
    assert "Patient Name" not in failed.message


def test_a_full_disk_fails_a_job_with_a_sentence_that_names_no_file(
    workspace, store, monkeypatch
) -> None:
    def fill_the_disk(_context: JobContext) -> dict[str, object]:
        raise OSError(errno.ENOSPC, "No space left on device", "/data/MUELLER^ANNA.png")

    monkeypatch.setitem(JOB_KINDS, "audit", fill_the_disk)
    store.jobs.submit("audit", {}, "mira")
    job = store.jobs.claim(None, os.getpid(), own_start())
    assert job is not None
    Worker(workspace, store, parent=(os.getpid(), own_start())).run_job(job)
    ended = store.jobs.get(job.job_id)
    assert ended.status == "failed"
    assert "refused: No space left on device; let somebody there look" in ended.message
    assert "ANNA" not in ended.message


def test_a_cancelled_job_stops_and_keeps_what_it_finished(workspace, store, pictures) -> None:
    job = import_job(workspace, store, pictures)
    wait_for(store, job, has_begun)
    store.jobs.cancel(job.job_id)
    ended = wait_for(store, job, has_ended)
    assert (ended.status, ended.message) == ("cancelled", "what was finished is kept")
    assert 0 < store.images.count() < 300


def test_a_killed_worker_leaves_the_job_interrupted_and_it_can_go_on(
    workspace, store, pictures
) -> None:
    job = import_job(workspace, store, pictures)
    wait_for(store, job, has_begun)
    pid, started = store.jobs.worker()
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
    assert not is_alive(pid, started)
    ensure_worker(workspace, store)
    assert store.jobs.get(job.job_id).status == "interrupted"
    store.jobs.resume(job.job_id)
    done = wait_for(store, job, has_ended)
    assert done.status == "done", done.message
    assert store.images.count() == 300
    assert store.log.verify() == []


def test_a_job_whose_worker_ended_at_its_start_gets_another_one(
    workspace, store, pictures, monkeypatch
) -> None:
    job = store.jobs.submit("import", {"source": str(pictures), "kind": "folder"}, "mira")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    started = psutil.Process(ended.pid).create_time()
    ended.wait()
    store.jobs.set_worker(ended.pid, started)
    rouse_worker(workspace, store)
    assert store.jobs.worker() == (ended.pid, started)  # not at once: it may fail each time
    monkeypatch.setattr("audit_app.jobs.RESTART_AFTER_S", 0.0)
    rouse_worker(workspace, store)
    done = wait_for(store, job, has_ended)
    assert done.status == "done", done.message


def test_handlers_that_submit_at_the_same_moment_start_one_worker(workspace, store) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: ensure_worker(workspace, store), range(8)))
    workers = [
        child.pid
        for child in psutil.Process().children()
        if "audit_app.worker" in child.cmdline() and str(workspace.root) in child.cmdline()
    ]
    assert workers == [store.jobs.worker()[0]]


def test_a_forsaken_worker_does_what_waits_before_it_retires(
    workspace, store, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("audit_app.worker.IDLE_EXIT_S", -1.0)
    params = {"source": str(tmp_path / "nowhere"), "kind": "folder"}
    job = store.jobs.submit("import", params, "mira")
    Worker(workspace, store, parent=(NO_PROCESS, 0.0)).run()
    assert store.jobs.get(job.job_id).status == "failed"
    assert store.jobs.worker() is None


def test_nobody_can_fill_the_queue_and_questions_and_jobs_are_counted_apart(
    workspace, store, monkeypatch
) -> None:
    monkeypatch.setattr("audit_app.jobs.ensure_worker", lambda *_: None)  # nothing is to be done

    def submit(kind: str, owner: str) -> Job:
        return submit_job(workspace, store, kind, {}, owner=owner)

    for kind in ("prompt", "explain") * (MOST_ACTIVE // 2):
        submit(kind, "mira")
    with pytest.raises(AuditError, match="10 questions to the models of yours wait or run"):
        submit("prompt", "mira")
    audits = [submit("audit", "mira") for _ in range(MOST_ACTIVE)]
    with pytest.raises(AuditError, match=r"10 jobs of yours wait or run already.*or cancel some"):
        submit("survey", "mira")
    submit("prompt", "tom")
    store.jobs.cancel(audits[0].job_id)
    submit("survey", "mira")


def test_typed_words_leave_the_rows_while_the_worker_works_and_when_it_is_idle(
    workspace, store, monkeypatch
) -> None:
    def words() -> list[str]:
        return [str(job.params["texts"]) for job in store.jobs.recent(limit=99, kinds=["prompt"])]

    seen: list[list[str]] = []

    def answer(_context: JobContext) -> dict[str, object]:
        seen.append(words())
        return {"reason": ""}

    for number in range(9):
        store.jobs.submit("prompt", {"texts": f"words {number}"}, "mira")
    explained = store.jobs.submit("explain", {}, "mira")
    monkeypatch.setitem(JOB_KINDS, "prompt", answer)
    monkeypatch.setattr("audit_app.worker.IDLE_EXIT_S", 0.5)
    monkeypatch.setattr("audit_app.worker.FORGET_WORDS_S", 0.1)
    Worker(workspace, store, parent=(NO_PROCESS, 0.0)).run()
    # Of the eight that were answered before the last one, the newest five.
    assert seen[-1] == [f"words {number}" for number in (8, 7, 6, 5, 4, 3)]
    assert words() == []
    assert store.jobs.find(explained.job_id) is not None  # nobody typed it


def test_this_process_is_alive_and_a_later_one_of_its_number_is_not() -> None:
    assert is_alive(os.getpid(), own_start())
    assert not is_alive(os.getpid(), own_start() - 100.0)


def test_a_worker_whose_apps_number_went_to_another_process_is_forsaken(
    workspace, store, monkeypatch
) -> None:
    monkeypatch.setattr("audit_app.worker.IDLE_EXIT_S", -1.0)
    reused = Worker(workspace, store, parent=(os.getpid(), own_start() - 100.0))
    assert reused.is_forsaken(time.monotonic())
    assert not Worker(workspace, store, parent=(os.getpid(), own_start())).is_forsaken(
        time.monotonic()
    )


def test_a_store_that_refuses_ends_no_worker_and_the_job_ends_once_it_does_not(
    workspace, store, monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr("audit_app.worker.REFUSED_PAUSE_S", 0.01)
    monkeypatch.setattr("audit_app.worker.RETRY_PAUSES_S", (0.05,) * 100)
    worker = Worker(workspace, Store.open(workspace), parent=(os.getpid(), own_start()))
    job = store.jobs.submit("import", {"source": str(tmp_path / "nowhere")}, "mira")
    claimed = worker.claim(None)
    assert claimed is not None
    worker.store.close()
    assert worker.claim(None) is None
    opening = threading.Timer(0.3, lambda: setattr(worker, "store", store))
    opening.start()
    worker.finish(claimed, "done", {"lines": []}, "")
    opening.join()
    assert store.jobs.get(job.job_id).status == "done"


def test_a_result_that_cannot_be_kept_fails_the_job_and_says_why(
    workspace, store, monkeypatch
) -> None:
    monkeypatch.setattr("audit_app.worker.RETRY_PAUSES_S", (0.0, 0.0))
    worker = Worker(workspace, store, parent=(os.getpid(), own_start()))
    store.jobs.submit("import", {}, "mira")
    job = worker.claim(None)
    assert job is not None
    worker.finish(job, "done", {"lines": object()}, "")
    ended = store.jobs.get(job.job_id)
    assert ended.status == "failed"
    assert ended.message.startswith("its end could not be kept:")


def test_a_job_that_answers_a_cancel_with_an_error_is_cancelled_not_failed(
    workspace, store, monkeypatch
) -> None:
    def stop_as_a_training_does(context: JobContext) -> dict[str, object]:
        assert context.report(1, 1, "epoch 1")
        raise TrainingCancelled("training stopped on request; nothing was saved")

    monkeypatch.setitem(JOB_KINDS, "train", stop_as_a_training_does)
    job = store.jobs.submit("train", {}, "mira")
    claimed = store.jobs.claim(None, os.getpid(), own_start())
    assert claimed is not None
    store.jobs.cancel(job.job_id)
    Worker(workspace, store, parent=(os.getpid(), own_start())).run_job(claimed)
    ended = store.jobs.get(job.job_id)
    assert (ended.status, ended.message) == (
        "cancelled",
        "training stopped on request; nothing was saved",
    )
