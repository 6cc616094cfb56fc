"""The worker process: queued jobs one after the other, maps for open pages in between."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from annotations.errors import StoreError
from annotations.records import FinalStatus, Job
from annotations.store import Store
from annotations.workspace import Workspace, open_workspace
from audit_app.errors import DOMAIN_ERRORS, describe_disk_error, place_of, sentence_for_page
from audit_app.job_kinds import INTERACTIVE_KINDS, JOB_KINDS, WORD_KINDS, JobContext
from audit_app.jobs import is_alive, own_start

POLL_S = 0.15
IDLE_EXIT_S = 30.0
REPORT_EVERY_S = 0.25
KEPT_ANSWERS = 50
KEPT_WORDS = 5
# Long after the page that asked has looked at the answer for the last time.
FORGET_WORDS_S = 10.0
# Between tries to write down how a job ended; each try waits for a locked database itself.
RETRY_PAUSES_S = (0.5, 2.0, 5.0, 15.0)
REFUSED_PAUSE_S = 2.0
log = logging.getLogger("worker")


class Worker:
    """Runs the jobs of one workspace until the app that started it is gone and none is left."""

    def __init__(self, workspace: Workspace, store: Store, *, parent: tuple[int, float]) -> None:
        """Prepare to work for ``parent``: the app's process and when that began."""
        self.workspace = workspace
        self.store = store
        self.parent = parent
        self.started = own_start()

    def run(self) -> None:
        """Work until idle without a parent."""
        self.store.jobs.mark_interrupted(is_alive)
        self.store.jobs.set_worker(os.getpid(), self.started)
        self.forget_answers()
        self.forget_words()
        idle_since, words_since = time.monotonic(), False
        while True:
            job = self.claim(None)
            if job is not None:
                self.run_job(job)
                idle_since, words_since = time.monotonic(), True
            elif words_since and time.monotonic() - idle_since > FORGET_WORDS_S:
                self.forget_words()
                words_since = False
            elif self.is_forsaken(idle_since) and self.retire():
                return
            else:
                time.sleep(POLL_S)

    def claim(self, kinds: Sequence[str] | None) -> Job | None:
        """The next job of these kinds; None when nothing waits, or the store cannot say now."""
        try:
            return self.store.jobs.claim(kinds, os.getpid(), self.started)
        except StoreError as error:
            log.error("no job could be taken: %s", error)
            time.sleep(REFUSED_PAUSE_S)
            return None

    def forget_answers(self) -> None:
        """Remove what pages asked for and were shown; a page may still look at the newest."""
        self._forget(INTERACTIVE_KINDS, KEPT_ANSWERS)
        self._forget(WORD_KINDS, KEPT_WORDS)

    def forget_words(self) -> None:
        """Remove all that was typed and answered."""
        self._forget(WORD_KINDS, 0)

    def _forget(self, kinds: Sequence[str], keep: int) -> None:
        try:
            self.store.jobs.forget(kinds, keep=keep)
        except StoreError as error:
            log.error("old answers could not be removed: %s", error)

    def retire(self) -> bool:
        """Whether this worker may end: no job waits, or the store is gone for good."""
        try:
            return self.store.jobs.retire_worker(os.getpid())
        except StoreError as error:
            log.error("the worker ends without saying so in the store: %s", error)
            return True

    def is_forsaken(self, idle_since: float) -> bool:
        """Whether the app is gone and nothing has been asked for a while."""
        is_idle = time.monotonic() - idle_since > IDLE_EXIT_S
        return is_idle and not is_alive(*self.parent)

    def run_job(self, job: Job) -> None:
        """Run one job to its end; its failure is a row, never the end of the worker."""
        report = _Reporter(self, job)
        context = JobContext(self.workspace, self.store, job, report)
        log.info("job %d %s begins", job.job_id, job.kind)
        try:
            result = JOB_KINDS[job.kind](context)
        except DOMAIN_ERRORS as error:
            # A training that is stopped says so by an error of its own.
            status: FinalStatus = "cancelled" if report.cancelled else "failed"
            self.finish(job, status, {}, sentence_for_page(error, self.workspace.root))
        except OSError as error:
            log.error("job %d %s failed: %s", job.job_id, job.kind, place_of(error))
            self.finish(job, "failed", {}, describe_disk_error(error))
        except Exception as error:  # noqa: BLE001 - one job must not end the worker; the reason is kept
            log.error("job %d %s failed: %s", job.job_id, job.kind, place_of(error))
            self.finish(job, "failed", {}, f"the job stopped at {place_of(error)}")
        else:
            if report.cancelled:
                self.finish(job, "cancelled", result, "what was finished is kept")
            else:
                self.finish(job, "done", result, "")
        log.info("job %d ends", job.job_id)
        if job.kind in INTERACTIVE_KINDS:
            self.forget_answers()

    def finish(
        self, job: Job, status: FinalStatus, result: Mapping[str, object], message: str
    ) -> None:
        """Write down how the job ended; a store that refuses is asked again for a while.

        Raises:
            StoreError: If it refuses for good. The worker ends then, and the next one finds the
                job interrupted, so that it can be resumed.
        """
        for pause_s in RETRY_PAUSES_S:
            try:
                if self.store.jobs.get(job.job_id).status == "running":
                    self.store.jobs.finish(job.job_id, status, result, message)
                else:
                    log.error("job %d runs no longer; it cannot end as %s", job.job_id, status)
                return
            except StoreError as error:
                log.error("job %d could not end as %s: %s", job.job_id, status, error)
                refused = sentence_for_page(error, self.workspace.root)
            time.sleep(pause_s)
        self.store.jobs.finish(job.job_id, "failed", {}, f"its end could not be kept: {refused}")

    def serve_pages(self, current: Job) -> None:
        """Answer what open pages wait for, in the middle of a long job."""
        if current.kind in INTERACTIVE_KINDS:
            return
        while (job := self.claim(INTERACTIVE_KINDS)) is not None:
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


def main(arguments: list[str]) -> int:
    """Run the worker of a workspace; the arguments: its folder, the app's process and its start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    os.umask(0o077)
    root, pid, pid_started = arguments
    workspace = open_workspace(Path(root))
    with Store.open(workspace) as store:
        Worker(workspace, store, parent=(int(pid), float(pid_started))).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
