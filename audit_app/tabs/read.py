"""The Read tab: the worklist and the reading panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.context import Context

from annotations.errors import UnknownRecord
from audit_app.handlers import handler
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.viewer.panel import ReadingPanel, WorklistPanel
from audit_app.viewer.state import (
    Filters,
    case_value,
    first_unread,
    known_case,
    worklist_value,
)

MAX_PAGE = 2**31
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
STATUS_CHOICES = [
    ("All", ""),
    ("New", "new"),
    ("Draft", "draft"),
    ("Committed", "committed"),
    ("Revised", "revised"),
]


@dataclass(frozen=True, slots=True)
class ReadTab:
    """The components of the tab. ``image_id`` holds the open case's id, or None."""

    search: gr.Textbox
    status: gr.Dropdown
    source: gr.Dropdown
    finding: gr.Dropdown
    worklist: WorklistPanel
    panel: ReadingPanel
    image_id: gr.State

    @property
    def filters(self) -> list[gr.components.Component]:
        """What narrows the worklist, in the order of ``parse_filters``."""
        return [self.status, self.source, self.finding, self.search]

    @property
    def shown(self) -> list[gr.components.Component]:
        """What opening a case changes, in the order of ``open_case``."""
        return [self.panel, self.worklist, self.image_id]

    @property
    def filled(self) -> list[gr.components.Component]:
        """What ``fill_read_tab`` gives values for."""
        return [self.source, self.finding, *self.shown]


def build_read_tab(services: Services) -> ReadTab:
    """The tab's components and events, inside of a ``gr.Blocks``; filled when the page loads."""
    with gr.Row(equal_height=False, elem_classes="read-tab"):
        with gr.Column(scale=1, min_width=270, elem_id="read-worklist-column"):
            search = gr.Textbox(
                show_label=False, placeholder="Search the worklist", elem_id="read-search"
            )
            with gr.Accordion("Filter", open=False, elem_id="read-filter"):
                status = gr.Dropdown(
                    STATUS_CHOICES, value="", label="Status", elem_id="read-status"
                )
                source = gr.Dropdown([("All", "")], value="", label="Source", elem_id="read-source")
                finding = gr.Dropdown(
                    [("All", "")], value="", label="Finding that I marked", elem_id="read-finding"
                )
            worklist = WorklistPanel(elem_id="read-worklist")
        with gr.Column(scale=5, min_width=520):
            panel = ReadingPanel(elem_id="read-panel")
    tab = ReadTab(search, status, source, finding, worklist, panel, gr.State(None))
    _connect(services, tab)
    _fill_on_load(services, tab)
    return tab


def _fill_on_load(services: Services, tab: ReadTab) -> None:
    @handler(services)
    def fill(image_id: str | None, visitor: Visitor) -> list[Any]:
        return fill_read_tab(services, visitor, image_id)

    demo = Context.root_block
    if not isinstance(demo, gr.Blocks):
        raise TypeError("build_read_tab must be called inside of a gr.Blocks")
    demo.load(fill, tab.image_id, tab.filled, **PRIVATE)


def _connect(services: Services, tab: ReadTab) -> None:
    on = handler(services)

    @on
    def choose(
        event: gr.EventData,
        status: str | None,
        source: str | None,
        finding: str | None,
        search: str | None,
        *,
        visitor: Visitor,
    ) -> list[Any]:
        filters = parse_filters(status, source, finding, search)
        return choose_case(services, visitor, filters, event_data(event))

    @on
    def step(
        event: gr.EventData,
        status: str | None,
        source: str | None,
        finding: str | None,
        search: str | None,
        *,
        visitor: Visitor,
    ) -> list[Any]:
        filters = parse_filters(status, source, finding, search)
        return step_case(services, visitor, filters, event_data(event))

    _connect_filters(services, tab)
    tab.worklist.choose(choose, tab.filters, tab.shown, trigger_mode="always_last", **PRIVATE)
    tab.panel.step(step, tab.filters, tab.shown, trigger_mode="multiple", **PRIVATE)


