"""All numbers of one mode under one preset, from its answers alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotations.findings import DOMAINS
from audit_app.evaluator.answers import STUDY, Answers, Decision, decide
from audit_app.metrics.bootstrap import Interval, cluster_bootstrap
from audit_app.metrics.calibration import probabilities_of, reliability_curve
from audit_app.metrics.classification import (
    DomainMetrics,
    MultilabelMetrics,
    domain_columns,
    domain_metrics,
    multilabel_metrics,
)
from audit_app.metrics.classification_intervals import (
    RATES,
    ClassificationIntervals,
    RateIntervals,
    classification_intervals,
    decided_table,
)
from audit_app.metrics.pauses import Pause, no_pause
from audit_app.metrics.separation import pair_separation, study_separation, unit_length

Row = dict[str, object]
LENGTHS: Final = ("", "_l2")
LOGIT: Final = "logit"
ALL: Final = "all findings"
NO_PROBABILITY: Final = "a similarity is no probability: it has no reliability curve"


@dataclass(frozen=True, eq=False)
class Reference:
    """What answers are held against, and how often is drawn.

    Attributes:
        findings: K names.
        labels: Shape (N, K), of the test pictures.
        validation_labels: Shape (V, K).
        patients: N keyed hashes, of the test pictures.
        replicates: Of each bootstrap.
        permutations: Of the pair formula's p-value.
        seed: Of both.
    """

    findings: tuple[str, ...]
    labels: NDArray[np.uint8]
    validation_labels: NDArray[np.uint8]
    patients: Sequence[str]
    replicates: int
    permutations: int
    seed: int

    @property
    def draws(self) -> dict[str, int]:
        """Of each bootstrap, as its arguments."""
        return {"replicates": self.replicates, "seed": self.seed}


@dataclass(frozen=True, eq=False)
class Measured:
    """The numbers of one mode under one preset.

    Attributes:
        row: Of the table of three modes.
        per_finding: One row per finding.
        per_domain: One row per domain.
        histogram: How many test pictures have 0, 1, 2 ... predicted findings.
        calibration: Reliability curve and error as JSON values; a reason where there is none.
        decision: Which findings count as present.
    """

    row: Row
    per_finding: list[Row]
    per_domain: list[Row]
    histogram: list[int]
    calibration: dict[str, object]
    decision: Decision


def measure(answers: Answers, reference: Reference, pause: Pause = no_pause) -> Measured:
    """Every number of these answers.

    Args:
        answers: Of one mode under one preset.
        reference: What they are held against.
        pause: Every few seconds at most, however many pictures there are.
    """
    decision = decide(answers.preset, reference.validation_labels, answers.validation, answers.test)
    metrics = multilabel_metrics(reference.labels, answers.test, decision.predictions)
    columns = domain_columns(reference.findings, DOMAINS)
    domains = {name: members for name, members in columns.items() if members}
    intervals = classification_intervals(
        decided_table(reference.labels, answers.test, decision.predictions, reference.patients),
        domains | {ALL: tuple(range(len(reference.findings)))},
        **reference.draws,
        pause=pause,
    )
    named: Row = {"preset": answers.preset, "mode": answers.mode, "rule": decision.rule}
    calibration = calibration_of(answers, reference)
    counts = np.bincount(decision.predictions.sum(axis=1), minlength=len(reference.findings) + 1)
    row = {
        **named,
        "score": answers.score,
        "n_images": metrics.n_images,
        "n_patients": len(set(reference.patients)),
        **separation_cells(answers.preset, answers.embeddings, reference, pause),
        **_table_cells(metrics, decision, intervals, reference),
        "labels_per_image": metrics.labels_per_image,
        "predictions_per_image": metrics.predictions_per_image,
        "ece": calibration.get("ece"),
        "minutes": answers.minutes,
        "seconds_per_image": answers.seconds_per_image,
    }
    together = domain_metrics(metrics.per_finding, domains)
    return Measured(
        row=row,
        per_finding=_finding_rows(named, metrics, intervals, (reference.findings, decision)),
        per_domain=[
            _domain_row(named, name, one, intervals.domains[name]) for name, one in together.items()
        ],
        histogram=[int(count) for count in counts],
        calibration=calibration,
        decision=decision,
    )


def calibration_of(answers: Answers, reference: Reference) -> dict[str, object]:
    """The reliability curve over all findings and its error; a reason where there is none."""
    if answers.score != LOGIT:
        return {"reason": NO_PROBABILITY}
    found = reliability_curve(reference.labels.ravel(), probabilities_of(answers.test).ravel())
    return {"ece": found.ece, "bins": [asdict(one) for one in found.bins]}


def separation_cells(
    preset: str, embeddings: NDArray[np.float32], reference: Reference, pause: Pause = no_pause
) -> Row:
    """inter, intra and ratio by the preset's formula, raw and (``_l2``) at unit length."""
    cells: Row = {"separation": separation_name(preset)}
    for suffix in LENGTHS:
        points = points_of(embeddings, suffix)
        found = (
            _study_cells(points, reference)
            if preset == STUDY
            else _pair_cells(points, reference, pause)
        )
        cells |= {f"{name}{suffix}": value for name, value in found.items()}
    return cells


