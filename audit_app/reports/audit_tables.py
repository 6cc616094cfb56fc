"""The tables of an audit as texts: the page and the report write them as HTML, the PDF as cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from audit_app.comparison.selection import MODES
from audit_app.evaluation import STATUSES
from audit_app.reports.first_line import OVERALL, control_words, no_interval
from audit_app.reports.html_parts import number, table
from audit_app.reports.worst import worst_rows
from audit_app.survey_folder import title_of_method

Row = Mapping[str, object]
Cell = Callable[[Row], str]
MEASURES: Final = {"hit": "Hit rate", "iou": "IoU", "energy_in_box": "Energy in the region"}
STATUS_WORDS: Final = {
    "ok": "scored",
    "no_evidence": "empty map: scored 0, never a hit",
    "no_reference": "no pixel centre of the model's grid lies in the region: not scored",
    "not_visible": "every region lies outside of what the model sees: not scored",
    "invalid_input": "picture or map cannot be used: not scored",
}


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of texts.

    Attributes:
        title: What it holds.
        head: Titles of the columns.
        body: Lines with as many cells.
        note: How to read it.
        empty: What is said instead when there is no line.
        looks: "best", "worst" or "" for each cell of the body; () where no cell stands out.
    """

    title: str
    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    note: str = ""
    empty: str = ""
    looks: tuple[tuple[str, ...], ...] = ()

    def as_html(self) -> str:
        """The table, or why there is none, without its title."""
        from html import escape

        if not self.body:
            return f"<p>{escape(self.empty)}</p>"
        note = f'<p class="small">{escape(self.note)}</p>' if self.note else ""
        return table(self.head, self.body) + note


def status_table(rows: Sequence[Row]) -> TextTable:
    """How many rows have which status, by mode."""
    modes = list(dict.fromkeys(str(row["mode"]) for row in rows))
    counts = Counter((str(row["mode"]), str(row["status"])) for row in rows)
    body = [
        (status, *(str(counts[mode, status]) for mode in modes), STATUS_WORDS[status])
        for status in STATUSES
    ]
    head = ("Status", *(mode_words(mode) for mode in modes), "Meaning")
    return TextTable("Statuses", head, tuple(body) if rows else (), empty="No row.")


def control_table(lines: Iterable[Row]) -> TextTable:
    """The controls beside the model, on the same rows."""
    columns: Mapping[str, Cell] = {
        **_who(),
        "Finding": _text("finding"),
        "Control": control_words,
        "Control's hit rate": _with_interval("hit"),
        "Model's hit rate": _with_interval("model_hit"),
        "Difference": _with_interval("difference"),
        "p": _p("p_value"),
        "Intervals overlap": _yes_no("overlaps"),
        **_counts(),
    }
    return _made(
        "Controls", columns, lines,
        note="Same rows for both; paired bootstrap over patients.",
        empty="No controls were run with this audit.",
    )  # fmt: skip


def slice_table(lines: Iterable[Row]) -> TextTable:
    """Hit, IoU and energy of parts of the rows."""
    columns: Mapping[str, Cell] = {
        **_who(),
        "Part": _part,
        "Hit rate": _with_interval("hit"),
        "Chance": _number("chance_hit"),
        "Lift": _number("lift"),
        "IoU": _with_interval("iou"),
        "Energy": _with_interval("energy_in_box"),
        **_counts(),
    }
    return _made(
        "Parts", columns, lines,
        note="Means over rows. Box area in terciles over all rows; the model's answer by the "
        "study's rule (min-max over all findings that the mode knows, above 0.5).",
        empty="No part has a scored row.",
    )  # fmt: skip


def paired_table(lines: Iterable[Row]) -> TextTable:
    """Differences on the same rows, corrected by Holm."""
    columns: Mapping[str, Cell] = {
        "Model": _text("model"),
        "Compared": _pair,
        "Finding": _text("finding"),
        "Measure": lambda line: MEASURES.get(str(line["metric"]), str(line["metric"])),
        "First": _number("first_value"),
        "Second": _number("second_value"),
        "Difference": lambda line: _ends(line, "difference", "low", "high"),
        "p (bootstrap, Holm)": _p("p_bootstrap_holm"),
        "p (McNemar, Holm)": _p("p_mcnemar_holm"),
        **_counts("n_rows"),
    }
    return _made(
        "Differences on the same rows", columns, lines,
        note="First minus second; intervals over patients; Holm's correction over findings and "
        "pairs of one measure. McNemar's exact test for hits. Lines over all findings are outside "
        "of that family (n/a); their own p stands in paired.csv.",
        empty="One mode, one method and one model: there is nothing to compare.",
    )  # fmt: skip


def reliance_table(lines: Iterable[Row]) -> TextTable:
    """Does the score fall when the reader's region is filled in?"""
    columns: Mapping[str, Cell] = {
        "Model": _text("model"),
        "Mode": _mode_and_unit,
        "Finding": _text("finding"),
        "Score falls, region filled": _with_interval("drop_region"),
        "Score falls, other place filled": _with_interval("drop_elsewhere"),
        "Difference": _with_interval("difference"),
        "p": _p("p_value"),
        "Uses the region": _yes_no("uses_region"),
        "Rows left out": _left_out,
        **_counts("n_rows"),
    }
    return _made(
        "Reliance", columns, lines,
        note="Score of the picture minus score with the reader's region (or an equally large "
        "place elsewhere in the lungs) filled in, in the unit in brackets. Left out: rows "
        "where nothing could be filled, and rows where no such place lies in the lungs.",
        empty="The reliance test was left out of this audit.",
    )  # fmt: skip


