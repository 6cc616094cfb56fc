"""The Evaluate tab: the study's three modes against image labels, started, watched and read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from annotations.records import Job
from annotations.sources.iu_xray_labels import RADIOLOGIST_SUBSET
from audit_app.comparison import MODES
from audit_app.errors import AuditError, sentence_for_page
from audit_app.evaluator.choices import PRESETS, STUDY_SPLIT, UNCERTAIN_RULES
from audit_app.evaluator.job import JOB_KIND, evaluation_folder, result_of_job
from audit_app.evaluator.progress import read_progress
from audit_app.evaluator.result import PROVENANCE
from audit_app.handlers import handler
from audit_app.models import load_entry
from audit_app.plain_text import plain
from audit_app.reports.evaluation_routes import DOWNLOADS
from audit_app.reports.evaluation_view import draw_progress, draw_result, evaluation_label
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.tabs.evaluate_form import OWN_SPLIT, EvaluationForm, begin_evaluation
from audit_app.tabs.explorer import Explorer, build_explorer
from audit_app.tabs.fifteen import FifteenPart, build_fifteen
from audit_app.tabs.jobs import (
    POLL_S,
    PRIVATE,
    file_links,
    is_active,
    model_names,
    newest_job,
    recent_jobs,
    resume_chosen,
    stop_newest,
    watch_job,
)
from audit_app.training import READINGS

SPLITS: Final = (
    ("Labels' own, else study", OWN_SPLIT),
    ("Study", STUDY_SPLIT),
)
NO_EVALUATION: Final = (
    "**No evaluation yet.** It trains the linear probe and the fine-tune on image labels and "
    "compares them with zero-shot: class separation, F1, exact match, ranking, minutes. It runs "
    "in the background; this page may be closed meanwhile."
)
NO_TABLES: Final = "This evaluation has no tables yet."
N_SHOWN: Final = 5  # what an evaluation changes


@dataclass(frozen=True, slots=True)
class EvaluateTab:
    """The components of the tab."""

    model: gr.Dropdown
    labels: gr.Dropdown
    split: gr.Dropdown
    uncertain: gr.Dropdown
    epochs: gr.Textbox
    modes: gr.CheckboxGroup
    presets: gr.CheckboxGroup
    status: gr.Markdown
    timer: gr.Timer
    progress: gr.HTML
    evaluation: gr.Dropdown
    headline: gr.Markdown
    links: gr.HTML
    report: gr.HTML
    fifteen_place: gr.Accordion
    fifteen: FifteenPart
    explorer_place: gr.Accordion
    explorer: Explorer

    @property
    def form(self) -> list[gr.components.Component]:
        """In the order of ``EvaluationForm``."""
        return [
            self.model, self.labels, self.split, self.uncertain, self.epochs, self.modes,
            self.presets,
        ]  # fmt: skip

    @property
    def shown(self) -> list[gr.blocks.Block]:
        """What an evaluation changes; in the order of ``show_evaluation``."""
        return [
            self.headline, self.links, self.report, self.fifteen_place, self.explorer_place,
        ]  # fmt: skip

    @property
    def watched(self) -> list[gr.blocks.Block]:
        """What changes while one runs; in the order of ``watch_evaluation``."""
        return [self.status, self.timer, self.progress]

    @property
    def followed(self) -> list[gr.blocks.Block]:
        """Everything but the form; in the order of ``follow_evaluations``."""
        return [*self.watched, self.evaluation, *self.shown]

    @property
    def filled(self) -> list[gr.blocks.Block]:
        """In the order of ``fill_evaluate``."""
        return [self.model, self.labels, self.modes, *self.followed]


def build_evaluate_tab(services: Services) -> EvaluateTab:
    """The tab's components and events; filled when it is opened."""
    with gr.Row(elem_classes="choices"):
        model = gr.Dropdown([], label="Model", elem_id="evaluate-model", min_width=140)
        labels = gr.Dropdown(
            [], label="Labels (or CSV's path)", allow_custom_value=True,
            elem_id="evaluate-labels", min_width=180,
        )  # fmt: skip
        split = gr.Dropdown(
            list(SPLITS), value=OWN_SPLIT, label="Split (or seed, or CSV)",
            allow_custom_value=True, elem_id="evaluate-split", min_width=220,
        )  # fmt: skip
        uncertain = gr.Dropdown(
            list(UNCERTAIN_RULES), value=UNCERTAIN_RULES[0], label="Uncertain in a CSV",
            elem_id="evaluate-uncertain", min_width=150,
        )  # fmt: skip
        epochs = gr.Textbox(
            label="Epochs, at most", placeholder="10, as in the study", elem_id="evaluate-epochs",
            min_width=130,
        )  # fmt: skip
    with gr.Row(elem_classes="choices"):
        modes = gr.CheckboxGroup([], label="Modes", elem_id="evaluate-modes", min_width=260)
        presets = gr.CheckboxGroup(
            [(name.capitalize(), name) for name in PRESETS], value=list(PRESETS), label="Presets",
            elem_id="evaluate-presets", min_width=220,
        )  # fmt: skip
        start = gr.Button(
            "Evaluate", variant="primary", elem_id="evaluate-start", scale=0, min_width=100
        )
        cancel = gr.Button("Cancel", elem_id="evaluate-cancel", scale=0, min_width=100)
        resume = gr.Button("Resume", elem_id="evaluate-resume", scale=0, min_width=100)
    tab = EvaluateTab(
        model, labels, split, uncertain, epochs, modes, presets, *_build_output(services)
    )
    _connect(services, tab, start)
    _connect_stopping(services, tab, cancel, resume)
    return tab


