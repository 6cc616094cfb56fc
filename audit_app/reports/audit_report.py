"""``report.html``, ``report.pdf`` and the charts as files: an audit that can be handed on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from audit_app.reports.agreement_grid import NOTE, grid_html
from audit_app.reports.audit_content import (
    CHART_FOLDER,
    SYNTHETIC,
    Audited,
    Section,
    checklist_tables,
    definition_table,
    origin_of,
    sections_of,
    sentences_of,
    tables_of,
    title_of,
)
from audit_app.reports.audit_pdf import pdf_of
from audit_app.reports.audit_tables import MEASURES, TextTable
from audit_app.reports.chart_print import Drawing, draw_print
from audit_app.reports.html_parts import STYLE, document, figure
from audit_app.reports.whole_files import write_whole

REPORT_FILE: Final = "report.html"
PDF_FILE: Final = "report.pdf"
MOST_OPEN: Final = 30
OWN_STYLE: Final = (
    STYLE
    + """
h1{font-size:1.5em}.first{font-size:1.15em;border-left:4px solid #0b4fb3;padding:.4em .9em}
td small{display:block;color:#555;font-weight:400}figure svg{max-width:100%;height:auto}
td.none{color:#777}details{margin:.4em 0}details td,details th{text-align:left}
summary{cursor:pointer;font-weight:600}
@media print{details{display:block}details>*{display:block}}
"""
)


def write_report(folder: Path, result: Audited) -> tuple[str, ...]:
    """Write the report into a folder that exists; the names of the files."""
    files = draw_report(result)
    (folder / CHART_FOLDER).mkdir(exist_ok=True)
    for name, content in files.items():
        write_whole(folder / name, content)
    return tuple(files)


def draw_report(result: Audited) -> dict[str, bytes]:
    """The report's files by name, the same bytes from the same audit.

    Neither network nor display nor workspace is needed: a folder that was handed on can be
    reported again.
    """
    sections = sections_of(result)
    drawn = {
        section.chart_name(chart): draw_print(chart)
        for section in sections
        for chart in section.charts
    }
    files = {
        REPORT_FILE: page_of(result, sections, drawn).encode(),
        PDF_FILE: pdf_of(result, sections, drawn),
    }
    for name, drawing in drawn.items():
        files |= {f"{name}.png": drawing.png, f"{name}.svg": drawing.svg.encode()}
    return files


def page_of(result: Audited, sections: Sequence[Section], drawn: Mapping[str, Drawing]) -> str:
    """The report as HTML.

    Args:
        result: The audit.
        sections: Of ``sections_of``.
        drawn: Of each chart, by its section's ``chart_name``.
    """
    parts = [
        *_heading(result),
        *(part for section in sections for part in _section(section, drawn)),
        *(part for one in tables_of(result) for part in _folded(one)),
        *_provenance(result.provenance),
    ]
    return document(title_of(result), parts, style=OWN_STYLE)


def _heading(result: Audited) -> Iterator[str]:
    yield f"<h1>{escape(title_of(result))}</h1>"
    first, *others = sentences_of(result)
    yield f'<p class="first">{escape(first)}</p>'
    if result.provenance.get("synthetic"):
        yield f'<p class="warn">{SYNTHETIC}</p>'
    yield f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in others)}</ul>"
    yield f"<p>{escape(origin_of(result.provenance))}</p>"


def _section(section: Section, drawn: Mapping[str, Drawing]) -> Iterator[str]:
    yield f"<h2>{escape(section.title)}</h2>"
    yield from (grid_html(section.shown, measure) for measure in MEASURES)
    yield f'<p class="small">{escape(NOTE)}</p>'
    for chart in section.charts:
        drawing = drawn[section.chart_name(chart)].svg
        note = f'<p class="small">{escape(chart.note)}</p>'
        yield figure(drawing + note, chart.title)


def _folded(one: TextTable) -> Iterator[str]:
    is_open = " open" if len(one.body) <= MOST_OPEN else ""
    yield f"<details{is_open}><summary>{escape(one.title)}</summary>{one.as_html()}</details>"


def _provenance(provenance: Mapping[str, Any]) -> Iterator[str]:
    yield "<h2>How it was made</h2>"
    yield f"<p><code>{escape(str(provenance.get('command', '')))}</code></p>"
    yield from _folded(definition_table(provenance))
    for one in checklist_tables(provenance):
        yield from _folded(one)
