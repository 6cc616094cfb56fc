"""The Audit tab: run over all committed readings, look at the table, open a case, take the CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from annotations.records import AuditRun, Job
from audit_app.audit_job import describe_run, interval, number, run_folder, summary_lines
from audit_app.comparison import MODES, Selection
from audit_app.errors import AuditError
from audit_app.handlers import handler
from audit_app.jobs import ACTIVE_STATUSES, describe_job, ensure_worker, submit_job
from audit_app.models import load_entry, ready_modes
from audit_app.reports.routes import FILES
from audit_app.services import Services
from audit_app.session import Visitor

PRIVATE: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}
POLL_S: Final = 0.7
SHOWN_ROWS: Final = 500
LOOKED_AT: Final = 50
SUMMARY_HEADERS: Final = (
    "Finding", "Mode", "Method", "Hit rate", "95 % interval", "Chance", "Lift", "IoU", "Energy",
    "Rows", "Patients", "No evidence", "Not visible", "No reference",
)  # fmt: skip
ROW_HEADERS: Final = (
    "No.", "Picture", "Reader", "Finding", "Mode", "Status", "Hit", "IoU", "Energy", "Chance",
    "Distance",
)  # fmt: skip
NO_RUN: Final = (
    "**No audit yet.** Choose a model and run one: every committed reading is compared with the "
    "model's maps."
)
LINKS: Final = (
    '<p class="downloads">{{#each value.links}}'
    '<a href="{{href}}" download>Download {{name}}</a>{{/each}}</p>'
)


@dataclass(frozen=True, slots=True)
class AuditTab:
    """The components of the tab."""

    model: gr.Dropdown
    modes: gr.CheckboxGroup
    status: gr.Markdown
    timer: gr.Timer
    run: gr.Dropdown
    headline: gr.Markdown
    links: gr.HTML
    summary: gr.Dataframe
    rows: gr.Dataframe

    @property
    def shown(self) -> list[gr.components.Component]:
        """What a run changes; in the order of ``show_run``."""
        return [self.headline, self.links, self.summary, self.rows]

    @property
    def filled(self) -> list[gr.components.Component]:
        """In the order of ``fill_audit``."""
        return [self.model, self.modes, self.status, self.timer, self.run, *self.shown]


def build_audit_tab(services: Services) -> AuditTab:
    """The tab's components and events; filled when it is opened."""
    with gr.Row(elem_classes="choices"):
        model = gr.Dropdown([], label="Model", elem_id="audit-model", min_width=180)
        modes = gr.CheckboxGroup(
            [(words, mode) for mode, words in MODES.items()],
            label="Modes",
            scale=3,
            min_width=420,
            elem_id="audit-modes",
        )
        start = gr.Button(
            "Run audit", variant="primary", elem_id="audit-start", scale=0, min_width=140
        )
        cancel = gr.Button("Cancel", elem_id="audit-cancel", scale=0, min_width=100)
        resume = gr.Button("Resume", elem_id="audit-resume", scale=0, min_width=100)
    status = gr.Markdown(elem_id="audit-status", elem_classes="status-line")
    timer = gr.Timer(POLL_S, active=False)
    run = gr.Dropdown([], label="Audit", elem_id="audit-run")
    headline = gr.Markdown(elem_id="audit-headline")
    links = gr.HTML(value={"links": []}, html_template=LINKS, elem_id="audit-links")
    summary = gr.Dataframe(
        headers=list(SUMMARY_HEADERS),
        interactive=False,
        elem_id="audit-summary",
        label="By finding",
    )
    rows = gr.Dataframe(
        headers=list(ROW_HEADERS), interactive=False, elem_id="audit-rows",
        label="Rows: click one to see its maps",
        max_height=420,
    )  # fmt: skip
    tab = AuditTab(model, modes, status, timer, run, headline, links, summary, rows)
    _connect(services, tab, start, cancel)
    _connect_resume(services, tab, resume)
    return tab


def _connect_resume(services: Services, tab: AuditTab, resume: gr.Button) -> None:
    @handler(services, "auditor")
    def go_on(visitor: Visitor) -> list[Any]:
        resume_own(services, visitor)
        return watch(services)

    resume.click(go_on, None, [tab.status, tab.timer], **PRIVATE)


