"""The Settings tab: the reading protocol, who may change it, and what it was before."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import gradio as gr

from annotations.errors import WorkspaceError
from annotations.findings import NO_FINDING
from annotations.protocol import LOG_KIND, Protocol, change_protocol
from annotations.records import LogRow
from audit_app.handlers import handler
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.study import protocol_of

PRIVATE: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}
HEATMAPS: Final = [
    ("After the commit", "after commit"),
    ("Never (to readers)", "never"),
    ("At once: readings count as not blinded", "at once"),
]
CERTAINTIES: Final = [
    ("Optional (definite unless changed)", "optional"),
    ("Required for each box", "required"),
]
CHANGED_ELSEWHERE: Final = (
    "The protocol was changed elsewhere since this page showed it; the form shows it as it is now."
)
HISTORY_HEADERS: Final = ["When (UTC)", "Who", "Rule", "Before", "After"]
WARNINGS: Final = {
    "at once": (
        "Heatmaps are open before the commit: every reading committed from now on is kept as "
        "**not blinded** and is left out of audits of blinded readings."
    ),
    "earlier": (
        "Readers see what others committed: whoever looks is kept as **not independent** on that "
        "picture."
    ),
}


@dataclass(frozen=True, slots=True)
class SettingsTab:
    """The components of the tab."""

    status: gr.Markdown
    findings: gr.CheckboxGroup
    certainty: gr.Radio
    smallest_box: gr.Number
    heatmap: gr.Radio
    earlier: gr.Checkbox
    random_order: gr.Checkbox
    seed: gr.Number
    repeats: gr.Number
    save: gr.Button
    new_finding: gr.Textbox
    add: gr.Button
    history: gr.Dataframe
    known: gr.State

    @property
    def rules(self) -> list[gr.components.Component]:
        """The form, in the order of ``parse_form``."""
        return [
            self.findings,
            self.certainty,
            self.smallest_box,
            self.heatmap,
            self.earlier,
            self.random_order,
            self.seed,
            self.repeats,
        ]

    @property
    def filled(self) -> list[gr.components.Component]:
        """What ``fill_settings`` gives values for."""
        return [
            self.status,
            *self.rules,
            self.save,
            self.new_finding,
            self.add,
            self.history,
            self.known,
        ]


def build_settings_tab(services: Services, place: gr.Tab) -> SettingsTab:
    """The tab's components and events inside of ``place``.

    The form is filled, and can be changed, once the tab was opened. Opening it again leaves what
    was changed and not saved as it is, unless the protocol was changed elsewhere meanwhile.
    """
    gr.Markdown("## Reading protocol", elem_classes="group-title")
    status = gr.Markdown(elem_id="settings-status", elem_classes="status-line")
    with gr.Row(equal_height=False):
        with gr.Column():
            findings, new_finding, add = _build_findings()
        with gr.Column(), gr.Group():
            certainty, smallest, heatmap, earlier = _build_reading_rules()
        with gr.Column(), gr.Group():
            random_order, seed, repeats = _build_order_rules()
            save = gr.Button("Save the protocol", variant="primary", elem_id="settings-save")
    with gr.Accordion("Changes of the protocol", open=True, elem_id="settings-changes"):
        history = gr.Dataframe(
            headers=HISTORY_HEADERS, interactive=False, wrap=True, elem_id="settings-history"
        )
    tab = SettingsTab(
        status,
        findings,
        certainty,
        smallest,
        heatmap,
        earlier,
        random_order,
        seed,
        repeats,
        save,
        new_finding,
        add,
        history,
        gr.State(None),
    )
    _connect(services, tab)

    @handler(services, "auditor")
    def fill(known: object, visitor: Visitor) -> list[Any]:
        updates = open_settings(services, visitor, known)
        return [gr.skip()] * len(tab.filled) if updates is None else updates

    place.select(fill, tab.known, tab.filled, **PRIVATE)
    return tab


# Until the form is filled nothing in it can be changed: what was would be overwritten.


def _build_findings() -> tuple[gr.CheckboxGroup, gr.Textbox, gr.Button]:
    with gr.Group():
        findings = gr.CheckboxGroup(
            [],
            label="Findings that readers may mark",
            interactive=False,
            elem_id="settings-findings",
        )
    with gr.Row(elem_classes="choices"):
        new_finding = gr.Textbox(label="Further finding", elem_id="settings-new-finding")
        add = gr.Button("Add", scale=0, min_width=80, elem_id="settings-add")
    return findings, new_finding, add


def _build_reading_rules() -> tuple[gr.Radio, gr.Number, gr.Radio, gr.Checkbox]:
    certainty = gr.Radio(
        CERTAINTIES, label="Certainty", interactive=False, elem_id="settings-certainty"
    )
    smallest = gr.Number(
        label="Smallest box (original pixels, each side)",
        precision=0,
        interactive=False,
        elem_id="settings-smallest",
    )
    heatmap = gr.Radio(
        HEATMAPS, label="Heatmaps are shown", interactive=False, elem_id="settings-heatmap"
    )
    earlier = gr.Checkbox(
        label="Readers see what others committed before",
        interactive=False,
        elem_id="settings-earlier",
    )
    return certainty, smallest, heatmap, earlier


def _build_order_rules() -> tuple[gr.Checkbox, gr.Number, gr.Number]:
    random_order = gr.Checkbox(
        label="Each reader has an own random order",
        interactive=False,
        elem_id="settings-random",
    )
    seed = gr.Number(label="Seed", precision=0, interactive=False, elem_id="settings-seed")
    repeats = gr.Number(
        label="Cases shown a second time (%)",
        info="To the same reader, at least half a worklist later, without the first "
        "reading; file names become case numbers.",
        interactive=False,
        elem_id="settings-repeats",
    )
    return random_order, seed, repeats


def _connect(services: Services, tab: SettingsTab) -> None:
    on = handler(services, "admin")

    @on
    def save(*form: Any, visitor: Visitor) -> list[Any]:
        return save_settings(services, visitor, parse_form(services, *form))

    @on
    def add(name: str, visitor: Visitor) -> list[Any]:
        return add_finding(services, visitor, name)

    tab.save.click(save, tab.rules, tab.filled, **PRIVATE)
    gr.on([tab.add.click, tab.new_finding.submit], add, tab.new_finding, tab.filled, **PRIVATE)


def fill_settings(services: Services, visitor: Visitor, said: str = "") -> list[Any]:
    """Updates of everything in the tab; only an admin (or the local reader) can change it.

    Args:
        services: The workspace.
        visitor: Who looks.
        said: What was just done; stands before the warnings.
    """
    protocol = protocol_of(services)
    may = visitor.role == "admin"
    names = [name for name in services.store.findings() if name != NO_FINDING]
    chosen = [name for name in protocol.findings if name != NO_FINDING] or names
    lines = [said] if said else []
    if not may:
        lines.append("You may read the protocol; an admin changes it.")
    return [
        "\n\n".join([*lines, *warnings_of(protocol)]),
        gr.CheckboxGroup(choices=names, value=chosen, interactive=may),
        gr.Radio(value=protocol.certainty, interactive=may),
        gr.Number(value=protocol.smallest_box_px, interactive=may),
        gr.Radio(value=protocol.heatmap, interactive=may),
        gr.Checkbox(value=protocol.earlier_readings, interactive=may),
        gr.Checkbox(value=protocol.random_order, interactive=may),
        gr.Number(value=protocol.seed, interactive=may),
        gr.Number(value=protocol.repeat_percent, interactive=may),
        gr.Button(visible=may),
        gr.Textbox(value="", visible=may),
        gr.Button(visible=may),
        gr.Dataframe(value=history_rows(services) or [["not changed yet", "", "", "", ""]]),
        state_of(services),
    ]


def open_settings(services: Services, visitor: Visitor, known: object) -> list[Any] | None:
    """Updates of the tab when it is opened; None when it shows all as it is.

    Args:
        services: The workspace.
        visitor: Who opens it.
        known: What ``state_of`` was when this page filled the form; None before that.
    """
    if known is None:
        return fill_settings(services, visitor)
    if known == state_of(services):
        return None
    return fill_settings(services, visitor, CHANGED_ELSEWHERE)


def state_of(services: Services) -> dict[str, Any]:
    """What the form shows, to tell later whether somebody else changed it."""
    return {"protocol": asdict(protocol_of(services)), "findings": services.store.findings()}


def warnings_of(protocol: Protocol) -> list[str]:
    """A sentence for each rule that costs readings their blinding or independence."""
    warned = [WARNINGS["at once"]] if protocol.heatmap == "at once" else []
    return [*warned, WARNINGS["earlier"]] if protocol.earlier_readings else warned


def parse_form(
    services: Services, findings: list[str] | None, certainty: Any, smallest: Any, *more: Any
) -> Protocol:
    """The protocol that the form spells.

    Raises:
        WorkspaceError: If no finding is chosen, a field is empty or a value is none.
    """
    heatmap, earlier, random_order, seed, repeats = more
    names = [name for name in services.store.findings() if name != NO_FINDING]
    chosen = [name for name in names if name in (findings or [])]
    if not chosen:
        raise WorkspaceError("no finding is chosen; readers need at least one to mark")
    given = {"smallest box": smallest, "seed": seed, "cases shown a second time": repeats}
    empty = [name for name, value in given.items() if value is None]
    if empty:
        raise WorkspaceError(f"the field '{empty[0]}' is empty; give a number")
    return Protocol(
        findings=() if chosen == names else tuple(chosen),
        certainty=certainty,
        smallest_box_px=smallest,
        heatmap=heatmap,
        earlier_readings=bool(earlier),
        random_order=bool(random_order),
        seed=seed,
        repeat_percent=float(repeats),
    )


def save_settings(services: Services, visitor: Visitor, protocol: Protocol) -> list[Any]:
    """Keep the protocol in workspace.toml and in the log; updates of the tab."""
    has_changed = change_protocol(
        services.workspace.settings_file, services.store, protocol, visitor.name
    )
    said = "Saved. It holds from the next case on." if has_changed else "Nothing was changed."
    return fill_settings(services, visitor, said)


def add_finding(services: Services, visitor: Visitor, name: str) -> list[Any]:
    """A further finding of the workspace; updates of the tab."""
    before = services.store.findings()
    added = services.store.add_finding(name)
    if added in before:
        return fill_settings(services, visitor, "This finding is there already.")
    services.store.log.add("finding", visitor.name, added, {"added": added})
    return fill_settings(services, visitor, "The finding was added.")


def history_rows(services: Services) -> list[list[str]]:
    """One row for each rule that was changed, newest first."""
    rows = services.store.log.about(LOG_KIND, LOG_KIND)
    return [line for row in rows for line in _lines_of(row)]


def _lines_of(row: LogRow) -> list[list[str]]:
    before, after = row.details["before"], row.details["after"]
    if not isinstance(before, dict) or not isinstance(after, dict):
        return []
    return [
        [row.at[:19].replace("T", " "), row.actor, _words(name), _text(before.get(name)), _text(to)]
        for name, to in after.items()
        if before.get(name) != to
    ]


def _words(name: str) -> str:
    return name.replace("_px", " (pixels)").replace("_", " ")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "all of the workspace"
    return f"{value:g}" if isinstance(value, float) else str(value)
