"""The Read tab: the worklist and the reading panel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.context import Context

from annotations.errors import UnknownRecord
from annotations.records import Role
from audit_app.handlers import handler
from audit_app.services import Services
from audit_app.session import Visitor, require
from audit_app.study import ensure_order
from audit_app.viewer.panel import ReadingPanel, WorklistPanel
from audit_app.viewer.state import (
    Filters,
    case_value,
    first_unread,
    known_case,
    worklist_value,
)

Given = dict[gr.components.Component, Any]

MAX_PAGE = 2**31
SEE_READERS: tuple[Role, ...] = ("auditor", "admin")
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
ALL = ("All", "")
LISTED = (
    ("source", "Source", True),
    ("view", "View", True),
    ("finding", "Finding I marked", True),
    ("by", "Read by", False),  # only for who may know who read what
    ("project", "Reading project", False),  # only where there is one
)
STATUS_CHOICES = [
    ALL,
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
    view: gr.Dropdown
    finding: gr.Dropdown
    read_by: gr.Dropdown
    project: gr.Dropdown
    worklist: WorklistPanel
    panel: ReadingPanel
    image_id: gr.State

    @property
    def filters(self) -> dict[str, gr.components.Component]:
        """What narrows the worklist, by the name of the filter."""
        names = ("status", "source", "view", "finding", "read_by", "project", "search")
        return {name: getattr(self, name) for name in names}

    def given(self, inputs: Given) -> dict[str, Any]:
        """What the filters say, by name."""
        return {name: inputs[component] for name, component in self.filters.items()}

    @property
    def shown(self) -> list[gr.components.Component]:
        """What opening a case changes, in the order of ``open_case``."""
        return [self.panel, self.worklist, self.image_id]

    @property
    def filled(self) -> list[gr.components.Component]:
        """What ``fill_read_tab`` gives values for."""
        return [self.source, self.view, self.finding, self.read_by, self.project, *self.shown]


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
                source, view, finding, read_by, project = (
                    gr.Dropdown([ALL], value="", label=label, elem_id=f"read-{name}", visible=shown)
                    for name, label, shown in LISTED
                )
            worklist = WorklistPanel(elem_id="read-worklist", padding=False)
        with gr.Column(scale=5, min_width=520):
            panel = ReadingPanel(elem_id="read-panel", padding=False)
    lists = (status, source, view, finding, read_by, project)
    tab = ReadTab(search, *lists, worklist, panel, gr.State(None))
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
    def choose(inputs: Given, event: gr.EventData, *, visitor: Visitor) -> list[Any]:
        filters = parse_filters(visitor, tab.given(inputs))
        return choose_case(services, visitor, filters, event_data(event))

    @on
    def step(inputs: Given, event: gr.EventData, *, visitor: Visitor) -> list[Any]:
        filters = parse_filters(visitor, tab.given(inputs))
        return step_case(services, visitor, filters, event_data(event))

    _connect_filters(services, tab)
    given = set(tab.filters.values())
    tab.worklist.choose(choose, given, tab.shown, trigger_mode="always_last", **PRIVATE)
    tab.panel.step(step, given, tab.shown, trigger_mode="multiple", **PRIVATE)


def _connect_filters(services: Services, tab: ReadTab) -> None:
    on = handler(services)

    @on
    def narrow(inputs: Given, *, visitor: Visitor) -> dict[str, Any]:
        filters = parse_filters(visitor, tab.given(inputs))
        return worklist_value(services, visitor, filters, image_id=inputs[tab.image_id])

    @on
    def turn(inputs: Given, event: gr.EventData, *, visitor: Visitor) -> dict[str, Any]:
        filters = parse_filters(visitor, tab.given(inputs))
        return turn_page(services, visitor, filters, event_data(event))

    filters = set(tab.filters.values())
    given = {tab.image_id, *filters}
    tab.worklist.turn(turn, filters, tab.worklist, trigger_mode="always_last", **PRIVATE)
    tab.panel.changed(narrow, given, tab.worklist, trigger_mode="always_last", **PRIVATE)
    lists = (tab.status, tab.source, tab.view, tab.finding, tab.read_by, tab.project)
    gr.on(
        # Not a dropdown's change: filling its choices would cause one.
        [*(one.input for one in lists), tab.search.change],
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
    ensure_order(services, visitor)
    store = services.store
    lists = (store.images.sources(), store.images.views(), store.findings())
    choices = [gr.Dropdown(choices=[ALL, *((name, name) for name in names)]) for names in lists]
    choices.append(_readers_list(services, visitor))
    choices.append(projects_list(services))
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


def _readers_list(services: Services, visitor: Visitor) -> gr.Dropdown:
    """Whose committed cases can be listed; readers are not told who read what."""
    names = [one.name for one in services.store.readers.all()]
    is_shown = visitor.role in SEE_READERS and any(name != visitor.name for name in names)
    choices = [ALL, *((name, name) for name in names)] if is_shown else [ALL]
    return gr.Dropdown(choices=choices, visible=is_shown)


def projects_list(services: Services, chosen: str | None = None) -> gr.Dropdown:
    """The reading projects: named selections of images, such as the study's 15.

    Args:
        services: The workspace.
        chosen: The project to narrow the worklist to; None leaves the choice as it is.
    """
    names = services.store.labels.projects()
    choices = [ALL, *((name, name) for name in names)]
    if chosen is None:
        return gr.Dropdown(choices=choices, visible=bool(names))
    return gr.Dropdown(choices=choices, visible=bool(names), value=chosen)


def parse_filters(visitor: Visitor, given: Mapping[str, str | None]) -> Filters:
    """The filters as the store takes them; "" and None leave one open.

    Raises:
        AccessRefused: If a reader asks who else read a case.
    """
    if given.get("read_by"):
        require(visitor, *SEE_READERS)
    return Filters(
        status=given.get("status") or None,
        source=given.get("source") or None,
        finding=given.get("finding") or None,
        search=given.get("search") or "",
        view=given.get("view") or None,
        read_by=given.get("read_by") or None,
        project=given.get("project") or None,
    )


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
