"""The Survey tab: every method at every layer, watched while it runs: a heat-grid and a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from annotations.records import Job
from audit_app.audit_job import interval, number
from audit_app.comparison import MODES
from audit_app.errors import AuditError
from audit_app.handlers import handler
from audit_app.jobs import submit_job
from audit_app.models import load_entry, ready_modes
from audit_app.reports.heat_grid import SCREEN, draw_heat_grid
from audit_app.reports.survey import CHOSEN, FILES, describe_survey
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.survey import survey_folder
from audit_app.survey_folder import Survey, SurveyCell, SurveyFolder, title_of_method
from audit_app.survey_plan import SurveyChoices
from audit_app.tabs.jobs import (
    POLL_S,
    PRIVATE,
    file_links,
    model_names,
    recent_jobs,
    resume_chosen,
    stop_newest,
    watch_job,
)
from model_store.saliency import SALIENCY_METHODS

KIND: Final = "survey"
HEADERS: Final = (
    "Method", "Layer", "Grid", "Hit rate", "95 % interval", "Chance", "IoU", "IoU by chance",
    "Energy", "Energy by chance", "Rows", "Patients", "No evidence", "Seconds", "Note",
)  # fmt: skip
NO_SURVEY: Final = (
    "**No survey yet.** It compares the maps of every method at every layer with the committed "
    "regions, so that nobody has to choose a layer by habit."
)


@dataclass(frozen=True, slots=True)
class SurveyTab:
    """The components of the tab."""

    model: gr.Dropdown
    mode: gr.Dropdown
    methods: gr.CheckboxGroup
    status: gr.Markdown
    timer: gr.Timer
    survey: gr.Dropdown
    headline: gr.Markdown
    links: gr.HTML
    grid: gr.HTML
    table: gr.Dataframe

    @property
    def shown(self) -> list[gr.components.Component]:
        """What a survey changes; in the order of ``show_survey``."""
        return [self.headline, self.links, self.grid, self.table]

    @property
    def watched(self) -> list[gr.components.Component]:
        """What changes while one runs; in the order of ``watch_job``."""
        return [self.status, self.timer]

    @property
    def filled(self) -> list[gr.components.Component]:
        """In the order of ``fill_survey``."""
        return [self.model, self.mode, *self.watched, self.survey, *self.shown]


def build_survey_tab(services: Services) -> SurveyTab:
    """The tab's components and events; filled when it is opened."""
    with gr.Row(elem_classes="choices"):
        model = gr.Dropdown([], label="Model", elem_id="survey-model", min_width=180)
        mode = gr.Dropdown([], label="Mode", elem_id="survey-mode", min_width=160)
        start = gr.Button(
            "Run survey", variant="primary", elem_id="survey-start", scale=0, min_width=140
        )
        cancel = gr.Button("Cancel", elem_id="survey-cancel", scale=0, min_width=100)
        resume = gr.Button("Resume", elem_id="survey-resume", scale=0, min_width=100)
    methods = gr.CheckboxGroup(
        [(method.title, name) for name, method in SALIENCY_METHODS.items()],
        value=list(SALIENCY_METHODS),
        label="Methods, each at every layer",
        elem_id="survey-methods",
    )
    status = gr.Markdown(elem_id="survey-status", elem_classes="status-line")
    timer = gr.Timer(POLL_S, active=False)
    survey = gr.Dropdown([], label="Survey", elem_id="survey-run")
    headline = gr.Markdown(elem_id="survey-headline")
    links = gr.HTML(elem_id="survey-links")
    grid = gr.HTML(elem_id="survey-grid")
    table = gr.Dataframe(
        headers=list(HEADERS), interactive=False, elem_id="survey-table", label="Cells",
        max_height=420,
    )  # fmt: skip
    tab = SurveyTab(model, mode, methods, status, timer, survey, headline, links, grid, table)
    _connect(services, tab, start)
    _connect_stopping(services, tab, cancel, resume)
    return tab


def _connect(services: Services, tab: SurveyTab, start: gr.Button) -> None:
    on = handler(services, "auditor")

    @on
    def choose_model(model: str | None) -> Any:
        return mode_choices(services, model)

    @on
    def begin(
        model: str | None, mode: str | None, methods: list[str], visitor: Visitor
    ) -> list[Any]:
        job = begin_survey(services, visitor, model, mode, methods)
        return [*watch_job(services, KIND), *show_surveys(services, str(job.job_id))]

    @on
    def poll(chosen: str | None) -> list[Any]:
        return [*watch_job(services, KIND), *show_surveys(services, chosen)]

    @on
    def choose_survey(chosen: str | None) -> list[Any]:
        return show_survey(services, chosen)

    everything = [*tab.watched, tab.survey, *tab.shown]
    tab.model.input(choose_model, tab.model, tab.mode, **PRIVATE)
    start.click(begin, [tab.model, tab.mode, tab.methods], everything, **PRIVATE)
    tab.timer.tick(poll, tab.survey, everything, queue=False, **PRIVATE)
    tab.survey.input(choose_survey, tab.survey, tab.shown, **PRIVATE)


