"""The Data & models tab: imports, models, training, and what runs in the background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from annotations.records import Job
from annotations.sources import SOURCES
from audit_app.errors import AuditError
from audit_app.handlers import handler
from audit_app.jobs import ACTIVE_STATUSES, describe_job, ensure_worker, submit_job
from audit_app.models import describe_models
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.training import READINGS
from model_store.entries import PRESETS

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
    jobs: gr.Dataframe
    job: gr.Dropdown
    report: gr.Markdown
    timer: gr.Timer

    @property
    def filled(self) -> list[gr.components.Component]:
        """In the order of ``fill_data``."""
        return [self.contents, self.models, self.model, self.labels, *self.watched]

    @property
    def watched(self) -> list[gr.components.Component]:
        """What changes while jobs run; in the order of ``watch_jobs``."""
        return [self.jobs, self.job, self.report, self.timer]


def build_data_tab(services: Services) -> DataTab:
    """The tab's components and events; filled when it is opened."""
    contents = gr.Markdown(elem_id="data-contents")
    with gr.Row():
        with gr.Column(), gr.Group():
            importing = _build_import_form()
        with gr.Column(), gr.Group():
            models, adding = _build_model_form()
        with gr.Column(), gr.Group():
            training = _build_training_form()
    gr.Markdown("#### Background work", elem_classes="group-title")
    report = gr.Markdown(elem_id="job-report", elem_classes="status-line")
    jobs = gr.Dataframe(headers=JOB_HEADERS, interactive=False, wrap=True, elem_id="job-table")
    with gr.Row():
        job = gr.Dropdown([], label="Job", scale=2, elem_id="job-choice")
        cancel = gr.Button("Cancel", scale=0, min_width=120)
        resume = gr.Button("Resume", scale=0, min_width=120)
    timer = gr.Timer(POLL_S, active=False)
    model, _, labels = training.fields
    tab = DataTab(contents, models, model, labels, jobs, job, report, timer)
    for form in (importing, adding, training):
        start = _starter(services, form.job_kind, form.params)
        form.button.click(start, list(form.fields), tab.watched, **PRIVATE)
    _connect_jobs(services, tab, cancel, resume)
    return tab


@dataclass(frozen=True, slots=True)
class _Form:
    """Fields, the button that sends them, and the job that they become."""

    fields: Sequence[gr.components.Component]
    button: gr.Button
    job_kind: str
    params: Callable[..., dict[str, object]]


def _build_import_form() -> _Form:
    gr.Markdown("#### Import pictures", elem_classes="group-title")
    kinds = [(f"{kind} - {source.description}", kind) for kind, source in SOURCES.items()]
    fields = [
        gr.Textbox(
            label="File or folder on this computer",
            placeholder="/home/mira/radiographs",
            elem_id="import-source",
        ),
        gr.Dropdown(kinds, value="folder", label="Kind", elem_id="import-kind"),
        gr.Textbox(label="Reader of its boxes", value="imported"),
        gr.Checkbox(label="Copy the pictures into the workspace"),
    ]
    button = gr.Button("Import", variant="primary", elem_id="import-start")
    return _Form(fields, button, "import", import_params)


def _build_model_form() -> tuple[gr.Markdown, _Form]:
    gr.Markdown("#### Models", elem_classes="group-title")
    models = gr.Markdown(elem_id="model-list", elem_classes="group-text")
    fields = [
        gr.Dropdown(
            list(PRESETS), label="Add: a preset, or a name of your own", allow_custom_value=True
        ),
        gr.Textbox(label="Folder with a local copy (no network is used)"),
    ]
    button = gr.Button("Add model", elem_id="model-add")
    return models, _Form(fields, button, "add model", model_params)


def _build_training_form() -> _Form:
    gr.Markdown("#### Train", elem_classes="group-title")
    modes = [("Linear probe", "lp"), ("Fine-tune", "ft")]
    fields = [
        gr.Dropdown([], label="Model", elem_id="train-model"),
        gr.Radio(modes, value="lp", label="Mode"),
        gr.Dropdown([], label="Labels", elem_id="train-labels"),
    ]
    button = gr.Button("Train", elem_id="train-start")
    return _Form(fields, button, "train", training_params)


def _connect_jobs(services: Services, tab: DataTab, cancel: gr.Button, resume: gr.Button) -> None:
    on = handler(services, "admin")
    refilled = tab.filled[: -len(tab.watched)]

    @on
    def watch() -> list[Any]:
        return watch_jobs(services)

    @on
    def refill() -> list[Any]:
        return fill_data(services)[: len(refilled)]

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
    tab.report.change(refill, None, refilled, **PRIVATE)
    cancel.click(stop, tab.job, tab.watched, **PRIVATE)
    resume.click(go_on, tab.job, tab.watched, **PRIVATE)


def _starter(services: Services, kind: str, params: Callable[..., dict[str, object]]) -> Any:
    """A handler that turns a form into a job of this kind."""

    @handler(services, "admin")
    def start(*fields: Any, visitor: Visitor) -> list[Any]:
        submit_job(services.workspace, services.store, kind, params(*fields), owner=visitor.name)
        return watch_jobs(services)

    return start


def import_params(source: str, kind: str, reader: str, copy: bool) -> dict[str, object]:
    """The parameters of an import.

    Raises:
        AuditError: If the place is empty or does not exist.
    """
    place = Path(source.strip()).expanduser()
    if not source.strip():
        raise AuditError("no file or folder was given; type where the pictures are")
    if not place.exists():
        raise AuditError(f"there is no file or folder {place} on this computer; check the place")
    return {"source": str(place), "kind": kind, "reader": reader.strip(), "copy": copy}


def model_params(name: str | None, path: str) -> dict[str, object]:
    """The parameters of adding a model.

    Raises:
        AuditError: If no name was given.
    """
    if not (name or "").strip():
        raise AuditError("no model was named; choose a preset or type a name")
    return {"name": str(name).strip(), "path": path.strip()}


def training_params(model: str | None, mode: str, labels: str | None) -> dict[str, object]:
    """The parameters of a training.

    Raises:
        AuditError: If no model was chosen.
    """
    if not model:
        raise AuditError("no model was chosen; add one first, then train")
    return {"model": model, "mode": mode, "labels": labels}


def chosen_job(job_id: int | None) -> int:
    """The chosen job.

    Raises:
        AuditError: If none was chosen.
    """
    if job_id is None:
        raise AuditError("no job was chosen; choose one in the list")
    return int(job_id)


def fill_data(services: Services) -> list[Any]:
    """Updates of everything in the tab; in the order of ``DataTab.filled``."""
    store = services.store
    sources = store.labels.sources()
    models = list(store.models.all())
    return [
        describe_contents(services),
        "\n".join(f"- {line}" for line in describe_models(services.workspace, store))
        or "No model yet.",
        gr.Dropdown(choices=models, value=models[0] if models else None),
        gr.Dropdown(choices=[*sources, READINGS], value=(sources or [READINGS])[0]),
        *watch_jobs(services),
    ]


def describe_contents(services: Services) -> str:
    """What the workspace holds, in one line."""
    store = services.store
    count = store.images.count()
    if count == 0:
        return "This workspace holds no pictures yet. Import some below."
    n_committed = store.readings.count_committed()
    sources = ", ".join(store.images.sources())
    return f"**{count} pictures** ({sources}), **{n_committed} committed readings**."


def watch_jobs(services: Services) -> list[Any]:
    """Updates of job table, choice, report and timer."""
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
    details = [str(line) for line in lines] if isinstance(lines, list) else []
    return "\n\n".join([f"**{describe_job(job)}**", *details])
