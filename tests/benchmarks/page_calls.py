"""How soon the page's server answers while the worker trains."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np

from annotations.store import Store
from annotations.workspace import Workspace, open_workspace
from audit_app.evaluator.progress import read_progress
from audit_app.jobs import ensure_worker

REPOSITORY = Path(__file__).resolve().parents[2]
PORT = 7968
LONGEST_S = 120.0
PAUSE_S = 0.02
TRAINING = "fine-tune"


def answer_ms_while_training(root: Path, model: str, n_calls: int) -> float:
    """95th percentile of a reading's route, in ms, while a fine-tune runs in the worker."""
    command = [sys.executable, "launch.py", "ui", str(root), "--port", str(PORT), "--no-browser"]
    workspace = open_workspace(root)
    with Store.open(workspace) as store:
        params = {"model": model, "modes": ["ft"], "presets": ["study"], "epochs": 30, "seed": 7}
        job = store.jobs.submit("evaluate", params, "benchmark")
        address = f"http://127.0.0.1:{PORT}/audit/readings/{store.images.all()[0].image_id}"
        server = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
        try:
            ensure_worker(workspace, store)
            deadline = time.monotonic() + LONGEST_S
            while not _is_training(workspace, job.job_id) or not _answers(address):
                if time.monotonic() > deadline:
                    raise TimeoutError("page and training did not both begin in time")
                time.sleep(0.1)
            seconds = [_seconds(address) for _ in range(n_calls)]
            if not _is_training(workspace, job.job_id):
                raise RuntimeError("the training ended before all calls were made; train longer")
        finally:
            store.jobs.cancel(job.job_id)
            server.terminate()
            server.wait(timeout=30)
        _wait_for_end(store, job.job_id)
    return 1000 * float(np.percentile(seconds, 95))


def _is_training(workspace: Workspace, job_id: int) -> bool:
    now = read_progress(workspace, job_id)
    return now is not None and now.stage == TRAINING and "batch" in now.message


def _answers(address: str) -> bool:
    try:
        _seconds(address)
    except OSError:
        return False
    return True


def _seconds(address: str) -> float:
    time.sleep(PAUSE_S)
    start = time.perf_counter()
    with urllib.request.urlopen(address, timeout=10) as answer:
        answer.read()
    return time.perf_counter() - start


def _wait_for_end(store: Store, job_id: int) -> None:
    """Until the worker let go of the job: what follows has the machine for itself."""
    deadline = time.monotonic() + LONGEST_S
    while store.jobs.get(job_id).status in ("queued", "running") and time.monotonic() < deadline:
        time.sleep(0.1)
