"""What an audit gave: the lower part of the Audit tab."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import gradio as gr

from annotations.records import AuditRun
from audit_app.audit_job import run_folder
from audit_app.audit_result import NOT_IN_SUMMARY, PROVENANCE_FILE, TABLES, AuditResult
from audit_app.plain_text import plain
from audit_app.reports.agreement_grid import NOTE, grid_html
from audit_app.reports.audit_charts import audit_charts
from audit_app.reports.audit_content import checklist_tables, definition_table, sentences_of
from audit_app.reports.audit_part import Shown, shown_part
from audit_app.reports.audit_tables import (
    MEASURES,
    TextTable,
    control_table,
    overall_first,
    paired_table,
    reader_table,
    reliance_table,
    slice_table,
    status_table,
)
from audit_app.reports.chart_plotly import draw_plotly
from audit_app.services import Services
from audit_app.survey_folder import title_of_method
from audit_app.tabs.audit_rows import (
    ANY,
    WORST,
    build_row_table,
    filter_choices,
    numbered,
    show_rows,
    show_worst,
)
from audit_app.tabs.jobs import file_links
from audit_app.viewer.row_points import RowPoints

TABS_ID: Final = "audit-tabs"
N_CHARTS: Final = 5
MOST_OPEN: Final = 30
REMARKS: Final = ("warnings", "left_out")
FILTERS: Final = (("Finding", "finding"), ("Mode", "mode"), ("Status", "status"))
NO_RUN: Final = (
    "**No audit yet.** Choose a model and run one: every committed reading is compared with the "
    "model's maps."
)
# The table's cells are buttons; a click says which cell it was.
ON_LOAD: Final = """
element.addEventListener('click', (event) => {
  const cell = event.target.closest('[data-finding]');
  if (cell) trigger('select', {finding: cell.dataset.finding, mode: cell.dataset.mode});
});
"""


@dataclass(frozen=True, slots=True)
class AuditView:
    """The components that show one run."""

    headline: gr.Markdown
    links: gr.HTML
    drawings: gr.HTML
    part: gr.Dropdown
    measure: gr.Radio
    tabs: gr.Tabs
    grid: gr.HTML
    charts: tuple[gr.Plot, ...]
    points: RowPoints
    controls: gr.HTML
    differences: gr.HTML
    readers: gr.HTML
    worst: gr.Dataframe
    finding: gr.Dropdown
    mode: gr.Dropdown
    status: gr.Dropdown
    rows: gr.Dataframe
    method: gr.HTML

    @property
    def shown(self) -> list[gr.components.Component]:
        """What a run changes; in the order of ``show_run``."""
        return [
            self.headline, self.links, self.drawings, self.part, *self.drawn, self.controls,
            self.differences, self.readers, self.worst, *self.filters, self.rows, self.method,
        ]  # fmt: skip

    @property
    def drawn(self) -> list[gr.components.Component]:
        """What a model and method change; in the order of ``show_part``."""
        return [self.grid, *self.charts]

    @property
    def filters(self) -> list[gr.Dropdown]:
        """What rows are chosen by."""
        return [self.finding, self.mode, self.status]


def build_view() -> AuditView:
    """The components, filled when a run is shown."""
    headline = gr.Markdown(elem_id="audit-headline")
    links = gr.HTML(elem_id="audit-links")
    with gr.Tabs(elem_id=TABS_ID) as tabs:
        with gr.Tab("Findings", id="findings"):
            with gr.Row():
                part = gr.Dropdown([], label="Model and method", elem_id="audit-part")
                measure = gr.Radio(
                    [(words, name) for name, words in MEASURES.items()], value="hit",
                    label="Measure", elem_id="audit-measure",
                )  # fmt: skip
            grid = gr.HTML(elem_id="audit-grid-table", js_on_load=ON_LOAD)
            first = gr.Plot(show_label=False, visible=False, elem_id="audit-chart-0")
        with gr.Tab("Plots", id="plots"):
            others = [
                gr.Plot(show_label=False, visible=False, elem_id=f"audit-chart-{number}")
                for number in range(1, N_CHARTS)
            ]
            with gr.Accordion("The plots as PNG and SVG", open=False):
                drawings = gr.HTML(elem_id="audit-drawings")
        with gr.Tab("Controls", id="controls"):
            controls = gr.HTML(elem_id="audit-control-tables")
        with gr.Tab("Differences", id="differences"):
            differences = gr.HTML(elem_id="audit-difference-tables")
        with gr.Tab("Human ceiling", id="human"):
            readers = gr.HTML(elem_id="audit-reader-table")
        with gr.Tab("Worst", id="worst"):
            worst = build_row_table("audit-worst", WORST)
        with gr.Tab("Rows", id="rows"):
            with gr.Row():
                finding, mode, status = (
                    gr.Dropdown([ANY], value=ANY, label=label, elem_id=f"audit-only-{name}")
                    for label, name in FILTERS
                )
            rows = build_row_table("audit-rows", "Rows: click one to see its maps")
        with gr.Tab("Method", id="method"):
            method = gr.HTML(elem_id="audit-method")
    points = RowPoints(value={"place": TABS_ID}, elem_id="audit-points")
    return AuditView(
        headline, links, drawings, part, measure, tabs, grid, (first, *others), points, controls,
        differences, readers, worst, finding, mode, status, rows, method,
    )  # fmt: skip


def show_run(services: Services, run_id: str | None, measure: str) -> list[Any]:
    """Updates of everything that shows a run; in the order of ``AuditView.shown``."""
    if not run_id:
        return _nothing()
    run = services.store.audits.get(run_id)
    audit = load_audit(services, run_id)
    parts = parts_of(audit)
    folder = run_folder(services.workspace, run_id)
    files = run.summary.get("files") if folder.is_dir() else []
    return [
        headline(run, audit),
        *_links(run_id, files),
        gr.Dropdown(choices=parts, value=parts[0][1] if parts else None, visible=bool(parts)),
        *_draw(audit, parts[0][1] if parts else None, measure),
        tables_html(
            *overall_first(control_table, audit.control_summary),
            *overall_first(reliance_table, audit.reliance),
        ),
        tables_html(*overall_first(paired_table, audit.paired), slice_table(audit.slices)),
        tables_html(reader_table(audit.readers)),
        show_worst(services, audit),
        *(gr.Dropdown(choices=choices, value=ANY) for choices in filter_choices(audit)),
        show_rows(services, audit, ANY, ANY, ANY),
        method_html(audit),
    ]


def _nothing() -> list[Any]:
    empty = gr.Dataframe(value=[])
    hidden = gr.Dropdown(choices=[], value=None, visible=False)
    filters = [gr.Dropdown(choices=[ANY], value=ANY)] * 3
    return [
        NO_RUN, "", "", hidden, "", *_no_charts(), "", "", "", empty, *filters,
        empty, "",
    ]  # fmt: skip


def show_part(services: Services, run_id: str | None, part: str | None, measure: str) -> list[Any]:
    """Updates of table and charts; in the order of ``AuditView.drawn``."""
    if not run_id:
        return ["", *_no_charts()]
    return _draw(load_audit(services, run_id), part, measure)


def show_grid(services: Services, run_id: str | None, part: str | None, measure: str) -> str:
    """The table of another measure."""
    if not run_id or not part:
        return ""
    return _grid(_shown(load_audit(services, run_id), part), measure)


def headline(run: AuditRun, audit: AuditResult) -> str:
    """The first line, large; then the other sentences."""
    if run.status != "done":
        return plain(f"This audit is {run.status}. {run.summary.get('reason', '')}".strip())
    first, *others = sentences_of(audit)
    lines = "".join(f"<li>{escape(line)}</li>" for line in others)
    return f'<p class="first-line">{escape(first)}</p><ul class="sentences">{lines}</ul>'


def parts_of(audit: AuditResult) -> list[tuple[str, str]]:
    """Words and value of each model and method."""
    keys = dict.fromkeys((str(line["model"]), str(line["method"])) for line in audit.summary)
    return [
        (f"{model}, {title_of_method(method)}", json.dumps([model, method]))
        for model, method in keys
    ]


def tables_html(*tables: TextTable) -> str:
    """Tables with their titles, long ones folded."""
    return f'<div class="evaluation texts">{"".join(map(_foldable, tables))}</div>'


def _foldable(one: TextTable) -> str:
    if len(one.body) <= MOST_OPEN:
        return f"<h2>{escape(one.title)}</h2>{one.as_html()}"
    title = f"{escape(one.title)}: {len(one.body)} lines"
    return f"<details><summary><b>{title}</b></summary>{one.as_html()}</details>"


def method_html(audit: AuditResult) -> str:
    """Statuses, definitions and checklists."""
    provenance = audit.provenance
    tables = [status_table(audit.rows), definition_table(provenance)]
    return tables_html(*tables, *checklist_tables(provenance))


def _draw(audit: AuditResult, part: str | None, measure: str) -> list[Any]:
    if not part:
        return ["", *_no_charts()]
    shown = _shown(audit, part)
    charts = [draw_plotly(chart) for chart in audit_charts(shown)]
    return [_grid(shown, measure), *(gr.Plot(value=one, visible=True) for one in charts)]


def _no_charts() -> list[Any]:
    """An empty plot would be a grey field that a screen reader calls an empty value."""
    return [gr.Plot(value=None, visible=False)] * N_CHARTS


def _shown(audit: AuditResult, part: str) -> Shown:
    model, method = json.loads(part)
    return shown_part(numbered(audit.rows), audit.summary, model=model, method=method)


def _grid(shown: Shown, measure: str) -> str:
    table = grid_html(shown, measure, is_clickable=True)
    return f'<div class="evaluation">{table}<p class="small">{escape(NOTE)}</p></div>'


def _links(run_id: str, files: object) -> list[str]:
    """Of the report and the tables, then of the drawings."""
    names = [str(name) for name in files] if isinstance(files, list) else []
    reports = [name for name in names if name.startswith("report.")]
    drawings = [name for name in names if "/" in name]
    tables = [name for name in names if name not in reports and name not in drawings]
    address = f"/audit/runs/{run_id}"
    return [file_links(address, [*reports, *tables]), file_links(address, drawings)]


def load_audit(services: Services, run_id: str) -> AuditResult:
    """The tables of a run but for its controls' rows, which no table of the page shows."""
    run = services.store.audits.get(run_id)
    kept = {
        name: list(lines)
        for name, lines in run.summary.items()
        if name in TABLES and name not in NOT_IN_SUMMARY and isinstance(lines, list)
    }
    provenance = {**_provenance(services, run), **{n: run.summary.get(n) or [] for n in REMARKS}}
    return AuditResult(provenance=provenance, rows=services.store.audits.rows(run_id), **kept)


def _provenance(services: Services, run: AuditRun) -> dict[str, Any]:
    """Of the run's folder; its choices alone where a command line wrote it elsewhere."""
    path = run_folder(services.workspace, run.run_id) / PROVENANCE_FILE
    if not path.is_file():
        return {"choices": run.choices}
    found = json.loads(path.read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {"choices": run.choices}
