"""A whole audit: choices to rows, rows to tables, both to the store and to files."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotations.records import AuditRun
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.audit_plan import AuditChoices, AuditPlan, plan_audit
from audit_app.audit_readers import reader_rows
from audit_app.audit_result import derive_tables, reveal_table
from audit_app.audit_spool import AuditSpool
from audit_app.audit_tasks import agreement_rows, carry_out, side_rows
from audit_app.audit_work import AuditWork, Explainer, Progress
from audit_app.errors import DOMAIN_ERRORS, AuditError, place_of, sentence_for_page
from audit_app.evaluation import Row
from audit_app.models import head_sha256
from audit_app.reports.agreement import AuditFacts, prepare_folder, write_audit
from model_store.entries import MODES

RESUMABLE: Final = frozenset({"running", "failed", "cancelled"})
CANCELLED: Final = "cancelled; what was done is kept"


@dataclass(frozen=True, slots=True)
class _Audit:
    """One run with everything that it works on."""

    store: Store
    workspace: Workspace
    run: AuditRun
    work: AuditWork
    begun: float


def run_audit(
    workspace: Workspace,
    store: Store,
    runtime: Explainer,
    choices: AuditChoices,
    *,
    out: Path,
    progress: Progress | None = None,
) -> str:
    """Compare a model's maps with the committed readings; the id of the run.

    Each image is read once. A picture that is missing, changed or cannot be used gives rows of
    status "invalid_input" with the reason, and the run goes on. The rows go to the store, complete,
    when the last image is done (``prior_hit`` needs the maps of all); until then they are kept in
    the workspace's cache folder, from which ``resume_audit`` goes on.

    Args:
        workspace: Where the heads and the cache lie.
        store: Of this workspace.
        runtime: Gives the maps.
        choices: What is audited.
        out: Folder for the tables, the report and provenance.json; made when absent, files of
            these names are replaced.
        progress: Called with (done, total, message) after each image; true asks to stop. The run
            then has status "cancelled" and no files are written.

    Raises:
        AuditError: If there is nothing to audit, or ``out`` cannot be written to.
        ModelError: If the model or a mode cannot be used; the run has status "failed" then.
    """
    begun = time.monotonic()
    plan = plan_audit(store, choices)
    askable = askable_findings(store, runtime, choices, plan)
    prepare_folder(out)
    run = store.audits.create(choices.owner, choices.to_dict())
    spool = _open_spool(workspace, store, run, plan, askable)
    work = AuditWork(runtime, choices, plan, askable, run.run_id, spool)
    return _carry_out(_Audit(store, workspace, run, work, begun), out, progress or _go_on)


def resume_audit(
    workspace: Workspace,
    store: Store,
    runtime: Explainer,
    run_id: str,
    *,
    out: Path,
    progress: Progress | None = None,
) -> str:
    """Go on with a run that was cancelled, failed or interrupted; images that are done stay done.

    Raises:
        AuditError: As ``run_audit``; if the run is done; if readings, images or a model, its
            trained weights, prompts or preprocessing included, changed since it began.
        UnknownRecord: If there is no such run.
        ModelError: As ``run_audit``.
    """
    begun = time.monotonic()
    run = store.audits.get(run_id)
    if run.status not in RESUMABLE:
        raise AuditError(f"audit {run_id} is {run.status}; there is nothing left to resume")
    choices = AuditChoices.from_dict(run.choices)
    plan = plan_audit(store, choices)
    askable = askable_findings(store, runtime, choices, plan)
    prepare_folder(out)
    spool = _open_spool(workspace, store, run, plan, askable)
    run = store.audits.restart(run_id)
    work = AuditWork(runtime, choices, plan, askable, run_id, spool)
    return _carry_out(_Audit(store, workspace, run, work, begun), out, progress or _go_on)


def askable_findings(
    store: Store, runtime: Explainer, choices: AuditChoices, plan: AuditPlan
) -> dict[tuple[str, str], tuple[str, ...]]:
    """The findings of the workspace that each model and mode knows, a model at a time.

    A chosen mode that a model's kind cannot have is no key.

    Raises:
        AuditError: If a model has none of the modes, or a mode knows none of the findings.
    """
    askable = {}
    for model in choices.models:
        for mode in chosen_modes(store, model, choices.modes):
            known = runtime.supported(model, mode, plan.vocabulary)
            if not set(known) & plan.marked_findings:
                raise AuditError(_unknown(model, mode, known, plan))
            askable[model, mode] = known
    return askable


def chosen_modes(store: Store, model: str, modes: tuple[str, ...]) -> list[str]:
    """Those of the modes that a model's kind can have.

    Raises:
        AuditError: If there is none.
        UnknownRecord: If there is no such model.
    """
    possible = MODES[str(store.models.get(model).get("kind") or "open_clip")]
    kept = [mode for mode in modes if mode in possible]
    if not kept:
        raise AuditError(
            f"model '{model}' has none of the modes {', '.join(modes)}; it has "
            f"{', '.join(possible)}: choose one of these, or leave the model out"
        )
    return kept


def _unknown(model: str, mode: str, known: tuple[str, ...], plan: AuditPlan) -> str:
    marked = ", ".join(sorted(plan.marked_findings))
    if known:
        return (
            f"mode {mode} of model '{model}' knows none of the marked findings ({marked}); it "
            f"knows {', '.join(known)}: choose another model, or leave this mode out"
        )
    if mode == "cls":
        return (
            f"the outputs of classifier '{model}' name none of the workspace's findings "
            f"({', '.join(plan.vocabulary)}); add it again with labels that do, or leave it out"
        )
    return (
        f"mode {mode} of model '{model}' is not trained for any of the workspace's findings "
        f"({', '.join(plan.vocabulary)}); run 'launch.py train WORKSPACE --model {model} "
        f"--mode {mode}' first, or leave this mode out"
    )


def spool_folder(workspace: Workspace, run_id: str) -> Path:
    """Where a run keeps what it has until it is done."""
    return workspace.cache / "audits" / run_id


def _open_spool(
    workspace: Workspace,
    store: Store,
    run: AuditRun,
    plan: AuditPlan,
    ways: Iterable[tuple[str, str]],
) -> AuditSpool:
    choices = AuditChoices.from_dict(run.choices)
    entries = {model: store.models.get(model) for model in choices.models}
    heads = [head_sha256(workspace, model, mode) for model, mode in ways]
    fingerprint = plan.fingerprint(choices, entries, heads)
    return AuditSpool(spool_folder(workspace, run.run_id), fingerprint)


def _carry_out(audit: _Audit, out: Path, progress: Progress) -> str:
    """Run to the end, a cancel or an error, and leave the run's status right in each case."""
    run_id = audit.run.run_id
    try:
        if carry_out(audit.work, progress):
            _finish(audit, out)
        else:
            audit.store.audits.finish(run_id, "cancelled", {"reason": CANCELLED})
    except KeyboardInterrupt:
        audit.store.audits.finish(run_id, "cancelled", {"reason": CANCELLED})
        raise
    except DOMAIN_ERRORS as error:
        reason = sentence_for_page(error, audit.workspace.root)
        audit.store.audits.finish(run_id, "failed", {"reason": reason})
        raise
    except Exception as error:
        # Its text may name a patient or a folder, and auditors read the reason.
        reason = f"the audit stopped at {place_of(error)}"
        audit.store.audits.finish(run_id, "failed", {"reason": reason})
        raise
    return run_id


