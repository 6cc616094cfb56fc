"""The Audit tab: choose and run one, watch it, read what it found, open a case, take the files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from annotations.records import AuditRun, Job
from audit_app.comparison import MODES
from audit_app.errors import AuditError
from audit_app.handlers import handler
from audit_app.jobs import ensure_worker
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.tabs.audit_form import (
    KIND,
    AuditForm,
    AuditValues,
    begin_audit,
    build_form,
    build_model_fields,
    fill_form,
    mode_choices,
)
from audit_app.tabs.audit_rows import ANY, selection_of_row, show_rows
from audit_app.tabs.audit_view import (
    AuditView,
    build_view,
    load_audit,
    show_grid,
    show_part,
    show_run,
)
from audit_app.tabs.jobs import (
    POLL_S,
    PRIVATE,
    is_active,
    newest_job,
    recent_jobs,
    stop_newest,
    watch_job,
)
from audit_app.tabs.read import event_data

__all__ = ["AuditTab", "build_audit_tab", "fill_audit", "selection_of_row"]


@dataclass(frozen=True, slots=True)
class AuditTab:
    """The components of the tab."""

    form: AuditForm
    status: gr.Markdown
    timer: gr.Timer
    run: gr.Dropdown
    view: AuditView

    @property
    def case_tables(self) -> list[gr.Dataframe]:
        """Tables of which a clicked row opens its case; ``view.points`` does so in the plots."""
        return [self.view.rows, self.view.worst]

    @property
    def filled(self) -> list[gr.components.Component]:
        """In the order of ``fill_audit``."""
        return [*self.form.filled, self.status, self.timer, self.run, *self.view.shown]


@dataclass(frozen=True, slots=True)
class _Buttons:
    start: gr.Button
    cancel: gr.Button
    resume: gr.Button


def build_audit_tab(services: Services) -> AuditTab:
    """The tab's components and events; filled when it is opened."""
    with gr.Row(elem_classes="choices"):
        model, modes = build_model_fields()
        buttons = _Buttons(
            gr.Button(
                "Run audit", variant="primary", elem_id="audit-start", scale=0, min_width=120
            ),
            gr.Button("Cancel", elem_id="audit-cancel", scale=0, min_width=105),
            gr.Button("Resume", elem_id="audit-resume", scale=0, min_width=105),
        )
    form = build_form(model, modes)
    status = gr.Markdown(elem_id="audit-status", elem_classes="status-line")
    timer = gr.Timer(POLL_S, active=False)
    run = gr.Dropdown([], label="Audit", elem_id="audit-run")
    tab = AuditTab(form, status, timer, run, build_view())
    _connect_jobs(services, tab, buttons)
    _connect_runs(services, tab)
    _connect_rows(services, tab)
    return tab


def _connect_jobs(services: Services, tab: AuditTab, buttons: _Buttons) -> None:
    on = handler(services, "auditor")

    @on
    def choose_model(model: str | None) -> Any:
        return mode_choices(services, model)

    @on
    def begin(*fields: Any, visitor: Visitor) -> list[Any]:
        begin_audit(services, visitor, AuditValues(*fields))
        return watch_job(services, KIND)

    @on
    def stop() -> list[Any]:
        stop_newest(services, KIND)
        return watch_job(services, KIND)

    @on
    def go_on(visitor: Visitor) -> list[Any]:
        resume_own(services, visitor)
        return watch_job(services, KIND)

    @on
    def poll() -> list[Any]:
        return watch_job(services, KIND)

    watched = [tab.status, tab.timer]
    tab.form.model.input(choose_model, tab.form.model, tab.form.modes, **PRIVATE)
    buttons.start.click(begin, tab.form.fields, watched, **PRIVATE)
    buttons.cancel.click(stop, None, watched, **PRIVATE)
    buttons.resume.click(go_on, None, watched, **PRIVATE)
    tab.timer.tick(poll, None, watched, queue=False, **PRIVATE)


