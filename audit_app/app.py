"""The page: its tabs, its look, its routes. Importing this loads no model library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.events import Dependency
from starlette.routing import BaseRoute

from audit_app.banner import build_banner
from audit_app.comparison import Selection
from audit_app.handlers import handler
from audit_app.jobs import ensure_worker, has_queued
from audit_app.reports.evaluation_routes import build_evaluation_routes
from audit_app.reports.log_routes import build_log_routes
from audit_app.reports.readings import build_export_routes
from audit_app.reports.routes import build_report_routes
from audit_app.reports.survey_routes import build_survey_routes
from audit_app.services import Services
from audit_app.serving import Look, RunningApp, serve
from audit_app.session import Visitor
from audit_app.tabs.adjudicate import build_adjudicate_tab
from audit_app.tabs.audit import AuditTab, build_audit_tab, fill_audit, selection_of_row
from audit_app.tabs.compare import (
    CompareTab,
    build_compare_tab,
    fill_choices,
    fill_on_opening,
)
from audit_app.tabs.data import DataTab, build_data_tab, fill_data
from audit_app.tabs.evaluate import EvaluateTab, build_evaluate_tab, fill_evaluate
from audit_app.tabs.fifteen import first_of_project, make_project
from audit_app.tabs.log import build_log_tab
from audit_app.tabs.read import (
    ReadTab,
    build_read_tab,
    event_data,
    fill_read_tab,
    open_case,
    projects_list,
)
from audit_app.tabs.settings import build_settings_tab
from audit_app.tabs.survey import SurveyTab, build_survey_tab, fill_survey
from audit_app.viewer.routes import build_routes
from audit_app.viewer.state import Filters, known_case, known_image
from audit_app.watch import watched

STYLE: Final = Path(__file__).parent / "app.css"
PRIVATE: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}
TITLE: Final = "Saliency Audit"


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that is served."""

    demo: gr.Blocks
    routes: list[BaseRoute]
    look: Look


@dataclass(frozen=True, slots=True)
class _Tabs:
    """The tabs that are filled when they are opened."""

    all: gr.Tabs
    read_place: gr.Tab
    read: ReadTab
    compare_place: gr.Tab
    compare: CompareTab
    audit_place: gr.Tab
    audit: AuditTab
    survey_place: gr.Tab
    survey: SurveyTab
    evaluate_place: gr.Tab
    evaluate: EvaluateTab
    data_place: gr.Tab
    data: DataTab