def separation_name(preset: str) -> str:
    """The preset's formula, in words."""
    return "study formula" if preset == STUDY else "pair formula"


def points_of(embeddings: NDArray[np.float32], suffix: str) -> NDArray[np.float64]:
    """What the distances of the columns with this suffix of ``LENGTHS`` lie between."""
    return unit_length(embeddings) if suffix else embeddings.astype(np.float64)


def _study_cells(points: NDArray[np.float64], reference: Reference) -> Row:
    found = study_separation(points, reference.labels)
    nothing = dict.fromkeys(("ratio_low", "ratio_high", "ratio_p"))
    return {"inter": found.inter, "intra": found.intra, "ratio": found.ratio, **nothing}


def _pair_cells(points: NDArray[np.float64], reference: Reference, pause: Pause) -> Row:
    found = pair_separation(
        points,
        reference.labels,
        patients=reference.patients,
        permutations=reference.permutations,
        **reference.draws,
        pause=pause,
    )
    interval = found.interval
    return {
        "inter": found.inter,
        "intra": found.intra,
        "ratio": found.ratio,
        "ratio_low": interval.low if interval else None,
        "ratio_high": interval.high if interval else None,
        "ratio_p": found.p_value,
    }


def _table_cells(
    metrics: MultilabelMetrics,
    decision: Decision,
    intervals: ClassificationIntervals,
    reference: Reference,
) -> Row:
    """F1, exact match, LRAP and coverage error; intervals over patients for the first two."""
    interval = intervals.domains[ALL]["f1"]
    # A finding without positives counts 0 in the study's macro, in every replicate as well.
    share = sum(one.support > 0 for one in metrics.per_finding) / len(reference.findings)
    bounds = (interval.low, interval.high) if interval else (None, None)
    low, high = (None if bound is None else bound * share for bound in bounds)
    right = (reference.labels == decision.predictions).all(axis=1).astype(np.float64)
    exact = cluster_bootstrap(
        right, list(reference.patients), replicates=reference.replicates, seed=reference.seed
    )
    return {
        "f1": metrics.f1,
        "f1_low": low,
        "f1_high": high,
        **interval_cells("exact_match", exact),
        "lrap": metrics.lrap,
        "coverage_error": metrics.coverage_error,
    }


def _finding_rows(
    named: Row,
    metrics: MultilabelMetrics,
    intervals: ClassificationIntervals,
    what: tuple[tuple[str, ...], Decision],
) -> list[Row]:
    findings, decision = what
    rows = []
    for column, (finding, one) in enumerate(zip(findings, metrics.per_finding, strict=True)):
        threshold = decision.thresholds[column] if decision.thresholds else None
        rows.append(
            {
                **named,
                "finding": finding,
                "support": one.support,
                "predicted": one.predicted,
                "threshold": threshold.value if threshold else None,
                **_rate_cells(intervals.findings[column]),
                "note": _note(one.support, threshold.note if threshold else ""),
            }
        )
    return rows


def _domain_row(named: Row, domain: str, metrics: DomainMetrics, intervals: RateIntervals) -> Row:
    return {
        **named,
        "domain": domain,
        "n_findings": metrics.n_findings,
        "n_with_positive": metrics.n_with_positive,
        "support": metrics.support,
        "predicted": metrics.predicted,
        **_rate_cells(intervals),
        "note": _note(metrics.support, ""),
    }


def _rate_cells(intervals: RateIntervals) -> Row:
    cells: Row = {}
    for rate in RATES:
        cells |= interval_cells(rate, intervals[rate])
    return cells


def interval_cells(name: str, interval: Interval | None) -> Row:
    """Three cells of a table: the number and its bounds; None where there is none."""
    if interval is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _note(support: int, threshold_note: str) -> str:
    notes = [] if support else ["no positive test picture"]
    return "; ".join([*notes, *([threshold_note] if threshold_note else [])])


def distance_difference(first: Row, second: Row) -> float:
    """The largest relative difference between the distances of two modes."""
    worst = 0.0
    for name in ("inter", "intra", "inter_l2", "intra_l2"):
        one, other = first[name], second[name]
        if isinstance(one, float) and isinstance(other, float) and one:
            worst = max(worst, abs(one - other) / abs(one))
    return worst
