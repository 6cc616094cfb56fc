"""What a report of an audit says, apart from the kind of file that it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from audit_app.reports.audit_charts import audit_charts
from audit_app.reports.audit_part import Shown, shown_part
from audit_app.reports.audit_tables import (
    TextTable,
    control_table,
    overall_first,
    paired_table,
    reader_table,
    reliance_table,
    slice_table,
    status_table,
    worst_table,
)
from audit_app.reports.charts import Chart
from audit_app.reports.checklists import checklists, count_answered
from audit_app.reports.first_line import first_lines
from audit_app.survey_folder import title_of_method

Row = dict[str, object]
CHART_FOLDER: Final = "charts"
NOT_CLINICAL: Final = "A research tool. Not for clinical use."
SYNTHETIC: Final = "Synthetic pictures: these numbers say nothing about patients."


class Audited(Protocol):
    """What a report is made of: see ``audit_app.audit_result``."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """As in provenance.json."""

    @property
    def rows(self) -> Sequence[Row]:
        """Of agreement.csv."""

    @property
    def summary(self) -> Sequence[Row]:
        """Of summary.csv."""

    @property
    def slices(self) -> Sequence[Row]:
        """Of slices.csv."""

    @property
    def control_summary(self) -> Sequence[Row]:
        """Of control_summary.csv."""

    @property
    def reliance(self) -> Sequence[Row]:
        """Of reliance.csv."""

    @property
    def paired(self) -> Sequence[Row]:
        """Of paired.csv."""

    @property
    def readers(self) -> Sequence[Row]:
        """Of readers.csv."""


@dataclass(frozen=True, slots=True)
class Section:
    """One model and method of a report."""

    model: str
    method: str
    shown: Shown
    charts: tuple[Chart, ...]

    @property
    def title(self) -> str:
        """Model and method in words."""
        return f"{self.model}, {title_of_method(self.method)}"

    @property
    def stem(self) -> str:
        """Begins the names of its chart files."""
        kept = (c if c.isalnum() or c in "-." else "_" for c in f"{self.model}-{self.method}")
        return "".join(kept)

    def chart_name(self, chart: Chart) -> str:
        """Of its files, below the report's folder and without suffix."""
        return f"{CHART_FOLDER}/{self.stem}-{chart.name}"


def sections_of(result: Audited) -> list[Section]:
    """One section per model and method, in the order of the summary."""
    keys = dict.fromkeys((str(line["model"]), str(line["method"])) for line in result.summary)
    found = []
    for model, method in keys:
        shown = shown_part(result.rows, result.summary, model=model, method=method)
        found.append(Section(model, method, shown, audit_charts(shown)))
    return found


def title_of(result: Audited) -> str:
    """Which models were audited."""
    models = dict.fromkeys(str(line["model"]) for line in result.summary)
    return f"Audit of {', '.join(models)}"


def sentences_of(result: Audited) -> list[str]:
    """The first lines, as the page says them."""
    return first_lines(
        {
            "summary": list(result.summary),
            "control_summary": list(result.control_summary),
            "left_out": result.provenance.get("left_out", []),
            "warnings": result.provenance.get("warnings", []),
        }
    )


def tables_of(result: Audited) -> list[TextTable]:
    """The tables over all models and methods, in the order in which they are read."""
    return [
        *overall_first(control_table, result.control_summary),
        *overall_first(reliance_table, result.reliance),
        *overall_first(paired_table, result.paired),
        slice_table(result.slices),
        reader_table(result.readers),
        worst_table(result.rows),
        status_table(result.rows),
    ]


def origin_of(provenance: Mapping[str, Any]) -> str:
    """Where, when, which run, over what."""
    counts = provenance.get("counts", {})
    said = ", ".join(
        f"{counts[name]} {name}" for name in ("patients", "images", "readings") if name in counts
    )
    return (
        f"Workspace {provenance.get('workspace', '')}, "
        f"{str(provenance.get('started', ''))[:16].replace('T', ' ')} UTC, "
        f"run {provenance.get('run_id', '')}; {said}. {NOT_CLINICAL}"
    )


def definition_table(provenance: Mapping[str, Any]) -> TextTable:
    """How the columns were computed."""
    definitions = provenance.get("definitions", {})
    lines = tuple((str(name), str(value)) for name, value in definitions.items())
    return TextTable("Definitions", ("Name", "Value"), lines, empty="Stand in provenance.json.")


def checklist_tables(provenance: Mapping[str, Any]) -> list[TextTable]:
    """The three checklists, filled where something is known."""
    filled = checklists(provenance)
    counts = count_answered(filled)
    return [_checklist(name, items, counts[name]) for name, items in filled.items()]


def _checklist(
    name: str, items: Mapping[str, Mapping[str, str]], counts: tuple[int, int]
) -> TextTable:
    body = tuple((number, one["item"], one["answer"]) for number, one in items.items())
    title = f"{name}: {counts[0]} of {counts[1]} items answered"
    return TextTable(title, ("Item", "Asks for", "Answer"), body)