def _connect_runs(services: Services, tab: AuditTab) -> None:
    on = handler(services, "auditor")
    view = tab.view

    @on
    def finished(run_id: str | None, measure: str) -> list[Any]:
        # The sentence changes when a job ends, too: then its run is the newest.
        job = newest_job(services, KIND)
        if is_active(job):
            return [gr.skip()] * (1 + len(view.shown))
        wanted = str(job.result.get("run_id") or "") if job else run_id
        return show_runs(services, wanted, measure)

    @on
    def choose_run(run_id: str | None, measure: str) -> list[Any]:
        return show_run(services, run_id, measure)

    @on
    def choose_part(run_id: str | None, part: str | None, measure: str) -> list[Any]:
        return show_part(services, run_id, part, measure)

    @on
    def choose_measure(run_id: str | None, part: str | None, measure: str) -> str:
        return show_grid(services, run_id, part, measure)

    given = [tab.run, view.part, view.measure]
    tab.status.change(finished, [tab.run, view.measure], [tab.run, *view.shown], **PRIVATE)
    tab.run.input(choose_run, [tab.run, view.measure], view.shown, **PRIVATE)
    view.part.input(choose_part, given, view.drawn, **PRIVATE)
    view.measure.input(choose_measure, given, view.grid, **PRIVATE)


def _connect_rows(services: Services, tab: AuditTab) -> None:
    on = handler(services, "auditor")
    view = tab.view

    @on
    def filter_rows(
        run_id: str | None, finding: str | None, mode: str | None, status: str | None
    ) -> Any:
        return rows_of(services, run_id, finding, mode, status)

    @on
    def open_cell(run_id: str | None, event: gr.EventData) -> list[Any]:
        data = event_data(event)
        finding, mode = known_cell(services, run_id, data.get("finding"), data.get("mode"))
        return [
            gr.Tabs(selected="rows"), finding, mode, ANY,
            rows_of(services, run_id, finding, mode, ANY),
        ]  # fmt: skip

    for one in view.filters:
        one.input(filter_rows, [tab.run, *view.filters], view.rows, **PRIVATE)
    view.grid.select(open_cell, tab.run, [view.tabs, *view.filters, view.rows], **PRIVATE)


def rows_of(services: Services, run_id: str | None, *only: str | None) -> Any:
    """The update of the rows that these filters leave."""
    if not run_id:
        return gr.Dataframe(value=[])
    return show_rows(services, load_audit(services, run_id), *only)


def known_cell(
    services: Services, run_id: str | None, finding: object, mode: object
) -> tuple[str, str]:
    """What a click on the table means; a line over all findings means any of them.

    Raises:
        AuditError: If the page names something that the run does not have.
    """
    run = services.store.audits.get(run_id or "")
    lines = run.summary.get("summary")
    known = [(one["finding"], one["mode"]) for one in lines] if isinstance(lines, list) else []
    if (finding, mode) not in known:
        raise AuditError("this cell is not of the audit that is shown; choose the audit again")
    rows = services.store.audits.rows(run.run_id)
    has_rows = any(row["finding"] == finding for row in rows)
    return (str(finding) if has_rows else ANY), str(mode)


def resume_own(services: Services, visitor: Visitor) -> Job:
    """Queue the newest audit that this visitor began and that did not end; images done stay done.

    Raises:
        AuditError: If this visitor began none.
        StoreError: If it is waiting, running or done.
    """
    own = next((one for one in recent_jobs(services, KIND) if one.owner == visitor.name), None)
    if own is None:
        raise AuditError("you began no audit that could go on; choose a model and run one")
    job = services.store.jobs.resume(own.job_id)
    ensure_worker(services.workspace, services.store)
    return job


def fill_audit(services: Services, run_id: str | None, measure: str) -> list[Any]:
    """Updates of everything in the tab; in the order of ``AuditTab.filled``."""
    return [
        *fill_form(services),
        *watch_job(services, KIND),
        *show_runs(services, run_id, measure),
    ]


def show_runs(services: Services, run_id: str | None, measure: str) -> list[Any]:
    """Updates of the run choice and of what it shows; the newest when the wanted one is gone."""
    runs = services.store.audits.all()
    ids = [run.run_id for run in runs]
    chosen = run_id if run_id in ids else (ids[0] if ids else None)
    choices = [(run_label(run), run.run_id) for run in runs]
    return [
        gr.Dropdown(choices=choices, value=chosen, visible=bool(runs)),
        *show_run(services, chosen, measure),
    ]


def run_label(run: AuditRun) -> str:
    """When, which models and modes, how it ended."""
    chosen = run.choices
    modes, further = chosen.get("modes"), chosen.get("further_models")
    words = ", ".join(MODES.get(one, str(one)) for one in modes) if isinstance(modes, list) else ""
    models = [chosen["model"], *(further if isinstance(further, list) else [])]
    when = run.created_at[:16].replace("T", " ")
    return f"{when} | {', '.join(str(one) for one in models)} | {words} | {run.status}"
