"""The files of a survey: survey.csv, survey.json and the heat-grid survey.svg."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from annotations.workspace import WorkspaceSettings
from audit_app.audit_job import interval, number
from audit_app.evaluation import STATUSES, Row
from audit_app.metrics.bootstrap import LEVEL, MIN_CLUSTERS
from audit_app.reports.agreement import without_folders
from audit_app.reports.csv_files import write_csv
from audit_app.reports.heat_grid import PRINT, draw_heat_grid
from audit_app.reports.summary import HEADLINES, MACRO, POOLED
from audit_app.reports.whole_files import write_whole
from audit_app.survey_folder import PLAN_FILE, Survey, SurveyCell, title_of_method
from audit_app.survey_plan import SurveyPlan
from model_store.saliency import find_method

TABLE_FILE: Final = "survey.csv"
FIGURE_FILE: Final = "survey.svg"
FILES: Final = (TABLE_FILE, PLAN_FILE, FIGURE_FILE)
CHOSEN: Final = "chosen on this data; never a default"
PACKAGES: Final = ("numpy", "scikit-image")
COLUMNS: Final = (
    "model",
    "mode",
    "method",
    "layer",
    "layer_title",
    "grid_rows",
    "grid_columns",
    "finding",
    "status",
    "reason",
    "n_findings",
    "n_rows",
    "n_scored",
    "n_patients",
    *(f"n_{status}" for status in STATUSES),
    "hit",
    "hit_low",
    "hit_high",
    "chance_hit",
    "lift",
    "iou",
    "iou_low",
    "iou_high",
    "chance_iou",
    "energy_in_box",
    "energy_in_box_low",
    "energy_in_box_high",
    "chance_energy",
    "replicates",
    "seed",
    "note",
    "seconds",
    "best",
)


def write_survey(out: Path, survey: Survey) -> dict[str, Any]:
    """Write table and figure of the finished cells; what ``survey.json`` says of them."""
    rows = survey_rows(survey)
    write_csv(out / TABLE_FILE, COLUMNS, rows)
    write_whole(out / FIGURE_FILE, draw_heat_grid(survey, PRINT))
    return {
        "status": "done" if survey.is_complete else "cancelled",
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "n_cells": survey.n_cells,
        "n_finished": len(survey.cells),
        "seconds": round(sum(cell.seconds for cell in survey.ordered), 3),
        "best": _best_facts(survey),
        "cells": [row for row in rows if row["finding"] in (MACRO, POOLED, None)],
        "made_by": _made_by(survey),
        "files": {
            name: hashlib.sha256((out / name).read_bytes()).hexdigest()
            for name in (TABLE_FILE, FIGURE_FILE)
        },
        "says": describe_survey(survey),
    }


def survey_rows(survey: Survey) -> list[Row]:
    """The rows of survey.csv: of each finished cell its findings, then its macro."""
    return [row for cell in survey.ordered for row in _cell_rows(survey, cell)]


def describe_plan(plan: SurveyPlan, workspace: WorkspaceSettings) -> dict[str, Any]:
    """What is known about a survey before it begins."""
    audit = plan.audit
    return {
        "workspace": workspace.name,
        "synthetic": workspace.synthetic,
        "model": without_folders(plan.entry),
        "head_sha256": plan.head_sha256,
        "methods": {
            name: {
                "title": find_method(name).title,
                "source": find_method(name).source,
                "layer_rule": find_method(name).layer_rule,
                "per_finding": find_method(name).per_finding,
            }
            for name in plan.choices.methods
        },
        "counts": {
            "images": len(audit.images),
            "patients": len(audit.patients),
            "readings": audit.n_readings,
            "readings_with_no_finding": audit.n_no_finding,
        },
        "definitions": {
            "hit, iou, energy_in_box": (
                f"IoU above {plan.choices.threshold:g}; {MACRO}: mean over findings of the mean "
                f"over their rows; {POOLED}: mean over all rows"
            ),
            "chance_hit": "share of the field of view that the boxes cover: a random point's hit",
            "chance_iou": "mean IoU over all circular shifts of the boxes, the identity included",
            "chance_energy": "share of the field of view that the boxes cover: a flat map's energy",
            "grid": "the model's input grid without padding",
            "interval": (
                f"patient-cluster bootstrap, {plan.choices.replicates} replicates, percentile "
                f"{LEVEL:.0%}; none with fewer than {MIN_CLUSTERS} patients"
            ),
            "readings": "last commit" if plan.choices.latest else "first blinded commit",
            "best": f"highest hit rate, then energy, controls left out; {CHOSEN}",
        },
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in PACKAGES},
        },
    }


def describe_survey(survey: Survey) -> list[str]:
    """What a survey says: its best cell with chance and interval, then what makes it doubtful."""
    best = survey.best
    if best is None:
        return [f"{_progress(survey)}. No cell has a scored row."]
    lines = [f"{_progress(survey)}. {describe_best(survey, best)}"]
    low, chance = best.overall["hit_low"], best.overall["chance_hit"]
    if isinstance(low, float) and isinstance(chance, float) and low <= chance:
        lines.append(
            "The best cell's interval reaches down to chance: nothing here is better than luck."
        )
    control = survey.best_control
    if control is not None and (control.hit or 0.0) >= (best.hit or 0.0):
        lines.append(
            f"The control {title_of_method(control.method)} reaches {number(control.hit)} at "
            f"{survey.title_of(control.layer)}, as high as the best: do not trust the maps here."
        )
    n_refused = sum(cell.status == "refused" for cell in survey.ordered)
    if n_refused:
        lines.append(f"{n_refused} cells give no map; their reasons stand in the table.")
    return lines


def describe_best(survey: Survey, best: SurveyCell) -> str:
    """The best cell in a sentence, never without chance, interval and how it was chosen."""
    line = best.overall
    return (
        f"Best of them: {title_of_method(best.method)} at {survey.title_of(best.layer)}, hit rate "
        f"({survey.headline}) {number(line['hit'])} {interval(line, 'hit')}, chance "
        f"{number(line['chance_hit'])}; "
        f"{line['n_scored']} rows of {line['n_patients']} patients ({CHOSEN}). The best of many "
        "is high by selection too: check it on other readings"
    ) + "."


def _progress(survey: Survey) -> str:
    return (
        f"{survey.choices.model}, {survey.choices.mode}: {len(survey.cells)} of {survey.n_cells} "
        "cells finished"
    )


def _cell_rows(survey: Survey, cell: SurveyCell) -> list[Row]:
    layer = next(one for one in survey.layers if one.path == cell.layer)
    fixed: Row = {
        "model": survey.choices.model,
        "mode": survey.choices.mode,
        "method": cell.method,
        "layer": cell.layer,
        "layer_title": layer.title,
        "grid_rows": layer.grid[0],
        "grid_columns": layer.grid[1],
        "status": cell.status,
        "reason": cell.reason,
        "seconds": round(cell.seconds, 3),
        "best": CHOSEN if cell is survey.best else "",
    }
    empty: Row = dict.fromkeys(COLUMNS)
    if not cell.lines:
        return [empty | fixed]
    return [empty | _numbers(line) | fixed for line in cell.lines]


def _numbers(line: Mapping[str, object]) -> Row:
    known = {name: value for name, value in line.items() if name in COLUMNS}
    return known | {
        "chance_iou": line["shift_null_iou"],
        "chance_energy": line["chance_hit"],
    }


def _best_facts(survey: Survey) -> dict[str, Any] | None:
    best = survey.best
    if best is None:
        return None
    names = ("chance_hit", "n_scored", "n_patients", "note")
    ends = [f"{name}{suffix}" for name in HEADLINES for suffix in ("", "_low", "_high")]
    return {
        "method": best.method,
        "layer": best.layer,
        "label": CHOSEN,
        "over": survey.headline,
        **{name: best.overall[name] for name in (*ends, *names)},
    }


def _made_by(survey: Survey) -> dict[str, Any]:
    """By "method layer", what the model said about how the maps were made."""
    return {
        f"{cell.method} {cell.layer}": without_folders(cell.made_by)
        for cell in survey.ordered
        if cell.made_by
    }