def build_page(services: Services) -> Page:
    """The page of one workspace."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as demo:
        loaded = build_banner(services, demo)
        is_local = not services.store.accounts.all()
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Read", id="read") as read_place:
                read = build_read_tab(services)
            with gr.Tab("Adjudicate", id="adjudicate", visible=is_local) as adjudicate_place:
                build_adjudicate_tab(services, adjudicate_place)
            with gr.Tab("Compare", id="compare") as compare_place:
                compare = build_compare_tab(services)
            with gr.Tab("Audit", id="audit", visible=is_local) as audit_place:
                audit = build_audit_tab(services)
            with gr.Tab("Survey", id="survey", visible=is_local) as survey_place:
                survey = build_survey_tab(services)
            with gr.Tab("Evaluate", id="evaluate", visible=is_local) as evaluate_place:
                evaluate = build_evaluate_tab(services)
            with gr.Tab("Data & models", id="data", visible=is_local) as data_place:
                data = build_data_tab(services)
            with gr.Tab("Settings", id="settings", visible=is_local) as settings_place:
                build_settings_tab(services, settings_place)
            with gr.Tab("Log", id="log", visible=is_local) as log_place:
                tickets = build_log_tab(services, log_place)

        places = _Tabs(
            all=tabs,
            read_place=read_place,
            read=read,
            compare_place=compare_place,
            compare=compare,
            audit_place=audit_place,
            audit=audit,
            survey_place=survey_place,
            survey=survey,
            evaluate_place=evaluate_place,
            evaluate=evaluate,
            data_place=data_place,
            data=data,
        )
        _fill_on_opening(services, places)
        _show_by_role(services, loaded, places, log_place, adjudicate_place, settings_place)
        _open_case_of_row(services, places)
        _open_maps_of_reading(services, places)
        _open_case_of_point(services, places)
        _read_the_fifteen(services, places)
    routes = [
        *build_routes(services),
        *build_report_routes(services),
        *build_export_routes(services),
        *build_survey_routes(services),
        *build_log_routes(services, tickets),
        *build_evaluation_routes(services),
    ]
    return Page(demo, routes, build_look())


def _fill_on_opening(services: Services, tabs: _Tabs) -> None:
    """What a tab shows is read when it is opened: other tabs and jobs may have changed it."""

    @handler(services)
    def open_read(image_id: str | None, visitor: Visitor) -> list[Any]:
        # An open case stays as it is; an empty worklist may have been filled by an import.
        if image_id is not None:
            return [gr.skip()] * len(tabs.read.filled)
        return fill_read_tab(services, visitor, None)

    @handler(services, "auditor")
    def open_audit(run_id: str | None, measure: str) -> list[Any]:
        return fill_audit(services, run_id, measure)

    @handler(services, "auditor")
    def open_survey(chosen: str | None) -> list[Any]:
        return fill_survey(services, chosen)

    @handler(services, "auditor")
    def open_evaluate(chosen: str | None) -> list[Any]:
        return fill_evaluate(services, chosen)

    @handler(services, "admin")
    def open_data(*chosen: str | None) -> list[Any]:
        return fill_data(services, *chosen)

    tabs.read_place.select(open_read, tabs.read.image_id, tabs.read.filled, **PRIVATE)
    fill_on_opening(services, tabs.compare, tabs.compare_place, tabs.read.image_id)
    shown = [tabs.audit.run, tabs.audit.view.measure]
    tabs.audit_place.select(open_audit, shown, tabs.audit.filled, **PRIVATE)
    tabs.survey_place.select(open_survey, tabs.survey.survey, tabs.survey.filled, **PRIVATE)
    chosen = tabs.evaluate.evaluation
    tabs.evaluate_place.select(open_evaluate, chosen, tabs.evaluate.filled, **PRIVATE)
    tabs.data_place.select(open_data, tabs.data.chosen, tabs.data.filled, **PRIVATE)


def _show_by_role(
    services: Services, loaded: Dependency, tabs: _Tabs, log_place: gr.Tab, *auditors_places: gr.Tab
) -> None:
    """Show the tabs that a role may use; the refusal stands in each handler.

    After the banner, because Gradio loses what a load event itself changes in tabs.
    """
    for_auditors = [tabs.audit_place, tabs.survey_place, tabs.evaluate_place, *auditors_places]
    for_admins = [tabs.data_place, log_place]

    @handler(services)
    def show_tabs(visitor: Visitor) -> list[Any]:
        audits, manages = visitor.role != "reader", visitor.role == "admin"
        return [
            *(gr.Tab(visible=audits) for _ in for_auditors),
            *(gr.Tab(visible=manages) for _ in for_admins),
        ]

    loaded.then(show_tabs, None, [*for_auditors, *for_admins], **PRIVATE)


def _open_case_of_row(services: Services, tabs: _Tabs) -> None:
    """A click on a row of the audit, or on its point in a plot, shows its case in Compare."""

    def show_case(run_id: str | None, cells: Sequence[object], visitor: Visitor) -> list[Any]:
        selection: Selection = selection_of_row(services, run_id, cells)
        return [gr.Tabs(selected="compare"), *fill_choices(services, visitor, selection)]

    @handler(services, "auditor")
    def open_row(run_id: str | None, event: gr.SelectData, visitor: Visitor) -> list[Any]:
        return show_case(run_id, event.row_value, visitor)

    @handler(services, "auditor")
    def open_point(run_id: str | None, event: gr.EventData, visitor: Visitor) -> list[Any]:
        return show_case(run_id, [event_data(event).get("row")], visitor)

    shown = [tabs.all, *tabs.compare.choices]
    for table in tabs.audit.case_tables:
        table.select(open_row, tabs.audit.run, shown, **PRIVATE)
    tabs.audit.view.points.open(open_point, tabs.audit.run, shown, **PRIVATE)


def _open_case_of_point(services: Services, tabs: _Tabs) -> None:
    """A click on a point of the embedding explorer opens its case in the tab Read."""

    @handler(services, "auditor")
    def open_point(event: gr.EventData, visitor: Visitor) -> list[Any]:
        image_id = known_case(services, event_data(event).get("case_id"))
        return [gr.Tabs(selected="read"), *open_case(services, visitor, Filters(), image_id)]

    shown = [tabs.all, *tabs.read.shown]
    tabs.evaluate.explorer.panel.open(open_point, None, shown, **PRIVATE)


def _read_the_fifteen(services: Services, tabs: _Tabs) -> None:
    """The 15 of an evaluation become a reading project, and the tab Read opens on it."""

    @handler(services, "auditor")
    def read_project(chosen: str | None, visitor: Visitor) -> list[Any]:
        name = make_project(services, visitor, chosen)
        first = first_of_project(services, visitor, name)
        opened = open_case(services, visitor, Filters(project=name), first)
        return [gr.Tabs(selected="read"), projects_list(services, name), *opened]

    shown = [tabs.all, tabs.read.project, *tabs.read.shown]
    evaluate = tabs.evaluate
    evaluate.fifteen.project.click(read_project, evaluate.evaluation, shown, **PRIVATE)


def _open_maps_of_reading(services: Services, tabs: _Tabs) -> None:
    """The panel's button after the commit shows the maps of that reading."""

    @handler(services)
    def open_maps(event: gr.EventData, visitor: Visitor) -> list[Any]:
        image_id = known_image(services, event_data(event).get("case_id"))
        wanted = Selection(image_id, visitor.name, "", "", "")
        return [gr.Tabs(selected="compare"), *fill_choices(services, visitor, wanted)]

    tabs.read.panel.compare(open_maps, None, [tabs.all, *tabs.compare.choices], **PRIVATE)


def build_look() -> Look:
    """Dark, as a reading room is, with quiet colours and system fonts (none is fetched)."""
    theme = gr.themes.Base(
        primary_hue="sky",
        neutral_hue="slate",
        font=["system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"],
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    ).set(
        # One step darker than Gradio's own: white words on it have a contrast of 5.9 to 1.
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
    )
    return Look(theme=theme, css=STYLE.read_text(encoding="utf-8"))


def run_app(services: Services) -> None:
    """Serve the page until the process is asked to stop."""
    with watched(services):
        page = build_page(services)
        serve(
            page.demo,
            services,
            services.settings,
            page.routes,
            look=page.look,
            when_ready=lambda running: begin(services, running),
        )


def begin(services: Services, running: RunningApp) -> None:
    """Say where the page is, and take up what an earlier run left in the queue."""
    announce(running)
    if has_queued(services.store):
        ensure_worker(services.workspace, services.store)


def announce(running: RunningApp) -> None:
    """Say where the page is."""
    print(f"Open {running.url}  (Ctrl-C stops)", flush=True)  # noqa: T201 - the command's result
    if running.link is not None:
        until = f"{running.link.closes_at.astimezone():%d %b %H:%M}"
        print(f"Shared at {running.share_url} until {until}", flush=True)  # noqa: T201 - the command's result