def _connect_filters(services: Services, tab: ReadTab) -> None:
    on = handler(services)

    @on
    def narrow(
        image_id: str | None,
        status: str | None,
        source: str | None,
        finding: str | None,
        search: str | None,
        *,
        visitor: Visitor,
    ) -> dict[str, Any]:
        filters = parse_filters(status, source, finding, search)
        return worklist_value(services, visitor, filters, image_id=image_id)

    @on
    def turn(
        event: gr.EventData,
        status: str | None,
        source: str | None,
        finding: str | None,
        search: str | None,
        *,
        visitor: Visitor,
    ) -> dict[str, Any]:
        filters = parse_filters(status, source, finding, search)
        return turn_page(services, visitor, filters, event_data(event))

    given = [tab.image_id, *tab.filters]
    tab.worklist.turn(turn, tab.filters, tab.worklist, trigger_mode="always_last", **PRIVATE)
    tab.panel.changed(narrow, given, tab.worklist, trigger_mode="always_last", **PRIVATE)
    gr.on(
        # Not a dropdown's change: filling its choices would cause one.
        [tab.status.input, tab.source.input, tab.finding.input, tab.search.change],
        narrow,
        given,
        tab.worklist,
        trigger_mode="always_last",
        **PRIVATE,
    )


def fill_read_tab(services: Services, visitor: Visitor, image_id: str | None) -> list[Any]:
    """Updates of ``ReadTab.filled``: the choices there are now and the worklist.

    Without an open case the page asks for the one that this reader had open last, or for the
    first one that is not read.
    """
    sources = [("All", ""), *((name, name) for name in services.store.images.sources())]
    findings = [("All", ""), *((name, name) for name in services.store.findings())]
    choices = [gr.Dropdown(choices=sources), gr.Dropdown(choices=findings)]
    if image_id is not None:
        return [*choices, *open_case(services, visitor, Filters(), image_id)]
    return [*choices, None, worklist_value(services, visitor, Filters()), None]


def open_case(services: Services, visitor: Visitor, filters: Filters, image_id: str) -> list[Any]:
    """Updates of ``ReadTab.shown`` that open a case; also for other tabs.

    Raises:
        UnknownRecord: If there is no such image.
    """
    known_case(services, image_id)
    following = services.store.images.neighbour(visitor.name, image_id, 1, **filters.as_arguments())
    return [
        case_value(services, visitor, image_id, next_id=following),
        worklist_value(services, visitor, filters, image_id=image_id),
        image_id,
    ]


def choose_case(
    services: Services, visitor: Visitor, filters: Filters, chosen: dict[str, Any]
) -> list[Any]:
    """Open the case that was chosen; one that a browser remembers may be gone."""
    try:
        image_id = known_case(services, chosen.get("case_id"))
    except UnknownRecord:
        first = first_unread(services, visitor)
        if not chosen.get("resume") or first is None:
            raise
        image_id = first
    return open_case(services, visitor, filters, image_id)


def step_case(
    services: Services, visitor: Visitor, filters: Filters, asked: dict[str, Any]
) -> list[Any]:
    """Open the case after or before one; at the end of the worklist stay there, and say so."""
    image_id = known_case(services, asked.get("case_id"))
    step = -1 if asked.get("step") == -1 else 1
    found = services.store.images.neighbour(visitor.name, image_id, step, **filters.as_arguments())
    if found is None:
        gr.Info("This is the last case." if step > 0 else "This is the first case.")
    return open_case(services, visitor, filters, found or image_id)


def parse_filters(
    status: str | None, source: str | None, finding: str | None, search: str | None
) -> Filters:
    """The filters as the store takes them."""
    return Filters(status or None, source or None, finding or None, search or "")


def turn_page(
    services: Services, visitor: Visitor, filters: Filters, asked: dict[str, Any]
) -> dict[str, Any]:
    """Another page of the worklist; the first one where the page number is none."""
    page, image_id = asked.get("page"), asked.get("case_id")
    return worklist_value(
        services,
        visitor,
        filters,
        image_id=image_id if isinstance(image_id, str) else None,
        page=page if type(page) is int and 0 <= page < MAX_PAGE else 0,
    )


def event_data(event: gr.EventData) -> dict[str, Any]:
    """What the page sent with an event, {} where it is no object."""
    data = event._data
    return data if isinstance(data, dict) else {}
