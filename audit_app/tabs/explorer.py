"""The embedding explorer of the Evaluate tab: test embeddings as maps, one for each mode."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import gradio as gr

from audit_app.errors import AuditError
from audit_app.evaluator.explorer import PCA, PROJECTIONS, Layout, read_layout
from audit_app.evaluator.explorer_groups import COLOURINGS
from audit_app.evaluator.job import evaluation_folder
from audit_app.evaluator.result import LAYOUT, PROVENANCE, EvaluationResult, load_result
from audit_app.handlers import handler
from audit_app.reports.explorer_view import (
    ExplorerChoices,
    explorer_figure,
    explorer_note,
    separation_table,
)
from audit_app.services import Services
from audit_app.viewer.explorer import ExplorerCard

PRIVATE: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}
PLOT_ID: Final = "explorer-plot"
ALL: Final = ("All findings", "")
NOTHING: Final = "There is no finished evaluation to explore yet."
# These read all findings anyway.
OF_ALL: Final = ("normal", "domain")


@dataclass(frozen=True, slots=True)
class Explorer:
    """The components of the explorer. ``panel.open`` says which case was clicked."""

    projection: gr.Radio
    colouring: gr.Dropdown
    finding: gr.Dropdown
    preset: gr.Dropdown
    note: gr.Markdown
    plot: gr.Plot
    numbers: gr.HTML
    panel: ExplorerCard
    is_open: gr.State

    @property
    def chosen(self) -> list[gr.components.Component]:
        """What the user chooses, in the order of ``parse_choices``."""
        return [self.projection, self.colouring, self.finding, self.preset]

    @property
    def drawn(self) -> list[gr.components.Component]:
        """What a choice changes, in the order of ``draw``."""
        return [self.note, self.plot, self.finding]

    @property
    def filled(self) -> list[gr.components.Component]:
        """What another evaluation changes, in the order of ``fill_explorer``."""
        return [self.projection, self.preset, self.numbers, self.panel, *self.drawn]


def build_explorer(services: Services, evaluation: gr.Dropdown, place: gr.Accordion) -> Explorer:
    """The components and events, inside of ``place``; read only while that is open.

    Args:
        services: The workspace.
        evaluation: Whose value is the job of the evaluation that is shown.
        place: Opened by the user.
    """
    with gr.Row(elem_classes="choices"):
        projection = gr.Radio(
            list(PROJECTIONS), value=PCA, label="Map", elem_id="explorer-projection", min_width=150
        )
        colouring = gr.Dropdown(
            [(title, name) for name, title in COLOURINGS.items()], value="finding",
            label="Colour by", elem_id="explorer-colour", min_width=150,
        )  # fmt: skip
        finding = gr.Dropdown(
            [ALL], value="", label="Finding", elem_id="explorer-finding", min_width=190
        )
        preset = gr.Dropdown([], label="Predictions of", elem_id="explorer-preset", min_width=150)
    explorer = Explorer(
        projection=projection,
        colouring=colouring,
        finding=finding,
        preset=preset,
        note=gr.Markdown(elem_id="explorer-note", elem_classes="status-line"),
        plot=gr.Plot(elem_id=PLOT_ID, show_label=False),
        numbers=gr.HTML(elem_id="explorer-numbers"),
        panel=ExplorerCard(elem_id="explorer-card"),
        is_open=gr.State(False),
    )
    _connect(services, explorer, evaluation, place)
    return explorer


def _connect(
    services: Services, explorer: Explorer, evaluation: gr.Dropdown, place: gr.Accordion
) -> None:
    on = handler(services, "auditor")

    @on
    def expand(chosen: str | None, *choices: Any) -> list[Any]:
        return [True, *fill_explorer(services, chosen, parse_choices(*choices))]

    @on
    def collapse() -> bool:
        return False

    @on
    def follow(is_open: bool, chosen: str | None, *choices: Any) -> list[Any]:
        if not is_open:
            return [gr.skip()] * len(explorer.filled)
        return fill_explorer(services, chosen, parse_choices(*choices))

    @on
    def redraw(chosen: str | None, *choices: Any) -> list[Any]:
        return draw(services, chosen, parse_choices(*choices))

    given = [evaluation, *explorer.chosen]
    place.expand(expand, given, [explorer.is_open, *explorer.filled], **PRIVATE)
    place.collapse(collapse, None, explorer.is_open, **PRIVATE)
    evaluation.change(follow, [explorer.is_open, *given], explorer.filled, **PRIVATE)
    for component in explorer.chosen:
        component.input(redraw, given, explorer.drawn, **PRIVATE)  # type: ignore[attr-defined] # events of each class


def parse_choices(
    projection: str | None, colouring: str | None, finding: str | None, preset: str | None
) -> ExplorerChoices:
    """The choices as the figure takes them."""
    standard = ExplorerChoices()
    colour = colouring or standard.colouring
    return ExplorerChoices(
        projection=projection or standard.projection,
        colouring=colour,
        finding=None if colour in OF_ALL else finding or None,
        preset=preset or "",
    )


def fill_explorer(services: Services, chosen: str | None, choices: ExplorerChoices) -> list[Any]:
    """Updates of ``Explorer.filled``: another evaluation's own choices, figure and numbers."""
    opened = open_evaluation(services, chosen)
    if opened is None:
        radio, preset = gr.Radio(choices=list(PROJECTIONS)), gr.Dropdown(choices=[], value=None)
        return [radio, preset, "", None, NOTHING, None, gr.Dropdown(choices=[ALL], value="")]
    result, layout = opened
    made = [name for name in PROJECTIONS if name in layout.places]
    fitting = _fitting(result, made, choices)
    presets = [(name.capitalize(), name) for name in result.presets]
    return [
        gr.Radio(choices=made, value=fitting.projection),
        gr.Dropdown(choices=presets, value=fitting.preset),
        separation_table(result),
        {"plot": PLOT_ID},
        *_drawn(result, layout, fitting),
    ]