def _connect(services: Services, tab: AuditTab, start: gr.Button, cancel: gr.Button) -> None:
    on = handler(services, "auditor")

    @on
    def choose_model(model: str | None) -> Any:
        return mode_choices(services, model)

    @on
    def begin(model: str | None, modes: list[str], visitor: Visitor) -> list[Any]:
        begin_audit(services, visitor, model, modes)
        return watch(services)

    @on
    def stop() -> list[Any]:
        job = newest_job(services)
        if job is not None and job.status in ACTIVE_STATUSES:
            services.store.jobs.cancel(job.job_id)
        return watch(services)

    @on
    def poll() -> list[Any]:
        return watch(services)

    _connect_runs(services, tab)
    tab.model.input(choose_model, tab.model, tab.modes, **PRIVATE)
    start.click(begin, [tab.model, tab.modes], [tab.status, tab.timer], **PRIVATE)
    cancel.click(stop, None, [tab.status, tab.timer], **PRIVATE)
    tab.timer.tick(poll, None, [tab.status, tab.timer], queue=False, **PRIVATE)


def _connect_runs(services: Services, tab: AuditTab) -> None:
    on = handler(services, "auditor")

    @on
    def finished(run_id: str | None) -> list[Any]:
        # The sentence changes when a job ends, too: then its run is the newest.
        job = newest_job(services)
        if job is not None and job.status in ACTIVE_STATUSES:
            return [gr.skip()] * 5
        return show_runs(services, str(job.result.get("run_id") or "") if job else run_id)

    @on
    def choose_run(run_id: str | None) -> list[Any]:
        return show_run(services, run_id)

    tab.status.change(finished, tab.run, [tab.run, *tab.shown], **PRIVATE)
    tab.run.input(choose_run, tab.run, tab.shown, **PRIVATE)


def begin_audit(services: Services, visitor: Visitor, model: str | None, modes: list[str]) -> Job:
    """Put an audit into the queue.

    Raises:
        AuditError: If no model or mode was chosen.
    """
    if not model:
        raise AuditError("no model was chosen; add one in the tab Data & models")
    if not modes:
        raise AuditError("no mode was chosen; tick at least one")
    params: dict[str, object] = {"model": model, "modes": [m for m in MODES if m in modes]}
    return submit_job(services.workspace, services.store, "audit", params, owner=visitor.name)


def resume_own(services: Services, visitor: Visitor) -> Job:
    """Queue the newest audit that this visitor began and that did not end; images done stay done.

    Raises:
        AuditError: If this visitor began none.
        StoreError: If it is waiting, running or done.
    """
    jobs = services.store.jobs.recent(limit=LOOKED_AT, kinds=["audit"])
    own = next((job for job in jobs if job.owner == visitor.name), None)
    if own is None:
        raise AuditError("you began no audit that could go on; choose a model and run one")
    job = services.store.jobs.resume(own.job_id)
    ensure_worker(services.workspace, services.store)
    return job


def newest_job(services: Services) -> Job | None:
    """The audit that runs or waits, else the one that was asked for, or ended, last."""
    jobs = services.store.jobs.recent(limit=LOOKED_AT, kinds=["audit"])
    return max(jobs, key=_moment, default=None)


def _moment(job: Job) -> tuple[bool, str]:
    return job.status in ACTIVE_STATUSES, job.finished_at or job.created_at


def watch(services: Services) -> list[Any]:
    """Updates of status and timer."""
    job = newest_job(services)
    if job is None:
        return ["", gr.Timer(active=False)]
    return [describe_job(job), gr.Timer(active=job.status in ACTIVE_STATUSES)]


def fill_audit(services: Services, run_id: str | None) -> list[Any]:
    """Updates of everything in the tab; in the order of ``AuditTab.filled``."""
    models = list(services.store.models.all())
    first = models[0] if models else None
    return [
        gr.Dropdown(choices=models, value=first),
        mode_choices(services, first),
        *watch(services),
        *show_runs(services, run_id),
    ]


def mode_choices(services: Services, model: str | None) -> Any:
    """The modes of a model, those that are ready ticked."""
    if not model:
        return gr.CheckboxGroup(choices=[], value=[])
    entry = load_entry(services.store, model)
    ready = ready_modes(services.workspace, entry)
    choices = [
        (MODES[mode] if mode in ready else f"{MODES[mode]} (not trained)", mode)
        for mode in entry.modes
    ]
    return gr.CheckboxGroup(choices=choices, value=ready)


