"""The folder of one survey: its plan, and a file per finished cell, so that none is done twice."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from annotations.exports.exporter import unfinished_file
from audit_app.errors import AuditError
from audit_app.evaluation import Row
from audit_app.reports.agreement import prepare_folder
from audit_app.reports.summary import MACRO, POOLED
from audit_app.survey_plan import CONTROLS, SurveyChoices, SurveyPlan
from model_store.saliency import find_method
from model_store.saliency.methods import LayerChoice

PLAN_FILE: Final = "survey.json"
CELLS: Final = "cells"
FORMAT: Final = "saliency-audit-survey-2"
CellStatus = Literal["done", "refused"]


@dataclass(frozen=True, slots=True)
class SurveyCell:
    """One method at one layer.

    Attributes:
        method: Name of the method.
        layer: Path of the layer.
        status: ``refused``: this method gives no map at this layer, for the ``reason``.
        reason: "" when it is done.
        seconds: That it took.
        lines: One per finding, the macro over them, then all regions pooled; none when refused.
        made_by: What the model said about how its maps were made.
        headline: Which of the lines over all findings its survey reports.
    """

    method: str
    layer: str
    status: CellStatus
    reason: str
    seconds: float
    lines: tuple[Row, ...] = ()
    made_by: Mapping[str, Any] | None = None
    headline: str = MACRO

    @property
    def overall(self) -> Row:
        """The line over all findings that the survey reports; {} when refused."""
        return next((line for line in self.lines if line["finding"] == self.headline), {})

    @property
    def hit(self) -> float | None:
        """The hit rate over all findings; None when nothing was scored."""
        value = self.overall.get("hit")
        return value if isinstance(value, float) else None

    @property
    def is_control(self) -> bool:
        """Whether its maps owe nothing to the model."""
        return self.method in CONTROLS


@dataclass(frozen=True, slots=True)
class Survey:
    """A survey as far as it is.

    Attributes:
        facts: What ``survey.json`` says.
        choices: Of the survey.
        layers: From the input on.
        cells: The finished ones, by (method, path of the layer).
        headline: ``MACRO``, or ``POOLED`` where too many resamples lack a finding for the macro to
            have an interval.
    """

    facts: Mapping[str, Any]
    choices: SurveyChoices
    layers: tuple[LayerChoice, ...]
    cells: Mapping[tuple[str, str], SurveyCell]
    headline: str = MACRO

    @property
    def n_cells(self) -> int:
        """Finished or not."""
        return len(self.choices.methods) * len(self.layers)

    @property
    def is_complete(self) -> bool:
        """Whether every cell is finished."""
        return len(self.cells) == self.n_cells

    @property
    def ordered(self) -> list[SurveyCell]:
        """The finished cells, method by method and layer by layer."""
        places = [(m, layer.path) for m in self.choices.methods for layer in self.layers]
        return [self.cells[place] for place in places if place in self.cells]

    @property
    def best(self) -> SurveyCell | None:
        """The cell with the highest hit rate, then energy; controls cannot be it."""
        scored = [cell for cell in self.ordered if cell.hit is not None and not cell.is_control]
        return max(scored, key=_rank, default=None)

    @property
    def best_control(self) -> SurveyCell | None:
        """The control's cell with the highest hit rate."""
        scored = [cell for cell in self.ordered if cell.hit is not None and cell.is_control]
        return max(scored, key=_rank, default=None)

    def title_of(self, layer: str) -> str:
        """What the page calls this layer."""
        return next((one.title for one in self.layers if one.path == layer), layer)


class SurveyFolder:
    """Where one survey is kept while it runs and afterwards."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, plan: SurveyPlan, described: Mapping[str, Any]) -> None:
        """Write the plan, unless the same survey was begun here before.

        Args:
            plan: Of the survey.
            described: What else ``survey.json`` shall say.

        Raises:
            AuditError: If the folder holds a survey of something else, or cannot be written to.
        """
        prepare_folder(self.path / CELLS)
        known = self._facts()
        if known is not None and known.get("fingerprint") != plan.fingerprint:
            raise AuditError(
                f"the folder {self.path} holds a survey of other choices, readings, images or of "
                "another model; choose another folder, so that all cells speak of the same state"
            )
        if known is None:
            facts = {
                "format": FORMAT,
                "status": "running",
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "fingerprint": plan.fingerprint,
                "choices": plan.choices.to_dict(),
                "layers": [asdict(layer) for layer in plan.layers],
                **described,
            }
            write_json(self.path / PLAN_FILE, facts)

    def keep(self, number: int, cell: SurveyCell) -> None:
        """Keep a finished cell; ``number`` is that of its layer."""
        write_json(self.path / CELLS / f"{cell.method}-{number:03d}.json", asdict(cell))

    def conclude(self, facts: Mapping[str, Any]) -> None:
        """Add these facts to ``survey.json``."""
        write_json(self.path / PLAN_FILE, {**(self._facts() or {}), **facts})

    def read(self) -> Survey | None:
        """The survey as far as it is; None when none was begun here.

        Raises:
            UnknownMethod: If it has a method that this version does not know.
        """
        facts = self._facts()
        if facts is None:
            return None
        layers = tuple(_layer(one) for one in facts["layers"])
        cells = [_cell(path) for path in sorted((self.path / CELLS).glob("*.json"))]
        headline = _headline(cells)
        return Survey(
            facts,
            SurveyChoices.from_dict(facts["choices"]),
            layers,
            {(c.method, c.layer): replace(c, headline=headline) for c in cells},
            headline,
        )

    def _facts(self) -> dict[str, Any] | None:
        try:
            facts: dict[str, Any] = json.loads((self.path / PLAN_FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return facts


def title_of_method(method: str) -> str:
    """What people call this method."""
    return find_method(method).title


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write the file as a whole or not at all, on the disk when this returns."""
    with unfinished_file(path) as part, part.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False, default=str)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def _headline(cells: Sequence[SurveyCell]) -> str:
    """One for all cells, to be compared: pooled only where no macro has an interval."""
    scored = [line for cell in cells for line in cell.lines if line["hit"] is not None]
    with_interval = {line["finding"] for line in scored if line["hit_low"] is not None}
    return POOLED if MACRO not in with_interval and POOLED in with_interval else MACRO


def _rank(cell: SurveyCell) -> tuple[float, float]:
    energy = cell.overall.get("energy_in_box")
    return (cell.hit or 0.0, energy if isinstance(energy, float) else 0.0)


def _layer(values: Mapping[str, Any]) -> LayerChoice:
    rows, columns = values["grid"]
    return LayerChoice(values["path"], values["title"], (rows, columns), values["is_default"])


def _cell(path: Path) -> SurveyCell:
    values = json.loads(path.read_text(encoding="utf-8"))
    return SurveyCell(**{**values, "lines": tuple(values["lines"])})
