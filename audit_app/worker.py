"""The worker process: queued jobs one after the other, maps for open pages in between."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from pathlib import Path

import psutil

from annotations.errors import AnnotationError
from annotations.records import Job
from annotations.store import Store
from annotations.workspace import Workspace, open_workspace
from audit_app.errors import AuditError
from audit_app.job_kinds import INTERACTIVE_KINDS, JOB_KINDS, JobContext
from audit_app.jobs import is_alive, own_start
from model_store.errors import ModelError

POLL_S = 0.15
IDLE_EXIT_S = 30.0
REPORT_EVERY_S = 0.25
DOMAIN_ERRORS = (AnnotationError, AuditError, ModelError)
log = logging.getLogger("worker")


class Worker:
    """Runs the jobs of one workspace until the app that started it is gone and none is left."""

    def __init__(self, workspace: Workspace, store: Store, *, parent: int) -> None:
        self.workspace = workspace
        self.store = store
        self.parent = parent
        self.started = own_start()

    def run(self) -> None:
        """Work until idle without a parent."""
        self.store.jobs.mark_interrupted(is_alive)
        self.store.jobs.set_worker(os.getpid(), self.started)
        idle_since = time.monotonic()
        while True:
            job = self.store.jobs.claim(None, os.getpid(), self.started)
            if job is not None:
                self.run_job(job)
                idle_since = time.monotonic()
            elif not psutil.pid_exists(self.parent) and time.monotonic() - idle_since > IDLE_EXIT_S:
                return
            else:
                time.sleep(POLL_S)

    def run_job(self, job: Job) -> None:
        """Run one job to its end; its failure is a row, never the end of the worker."""
        report = _Reporter(self, job)
        context = JobContext(self.workspace, self.store, job, report)
        log.info("job %d %s begins", job.job_id, job.kind)
        try:
            result = JOB_KINDS[job.kind](context)
        except DOMAIN_ERRORS as error:
            self.store.jobs.finish(job.job_id, "failed", {}, str(error))
        except Exception as error:  # noqa: BLE001 - one job must not end the worker; the reason is kept
            log.error("job %d %s failed: %s", job.job_id, job.kind, _where(error))
            self.store.jobs.finish(job.job_id, "failed", {}, f"the job stopped at {_where(error)}")
        else:
            if report.cancelled:
                kept = "cancelled; what was finished is kept"
                self.store.jobs.finish(job.job_id, "cancelled", result, kept)
            else:
                self.store.jobs.finish(job.job_id, "done", result, "")
        log.info("job %d ends", job.job_id)

    def serve_pages(self, current: Job) -> None:
        """Answer what open pages wait for, in the middle of a long job."""
        if current.kind in INTERACTIVE_KINDS:
            return
        while (
            job := self.store.jobs.claim(INTERACTIVE_KINDS, os.getpid(), self.started)
        ) is not None:
            self.run_job(job)


class _Reporter:
    """Progress of one job: written at most four times a second, true when it should stop."""

    def __init__(self, worker: Worker, job: Job) -> None:
        self.worker = worker
        self.job = job
        self.cancelled = False
        self.last = 0.0

    def __call__(self, done: int, total: int, message: str) -> bool:
        now = time.monotonic()
        if now - self.last >= REPORT_EVERY_S or done == total:
            self.last = now
            jobs = self.worker.store.jobs
            self.cancelled = jobs.progress(self.job.job_id, done, total, message) or self.cancelled
            self.worker.serve_pages(self.job)
        return self.cancelled


def _where(error: Exception) -> str:
    """Type and place of an unexpected error, without its values: they may name patients."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}"


def main(arguments: list[str]) -> int:
    """Run the worker of the workspace ``arguments[0]`` for the app of process ``arguments[1]``."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    os.umask(0o077)
    workspace = open_workspace(Path(arguments[0]))
    with Store.open(workspace) as store:
        Worker(workspace, store, parent=int(arguments[1])).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