def _finish(audit: _Audit, out: Path) -> None:
    """Rows into the store, files into the folder, the spool away."""
    work, run_id = audit.work, audit.run.run_id
    _store_rows(audit)
    rows = audit.store.audits.rows(run_id)
    tables = complete_tables(audit.store, work, rows)
    facts = AuditFacts(
        run=audit.run,
        choices=work.choices,
        plan=work.plan,
        workspace=audit.workspace.settings,
        entries={model: audit.store.models.get(model) for model in work.choices.models},
        modes={model: work.modes_of(model) for model in work.choices.models},
        made_by=work.spool.made_by,
        elapsed_s=time.monotonic() - audit.begun,
    )
    summary = write_audit(out, tables, facts)
    audit.store.audits.finish(run_id, "done", summary)
    work.spool.remove()


def complete_tables(store: Store, work: AuditWork, rows: list[Row]) -> dict[str, list[Row]]:
    """All tables of an audit whose tasks are done.

    Args:
        store: Of the workspace: how readers agree among themselves.
        work: The tasks.
        rows: Of agreement.csv.
    """
    controls, reveals = side_rows(work)
    readers = reader_rows(store, work.choices, work.plan, work.run_id)
    readers += reveal_table(reveals, work.run_id, work.choices)
    derived = derive_tables(rows, controls, readers, work.choices)
    sides = {"controls": controls, "readers": readers, "reveal": reveals}
    return {"rows": rows, **derived, **sides}


def _store_rows(audit: _Audit) -> None:
    """Put the rows of each task into the store; what an earlier attempt stored stays."""
    run_id = audit.run.run_id
    stored = {(row["model"], row["image_id"]) for row in audit.store.audits.rows(run_id)}
    for rows in agreement_rows(audit.work):
        fresh = [row for row in rows if (row["model"], row["image_id"]) not in stored]
        audit.store.audits.add_rows(run_id, fresh)


def _go_on(done: int, total: int, message: str) -> bool:
    del done, total, message
    return False
