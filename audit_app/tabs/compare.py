"""The Compare tab: three modes side by side beside a committed reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from audit_app.comparison import Selection, View, missing_modes, readable_cases, view
from audit_app.handlers import handler
from audit_app.jobs import submit_job
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.viewer.compare import ComparePanel

PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
SEPARATOR = "|"
POLL_S = 0.4
METHODS = [("Grad-CAM", "gradcam")]
NOTHING_TO_COMPARE = (
    "**Nothing to compare yet.** Maps stay locked until a reading is committed: open the Read tab, "
    "mark what you see, and commit."
)
NO_MODEL = "**No model yet.** Add one in the tab Data & models."


@dataclass(frozen=True, slots=True)
class CompareTab:
    """The components of the tab."""

    case: gr.Dropdown
    finding: gr.Dropdown
    model: gr.Dropdown
    method: gr.Dropdown
    sentence: gr.Markdown
    panel: ComparePanel
    job_id: gr.State
    timer: gr.Timer

    @property
    def choices(self) -> list[gr.components.Component]:
        """What the user chooses, in the order of ``Selection``'s making."""
        return [self.case, self.finding, self.model, self.method]

    @property
    def shown(self) -> list[gr.components.Component]:
        """What a selection changes."""
        return [self.panel, self.sentence, self.job_id, self.timer]


def build_compare_tab(services: Services) -> CompareTab:
    """The tab's components and events; filled when the page loads."""
    with gr.Row(elem_classes="choices"):
        case = gr.Dropdown([], label="Committed reading", scale=3, elem_id="compare-case")
        finding = gr.Dropdown([], label="Finding", scale=2, elem_id="compare-finding")
        model = gr.Dropdown([], label="Model", elem_id="compare-model")
        method = gr.Dropdown([], label="Method", elem_id="compare-method")
    sentence = gr.Markdown(elem_id="compare-sentence", elem_classes="status-line")
    tab = CompareTab(
        case=case,
        finding=finding,
        model=model,
        method=method,
        sentence=sentence,
        panel=ComparePanel(elem_id="compare-panel"),
        job_id=gr.State(None),
        timer=gr.Timer(POLL_S, active=False),
    )
    _connect(services, tab)
    return tab


def _connect(services: Services, tab: CompareTab) -> None:
    on = handler(services)

    @on
    def choose_case(case: str, visitor: Visitor) -> Any:
        return finding_choices(services, visitor, case)

    @on
    def show(case: str, finding: str, model: str, method: str, visitor: Visitor) -> list[Any]:
        return show_selection(services, visitor, parse_selection(case, finding, model, method))

    @on
    def poll(
        case: str, finding: str, model: str, method: str, job_id: int | None, visitor: Visitor
    ) -> list[Any]:
        selection = parse_selection(case, finding, model, method)
        if selection is None or job_id is None:
            return [gr.skip(), gr.skip(), None, gr.Timer(active=False)]
        return outputs(view(services, visitor, selection, job_id), job_id)

    tab.case.input(choose_case, tab.case, tab.finding, **PRIVATE).then(
        show, tab.choices, tab.shown, **PRIVATE
    )
    for chosen in (tab.finding, tab.model, tab.method):
        chosen.input(show, tab.choices, tab.shown, **PRIVATE)
    tab.timer.tick(poll, [*tab.choices, tab.job_id], tab.shown, queue=False, **PRIVATE)


def fill_choices(services: Services, visitor: Visitor, wanted: Selection | None) -> list[Any]:
    """Updates of the four dropdowns: what there is now, the wanted selection kept where it can."""
    cases = readable_cases(services, visitor)
    keys = [f"{one.image_id}{SEPARATOR}{one.reader}" for one in cases]
    labels = [one.label for one in cases]
    current = f"{wanted.image_id}{SEPARATOR}{wanted.reader}" if wanted else None
    case = current if current in keys else (keys[0] if keys else None)
    models = list(services.store.models.all())
    model = wanted.model if wanted and wanted.model in models else next(iter(models), None)
    finding = wanted.finding if wanted and case == current else None
    return [
        gr.Dropdown(choices=list(zip(labels, keys, strict=True)), value=case),
        finding_choices(services, visitor, case, finding),
        gr.Dropdown(choices=models, value=model),
        gr.Dropdown(choices=METHODS, value=METHODS[0][1]),
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
    own = services.store.readings.get(image_id, visitor.name)
    if not own.commits or (own.revealed_at is not None and current is not None):
        return current
    model = current.model if current else ""
    return Selection(image_id, visitor.name, "", model, "")


def finding_choices(
    services: Services, visitor: Visitor, case: str | None, wanted: str | None = None
) -> Any:
    """The findings of the workspace, those that the reading marks first."""
    known = list(services.store.findings())
    marked: tuple[str, ...] = ()
    for one in readable_cases(services, visitor):
        if case == f"{one.image_id}{SEPARATOR}{one.reader}":
            marked = one.findings
    others = [name for name in known if name not in marked]
    choices = [(f"{name} (marked)", name) for name in marked] + [(name, name) for name in others]
    first = choices[0][1] if choices else None
    return gr.Dropdown(choices=choices, value=wanted if wanted in known else first)


def parse_selection(
    case: str | None, finding: str | None, model: str | None, method: str | None
) -> Selection | None:
    """The selection that the dropdowns spell, None while one of them is empty."""
    if not (case and finding and model and method):
        return None
    image_id, _, reader = case.partition(SEPARATOR)
    return Selection(image_id, reader, finding, model, method)


def show_selection(services: Services, visitor: Visitor, selection: Selection | None) -> list[Any]:
    """Updates of panel, sentence, job and timer; missing maps are asked for."""
    if selection is None:
        sentence = NOTHING_TO_COMPARE if services.store.models.all() else NO_MODEL
        return [None, sentence, None, gr.Timer(active=False)]
    job_id = None
    # The reading is opened first: nobody may cause maps of a reading they must not see.
    shown = view(services, visitor, selection, None)
    missing = missing_modes(services, selection)
    if missing:
        job = submit_job(
            services.workspace,
            services.store,
            "explain",
            {
                "image_id": selection.image_id,
                "model": selection.model,
                "method": selection.method,
                "modes": missing,
            },
            owner=visitor.name,
        )
        job_id = job.job_id
        shown = view(services, visitor, selection, job_id)
    return outputs(shown, job_id)


def outputs(shown: View, job_id: int | None) -> list[Any]:
    """Updates of panel, sentence, job and timer."""
    return [
        shown.value,
        shown.sentence,
        job_id if shown.is_waiting else None,
        gr.Timer(active=shown.is_waiting),
    ]