def reader_table(lines: Iterable[Row]) -> TextTable:
    """Readers among themselves, with earlier readings, and after a reveal."""
    columns: Mapping[str, Cell] = {
        "Measure": _text("measure"),
        "Finding": _text("finding"),
        "Readers": _readers,
        "Value": lambda line: _ends(line, "value", "low", "high"),
        "Observed": _number("observed"),
        "Expected": _number("expected"),
        "Prevalence": _number("prevalence"),
        "Images": _text("n_images"),
        "Patients": _text("n_patients"),
        "Note": _text("note"),
    }
    return _made("Readers", columns, lines, empty="One reader: there is nobody to agree with.")


def worst_table(rows: Iterable[Row]) -> TextTable:
    """The worst disagreements, by the ids of images."""
    columns: Mapping[str, Cell] = {
        "Image": _text("image_id"),
        "Reader": _text("reader"),
        "Finding": _text("finding"),
        **_who(),
        "Status": _text("status"),
        "Hit": _number("hit"),
        "IoU": _number("iou"),
        "Energy": _number("energy_in_box"),
        "Distance (of diagonal)": _number("peak_distance_share"),
        "Model says": _yes_no("model_positive"),
    }
    return _made("Worst disagreements", columns, worst_rows(rows), empty="No row is scored.")


def overall_first(
    make: Callable[[Iterable[Row]], TextTable], lines: Sequence[Row]
) -> list[TextTable]:
    """The table of the lines over all findings, then that of single findings."""
    overall = [line for line in lines if line["finding"] in OVERALL]
    single = [line for line in lines if line["finding"] not in OVERALL]
    tables = [make(overall)]
    if single:
        by_finding = make(single)
        tables.append(replace(by_finding, title=f"{by_finding.title} by finding"))
    return tables


def mode_words(mode: object) -> str:
    """The mode in words."""
    return MODES.get(str(mode), str(mode))


def _made(
    title: str, columns: Mapping[str, Cell], lines: Iterable[Row], *, note: str = "", empty: str
) -> TextTable:
    body = tuple(tuple(cell(line) for cell in columns.values()) for line in lines)
    return TextTable(title, tuple(columns), body, note, empty)


def _who() -> dict[str, Cell]:
    return {
        "Model": _text("model"),
        "Mode": _mode,
        "Method": lambda line: title_of_method(str(line["method"])),
    }


def _counts(rows: str = "n_rows") -> dict[str, Cell]:
    return {"Rows": _text(rows), "Patients": _text("n_patients"), "Note": _note}


def _mode(line: Row) -> str:
    return mode_words(line["mode"])


def _mode_and_unit(line: Row) -> str:
    # A mode that no finding of the group could be asked of has no scores, and so no unit.
    return f"{_mode(line)} ({line['score_kind']})" if line["score_kind"] else _mode(line)


def _pair(line: Row) -> str:
    words = mode_words if line["compared"] == "modes" else str
    shared = [mode_words(line["mode"])] if line["mode"] else []
    named = f"{words(line['first'])} - {words(line['second'])}"
    return f"{named} ({', '.join(shared)})" if shared else named


def _part(line: Row) -> str:
    detail = f" ({line['detail']})" if line.get("detail") else ""
    return f"{str(line['slice']).replace('_', ' ')}: {line['value'] or 'not known'}{detail}"


def _readers(line: Row) -> str:
    names = [str(line[name]) for name in ("first", "second") if line[name]]
    at = [mode_words(line["mode"])] if line["mode"] else []
    return ", ".join([*names, *at]) or "all"


def _text(name: str) -> Cell:
    return lambda line: "" if line[name] is None else str(line[name])


def _number(name: str) -> Cell:
    return lambda line: number(line[name], 2)


def _p(name: str) -> Cell:
    return lambda line: p_words(line[name])


def p_words(value: object) -> str:
    """A p-value with three digits."""
    if isinstance(value, int | float) and value < 0.001:
        return "<0.001"
    return number(value)


def _left_out(line: Row) -> str:
    # The store may hold audits that were made before these were counted.
    outside = line.get("n_outside_lungs")
    words = "" if outside is None else f" ({outside} outside the lungs)"
    return f"{line['n_left_out']}{words}"


def _yes_no(name: str) -> Cell:
    def cell(line: Row) -> str:
        value = line.get(name)
        return ("yes" if value else "no") if isinstance(value, bool) else "n/a"

    return cell


def _with_interval(name: str) -> Cell:
    return lambda line: _ends(line, name, f"{name}_low", f"{name}_high")


def _ends(line: Row, name: str, low: str, high: str) -> str:
    """The number with its interval where it has one; why it has none stands under "Note"."""
    if line[name] is None:
        return "n/a"
    if line[low] is None or line[high] is None:
        return number(line[name], 2)
    return f"{number(line[name], 2)} ({number(line[low], 2)} to {number(line[high], 2)})"


def _note(line: Row) -> str:
    return no_interval(line) if line["note"] else ""
