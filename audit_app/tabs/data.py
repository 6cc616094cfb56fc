"""The Data & models tab: imports, models and their prompts, training, background work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from annotations.records import Job
from audit_app.errors import AuditError
from audit_app.handlers import handler
from audit_app.jobs import ACTIVE_STATUSES, describe_job, ensure_worker, submit_job
from audit_app.models import describe_models
from audit_app.plain_text import plain
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.tabs.data_forms import (
    TrainingForm,
    build_import_form,
    build_model_form,
    build_training_form,
    show_settings,
)
from audit_app.tabs.export import build_export_links
from audit_app.tabs.jobs import tend_jobs
from audit_app.tabs.prompt_editor import build_prompt_editor, text_models
from audit_app.training import READINGS

PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
POLL_S = 1.0
KINDS = ("import", "add model", "train", "audit")
JOB_HEADERS = ["No.", "What", "Status", "Progress", "Message"]


@dataclass(frozen=True, slots=True)
class DataTab:
    """The components that the page's load fills."""

    contents: gr.Markdown
    models: gr.Markdown
    model: gr.components.Component
    labels: gr.components.Component
    prompt_model: gr.Dropdown
    jobs: gr.Dataframe
    job: gr.Dropdown
    report: gr.Markdown
    timer: gr.Timer

    @property
    def filled(self) -> list[gr.components.Component]:
        """In the order of ``fill_data``."""
        return [
            self.contents,
            self.models,
            self.model,
            self.labels,
            self.prompt_model,
            *self.watched,
        ]

    @property
    def chosen(self) -> list[gr.components.Component]:
        """What a reader chose and keeps when the tab is filled again; as ``fill_data`` takes it."""
        return [self.model, self.labels, self.prompt_model]

    @property
    def watched(self) -> list[gr.components.Component]:
        """What changes while jobs run; in the order of ``watch_jobs``."""
        return [self.jobs, self.job, self.report, self.timer]


def build_data_tab(services: Services) -> DataTab:
    """The tab's components and events; filled when it is opened."""
    contents = gr.Markdown(elem_id="data-contents")
    with gr.Row():
        with gr.Column():
            with gr.Group():
                importing = build_import_form()
            with gr.Group():
                build_export_links()
        with gr.Column(), gr.Group():
            models, adding = build_model_form()
        with gr.Column(), gr.Group():
            training = build_training_form()
    with gr.Accordion("Prompts of zero-shot mode", open=False, elem_id="prompts"):
        editor = build_prompt_editor(services)
    gr.Markdown("## Background work", elem_classes="group-title")
    report = gr.Markdown(elem_id="job-report", elem_classes="status-line")
    jobs = gr.Dataframe(headers=JOB_HEADERS, interactive=False, wrap=True, elem_id="job-table")
    with gr.Row():
        job = gr.Dropdown([], label="Job", scale=2, elem_id="job-choice")
        cancel = gr.Button("Cancel", scale=0, min_width=120)
        resume = gr.Button("Resume", scale=0, min_width=120)
    timer = gr.Timer(POLL_S, active=False)
    model, labels, *_ = training.fields
    tab = DataTab(contents, models, model, labels, editor.model, jobs, job, report, timer)
    for form in (importing, adding, training):
        start = _starter(services, form.job_kind, form.params)
        form.button.click(start, list(form.fields), tab.watched, **PRIVATE)
    _connect_settings(services, training)
    _connect_jobs(services, tab, cancel, resume)
    return tab


def _connect_settings(services: Services, form: TrainingForm) -> None:
    """Mode and preset put their settings into the fields."""

    @handler(services, "admin")
    def follow(mode: str, preset: str) -> list[Any]:
        return show_settings(mode, preset)

    for component in (form.mode, form.preset):
        component.input(follow, [form.mode, form.preset], [form.preset, *form.settings], **PRIVATE)


