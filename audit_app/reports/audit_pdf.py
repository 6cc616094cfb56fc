"""``report.pdf``: the report on paper, with fonts of its own so that every finding can be named."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from audit_app.reports.agreement_grid import grid_table
from audit_app.reports.audit_content import (
    SYNTHETIC,
    Audited,
    Section,
    checklist_tables,
    definition_table,
    origin_of,
    sentences_of,
    tables_of,
    title_of,
)
from audit_app.reports.audit_tables import MEASURES, TextTable
from audit_app.reports.chart_print import Drawing

if TYPE_CHECKING:
    from fpdf import FPDF
    from fpdf.fonts import FontFace


FONT: Final = "DejaVu"
TEXT_PT: Final = 9
CELL_PT: Final = 6.5
MOST_LINES: Final = 40
LINE_MM: Final = 4.5
CELL_PADDING_MM: Final = 0.6
INK: Final = (27, 27, 27)
COLOURS: Final = {"best": (11, 79, 179), "worst": (179, 21, 11)}  # as in report.html
ACCENT: Final = (11, 79, 179)


def pdf_of(result: Audited, sections: Sequence[Section], drawn: Mapping[str, Drawing]) -> bytes:
    """The report as a file.

    Args:
        result: The audit.
        sections: Its models and methods.
        drawn: Of each chart, by its section's ``chart_name``.
    """
    pdf = _document(title_of(result))
    # Not of this moment: the same audit gives the same file.
    pdf.set_creation_date(datetime.fromisoformat(result.provenance["created"]))
    _heading(pdf, title_of(result), 15)
    first, *others = sentences_of(result)
    _paragraph(pdf, first, size=11)
    for sentence in others:
        _paragraph(pdf, f"\N{BULLET} {sentence}")
    if result.provenance.get("synthetic"):
        _paragraph(pdf, SYNTHETIC)
    _paragraph(pdf, origin_of(result.provenance))
    for section in sections:
        _heading(pdf, section.title, 12)
        for measure in MEASURES:
            _table(pdf, grid_table(section.shown, measure))
        for chart in section.charts:
            _picture(pdf, chart.title, chart.note, drawn[section.chart_name(chart)].png)
    for one in tables_of(result):
        _table(pdf, one)
    for one in (definition_table(result.provenance), *checklist_tables(result.provenance)):
        _table(pdf, one, most=None)
    _paragraph(pdf, f"Command: {result.provenance.get('command', '')}")
    return bytes(pdf.output())


def _document(title: str) -> FPDF:
    # Here, because only a finished audit needs them.
    from fpdf import FPDF
    from matplotlib import get_data_path

    class Numbered(FPDF):
        """Pages with a number at the foot."""

        def footer(self) -> None:
            """Title and number."""
            self.set_y(-10)
            self.set_font(FONT, size=7)
            self.set_text_color(110, 110, 110)
            self.cell(0, 5, f"{title}    {self.page_no()} / {{nb}}", align="C")

    # It tells of every font that it makes smaller, at the level of INFO.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    pdf = Numbered(format="A4")
    fonts = Path(get_data_path()) / "fonts" / "ttf"
    pdf.add_font(FONT, "", fonts / "DejaVuSans.ttf")
    pdf.add_font(FONT, "B", fonts / "DejaVuSans-Bold.ttf")
    pdf.set_title(title)
    pdf.set_margin(14)
    pdf.set_auto_page_break(True, margin=16)
    pdf.add_page()
    return pdf


def _heading(pdf: FPDF, text: str, size: int) -> None:
    pdf.ln(2)
    pdf.set_font(FONT, "B", size)
    pdf.set_text_color(*ACCENT)
    pdf.multi_cell(0, size * 0.5, text, align="L", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(1)


def _paragraph(pdf: FPDF, text: str, *, size: float = TEXT_PT) -> None:
    pdf.set_font(FONT, size=size)
    pdf.set_text_color(*INK)
    pdf.multi_cell(0, LINE_MM * size / TEXT_PT, text, align="L", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(1)


def _picture(pdf: FPDF, title: str, note: str, png: bytes) -> None:
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        height = pdf.epw * picture.height / picture.width
    if pdf.will_page_break(height + 22):
        pdf.add_page()
    _heading(pdf, title, 10)
    pdf.image(io.BytesIO(png), w=pdf.epw)
    _paragraph(pdf, note, size=7.5)


def _table(pdf: FPDF, one: TextTable, *, most: int | None = MOST_LINES) -> None:
    if pdf.will_page_break(30):
        pdf.add_page()
    _heading(pdf, one.title, 10)
    if not one.body:
        _paragraph(pdf, one.empty)
        return
    shown = one.body[:most]
    pdf.set_font(FONT, size=CELL_PT)
    pdf.set_text_color(*INK)
    looks = one.looks or [("",) * len(one.head)] * len(shown)
    with pdf.table(
        col_widths=_widths(pdf, one), line_height=CELL_PT * 0.48, padding=CELL_PADDING_MM,
        borders_layout="HORIZONTAL_LINES", text_align="LEFT",
    ) as drawn:  # fmt: skip
        drawn.row(one.head)
        for cells, marked in zip(shown, looks, strict=False):
            row = drawn.row()
            for cell, look in zip(cells, marked, strict=True):
                row.cell(cell, style=_face(look))
    note = one.note
    if len(shown) < len(one.body):
        note = f"{len(shown)} of {len(one.body)} lines; the CSV files hold all. {note}"
    if note:
        _paragraph(pdf, note, size=7.5)


def _face(look: str) -> FontFace | None:
    from fpdf.fonts import FontFace

    return FontFace(color=COLOURS[look]) if look else None


def _widths(pdf: FPDF, one: TextTable) -> tuple[float, ...]:
    """Of the columns, in mm: each holds its longest word; what is left goes to long texts.

    Where the longest words together are wider than the page, the widest columns break them.
    """
    pdf.set_font(FONT, "B", CELL_PT)  # as the head is printed, wider than the body
    room = 2 * CELL_PADDING_MM + 0.5  # else rounding breaks the longest word
    least, wanted = [], []
    for column in zip(one.head, *one.body[:MOST_LINES], strict=True):
        words = {word for cell in column for word in cell.split()}
        lines = {line for cell in column for line in cell.split("\n")}
        least.append(max(map(pdf.get_string_width, words), default=0.0) + room)
        wanted.append(max(map(pdf.get_string_width, lines), default=0.0) + room)
    pdf.set_font(FONT, size=CELL_PT)
    least = _capped(least, pdf.epw)
    left = pdf.epw - sum(least)
    more = [most - few for most, few in zip(wanted, least, strict=True)]
    if left <= 0 or not any(more):
        return tuple(least)
    return tuple(few + left * part / sum(more) for few, part in zip(least, more, strict=True))


def _capped(widths: Sequence[float], room: float) -> list[float]:
    """The widths with the largest ones cut to one size, so that together they fit."""
    left = room
    for place, width in enumerate(sorted(widths)):
        most = left / (len(widths) - place)
        if width > most:
            return [min(one, most) for one in widths]
        left -= width
    return list(widths)
