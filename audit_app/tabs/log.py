"""The Log tab, for admins: who did what when, with a filter, a file and the check of its chain."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any, Final

import gradio as gr

from annotations.store.trail import LogFilter
from audit_app.handlers import handler
from audit_app.plain_text import plain
from audit_app.reports.log_routes import LogTickets
from audit_app.reports.log_table import HEADERS, kind_choices, shown_row
from audit_app.services import Services
from audit_app.session import Visitor

PRIVATE: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}
SHOWN: Final = 200
PROGRAM: Final = "command line"


@dataclass(frozen=True, slots=True)
class LogTab:
    """The components of the tab."""

    kind: gr.Dropdown
    actor: gr.Dropdown
    since: gr.Textbox
    until: gr.Textbox
    text: gr.Textbox
    count: gr.Markdown
    link: gr.HTML
    table: gr.Dataframe
    checked: gr.Markdown

    @property
    def filters(self) -> list[gr.components.Component]:
        """In the order of ``parse_filter``."""
        return [self.kind, self.actor, self.since, self.until, self.text]

    @property
    def shown(self) -> list[gr.components.Component]:
        """In the order of ``show_log``."""
        return [self.count, self.link, self.table]

    @property
    def filled(self) -> list[gr.components.Component]:
        """In the order of ``fill_log``."""
        return [self.kind, self.actor, *self.shown]


def build_log_tab(services: Services, place: gr.Tab) -> LogTickets:
    """The components and events inside of ``place``; filled when it is opened.

    Returns:
        What the route of the download needs.
    """
    tickets = LogTickets()
    with gr.Row(elem_classes="choices"):
        kind = gr.Dropdown([("Everything", "")], value="", label="What", elem_id="log-kind")
        actor = gr.Dropdown([("Everybody", "")], value="", label="Who", elem_id="log-actor")
        since = gr.Textbox(
            label="From (UTC)", placeholder="2026-01-31", elem_id="log-since", max_length=10
        )
        until = gr.Textbox(
            label="To, that day too", placeholder="2026-12-31", elem_id="log-until", max_length=10
        )
        text = gr.Textbox(
            label="Text", placeholder="subject, details, picture", elem_id="log-text",
            max_length=200,
        )  # fmt: skip
        search = gr.Button("Show", variant="primary", elem_id="log-show", scale=0, min_width=110)
    with gr.Row(elem_classes="choices"):
        count = gr.Markdown(elem_id="log-count", elem_classes="status-line")
        link = gr.HTML(elem_id="log-link")
        check = gr.Button("Check the chain", elem_id="log-check", scale=0, min_width=200)
    checked = gr.Markdown(elem_id="log-checked", elem_classes="status-line")
    table = gr.Dataframe(
        headers=list(HEADERS), datatype="str", interactive=False, elem_id="log-table",
        show_label=False, max_height=560, wrap=True,
    )  # fmt: skip
    tab = LogTab(kind, actor, since, until, text, count, link, table, checked)
    _connect(services, tickets, tab, search, check)

    @handler(services, "admin")
    def open_log(visitor: Visitor) -> list[Any]:
        return fill_log(services, tickets, visitor)

    place.select(open_log, None, tab.filled, **PRIVATE)
    return tickets


def _connect(
    services: Services, tickets: LogTickets, tab: LogTab, search: gr.Button, check: gr.Button
) -> None:
    on = handler(services, "admin")

    @on
    def show_rows(
        kind: str, actor: str, since: str, until: str, text: str, *, visitor: Visitor
    ) -> list[Any]:
        asked = parse_filter(kind, actor, since, until, text)
        return show_log(services, tickets, visitor, asked)

    @on
    def verify() -> str:
        return describe_check(services)

    gr.on(
        [search.click, tab.kind.input, tab.actor.input, tab.since.submit, tab.until.submit,
         tab.text.submit],
        show_rows,
        tab.filters,
        tab.shown,
        **PRIVATE,
    )  # fmt: skip
    check.click(verify, None, tab.checked, **PRIVATE)


def parse_filter(
    kind: str | None, actor: str | None, since: str | None, until: str | None, text: str | None
) -> LogFilter:
    """The filter as the store takes it."""
    given = (kind, actor, since, until, text)
    return LogFilter(*((value or "").strip() for value in given))


def fill_log(services: Services, tickets: LogTickets, visitor: Visitor) -> list[Any]:
    """Updates of ``LogTab.filled``: every row, the newest first."""
    store = services.store
    people = {one.name for one in store.accounts.all()} | {one.name for one in store.readers.all()}
    actors = [("Everybody", ""), *((name, name) for name in (*sorted(people), PROGRAM))]
    kinds = [("Everything", ""), *kind_choices(store.trail.kinds())]
    return [
        gr.Dropdown(choices=kinds, value=""),
        gr.Dropdown(choices=actors, value=""),
        *show_log(services, tickets, visitor, LogFilter()),
    ]


def show_log(
    services: Services, tickets: LogTickets, visitor: Visitor, asked: LogFilter
) -> list[Any]:
    """Updates of ``LogTab.shown``.

    Raises:
        StoreError: If a day is none.
    """
    rows = services.store.trail.find(asked, limit=SHOWN)
    names = services.store.trail.image_names({row.image_id for row in rows})
    return [
        describe_count(services.store.trail.count(asked)),
        csv_link(tickets.link(visitor.name, asked)) if rows else "",
        gr.Dataframe(value=[shown_row(row, names) for row in rows], visible=bool(rows)),
    ]


def describe_count(n_rows: int) -> str:
    """How many rows there are and how many of them stand in the table."""
    if n_rows == 0:
        return "Nothing like this stands in the log."
    if n_rows <= SHOWN:
        return f"**{n_rows}** {'entry' if n_rows == 1 else 'entries'}"
    return f"**{n_rows}** entries; the newest {SHOWN} are shown, the file has all of them."


def describe_check(services: Services) -> str:
    """Whether the log is as it was written."""
    problems = services.store.log.verify()
    if not problems:
        last = services.store.log.head()[0]
        return f"The chain of all {last} entries is unbroken."
    return "**The log is not as it was written.** " + plain(
        " ".join(f"{one}." for one in problems[:5])
    )


def csv_link(address: str) -> str:
    """The link to the file, as HTML."""
    return f'<p class="downloads"><a href="{escape(address)}" download>Download as CSV</a></p>'
