"""Multi-label classification: decisions, and how good they are (definitions.md, section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit_app.metrics.label_ranking import label_ranking
from audit_app.metrics.label_table import (
    BoolTable,
    check_same_shape,
    checked_labels,
    checked_scores,
)
from audit_app.metrics.ranking import area_under_roc, average_precision

STUDY_RULE: Final = "scores of each image scaled to 0 ... 1, positive above 0.5"


@dataclass(frozen=True, slots=True)
class FindingMetrics:
    """One finding over all images; the rates are None where the finding has no positive.

    Attributes:
        support: Images that have the finding.
        predicted: Images that are predicted to have it.
        precision: 0.0 where it has positives and none is predicted.
        recall: Share of its positives that are predicted.
        f1: Of precision and recall.
        auroc: None as well where every image has the finding.
        average_precision: By score.
    """

    support: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None
    auroc: float | None
    average_precision: float | None


@dataclass(frozen=True, slots=True)
class DomainMetrics:
    """Several findings together: sums of the counts, means of the rates that are defined.

    Attributes:
        n_findings: Findings of the domain in the table.
        n_with_positive: Of these, those that have a positive; the rates are means over them.
        support: Positives of all its findings.
        predicted: Predicted positives of all its findings.
        precision: Mean over its findings; None where none has a positive. So are the others.
        recall: As precision.
        f1: As precision.
        auroc: As precision, over findings that also have a negative.
        average_precision: As precision.
    """

    n_findings: int
    n_with_positive: int
    support: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None
    auroc: float | None
    average_precision: float | None


@dataclass(frozen=True, slots=True)
class MultilabelMetrics:
    """A whole table of decisions.

    Attributes:
        n_images: Rows.
        f1: Macro over all findings; a finding without positives and predictions counts 0, as in
            the study (``zero_division=0``).
        exact_match: Share of images of which every finding is decided right.
        lrap: Label ranking average precision.
        coverage_error: How far down the ranking all findings of an image are found.
        labels_per_image: Mean number of findings that an image has.
        predictions_per_image: Mean number that is predicted.
        per_finding: In the columns' order.
    """

    n_images: int
    f1: float
    exact_match: float
    lrap: float
    coverage_error: float
    labels_per_image: float
    predictions_per_image: float
    per_finding: tuple[FindingMetrics, ...]


def study_decision(scores: ArrayLike) -> BoolTable:
    """The study's rule: the scores of each image scaled to 0 ... 1, positive above 0.5.

    Args:
        scores: Shape (N, K), finite.

    Returns:
        Shape (N, K). The highest score of an image is always positive, the lowest never; an image
        whose scores are all equal has no scale and nothing is predicted.

    Raises:
        ValueError: If the shape is another one or a score is not finite.
    """
    values = checked_scores(scores)
    low = values.min(axis=1, keepdims=True)
    span = values.max(axis=1, keepdims=True) - low
    scaled = np.divide(values - low, span, out=np.zeros_like(values), where=span > 0)
    decision: BoolTable = scaled > 0.5
    return decision


def multilabel_metrics(
    labels: ArrayLike, scores: ArrayLike, predictions: ArrayLike
) -> MultilabelMetrics:
    """How good the decisions and the scores behind them are.

    Args:
        labels: Shape (N, K).
        scores: Shape (N, K), finite, any scale; higher says more of the finding.
        predictions: Shape (N, K), what a named rule made of the scores.

    Raises:
        ValueError: If a table has another shape or holds other values.
    """
    table, values = checked_labels(labels), checked_scores(scores)
    predicted = checked_labels(predictions, "predictions")
    check_same_shape(labels=table, scores=values, predictions=predicted)
    per_finding = tuple(
        _finding(table[:, column], values[:, column], predicted[:, column])
        for column in range(table.shape[1])
    )
    ranking = label_ranking(table, values)
    return MultilabelMetrics(
        n_images=len(table),
        f1=float(np.mean([one.f1 or 0.0 for one in per_finding])),
        exact_match=float(np.mean((table == predicted).all(axis=1))),
        lrap=ranking.lrap,
        coverage_error=ranking.coverage_error,
        labels_per_image=float(table.sum(axis=1).mean()),
        predictions_per_image=float(predicted.sum(axis=1).mean()),
        per_finding=per_finding,
    )


def domain_metrics(
    per_finding: Sequence[FindingMetrics], domains: Mapping[str, Sequence[int]]
) -> dict[str, DomainMetrics]:
    """The findings' metrics taken together by domain.

    Args:
        per_finding: As ``multilabel_metrics`` gives them.
        domains: By name the columns that belong to it; a domain without columns is left out.
    """
    return {
        name: _domain([per_finding[column] for column in columns])
        for name, columns in domains.items()
        if columns
    }


def domain_columns(
    findings: Sequence[str], domains: Mapping[str, Sequence[str]]
) -> dict[str, tuple[int, ...]]:
    """The columns of each domain among these findings, in their order.

    Args:
        findings: The columns' names.
        domains: By name the findings that belong to it, in the table or not.
    """
    return {
        name: tuple(column for column, finding in enumerate(findings) if finding in members)
        for name, members in domains.items()
    }


def _finding(
    labels: NDArray[np.bool_], scores: NDArray[np.float64], predicted: NDArray[np.bool_]
) -> FindingMetrics:
    n_positive, n_predicted = int(np.count_nonzero(labels)), int(np.count_nonzero(predicted))
    if n_positive == 0:
        return FindingMetrics(0, n_predicted, None, None, None, None, None)
    n_both = int(np.count_nonzero(labels & predicted))
    return FindingMetrics(
        support=n_positive,
        predicted=n_predicted,
        precision=n_both / n_predicted if n_predicted else 0.0,
        recall=n_both / n_positive,
        f1=2 * n_both / (n_positive + n_predicted),
        auroc=area_under_roc(scores[labels], scores[~labels]),
        average_precision=average_precision(labels, scores),
    )


def _domain(members: Sequence[FindingMetrics]) -> DomainMetrics:
    return DomainMetrics(
        n_findings=len(members),
        n_with_positive=sum(one.support > 0 for one in members),
        support=sum(one.support for one in members),
        predicted=sum(one.predicted for one in members),
        precision=_mean([one.precision for one in members]),
        recall=_mean([one.recall for one in members]),
        f1=_mean([one.f1 for one in members]),
        auroc=_mean([one.auroc for one in members]),
        average_precision=_mean([one.average_precision for one in members]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