def show_runs(services: Services, run_id: str | None) -> list[Any]:
    """Updates of the run choice and of what it shows; the newest when the wanted one is gone."""
    runs = services.store.audits.all()
    ids = [run.run_id for run in runs]
    chosen = run_id if run_id in ids else (ids[0] if ids else None)
    choices = [(run_label(run), run.run_id) for run in runs]
    return [
        gr.Dropdown(choices=choices, value=chosen, visible=bool(runs)),
        *show_run(services, chosen),
    ]


def run_label(run: AuditRun) -> str:
    """When, which model, how it ended."""
    modes = run.choices.get("modes")
    words = ", ".join(modes) if isinstance(modes, list) else ""
    return (
        f"{run.created_at[:16].replace('T', ' ')} | {run.choices['model']} | {words} | {run.status}"
    )


def show_run(services: Services, run_id: str | None) -> list[Any]:
    """Updates of headline, links and both tables."""
    if not run_id:
        empty = gr.Dataframe(value=[], visible=False)
        return [NO_RUN, {"links": []}, empty, empty]
    run = services.store.audits.get(run_id)
    rows = services.store.audits.rows(run_id)
    has_files = run_folder(services.workspace, run_id).is_dir()
    names = services.store.images.names()
    lines = [summary_row(line) for line in summary_lines(run)]
    return [
        "\n\n".join(describe_run(run) + truncation(rows)),
        {"links": file_links(run_id) if has_files else []},
        gr.Dataframe(value=lines, visible=bool(lines)),
        gr.Dataframe(
            value=[
                row_cells(position, row, names) for position, row in enumerate(rows[:SHOWN_ROWS])
            ],
            visible=bool(rows),
        ),
    ]


def file_links(run_id: str) -> list[dict[str, str]]:
    """Name and address of each file of a run."""
    return [{"name": name, "href": f"/audit/runs/{run_id}/{name}"} for name in FILES]


def truncation(rows: list[dict[str, object]]) -> list[str]:
    """A sentence when the table does not show all rows."""
    if len(rows) <= SHOWN_ROWS:
        return []
    return [f"The table shows {SHOWN_ROWS} of {len(rows)} rows; agreement.csv holds all."]


def summary_row(line: Mapping[str, object]) -> list[str]:
    """The cells of one finding and mode."""
    return [
        str(line["finding"]),
        MODES.get(str(line["mode"]), str(line["mode"])),
        str(line["method"]),
        number(line["hit"]),
        interval(line, "hit").strip("()"),
        number(line["chance_hit"]),
        number(line["lift"]),
        number(line["iou"]),
        number(line["energy_in_box"]),
        *(
            str(line[name])
            for name in (
                "n_rows",
                "n_patients",
                "n_no_evidence",
                "n_not_visible",
                "n_no_reference",
            )
        ),
    ]


def row_cells(position: int, row: Mapping[str, object], names: Mapping[str, str]) -> list[str]:
    """The cells of one reading, finding and mode; the first is the row's number from 1."""
    return [
        str(position + 1),
        names.get(str(row["image_id"]), str(row["image_id"])),
        str(row["reader"]),
        str(row["finding"]),
        MODES.get(str(row["mode"]), str(row["mode"])),
        str(row["status"]),
        *(number(row[name]) for name in ("hit", "iou", "energy_in_box", "chance_hit")),
        number(row["peak_distance"]),
    ]


def selection_of_row(services: Services, run_id: str | None, cells: Sequence[str]) -> Selection:
    """What the clicked row compares.

    Args:
        services: The workspace.
        run_id: The run that the table shows.
        cells: Of the clicked row: its number comes first, however the table is sorted.
    """
    rows = services.store.audits.rows(run_id) if run_id else []
    position = int(cells[0]) - 1 if cells and str(cells[0]).isdecimal() else -1
    if not 0 <= position < len(rows):
        raise AuditError("this row is not in the audit any more; choose the audit again")
    row = rows[position]
    image_id, reader, finding, model, method = (
        str(row[name]) for name in ("image_id", "reader", "finding", "model", "method")
    )
    return Selection(image_id, reader, finding, model, method)
