"""An evaluation as a command or a background job: where its files go, what it says at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from annotations.records import Job
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.evaluator.choices import EvaluationChoices
from audit_app.evaluator.progress import Cancelled, Watcher, progress_file
from audit_app.evaluator.result import EvaluationResult, Row, load_result
from audit_app.models import make_runtime
from audit_app.reports.html_parts import merged, number

if TYPE_CHECKING:
    from model_store.runtime import ModelRuntime

Report = Callable[[int, int, str], bool]
JOB_KIND = "evaluate"


def evaluate_workspace(
    workspace: Workspace, store: Store, choices: EvaluationChoices, *, out: Path, progress: Report
) -> list[str]:
    """Evaluate and write the files; sentences about what came out."""
    from audit_app.evaluator.run import run_evaluation

    runtime = make_runtime(workspace, store, choices.device)
    result = run_evaluation(workspace, store, runtime, choices, out=out, watcher=Watcher(progress))
    return describe_result(result)


def run_evaluation_job(
    workspace: Workspace, store: Store, runtime: ModelRuntime, job: Job, report: Report
) -> dict[str, object]:
    """Run, or take up again, the evaluation of a job; the name of its folder in the exports."""
    from audit_app.evaluator.run import run_evaluation

    choices = EvaluationChoices.from_dict({**job.params, "owner": job.owner})
    from model_store.devices import find_device

    if find_device(choices.device).type != "cpu":  # the worker's own runtime computes there
        runtime = make_runtime(workspace, store, choices.device)
    out = evaluation_folder(workspace, job.job_id)
    watcher = Watcher(report, progress_file(workspace, job.job_id))
    try:
        result = run_evaluation(workspace, store, runtime, choices, out=out, watcher=watcher)
    except Cancelled as stopped:
        return {"reason": str(stopped)}
    return {"folder": out.name, "lines": describe_result(result)}


def evaluation_folder(workspace: Workspace, job_id: int) -> Path:
    """Where the files of an evaluation that was started from the page lie."""
    return workspace.exports / f"evaluation-{job_id}"


def finished_evaluations(workspace: Workspace, store: Store) -> list[tuple[Job, Path]]:
    """The jobs whose evaluation is complete, the newest first, each with its folder."""
    found = []
    for job in store.jobs.recent(limit=200, kinds=(JOB_KIND,)):
        folder = evaluation_folder(workspace, job.job_id)
        if job.status == "done" and folder.is_dir():
            found.append((job, folder))
    return found


def result_of_job(workspace: Workspace, job_id: int) -> EvaluationResult:
    """The finished evaluation of a job.

    Raises:
        AuditError: If its files are not there.
    """
    return load_result(evaluation_folder(workspace, job_id))


def describe_result(result: EvaluationResult) -> list[str]:
    """A sentence on the labels, one per preset and mode, then what must be known."""
    table = result.table
    parts = table["parts"]
    lines = [
        f"Labels: {table['label_source']}; split: {table['split_rule']}: {parts['train']} train, "
        f"{parts['validation']} validation, {parts['test']} test."
    ]
    lines += [f"{name}: {numbers}" for name, numbers in map(_sentence, result.rows)]
    nulls = merged(map(_sentence, table["nulls"]), "no information: ")
    lines += [f"{names}: {numbers}" for names, numbers in nulls]
    installed = result.provenance.get("installed_heads") or []
    if installed:
        lines.append(
            f"The workspace had no {' and '.join(installed)} weights; it uses these from now on."
        )
    return [*lines, *table["remarks"], f"Wrote {result.folder.name}: open report.html there."]


def _sentence(row: Row) -> tuple[str, str]:
    """Preset and mode, and their numbers."""
    return f"{row['preset']} {row['mode']}", (
        f"ratio {number(row.get('ratio'))}, F1 {number(row.get('f1'))}, "
        f"exact match {number(row.get('exact_match'))}, LRAP {number(row.get('lrap'))}, "
        f"coverage error {number(row.get('coverage_error'))}"
    )