def _connect_stopping(
    services: Services, tab: SurveyTab, cancel: gr.Button, resume: gr.Button
) -> None:
    on = handler(services, "auditor")

    @on
    def stop() -> list[Any]:
        stop_newest(services, KIND)
        return watch_job(services, KIND)

    @on
    def go_on(chosen: str | None) -> list[Any]:
        resume_chosen(services, KIND, chosen)
        return watch_job(services, KIND)

    cancel.click(stop, None, tab.watched, **PRIVATE)
    resume.click(go_on, tab.survey, tab.watched, **PRIVATE)


def begin_survey(
    services: Services,
    visitor: Visitor,
    model: str | None,
    mode: str | None,
    methods: Sequence[str],
) -> Job:
    """Put a survey into the queue.

    Raises:
        AuditError: If no model, mode or method was chosen.
    """
    if not model:
        raise AuditError("no model was chosen; add one in the tab Data & models")
    if not mode:
        raise AuditError(f"no mode of {model} was chosen; choose one")
    wanted = [name for name in SALIENCY_METHODS if name in methods]
    if not wanted:
        raise AuditError("no method was chosen; tick at least one")
    params: dict[str, object] = {"model": model, "mode": mode, "methods": wanted}
    SurveyChoices.from_dict(params)
    return submit_job(services.workspace, services.store, KIND, params, owner=visitor.name)


def fill_survey(services: Services, chosen: str | None) -> list[Any]:
    """Updates of everything in the tab; in the order of ``SurveyTab.filled``."""
    models, first = model_names(services)
    return [
        gr.Dropdown(choices=models, value=first),
        mode_choices(services, first),
        *watch_job(services, KIND),
        *show_surveys(services, chosen),
    ]


def mode_choices(services: Services, model: str | None) -> Any:
    """The modes of a model that can be asked now, the first chosen."""
    ready = ready_modes(services.workspace, load_entry(services.store, model)) if model else []
    return gr.Dropdown(
        choices=[(MODES.get(mode, mode), mode) for mode in ready],
        value=ready[0] if ready else None,
    )


def show_surveys(services: Services, chosen: str | None) -> list[Any]:
    """Updates of the choice and of what it shows; the newest when the wanted one is gone."""
    jobs = recent_jobs(services, KIND)
    ids = [str(job.job_id) for job in jobs]
    shown = chosen if chosen in ids else (ids[0] if ids else None)
    choices = [(survey_label(job), str(job.job_id)) for job in jobs]
    return [
        gr.Dropdown(choices=choices, value=shown, visible=bool(jobs)),
        *show_survey(services, shown),
    ]


def survey_label(job: Job) -> str:
    """When, which model and mode, how it stands."""
    when = job.created_at[:16].replace("T", " ")
    mode = str(job.params.get("mode", ""))
    return f"{when} | {job.params.get('model')} | {MODES.get(mode, mode)} | {job.status}"


def show_survey(services: Services, chosen: str | None) -> list[Any]:
    """Updates of headline, links, grid and table: the finished cells, however it ended."""
    empty = gr.Dataframe(value=[], visible=False)
    if not chosen or not chosen.isdecimal():
        return [NO_SURVEY, "", "", empty]
    folder = survey_folder(services.workspace, int(chosen))
    survey = SurveyFolder(folder).read()
    if survey is None or not survey.cells:
        return ["No cell is finished yet.", "", "", empty]
    links = [name for name in FILES if (folder / name).is_file()]
    return [
        "\n\n".join(describe_survey(survey)),
        file_links(f"/audit/surveys/{chosen}", links),
        f'<div class="survey-grid">{draw_heat_grid(survey, SCREEN)}</div>',
        gr.Dataframe(value=[cell_row(survey, one) for one in survey.ordered], visible=True),
    ]


def cell_row(survey: Survey, cell: SurveyCell) -> list[str]:
    """The table's line of one cell."""
    layer = next(one for one in survey.layers if one.path == cell.layer)
    names = [title_of_method(cell.method), layer.title, f"{layer.grid[0]} x {layer.grid[1]}"]
    if not cell.lines:
        return [*names, *["n/a"] * 10, f"{cell.seconds:.1f}", cell.reason]
    line = cell.overall
    return [
        *names,
        number(line["hit"]),
        interval(line, "hit").strip("()") if line["hit_low"] is not None else "none",
        *(
            number(line[name])
            for name in ("chance_hit", "iou", "shift_null_iou", "energy_in_box", "chance_hit")
        ),
        *(str(line[name]) for name in ("n_scored", "n_patients", "n_no_evidence")),
        f"{cell.seconds:.1f}",
        CHOSEN if cell is survey.best else str(line["note"]),
    ]
