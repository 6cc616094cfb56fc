"""The page: its tabs, its look, its routes. Importing this loads no model library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gradio as gr
from starlette.routing import BaseRoute

from audit_app.backups import regular_backups
from audit_app.comparison import Selection
from audit_app.handlers import handler
from audit_app.jobs import ensure_worker, has_queued
from audit_app.reports.readings import build_export_routes
from audit_app.reports.routes import build_report_routes
from audit_app.reports.survey_routes import build_survey_routes
from audit_app.services import Services
from audit_app.serving import Look, RunningApp, serve
from audit_app.session import Visitor
from audit_app.sharing import share_banner
from audit_app.tabs.audit import AuditTab, build_audit_tab, fill_audit, selection_of_row
from audit_app.tabs.compare import (
    CompareTab,
    build_compare_tab,
    fill_choices,
    fill_on_opening,
)
from audit_app.tabs.data import DataTab, build_data_tab, fill_data
from audit_app.tabs.read import ReadTab, build_read_tab, event_data, fill_read_tab
from audit_app.tabs.survey import SurveyTab, build_survey_tab, fill_survey
from audit_app.viewer.routes import build_routes
from audit_app.viewer.state import known_case

STYLE: Final = Path(__file__).parent / "app.css"
PRIVATE: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}
TITLE: Final = "Saliency Audit"
SYNTHETIC: Final = "Synthetic pictures and a synthetic reader. "
NOT_CLINICAL: Final = "A research tool. Not for clinical use."


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
    data_place: gr.Tab
    data: DataTab


def build_page(services: Services) -> Page:
    """The page of one workspace."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as demo:
        banner = gr.Markdown(elem_id="banner")
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Read", id="read") as read_place:
                read = build_read_tab(services)
            with gr.Tab("Compare", id="compare") as compare_place:
                compare = build_compare_tab(services)
            with gr.Tab("Audit", id="audit") as audit_place:
                audit = build_audit_tab(services)
            with gr.Tab("Survey", id="survey") as survey_place:
                survey = build_survey_tab(services)
            with gr.Tab("Data & models", id="data") as data_place:
                data = build_data_tab(services)

        @handler(services)
        def greet(visitor: Visitor) -> str:
            return banner_text(services, visitor)

        demo.load(greet, None, banner, **PRIVATE)
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
            data_place=data_place,
            data=data,
        )
        _fill_on_opening(services, places)
        _open_case_of_row(services, places)
        _open_maps_of_reading(services, places)
    routes = [
        *build_routes(services),
        *build_report_routes(services),
        *build_export_routes(services),
        *build_survey_routes(services),
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
    def open_audit(run_id: str | None) -> list[Any]:
        return fill_audit(services, run_id)

    @handler(services, "auditor")
    def open_survey(chosen: str | None) -> list[Any]:
        return fill_survey(services, chosen)

    @handler(services, "admin")
    def open_data() -> list[Any]:
        return fill_data(services)

    tabs.read_place.select(open_read, tabs.read.image_id, tabs.read.filled, **PRIVATE)
    fill_on_opening(services, tabs.compare, tabs.compare_place, tabs.read.image_id)
    tabs.audit_place.select(open_audit, tabs.audit.run, tabs.audit.filled, **PRIVATE)
    tabs.survey_place.select(open_survey, tabs.survey.survey, tabs.survey.filled, **PRIVATE)
    tabs.data_place.select(open_data, None, tabs.data.filled, **PRIVATE)


def _open_case_of_row(services: Services, tabs: _Tabs) -> None:
    """A click on a row of the audit shows its case in the tab Compare."""

    @handler(services, "auditor")
    def open_row(run_id: str | None, event: gr.SelectData, visitor: Visitor) -> list[Any]:
        selection: Selection = selection_of_row(services, run_id, event.row_value)
        choices = fill_choices(services, visitor, selection)
        return [gr.Tabs(selected="compare"), *choices]

    tabs.audit.rows.select(open_row, tabs.audit.run, [tabs.all, *tabs.compare.choices], **PRIVATE)


def _open_maps_of_reading(services: Services, tabs: _Tabs) -> None:
    """The panel's button after the commit shows the maps of that reading."""

    @handler(services)
    def open_maps(event: gr.EventData, visitor: Visitor) -> list[Any]:
        image_id = known_case(services, event_data(event).get("case_id"))
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
    )
    return Look(theme=theme, css=STYLE.read_text(encoding="utf-8"))


def banner_text(services: Services, visitor: Visitor) -> str:
    """What stands above the tabs: the workspace, who reads, and what this is not for."""
    synthetic = SYNTHETIC if services.workspace.settings.synthetic else ""
    name = services.workspace.settings.name
    line = f"**{name}** | {visitor.name} ({visitor.role}) | {synthetic}{NOT_CLINICAL}"
    return "\n\n".join(part for part in (share_banner(services.settings), line) if part)


def run_app(services: Services) -> None:
    """Serve the page until the process is asked to stop."""
    with regular_backups(services.workspace, services.store):
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
    if running.share_url:
        print(f"Shared at {running.share_url}", flush=True)  # noqa: T201 - the command's result
