"""The part of an audit that one table or chart shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from audit_app.evaluation import SCORED
from audit_app.reports.summary import MACRO, POOLED

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Shown:
    """The part of an audit that its charts show: one model, one method, all modes.

    Attributes:
        rows: Of agreement.csv.
        lines: Of summary.csv.
    """

    rows: tuple[Row, ...]
    lines: tuple[Row, ...]

    @property
    def modes(self) -> tuple[str, ...]:
        """In the order in which they come."""
        return tuple(dict.fromkeys(str(line["mode"]) for line in self.lines))

    @property
    def findings(self) -> tuple[str, ...]:
        """Those of the summary, then the line over all of them."""
        names = dict.fromkeys(str(line["finding"]) for line in self.lines)
        single = [name for name in names if name not in (MACRO, POOLED)]
        return (*single, *(name for name in (MACRO, POOLED) if name in names))

    def scored(self, mode: str) -> list[Row]:
        """The rows of this mode that have numbers."""
        return [row for row in self.rows if row["mode"] == mode and row["status"] in SCORED]


def shown_part(rows: Iterable[Row], lines: Iterable[Row], *, model: str, method: str) -> Shown:
    """The rows and lines of this model and method."""

    def own(row: Row) -> bool:
        return row["model"] == model and row["method"] == method

    return Shown(tuple(filter(own, rows)), tuple(filter(own, lines)))
