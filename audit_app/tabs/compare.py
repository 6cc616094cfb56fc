"""The Compare tab: a committed reading beside the maps of models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from annotations.cases import parse_case
from audit_app.comparison import Look, Selection, View, readable_cases, view
from audit_app.comparison.maps import job_params
from audit_app.comparison.selection import is_outrun, parse_look
from audit_app.comparison.views import unchanged
from audit_app.errors import AuditError
from audit_app.handlers import handler
from audit_app.jobs import ACTIVE_STATUSES, submit_job
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.study import may_ever_see_maps
from audit_app.tabs.read import event_data
from audit_app.viewer.compare import ComparePanel
from model_store.saliency import SALIENCY_METHODS

PRIVATE: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}
SEPARATOR: Final = "|"
NOTHING_TO_COMPARE: Final = (
    "**Nothing to compare yet.** Maps stay locked until a reading is committed: open the Read tab, "
    "mark what you see, and commit."
)
NEVER_SHOWN: Final = (
    "**Nothing to compare.** The protocol of this workspace keeps the heatmaps from its readers."
)
NO_MODEL: Final = "**No model yet.** Add one in the tab Data & models."
# What a handler gets whose inputs are a set.
Values = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class CompareTab:
    """The components of the tab."""

    case: gr.Dropdown
    finding: gr.Dropdown
    model: gr.Dropdown
    method: gr.Dropdown
    look: gr.State
    sentence: gr.Markdown
    panel: ComparePanel
    job_id: gr.State

    @property
    def choices(self) -> list[gr.components.Component]:
        """What the user chooses, in the order of ``parse_selection``."""
        return [self.case, self.finding, self.model, self.method, self.look]

    @property
    def asked(self) -> set[gr.blocks.Block]:
        """What a handler is given, by component: the choices and the page's job."""
        return {*self.choices, self.job_id}

    def selection(self, values: Values) -> Selection | None:
        """The selection that these values spell."""
        return parse_selection(*(values[one] for one in self.choices))

    @property
    def shown(self) -> list[gr.components.Component]:
        """What a selection changes."""
        return [self.panel, self.sentence, self.job_id]


def build_compare_tab(services: Services) -> CompareTab:
    """The tab's components and events; filled when it is opened."""
    with gr.Row(elem_classes="choices"):
        case = gr.Dropdown([], label="Committed reading", scale=3, elem_id="compare-case")
        finding = gr.Dropdown([], label="Finding", scale=2, elem_id="compare-finding")
        model = gr.Dropdown([], label="Model", scale=1, elem_id="compare-model")
        method = gr.Dropdown([], label="Method", scale=1, elem_id="compare-method")
    sentence = gr.Markdown(elem_id="compare-sentence", elem_classes="status-line")
    tab = CompareTab(
        case=case,
        finding=finding,
        model=model,
        method=method,
        look=gr.State(Look()),
        sentence=sentence,
        panel=ComparePanel(elem_id="compare-panel"),
        job_id=gr.State(None),
    )
    _connect_choices(services, tab)
    _connect_panel(services, tab)
    return tab


def _connect_choices(services: Services, tab: CompareTab) -> None:
    on = handler(services)

    @on
    def choose_case(case: str, visitor: Visitor) -> Any:
        return finding_choices(services, visitor, case)

    show = show_handler(services, tab)
    tab.case.input(choose_case, tab.case, tab.finding, **PRIVATE).then(
        show, tab.asked, tab.shown, **PRIVATE
    )
    for chosen in (tab.finding, tab.model, tab.method):
        chosen.input(show, tab.asked, tab.shown, **PRIVATE)


def _connect_panel(services: Services, tab: CompareTab) -> None:
    on = handler(services)

    @on
    def choose(values: Values, event: gr.EventData, visitor: Visitor) -> list[Any]:
        data = event_data(event)
        if is_outrun(data, values[tab.look]):
            data = {}
        look = parse_look(data, values[tab.look])
        findings = services.store.findings()
        finding = known(data.get("finding"), findings, values[tab.finding], "finding")
        method = known(data.get("method"), SALIENCY_METHODS, values[tab.method], "method")
        selection = parse_selection(values[tab.case], finding, values[tab.model], method, look)
        shown = show_selection(services, visitor, selection, values[tab.job_id])
        return [finding, method, look, *shown]

    @on
    def refresh(values: Values, event: gr.EventData, visitor: Visitor) -> list[Any]:
        selection, job_id = tab.selection(values), values[tab.job_id]
        return refresh_selection(services, visitor, selection, job_id, event_data(event))

    chosen = [tab.finding, tab.method, tab.look, *tab.shown]
    tab.panel.choose(choose, tab.asked, chosen, **PRIVATE)
    # It never touches the job: a late answer must not end the watch over a newer job.
    tab.panel.refresh(refresh, tab.asked, [tab.panel, tab.sentence], **PRIVATE)


def show_handler(services: Services, tab: CompareTab) -> Callable[..., Any]:
    """The handler that shows what the choices spell."""

    @handler(services)
    def show(values: Values, visitor: Visitor) -> list[Any]:
        return show_selection(services, visitor, tab.selection(values), values[tab.job_id])

    return show


def fill_on_opening(
    services: Services, tab: CompareTab, place: gr.Tab, read_image: gr.components.Component
) -> None:
    """Fill the tab when it is opened, with the reading that was just committed in the Read tab."""

    @handler(services)
    def open_compare(values: Values, visitor: Visitor) -> list[Any]:
        wanted = just_read(services, visitor, values[read_image], tab.selection(values))
        return fill_choices(services, visitor, wanted)

    place.select(open_compare, {*tab.choices, read_image}, tab.choices, **PRIVATE).then(
        show_handler(services, tab), tab.asked, tab.shown, **PRIVATE
    )