def _connect_jobs(services: Services, tab: DataTab, cancel: gr.Button, resume: gr.Button) -> None:
    on = handler(services, "admin")
    refilled = tab.filled[: -len(tab.watched)]

    @on
    def watch() -> list[Any]:
        return watch_jobs(services)

    @on
    def refill(*chosen: str | None) -> list[Any]:
        return fill_data(services, *chosen)[: len(refilled)]

    @on
    def stop(job_id: int | None) -> list[Any]:
        services.store.jobs.cancel(chosen_job(job_id))
        return watch_jobs(services)

    @on
    def go_on(job_id: int | None) -> list[Any]:
        services.store.jobs.resume(chosen_job(job_id))
        ensure_worker(services.workspace, services.store)
        return watch_jobs(services)

    tab.timer.tick(watch, None, tab.watched, queue=False, **PRIVATE)
    # A finished job may have brought pictures, models or labels.
    tab.report.change(refill, tab.chosen, refilled, **PRIVATE)
    cancel.click(stop, tab.job, tab.watched, **PRIVATE)
    resume.click(go_on, tab.job, tab.watched, **PRIVATE)


def _starter(services: Services, kind: str, params: Callable[..., dict[str, object]]) -> Any:
    """A handler that turns a form into a job of this kind."""

    @handler(services, "admin")
    def start(*fields: Any, visitor: Visitor) -> list[Any]:
        submit_job(services.workspace, services.store, kind, params(*fields), owner=visitor.name)
        return watch_jobs(services)

    return start


def chosen_job(job_id: int | None) -> int:
    """The chosen job.

    Raises:
        AuditError: If none was chosen.
    """
    if job_id is None:
        raise AuditError("no job was chosen; choose one in the list")
    return int(job_id)


def fill_data(
    services: Services,
    model: str | None = None,
    labels: str | None = None,
    prompt_model: str | None = None,
) -> list[Any]:
    """Updates of everything in the tab; in the order of ``DataTab.filled``.

    What was chosen stays chosen while it is there: a new choice would empty the prompts' editor.
    """
    store = services.store
    sources = store.labels.sources()
    models, text = list(store.models.all()), text_models(services)
    return [
        describe_contents(services),
        "\n".join(f"- {plain(line)}" for line in describe_models(services.workspace, store))
        or "No model yet.",
        _choice(models, model),
        _choice([*sources, READINGS], labels),
        _choice(text, prompt_model),
        *watch_jobs(services),
    ]


def _choice(known: list[str], chosen: str | None) -> gr.Dropdown:
    """The choices, with the chosen one still chosen, else the first."""
    first = known[0] if known else None
    return gr.Dropdown(choices=known, value=chosen if chosen in known else first)


def describe_contents(services: Services) -> str:
    """What the workspace holds, in one line."""
    store = services.store
    count = store.images.count()
    if count == 0:
        return "This workspace holds no pictures yet. Import some below."
    n_committed = store.readings.count_committed()
    sources = plain(", ".join(store.images.sources()))
    return f"**{count} pictures** ({sources}), **{n_committed} committed readings**."


def watch_jobs(services: Services) -> list[Any]:
    """Updates of job table, choice, report and timer."""
    tend_jobs(services)
    jobs = services.store.jobs.recent(limit=20, kinds=KINDS)
    is_active = any(job.status in ACTIVE_STATUSES for job in jobs)
    rows = [job_row(job) for job in jobs]
    choices = [(f"{job.job_id}: {job.kind}, {job.status}", job.job_id) for job in jobs]
    return [
        gr.Dataframe(value=rows, visible=bool(rows)),
        gr.Dropdown(choices=choices, value=jobs[0].job_id if jobs else None, visible=bool(jobs)),
        report_of(jobs[0]) if jobs else "Nothing runs.",
        gr.Timer(active=is_active),
    ]


def job_row(job: Job) -> list[str]:
    """One line of the job table."""
    progress = f"{job.done} of {job.total}" if job.total else ""
    return [str(job.job_id), job.kind, job.status, progress, job.message]


def report_of(job: Job) -> str:
    """How the newest job stands, with the lines of its report when it is done."""
    lines = job.result.get("lines")
    details = [plain(str(line)) for line in lines] if isinstance(lines, list) else []
    return "\n\n".join([f"**{plain(describe_job(job))}**", *details])
