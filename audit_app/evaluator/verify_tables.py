"""Do the tables of an evaluation follow from its predictions and embeddings?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audit_app.evaluator.answers import Answers
from audit_app.evaluator.explorer import layout_problems, read_layout
from audit_app.evaluator.measures import Measured, Reference, distance_difference, measure
from audit_app.evaluator.nulls import null_rows
from audit_app.evaluator.outputs import TABLE_COLUMNS
from audit_app.evaluator.published import PUBLISHED
from audit_app.evaluator.result import (
    LAYOUT,
    PER_DOMAIN,
    PER_FINDING,
    TABLE_CSV,
    TABLE_JSON,
    EvaluationResult,
    PredictionTable,
    Row,
)
from audit_app.metrics.pauses import Pause, no_pause
from audit_app.verification import Findings, is_same

TOLERANCE: Final = 1e-9
NAMES: Final = ("preset", "mode", "finding", "domain")

Key = tuple[str, str]
# What it is, as the file has it, as it is recomputed.
Compared = tuple[str, Row, Row]


def check_tables(result: EvaluationResult, findings: Findings, pause: Pause = no_pause) -> None:
    """Recompute every number of the tables from predictions.csv and embeddings.npz."""
    embeddings = result.embeddings()
    problems: list[str] = []
    answered: dict[Key, Answers] = {}
    measured: dict[Key, Measured] = {}
    for row in result.rows:
        key = (row["preset"], row["mode"])
        table = result.predictions(*key)
        answered[key] = answers_of(row, table, embeddings[key[1]])
        measured[key] = measure(answered[key], reference_of(result, table), pause)
        problems += _wrong_decisions(row, table, measured[key])
    compared = [
        *_measured(result, measured),
        *_grey(result, answered, pause),
        *_beside(result, measured),
        *_paired(TABLE_CSV, result.table_rows, _all_rows(result)),
    ]
    for one in compared:
        problems += _differences(*one)
    towers = {result.table["embeddings"][mode]: values for mode, values in embeddings.items()}
    problems += layout_problems(read_layout(result.folder / LAYOUT), towers)
    findings.add(
        f"{sum(len(again) for *_, again in compared)} cells and the map follow from predictions "
        "and embeddings",
        problems,
    )


def answers_of(row: Row, table: PredictionTable, embeddings: NDArray[np.float32]) -> Answers:
    """What a mode said, as predictions.csv and embeddings.npz have it."""
    return Answers(
        preset=row["preset"],
        mode=row["mode"],
        score=row["score"],
        validation=table.of("validation").scores,
        test=table.of("test").scores,
        embeddings=embeddings,
        minutes=row["minutes"],
        seconds_per_image=row["seconds_per_image"],
    )


def reference_of(result: EvaluationResult, table: PredictionTable) -> Reference:
    """The labels of predictions.csv, and the draws that the provenance tells of."""
    choices = result.provenance["choices"]
    test = table.of("test")
    return Reference(
        findings=result.findings,
        labels=test.labels,
        validation_labels=table.of("validation").labels,
        patients=test.patients,
        replicates=choices["replicates"],
        permutations=choices["permutations"],
        seed=choices["seed"],
    )


def _measured(result: EvaluationResult, measured: Mapping[Key, Measured]) -> Iterator[Compared]:
    yield from _paired(TABLE_JSON, result.rows, [one.row for one in measured.values()])
    for file, written, name in (
        (PER_FINDING, result.per_finding, "per_finding"),
        (PER_DOMAIN, result.per_domain, "per_domain"),
    ):
        again = [row for one in measured.values() for row in getattr(one, name)]
        yield from _paired(file, written, again)


def _grey(
    result: EvaluationResult, answered: Mapping[Key, Answers], pause: Pause
) -> Iterator[Compared]:
    first = result.predictions(*next(iter(answered)))
    again = null_rows(
        answered.values(),
        reference_of(result, first),
        draws=result.provenance["choices"]["null_draws"],
        pause=pause,
    )
    yield from _paired(TABLE_JSON, result.table["nulls"], again)


def _beside(result: EvaluationResult, measured: Mapping[Key, Measured]) -> Iterator[Compared]:
    """What three_modes.json holds beside its rows."""
    for (preset, mode), one in measured.items():
        for name, again in (("histograms", one.histogram), ("calibration", one.calibration)):
            written = result.table[name].get(f"{preset} {mode}")
            what = f"{TABLE_JSON}: {preset} {mode}"
            yield what, dict(_leaves(name, written)), dict(_leaves(name, again))
    keys = [(result.presets[0], mode) for mode in ("zs", "lp")]
    if all(key in measured for key in keys):
        distance = distance_difference(*(measured[key].row for key in keys))
        written = result.table["distance_check"] or {}
        yield "distance_check", written, {"relative_difference": distance}


def _all_rows(result: EvaluationResult) -> list[Row]:
    """The rows of three_modes.csv, in its order."""
    published = [
        {"kind": "published", "preset": "published", "mode": mode, **PUBLISHED[mode]}
        for mode in result.modes
        if mode in PUBLISHED
    ]
    rows = [*result.rows, *result.table["nulls"], *published]
    names = [name for name in TABLE_COLUMNS if name != "label_source"]
    return [{name: row.get(name) for name in names} for row in rows]


def _paired(file: str, written: Sequence[Row], again: Sequence[Row]) -> Iterator[Compared]:
    """Rows in their order; one that is not in the file has no cells there."""
    for number, row in enumerate(again):
        what = " ".join(str(row[name]) for name in NAMES if name in row)
        grey = ", grey row" if row.get("kind") == "null" else ""
        yield f"{file}: {what}{grey}", written[number] if number < len(written) else {}, row


def _leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    """The single values of nested JSON, each with the way to it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(f"{name} {key}", item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _leaves(f"{name} {number}", item)
    else:
        yield name, value


def _wrong_decisions(row: Row, table: PredictionTable, measured: Measured) -> list[str]:
    decision = measured.decision
    expected = {"test": decision.predictions, "validation": decision.of_validation}
    return [
        f"{row['preset']} {row['mode']}: {wrong} predictions of {part} pictures do not follow from "
        "their scores"
        for part, predictions in expected.items()
        if (wrong := int((table.of(part).predictions != predictions).sum()))
    ]


def _differences(what: str, written: Row, again: Row) -> list[str]:
    return [
        f"{what}: {name} is {written.get(name)} in the table, {again[name]} recomputed"
        for name in again
        if not is_same(written.get(name), again[name], tolerance=TOLERANCE)
    ]