def _build_output(services: Services) -> tuple[Any, ...]:
    """The components below the form, in the order of ``EvaluateTab``."""
    status = gr.Markdown(elem_id="evaluate-status", elem_classes="status-line")
    timer = gr.Timer(POLL_S, active=False)
    progress = gr.HTML(elem_id="evaluate-progress")
    evaluation = gr.Dropdown([], label="Evaluation", elem_id="evaluate-run", visible=False)
    headline = gr.Markdown(elem_id="evaluate-headline")
    links = gr.HTML(elem_id="evaluate-links")
    report = gr.HTML(elem_id="evaluate-report")
    with gr.Accordion(
        "The 15 pictures: maps, boxes, reading project", open=False, visible=False,
        elem_id="evaluate-fifteen",
    ) as fifteen_place:  # fmt: skip
        fifteen = build_fifteen(services, evaluation, fifteen_place)
    with gr.Accordion(
        "Embedding explorer", open=False, visible=False, elem_id="evaluate-explorer"
    ) as place:
        explorer = build_explorer(services, evaluation, place)
    watched = (status, timer, progress)
    shown = (evaluation, headline, links, report)
    return *watched, *shown, fifteen_place, fifteen, place, explorer


def _connect(services: Services, tab: EvaluateTab, start: gr.Button) -> None:
    on = handler(services, "auditor")

    @on
    def choose_model(model: str | None) -> Any:
        return mode_choices(services, model)

    @on
    def begin(*fields: Any, visitor: Visitor) -> list[Any]:
        job = begin_evaluation(services, visitor, EvaluationForm(*fields))
        return follow_evaluations(services, str(job.job_id))

    @on
    def poll(chosen: str | None) -> list[Any]:
        return poll_evaluation(services, chosen)

    @on
    def choose(chosen: str | None) -> list[Any]:
        return show_evaluation(services, chosen)

    tab.model.input(choose_model, tab.model, tab.modes, **PRIVATE)
    start.click(begin, tab.form, tab.followed, **PRIVATE)
    tab.timer.tick(poll, tab.evaluation, tab.followed, queue=False, **PRIVATE)
    tab.evaluation.input(choose, tab.evaluation, tab.shown, **PRIVATE)


def _connect_stopping(
    services: Services, tab: EvaluateTab, cancel: gr.Button, resume: gr.Button
) -> None:
    on = handler(services, "auditor")

    @on
    def stop() -> list[Any]:
        stop_newest(services, JOB_KIND)
        return watch_evaluation(services)

    @on
    def go_on(chosen: str | None) -> list[Any]:
        resume_chosen(services, JOB_KIND, chosen)
        return follow_evaluations(services, chosen)

    cancel.click(stop, None, tab.watched, **PRIVATE)
    resume.click(go_on, tab.evaluation, tab.followed, **PRIVATE)


