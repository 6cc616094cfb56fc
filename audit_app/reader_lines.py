"""The lines of readers.csv: one layout for kappas, overlaps and shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from audit_app.evaluation import Row
from audit_app.metrics.kappa import Kappa
from audit_app.metrics.mean_draws import draw_means
from audit_app.reports.summary import bounds, patient_of_row

ALL_FINDINGS: Final = "all findings"
READER_COLUMNS: Final = (
    "run_id",
    "measure",
    "finding",
    "first",
    "second",
    "model",
    "mode",
    "method",
    "n_images",
    "n_patients",
    "n",
    "value",
    "low",
    "high",
    "observed",
    "expected",
    "prevalence",
    "note",
)


def blank_line(measure: str, finding: str, note: str) -> Row:
    """A line without a number, and why."""
    line: Row = dict.fromkeys(READER_COLUMNS[1:])
    line |= {"measure": measure, "finding": finding, "first": "", "second": "", "note": note}
    return line


def kappa_line(measure: str, finding: str, kappa: Kappa) -> Row:
    """The line of one kappa with the two numbers that it hangs on."""
    return blank_line(measure, finding, kappa.note) | {
        "n_images": kappa.n_images,
        "n": kappa.n_images,
        "value": kappa.kappa,
        "observed": kappa.observed,
        "expected": kappa.expected,
        "prevalence": kappa.prevalence,
    }


def share_line(
    measure: str, rows: Sequence[Row], values: Sequence[float], draws: Mapping[str, int]
) -> Row:
    """The line of a share over rows, with its interval over patients."""
    line = blank_line(measure, ALL_FINDINGS, "n/a: no region moved")
    if not rows:
        return line
    patients = [patient_of_row(row) for row in rows]
    interval = draw_means(np.array(values)[:, None], patients, groups=None, **draws).interval(0)
    line |= {"n": len(rows), "note": interval.note, **places_of(rows)}
    return line | value_cells(bounds("value", interval))


def places_of(rows: Sequence[Row]) -> Row:
    """How many images and patients these rows have."""
    return {
        "n_images": len({row["image_id"] for row in rows}),
        "n_patients": len({patient_of_row(row) for row in rows}),
    }


def value_cells(cells: Row) -> Row:
    """The number and its bounds under the names of readers.csv."""
    return {"value": cells["value"], "low": cells["value_low"], "high": cells["value_high"]}