def fill_choices(services: Services, visitor: Visitor, wanted: Selection | None) -> list[Any]:
    """Updates of the choices: what there is now, the wanted selection kept where it can."""
    cases = readable_cases(services, visitor)
    keys = [f"{one.image_id}{SEPARATOR}{one.reader}" for one in cases]
    labels = [one.label for one in cases]
    current = f"{wanted.image_id}{SEPARATOR}{wanted.reader}" if wanted else None
    case = current if current in keys else (keys[0] if keys else None)
    models = list(services.store.models.all())
    model = wanted.model if wanted and wanted.model in models else next(iter(models), None)
    finding = wanted.finding if wanted and case == current else None
    methods = [(one.title, one.name) for one in SALIENCY_METHODS.values()]
    method = wanted.method if wanted and wanted.method in SALIENCY_METHODS else methods[0][1]
    return [
        gr.Dropdown(choices=list(zip(labels, keys, strict=True)), value=case),
        finding_choices(services, visitor, case, finding),
        gr.Dropdown(choices=models, value=model),
        gr.Dropdown(choices=methods, value=method),
        wanted.look if wanted else Look(),
    ]


def just_read(
    services: Services, visitor: Visitor, image_id: str | None, current: Selection | None
) -> Selection | None:
    """The selection to open with: the visitor's own reading of the image in the Read tab, once.

    Whoever has just committed wants to see that picture's maps; who has seen them keeps what is
    chosen in the tab.
    """
    if not image_id:
        return current
    image_id = parse_case(image_id).image_id
    own = services.store.readings.get(image_id, visitor.name)
    if not own.commits or (own.revealed_at is not None and current is not None):
        return current
    model, method = (current.model, current.method) if current else ("", "")
    return Selection(image_id, visitor.name, "", model, method)


def finding_choices(
    services: Services, visitor: Visitor, case: str | None, wanted: str | None = None
) -> Any:
    """The findings of the workspace, those that the reading marks first."""
    known_findings = list(services.store.findings())
    marked: tuple[str, ...] = ()
    for one in readable_cases(services, visitor):
        if case == f"{one.image_id}{SEPARATOR}{one.reader}":
            marked = one.findings
    others = [name for name in known_findings if name not in marked]
    choices = [(f"{name} (marked)", name) for name in marked] + [(name, name) for name in others]
    first = choices[0][1] if choices else None
    return gr.Dropdown(choices=choices, value=wanted if wanted in known_findings else first)


def parse_selection(
    case: str | None,
    finding: str | None,
    model: str | None,
    method: str | None,
    look: Look | None = None,
) -> Selection | None:
    """The selection that the choices spell, None while one of them is empty."""
    if not (case and finding and model and method):
        return None
    image_id, _, reader = case.partition(SEPARATOR)
    return Selection(image_id, reader, finding, model, method, look or Look())


def show_selection(
    services: Services, visitor: Visitor, selection: Selection | None, job_id: int | None
) -> list[Any]:
    """Updates of panel, sentence and job; missing maps are asked for.

    Args:
        services: The workspace.
        visitor: Who looks.
        selection: What is to be shown.
        job_id: What this page had asked for before; it is not waited for any more.
    """
    end_job(services, visitor, job_id)
    if selection is None:
        return [None, why_nothing(services, visitor), None]
    # The reading is opened first: nobody may cause maps of a reading they must not see.
    shown = view(services, visitor, selection, None)
    asked = job_params(services, selection)
    if asked is None:
        return outputs(shown, None)
    kind, params = asked
    job = submit_job(services.workspace, services.store, kind, params, owner=visitor.name)
    return outputs(view(services, visitor, selection, job.job_id), job.job_id)


def why_nothing(services: Services, visitor: Visitor) -> str:
    """Why the tab is empty."""
    if not may_ever_see_maps(services, visitor):
        return NEVER_SHOWN
    return NOTHING_TO_COMPARE if services.store.models.all() else NO_MODEL


def end_job(services: Services, visitor: Visitor, job_id: int | None) -> None:
    """Stop the computation that this page does not wait for any more; what is made is kept."""
    job = services.store.jobs.find(job_id)
    if job is not None and job.owner == visitor.name and job.status in ACTIVE_STATUSES:
        services.store.jobs.cancel(job.job_id)


def refresh_selection(
    services: Services,
    visitor: Visitor,
    selection: Selection | None,
    job_id: int | None,
    data: dict[str, Any],
) -> list[Any]:
    """Updates of panel and sentence for a page that waits; short when nothing is new."""
    if selection is None:
        return [None, why_nothing(services, visitor)]
    short = unchanged(services, visitor, selection, job_id, data.get("stamp"))
    if short is not None:
        return [short, gr.skip()]
    shown = view(services, visitor, selection, job_id)
    return [shown.value, shown.sentence]


def outputs(shown: View, job_id: int | None) -> list[Any]:
    """Updates of panel, sentence and job."""
    return [shown.value, shown.sentence, job_id]


def known(value: object, names: Any, before: str | None, noun: str) -> str | None:
    """The chosen name, or the one before when none was chosen.

    Raises:
        AuditError: If there is no such name.
    """
    if value is None:
        return before
    if not isinstance(value, str) or value not in names:
        raise AuditError(f"there is no {noun} {str(value)[:60]!r} here; reload the page")
    return value
