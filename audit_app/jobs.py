"""Background work: a job is a row, run by one worker process that outlives the page."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import psutil

from annotations.records import Job
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.errors import AuditError
from audit_app.job_kinds import INTERACTIVE_KINDS, JOB_KINDS

PROJECT_ROOT = Path(__file__).resolve().parent.parent
ACTIVE_STATUSES = frozenset({"queued", "running"})
RESTART_AFTER_S = 20.0
# Of one person; questions of open pages and long jobs are counted each for themselves.
MOST_ACTIVE = 10
# Two handlers may submit at the same moment; one of them starts the worker.
_STARTING = threading.Lock()


def is_alive(pid: int, pid_started: float) -> bool:
    """Whether this very process (not a later one with the same number) still runs."""
    try:
        process = psutil.Process(pid)
        is_zombie = process.status() == psutil.STATUS_ZOMBIE
        return not is_zombie and abs(float(process.create_time()) - pid_started) < 1.0
    except psutil.NoSuchProcess:
        return False


def own_start() -> float:
    """When this process began, in the clock of ``is_alive``."""
    return float(psutil.Process(os.getpid()).create_time())


def submit_job(
    workspace: Workspace, store: Store, kind: str, params: dict[str, object], *, owner: str
) -> Job:
    """Put a job into the queue and see to it that a worker runs.

    Raises:
        AuditError: If too many jobs of this owner wait already: the others' would wait for them.
    """
    is_answer = kind in INTERACTIVE_KINDS
    alike = INTERACTIVE_KINDS if is_answer else tuple(set(JOB_KINDS) - set(INTERACTIVE_KINDS))
    n_active = store.jobs.count_active(owner, alike)
    if n_active >= MOST_ACTIVE:
        raise AuditError(
            f"{n_active} {'questions to the models' if is_answer else 'jobs'} of yours wait or run "
            "already; try again when some of them are done"
            + ("" if is_answer else ", or cancel some")
        )
    job = store.jobs.submit(kind, params, owner)
    ensure_worker(workspace, store)
    return job


def has_queued(store: Store) -> bool:
    """Whether a job waits for a worker."""
    return any(job.status == "queued" for job in store.jobs.recent(limit=100))


def ensure_worker(workspace: Workspace, store: Store) -> None:
    """Start the worker process of this workspace unless one is alive."""
    with _STARTING:
        worker = store.jobs.worker()
        if worker is not None and is_alive(*worker):
            return
        store.jobs.mark_interrupted(is_alive)
        process = start_worker(workspace)
        store.jobs.set_worker(process.pid, psutil.Process(process.pid).create_time())


def rouse_worker(workspace: Workspace, store: Store) -> None:
    """Start a worker again for a job that waits although the one started for it has ended.

    A worker that cannot even begin, as with a full disk, is tried every ``RESTART_AFTER_S``.
    """
    worker, seen_at = store.jobs.worker(), store.jobs.worker_seen_at()
    if worker is not None and seen_at is not None:
        since = datetime.now(UTC) - datetime.fromisoformat(seen_at)
        if is_alive(*worker) or since.total_seconds() < RESTART_AFTER_S:
            return
    ensure_worker(workspace, store)


def start_worker(workspace: Workspace) -> subprocess.Popen[bytes]:
    """The worker as a process of its own: a closed page or app does not end its job."""
    log = workspace.cache / "worker.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "audit_app.worker",
                str(workspace.root),
                str(os.getpid()),
                repr(own_start()),
            ],
            cwd=PROJECT_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
    # Somebody must wait for a child that ends before the app does, or it stays as a zombie.
    threading.Thread(target=process.wait, daemon=True).start()
    return process


def describe_job(job: Job) -> str:
    """One line: what it does, how far it is, how it ended."""
    share = f" {job.done} of {job.total}" if job.total and job.status == "running" else ""
    detail = f": {job.message}" if job.message else ""
    return f"{job.kind} {job.status}{share}{detail}"