def draw(services: Services, chosen: str | None, choices: ExplorerChoices) -> list[Any]:
    """Updates of ``Explorer.drawn``.

    Raises:
        AuditError: If there is no finished evaluation, or a choice is unknown.
    """
    opened = open_evaluation(services, chosen)
    if opened is None:
        raise AuditError("this evaluation is not finished; choose one that is done")
    result, layout = opened
    return _drawn(result, layout, _fitting(result, list(layout.places), choices))


def open_evaluation(
    services: Services, chosen: str | None
) -> tuple[EvaluationResult, Layout] | None:
    """A finished evaluation and its layout; None where there is none."""
    if not chosen or not chosen.isdecimal():
        return None
    folder = evaluation_folder(services.workspace, int(chosen))
    last = folder / PROVENANCE  # it is written last
    return _open(folder, last.stat().st_mtime_ns) if last.is_file() else None


@lru_cache(maxsize=2)
def _open(folder: Path, written_ns: int) -> tuple[EvaluationResult, Layout]:
    """Read once: each choice needs the whole table of predictions."""
    del written_ns  # another one is another evaluation
    return load_result(folder), read_layout(folder / LAYOUT)


def _fitting(
    result: EvaluationResult, made: list[str], choices: ExplorerChoices
) -> ExplorerChoices:
    """The choices, where this evaluation has them; else its first."""
    return ExplorerChoices(
        projection=choices.projection if choices.projection in made else made[0],
        colouring=choices.colouring,
        finding=choices.finding if choices.finding in result.findings else None,
        preset=choices.preset if choices.preset in result.presets else result.presets[0],
    )


def _drawn(result: EvaluationResult, layout: Layout, choices: ExplorerChoices) -> list[Any]:
    findings = gr.Dropdown(
        choices=[ALL, *((name, name) for name in result.findings)],
        value=choices.finding or "",
        interactive=choices.colouring not in OF_ALL,
    )
    return [explorer_note(layout), explorer_figure(result, layout, choices), findings]
