"""``predictions.csv``: what every mode says about each validation and test picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from audit_app.evaluator.answers import Answers, Decision
from audit_app.evaluator.measures import Row
from audit_app.evaluator.plan import EvaluationPlan
from audit_app.evaluator.result import LABEL_PREFIX, PREDICTED_PREFIX, SCORE_PREFIX
from audit_app.metrics.pauses import Pause, no_pause


def prediction_columns(findings: Sequence[str]) -> list[str]:
    """The header of ``predictions.csv``."""
    prefixes = (SCORE_PREFIX, LABEL_PREFIX, PREDICTED_PREFIX)
    tables = [f"{prefix}{finding}" for prefix in prefixes for finding in findings]
    fixed = ["preset", "mode", "rule", "label_source", "image_id", "patient", "part"]
    return [*fixed, *tables]


def prediction_rows(
    plan: EvaluationPlan,
    answered: Mapping[tuple[str, str], tuple[Answers, Decision]],
    pause: Pause = no_pause,
) -> Iterator[Row]:
    """Each validation and test picture under each preset and mode, with a pause after each part."""
    for (preset, mode), (answers, decided) in answered.items():
        for part, scores in (("validation", answers.validation), ("test", answers.test)):
            predictions = decided.predictions if part == "test" else decided.of_validation
            for place, row in enumerate(plan.rows(part)):
                yield {
                    "preset": preset,
                    "mode": mode,
                    "rule": decided.rule,
                    "label_source": plan.label_source,
                    "image_id": plan.images[row].image_id,
                    "patient": plan.patients[row],
                    "part": part,
                    **_cells(SCORE_PREFIX, plan.findings, _digits(scores[place])),
                    **_cells(LABEL_PREFIX, plan.findings, plan.labels[row].tolist()),
                    **_cells(PREDICTED_PREFIX, plan.findings, predictions[place].tolist()),
                }
            pause(f"{mode} ({preset}), {part} pictures")


def _cells(prefix: str, findings: Sequence[str], values: Sequence[object]) -> Row:
    return {f"{prefix}{name}": value for name, value in zip(findings, values, strict=True)}


def _digits(scores: NDArray[np.float32]) -> list[float]:
    """As few digits as give the same float32 again."""
    return [float(str(value)) for value in scores]
