"""The Adjudicate tab: two readers' committed readings become one, with links to both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from annotations.records import Role
from annotations.store.adjudications import Disputed
from audit_app.adjudication import describe_cases, open_adjudication
from audit_app.errors import AuditError
from audit_app.handlers import handler
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.tabs.read import event_data
from audit_app.viewer.adjudicate import AdjudicationPanel

PRIVATE: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}
ADJUDICATORS: Final[tuple[Role, ...]] = ("auditor",)
STATUS: Final = {
    "new": "open",
    "draft": "begun",
    "committed": "adjudicated",
    "revised": "adjudicated, corrected",
}


@dataclass(frozen=True, slots=True)
class AdjudicateTab:
    """The components of the tab."""

    status: gr.Markdown
    case: gr.Dropdown
    first: gr.Dropdown
    second: gr.Dropdown
    panel: AdjudicationPanel

    @property
    def readers(self) -> list[gr.Dropdown]:
        """Whose readings are adjudicated."""
        return [self.first, self.second]

    @property
    def shown(self) -> list[gr.components.Component]:
        """What opening a case changes, in the order of ``show_case``."""
        return [self.status, self.case, *self.readers, self.panel]


def build_adjudicate_tab(services: Services, place: gr.Tab) -> AdjudicateTab:
    """The tab's components and events inside of ``place``; filled when it is opened."""
    with gr.Row(elem_classes="choices"):
        case = gr.Dropdown([], label="Picture", scale=3, elem_id="adjudicate-case")
        first = gr.Dropdown([], label="First reader", scale=1, elem_id="adjudicate-first")
        second = gr.Dropdown([], label="Second reader", scale=1, elem_id="adjudicate-second")
    status = gr.Markdown(elem_id="adjudicate-status", elem_classes="status-line")
    panel = AdjudicationPanel(elem_id="adjudicate-panel")
    tab = AdjudicateTab(status, case, first, second, panel)
    _connect(services, tab, place)
    return tab


def _connect(services: Services, tab: AdjudicateTab, place: gr.Tab) -> None:
    on = handler(services, *ADJUDICATORS)

    @on
    def fill(image_id: str | None, visitor: Visitor) -> list[Any]:
        return fill_adjudicate(services, visitor, image_id)

    @on
    def refresh(image_id: str | None, visitor: Visitor) -> list[Any]:
        cases = services.store.adjudications.cases(visitor.name)
        return [describe_cases(cases), _case_list(cases, image_id)]

    @on
    def choose(image_id: str | None, visitor: Visitor) -> list[Any]:
        return show_case(services, visitor, image_id)

    @on
    def pair(image_id: str | None, first: str, second: str, visitor: Visitor) -> list[Any]:
        return show_case(services, visitor, image_id, (first, second))

    @on
    def step(event: gr.EventData, visitor: Visitor) -> list[Any]:
        return step_case(services, visitor, event_data(event))

    place.select(fill, tab.case, tab.shown, **PRIVATE)
    tab.panel.changed(refresh, tab.case, tab.shown[:2], **PRIVATE)
    tab.case.input(choose, tab.case, tab.shown, **PRIVATE)
    tab.panel.step(step, None, tab.shown, **PRIVATE)
    gr.on(
        [reader.input for reader in tab.readers],
        pair,
        [tab.case, *tab.readers],
        tab.shown,
        **PRIVATE,
    )


def fill_adjudicate(services: Services, visitor: Visitor, image_id: str | None) -> list[Any]:
    """Updates when the tab is opened: the open case stays, or the first open one is shown."""
    cases = services.store.adjudications.cases(visitor.name)
    if any(case.image_id == image_id for case in cases):
        return [describe_cases(cases), _case_list(cases, image_id), *[gr.skip()] * 3]
    open_ones = [case for case in cases if case.status in ("new", "draft")] or cases
    return show_case(services, visitor, open_ones[0].image_id if open_ones else None)


def show_case(
    services: Services,
    visitor: Visitor,
    image_id: str | None,
    readers: Sequence[str] | None = None,
) -> list[Any]:
    """Updates of ``AdjudicateTab.shown`` that open a case; None shows that there is none.

    Args:
        services: The workspace.
        visitor: Who adjudicates.
        image_id: The case.
        readers: The two readers; by default those it was begun with, or the first two.

    Raises:
        AuditError: If fewer than two readers committed it.
    """
    adjudications = services.store.adjudications
    cases = adjudications.cases(visitor.name)
    if image_id is None:
        empty = gr.Dropdown(choices=[], value=None)
        return [describe_cases(cases), _case_list(cases, None), empty, empty, None]
    case = next((one for one in cases if one.image_id == image_id), None)
    if case is None:
        raise AuditError("this picture has not two committed readings; choose one in the list")
    begun = adjudications.get(image_id, visitor.name)
    if readers is None:
        readers = [one.reader for one in begun.parents] if begun else case.readers[:2]
    value = open_adjudication(services, visitor, image_id, list(readers))
    # Asked again: a case that was just begun has another status now.
    cases = adjudications.cases(visitor.name)
    may_choose = begun is None and len(case.readers) > 2
    return [
        describe_cases(cases),
        _case_list(cases, image_id),
        *(
            gr.Dropdown(
                choices=list(case.readers),
                value=reader,
                interactive=may_choose,
            )
            for reader in readers
        ),
        value,
    ]


def step_case(services: Services, visitor: Visitor, asked: dict[str, Any]) -> list[Any]:
    """Open the case before or after one; at the end of the list stay there, and say so."""
    cases = services.store.adjudications.cases(visitor.name)
    places = [one.image_id for one in cases]
    if asked.get("case_id") not in places:
        raise AuditError("this picture is not in the list (any more); choose one")
    place = places.index(asked["case_id"]) + (-1 if asked.get("step") == -1 else 1)
    if not 0 <= place < len(places):
        gr.Info("This is the last case." if place > 0 else "This is the first case.")
        place = min(max(place, 0), len(places) - 1)
    return show_case(services, visitor, places[place])


def _case_list(cases: Sequence[Disputed], image_id: str | None) -> gr.Dropdown:
    choices = [(f"{case.name} - {STATUS[case.status]}", case.image_id) for case in cases]
    return gr.Dropdown(choices=choices, value=image_id)