def watch_evaluation(services: Services) -> list[Any]:
    """Updates of status, timer and progress; it stays to be seen where one was stopped."""
    status, timer = watch_job(services, JOB_KIND)
    job = newest_job(services, JOB_KIND)
    if job is None or job.status == "done":
        return [status, timer, ""]
    now = read_progress(services.workspace, job.job_id)
    if now is None:
        return [status, timer, ""]
    runs = is_active(job)
    drawn = draw_progress(now, is_running=runs)
    return [f"evaluate {job.status}" if runs else status, timer, drawn]


def poll_evaluation(services: Services, chosen: str | None) -> list[Any]:
    """Updates of everything but the form; while one runs, its table is not there yet."""
    watched = watch_evaluation(services)
    if is_active(newest_job(services, JOB_KIND)):
        return [*watched, evaluation_choice(services, chosen), *[gr.skip()] * N_SHOWN]
    return [*watched, *show_evaluations(services, chosen)]


def follow_evaluations(services: Services, chosen: str | None) -> list[Any]:
    """Updates of everything but the form; in the order of ``EvaluateTab.followed``."""
    return [*watch_evaluation(services), *show_evaluations(services, chosen)]


def fill_evaluate(services: Services, chosen: str | None) -> list[Any]:
    """Updates of everything in the tab; in the order of ``EvaluateTab.filled``."""
    models, first = model_names(services)
    sources = [name for name in services.store.labels.sources() if name != RADIOLOGIST_SUBSET]
    return [
        gr.Dropdown(choices=models, value=first),
        gr.Dropdown(choices=[*sources, READINGS], value=(sources or [READINGS])[0]),
        mode_choices(services, first),
        *follow_evaluations(services, chosen),
    ]


def mode_choices(services: Services, model: str | None) -> Any:
    """The modes of a model, all ticked: those without weights are trained."""
    modes = load_entry(services.store, model).modes if model else ()
    titles = [(MODES.get(mode, mode), mode) for mode in modes]
    return gr.CheckboxGroup(choices=titles, value=list(modes))


def show_evaluations(services: Services, chosen: str | None) -> list[Any]:
    """Updates of the choice and of what it shows; the newest when the wanted one is gone."""
    shown = shown_evaluation(recent_jobs(services, JOB_KIND), chosen)
    return [evaluation_choice(services, chosen), *show_evaluation(services, shown)]


def shown_evaluation(jobs: Sequence[Job], chosen: str | None) -> str | None:
    """The wanted one's id where it is among these, else the newest."""
    ids = [str(job.job_id) for job in jobs]
    return chosen if chosen in ids else next(iter(ids), None)


def evaluation_choice(services: Services, chosen: str | None) -> gr.Dropdown:
    """The latest evaluations and how they stand; the wanted one chosen, or the newest."""
    jobs = recent_jobs(services, JOB_KIND)
    choices = [(evaluation_label(job), str(job.job_id)) for job in jobs]
    shown = shown_evaluation(jobs, chosen)
    return gr.Dropdown(choices=choices, value=shown, visible=bool(jobs))


def show_evaluation(services: Services, chosen: str | None) -> list[Any]:
    """Updates of headline, links, report and what can be opened below."""
    nothing = ["", "", *[gr.Accordion(visible=False)] * 2]
    if not chosen or not chosen.isdecimal():
        return [NO_EVALUATION, *nothing]
    folder = evaluation_folder(services.workspace, int(chosen))
    if not (folder / PROVENANCE).is_file():  # it is written last
        return [NO_TABLES, *nothing]
    try:
        drawn = draw_result(result_of_job(services.workspace, int(chosen)))
    except AuditError as error:  # damaged, or of an earlier version: the others can still be chosen
        return [plain(sentence_for_page(error, services.workspace.root)), *nothing]
    links = file_links(f"/audit/evaluations/{chosen}", DOWNLOADS)
    return ["", links, drawn, *[gr.Accordion(visible=True)] * 2]
