"""What the tabs of background jobs share: watching one, stopping it, going on, taking its files."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any, Final

import gradio as gr

from annotations.records import Job
from audit_app.errors import AuditError
from audit_app.jobs import (
    ACTIVE_STATUSES,
    describe_job,
    ensure_worker,
    has_queued,
    is_alive,
    rouse_worker,
)
from audit_app.plain_text import plain
from audit_app.services import Services

PRIVATE: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}
POLL_S: Final = 1.0
LOOKED_AT: Final = 50
STOPPED: Final = ("interrupted", "failed", "cancelled")


def recent_jobs(services: Services, kind: str) -> list[Job]:
    """The latest jobs of this kind, the newest first."""
    return services.store.jobs.recent(limit=LOOKED_AT, kinds=[kind])


def newest_job(services: Services, kind: str) -> Job | None:
    """The job that runs, else the one that waits, else the one that was begun or ended last."""
    return max(recent_jobs(services, kind), key=_moment, default=None)


def watch_job(services: Services, kind: str) -> list[Any]:
    """Updates of the status line and the timer."""
    tend_jobs(services)
    job = newest_job(services, kind)
    if job is None:
        return ["", gr.Timer(active=False)]
    return [plain(describe_job(job)), gr.Timer(active=is_active(job))]


def tend_jobs(services: Services) -> None:
    """See to it that no job waits for, or seems to run in, a worker that has ended."""
    services.store.jobs.mark_interrupted(is_alive)
    if has_queued(services.store):
        rouse_worker(services.workspace, services.store)


def is_active(job: Job | None) -> bool:
    """Whether there is a job that runs or waits."""
    return job is not None and job.status in ACTIVE_STATUSES


def stop_newest(services: Services, kind: str) -> None:
    """Ask the job that runs or waits to stop, where there is one."""
    job = newest_job(services, kind)
    if job is not None and is_active(job):
        services.store.jobs.cancel(job.job_id)


def resume_chosen(services: Services, kind: str, chosen: str | None) -> None:
    """Go on with a job that was stopped; what it finished stays as it is.

    Raises:
        AuditError: If none is chosen, or it is not one of this kind that was stopped.
    """
    if not chosen or not chosen.isdecimal():
        raise AuditError(f"no {kind} was chosen; choose one that was stopped")
    job = services.store.jobs.get(int(chosen))
    if job.kind != kind or job.status not in STOPPED:
        raise AuditError(
            f"this {job.kind} is {job.status}; only one that was stopped can be resumed"
        )
    services.store.jobs.resume(job.job_id)
    ensure_worker(services.workspace, services.store)


def model_names(services: Services) -> tuple[list[str], str | None]:
    """The workspace's models, and the one that a form shows first."""
    names = list(services.store.models.all())
    return names, names[0] if names else None


def file_links(address: str, names: Iterable[str]) -> str:
    """Links to files, as HTML; "" for none.

    Args:
        address: Of the files' folder on this server, such as ``/audit/surveys/3``.
        names: Of the files.
    """
    links = "".join(
        f'<a href="{escape(f"{address}/{name}")}" download>Download {escape(name)}</a>'
        for name in names
    )
    return links and f'<p class="downloads">{links}</p>'


def _moment(job: Job) -> tuple[bool, bool, str]:
    return job.status == "running", is_active(job), job.finished_at or job.created_at
