"""Background work: a real worker process on a real workspace."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from annotations.records import Job
from annotations.store import Store
from annotations.workspace import Workspace, create_workspace
from audit_app.jobs import describe_job, ensure_worker, is_alive, own_start, submit_job

WAIT_S = 60.0


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
    params: dict[str, object] = {"modes": "Patient Name", "model": "x", "method": "y"}
    job = submit_job(workspace, store, "explain", params, owner="mira")
    failed = wait_for(store, job, has_ended)
    assert failed.status == "failed"
    assert "TypeError in job_kinds.py" in failed.message
    assert "Patient Name" not in failed.message


def test_a_cancelled_job_stops_and_keeps_what_it_finished(workspace, store, pictures) -> None:
    job = import_job(workspace, store, pictures)
    wait_for(store, job, lambda current: current.done > 0 or has_ended(current))
    store.jobs.cancel(job.job_id)
    ended = wait_for(store, job, has_ended)
    assert ended.status in {"cancelled", "done"}
    if ended.status == "cancelled":
        assert store.images.count() < 300


def test_a_killed_worker_leaves_the_job_interrupted_and_it_can_go_on(
    workspace, store, pictures
) -> None:
    job = import_job(workspace, store, pictures)
    wait_for(store, job, lambda current: current.done > 0 or has_ended(current))
    pid, started = store.jobs.worker()
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
    assert not is_alive(pid, started)
    ensure_worker(workspace, store)
    left = store.jobs.get(job.job_id)
    assert left.status in {"interrupted", "done"}
    if left.status == "interrupted":
        store.jobs.resume(job.job_id)
    done = wait_for(store, job, has_ended)
    assert done.status == "done", done.message
    assert store.images.count() == 300
    assert store.log.verify() == []


def test_this_process_is_alive_and_a_later_one_of_its_number_is_not() -> None:
    assert is_alive(os.getpid(), own_start())
    assert not is_alive(os.getpid(), own_start() - 100.0)
