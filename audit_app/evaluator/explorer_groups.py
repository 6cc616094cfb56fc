"""Which group each test picture belongs to: what the embedding explorer colours by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotations.findings import DOMAINS, NO_FINDING
from audit_app.errors import AuditError
from audit_app.metrics.classification import domain_columns

Table = NDArray[np.uint8]
COLOURINGS: Final[Mapping[str, str]] = {
    "finding": "Finding",
    "normal": "Normal / abnormal",
    "domain": "Domain",
    "decision": "Predicted / true",
}
NORMAL: Final = "normal"
ABNORMAL: Final = "abnormal"
UNLABELLED: Final = "no positive label"
SEVERAL: Final = "several domains"
OTHER_DOMAIN: Final = "other findings"
NO_DOMAIN: Final = "none"
# A finding's four outcomes; of all findings together, the same four by what a picture has.
OUTCOMES: Final = ("predicted and true", "missed", "predicted, not true", "neither")
OUTCOMES_OF_ALL: Final = ("all right", "some missed", "some too many", "some missed, some too many")


@dataclass(frozen=True, eq=False)
class Groups:
    """The group of each picture.

    Attributes:
        names: Of the groups, in the order of the legend.
        rows: N places in ``names``.
    """

    names: tuple[str, ...]
    rows: NDArray[np.intp]

    def members(self, group: int) -> NDArray[np.intp]:
        """The pictures of a group."""
        return np.flatnonzero(self.rows == group)


def group_pictures(
    colouring: str, finding: str | None, findings: Sequence[str], labels: Table, predicted: Table
) -> Groups:
    """The groups that a colouring makes.

    Args:
        colouring: A key of ``COLOURINGS``.
        finding: One of the findings, or None for all; ``normal`` and ``domain`` read all anyway.
        findings: K names.
        labels: Shape (N, K).
        predicted: Shape (N, K), of one mode.

    Raises:
        AuditError: If the colouring or the finding is unknown.
    """
    if finding is not None and finding not in findings:
        raise AuditError(f"finding '{finding}' is not one of {', '.join(findings)}; choose one")
    column = None if finding is None else list(findings).index(finding)
    if colouring == "finding":
        if finding is None or column is None:
            return by_finding(findings, labels)
        return _having(finding, labels[:, column])
    if colouring == "normal":
        return by_normality(findings, labels)
    if colouring == "domain":
        return by_domain(findings, labels)
    if colouring == "decision":
        return by_outcome(labels, predicted, column)
    raise AuditError(f"pictures cannot be coloured by '{colouring}'; {', '.join(COLOURINGS)} can")


def by_finding(findings: Sequence[str], labels: Table) -> Groups:
    """The first positive finding in the order of the table, as the study's distances take it."""
    first = np.where(labels.any(axis=1), labels.argmax(axis=1), len(findings))
    return Groups((*findings, UNLABELLED), first.astype(np.intp))


def by_normality(findings: Sequence[str], labels: Table) -> Groups:
    """Normal where "No Finding" says so, or where it is no finding of the set and none is there."""
    others = [column for column, name in enumerate(findings) if name != NO_FINDING]
    ill = labels[:, others].any(axis=1)
    rows = np.where(ill, 1, 2).astype(np.intp)
    said = labels[:, list(findings).index(NO_FINDING)] > 0 if NO_FINDING in findings else ~ill
    rows[said & ~ill] = 0
    return Groups((NORMAL, ABNORMAL, UNLABELLED), rows)


def by_domain(findings: Sequence[str], labels: Table) -> Groups:
    """The one domain of all positive findings of a picture."""
    domains = {name: list(c) for name, c in domain_columns(findings, DOMAINS).items() if c}
    spoken_for = {column for columns in domains.values() for column in columns}
    rest = [
        column
        for column, name in enumerate(findings)
        if column not in spoken_for and name != NO_FINDING
    ]
    if rest:
        domains[OTHER_DOMAIN] = rest
    none, several = len(domains), len(domains) + 1
    rows = np.full(len(labels), none, dtype=np.intp)
    for place, columns in enumerate(domains.values()):
        has = labels[:, columns].any(axis=1)
        rows[has] = np.where(rows[has] == none, place, several)
    return Groups((*domains, NO_DOMAIN, SEVERAL), rows)


def by_outcome(labels: Table, predicted: Table, column: int | None) -> Groups:
    """Right and wrong: of one finding, or of all findings of a picture together."""
    true, said = labels.astype(np.bool_), predicted.astype(np.bool_)
    if column is not None:
        true, said = true[:, column], said[:, column]
        rows = np.where(said, np.where(true, 0, 2), np.where(true, 1, 3))
        return Groups(OUTCOMES, rows.astype(np.intp))
    missed, extra = (true & ~said).any(axis=1), (said & ~true).any(axis=1)
    rows = np.where(missed, 1, 0) + np.where(extra, 2, 0)
    return Groups(OUTCOMES_OF_ALL, np.asarray(rows, dtype=np.intp))


def _having(finding: str, column: NDArray[np.uint8]) -> Groups:
    return Groups((finding, f"no {finding}"), np.where(column, 0, 1).astype(np.intp))
