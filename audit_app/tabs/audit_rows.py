"""Tables of rows of an audit: chosen, sorted, clicked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import gradio as gr

from audit_app.audit_result import AuditResult
from audit_app.comparison import Selection
from audit_app.errors import AuditError
from audit_app.evaluation import STATUSES
from audit_app.reports.audit_tables import mode_words
from audit_app.reports.worst import worst_rows
from audit_app.services import Services
from audit_app.survey_folder import title_of_method

Row = Mapping[str, object]
SHOWN_ROWS: Final = 500
ANY: Final = "any"
WORST: Final = "The worst disagreements, missed regions first: click one to see its maps"
OPEN: Final = (ANY, None, "")
ROW_HEADERS: Final = (
    "No.", "Picture", "Reader", "Finding", "Model", "Mode", "Method", "Status", "Hit", "IoU",
    "Energy", "Chance", "Distance (px)",
)  # fmt: skip
TextOrNumber = Literal["number", "str"]
ROW_TYPES: Final[tuple[TextOrNumber, ...]] = ("number", *(("str",) * 7), *(("number",) * 5))


def build_row_table(elem_id: str, label: str) -> gr.Dataframe:
    """An empty table of rows."""
    return gr.Dataframe(
        headers=list(ROW_HEADERS), datatype=ROW_TYPES, interactive=False, elem_id=elem_id,
        label=label, max_height=460, show_search="search", pinned_columns=1,
    )  # fmt: skip


def show_worst(services: Services, audit: AuditResult) -> Any:
    """The update of the list of the worst disagreements."""
    worst = worst_rows(numbered(audit.rows))
    return _values(services, worst, WORST)


def show_rows(services: Services, audit: AuditResult, *only: str | None) -> Any:
    """The update of the rows of this finding, mode and status; ``any`` leaves one open."""
    names = ("finding", "mode", "status")
    wanted = {name: value for name, value in zip(names, only, strict=True) if value not in OPEN}
    kept = [
        row
        for row in numbered(audit.rows)
        if all(row[name] == value for name, value in wanted.items())
    ]
    label = "Rows: click one to see its maps"
    if len(kept) > SHOWN_ROWS:
        label += f" ({SHOWN_ROWS} of {len(kept)}; agreement.csv holds all)"
    return _values(services, kept[:SHOWN_ROWS], label)


def filter_choices(audit: AuditResult) -> list[list[tuple[str, str]]]:
    """Of finding, mode and status."""
    findings = dict.fromkeys(str(row["finding"]) for row in audit.rows)
    modes = dict.fromkeys(str(row["mode"]) for row in audit.rows)
    return [
        [(ANY, ANY), *((name, name) for name in findings)],
        [(ANY, ANY), *((mode_words(mode), mode) for mode in modes)],
        [(ANY, ANY), *((status, status) for status in STATUSES)],
    ]


def row_cells(row: Mapping[str, object], names: Mapping[str, str]) -> list[object]:
    """The cells of one row; the first is its number in the run, from 1."""
    image_id = str(row["image_id"])
    return [
        row["number"],
        names.get(image_id, image_id),
        row["reader"],
        row["finding"],
        row["model"],
        mode_words(row["mode"]),
        title_of_method(str(row["method"])),
        row["status"],
        *(_rounded(row[name], 3) for name in ("hit", "iou", "energy_in_box", "chance_hit")),
        _rounded(row["peak_distance"], 1),
    ]


def selection_of_row(services: Services, run_id: str | None, cells: Sequence[object]) -> Selection:
    """What the clicked row compares.

    Args:
        services: The workspace.
        run_id: The run that the table shows.
        cells: Of the clicked row: its number comes first, however the table is sorted.
    """
    rows = services.store.audits.rows(run_id) if run_id else []
    position = int(str(cells[0])) - 1 if cells and str(cells[0]).isdecimal() else -1
    if not 0 <= position < len(rows):
        raise AuditError("this row is not in the audit any more; choose the audit again")
    row = rows[position]
    image_id, reader, finding, model, method = (
        str(row[name]) for name in ("image_id", "reader", "finding", "model", "method")
    )
    return Selection(image_id, reader, finding, model, method)


def numbered(rows: Sequence[Row]) -> list[dict[str, object]]:
    """The rows with their number in the run, from 1."""
    return [{**row, "number": number} for number, row in enumerate(rows, start=1)]


def _values(services: Services, rows: Sequence[Row], label: str) -> Any:
    names = services.store.images.names()
    return gr.Dataframe(value=[row_cells(row, names) for row in rows], label=label)


def _rounded(value: object, digits: int) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return round(float(value), digits)
