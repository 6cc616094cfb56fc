"""An audit as a command or a background job: where its files go, how it is taken up again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from annotations.records import AuditRun, Job
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.audit import RESUMABLE, resume_audit, run_audit, spool_folder
from audit_app.audit_plan import AuditChoices
from audit_app.audit_spool import OutdatedSpool, check_unused
from audit_app.audit_work import Explainer
from audit_app.models import make_runtime

if TYPE_CHECKING:
    from model_store.runtime import ModelRuntime

Report = Callable[[int, int, str], bool]


def run_folder(workspace: Workspace, run_id: str) -> Path:
    """Where the files of an audit that was started from the page lie."""
    return workspace.exports / f"audit-{run_id}"


def audit_workspace(
    workspace: Workspace, store: Store, choices: AuditChoices, *, out: Path, progress: Report
) -> list[str]:
    """Run an audit and write its files; sentences about what came out.

    The same choices into the same folder go on where they were stopped, and begin anew when the
    readings, the images or the model changed since.
    """
    runtime = make_runtime(workspace, store)
    choices = replace(choices, origin=f"folder {out.expanduser().resolve()}")
    run_id = audit_into(workspace, store, runtime, choices, out=out, progress=progress)
    return describe_run(store.audits.get(run_id))


def audit_into(
    workspace: Workspace,
    store: Store,
    runtime: Explainer,
    choices: AuditChoices,
    *,
    out: Path,
    progress: Report,
) -> str:
    """Take up the unfinished run of these choices, or begin one; its id."""
    begun = unfinished_run(store, choices)
    if begun is not None:
        try:
            return resume_audit(workspace, store, runtime, begun.run_id, out=out, progress=progress)
        except OutdatedSpool:
            pass
    give_up_others(workspace, store, choices.origin)
    return run_audit(workspace, store, runtime, choices, out=out, progress=progress)


def give_up_others(workspace: Workspace, store: Store, origin: str) -> None:
    """End what was begun into the same folder and cannot be gone on with; its spools go.

    Raises:
        AuditError: If one of them is running in another process.
    """
    for run in store.audits.all():
        folder = spool_folder(workspace, run.run_id)
        if run.choices.get("origin") == origin and run.status in RESUMABLE and folder.is_dir():
            check_unused(folder)
            shutil.rmtree(folder)
            reason = "given up: a later audit into the same folder took its place"
            store.audits.finish(run.run_id, "cancelled", {"reason": reason})


def run_audit_job(
    workspace: Workspace, store: Store, runtime: ModelRuntime, job: Job, report: Report
) -> dict[str, object]:
    """Run, or take up again, the audit of a job; its run's id.

    A job that was interrupted finds the run that it began: images that are done stay done.
    """
    choices = replace(choices_of(job.params, job.owner), origin=f"job {job.job_id}")
    # The files get their run's name only when they are complete.
    out = workspace.exports / f"audit-of-job-{job.job_id}"
    begun = unfinished_run(store, choices)
    if begun is None:
        run_id = run_audit(workspace, store, runtime, choices, out=out, progress=report)
    else:
        run_id = resume_audit(workspace, store, runtime, begun.run_id, out=out, progress=report)
    if store.audits.get(run_id).status == "done":
        out.replace(run_folder(workspace, run_id))
    return {"run_id": run_id}


def choices_of(params: Mapping[str, object], owner: str) -> AuditChoices:
    """The choices that a job's parameters spell."""
    return AuditChoices.from_dict({**params, "owner": owner})


def unfinished_run(store: Store, choices: AuditChoices) -> AuditRun | None:
    """The newest run with these choices and this origin, unless it is done."""
    wanted = choices.to_dict()
    newest = next((run for run in store.audits.all() if run.choices == wanted), None)
    return newest if newest is not None and newest.status in RESUMABLE else None


def describe_run(run: AuditRun) -> list[str]:
    """What an audit says in plain words: the result first, then each mode, then its warnings."""
    from audit_app.reports.first_line import first_lines

    if run.status != "done":
        return [f"This audit is {run.status}. {run.summary.get('reason', '')}".strip()]
    return first_lines(run.summary)


def summary_lines(run: AuditRun) -> list[Mapping[str, object]]:
    """The lines of summary.csv as the store keeps them."""
    lines = run.summary.get("summary")
    return list(lines) if isinstance(lines, list) else []


def interval(line: Mapping[str, object], name: str) -> str:
    """The 95 % interval in brackets, or why there is none."""
    low, high = line[f"{name}_low"], line[f"{name}_high"]
    if low is None or high is None:
        return f"({line['note']})"
    return f"(95 % {number(low)} to {number(high)})"


def number(value: object) -> str:
    """Two digits, n/a where nothing is defined."""
    return f"{value:.2f}" if isinstance(value, float | int) else "n/a"
