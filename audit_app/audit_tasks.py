"""Carrying out the tasks of an audit, and putting together what they gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from annotations.regions import Outline
from audit_app.audit_images import explain_patient
from audit_app.audit_plan import PlannedImage
from audit_app.audit_spool import PatientResult, ScoredCase
from audit_app.audit_work import AuditWork, Pass, Progress
from audit_app.evaluation import Row
from audit_app.mean_maps import MeanMaps, prior_hit
from audit_app.region_scores import GridName
from audit_app.reliance_test import CaseKey


def carry_out(work: AuditWork, progress: Progress) -> bool:
    """False when it was cancelled; tasks that are done are kept, also after an error."""
    try:
        return _carry_out(work, progress)
    finally:
        work.spool.checkpoint()


def agreement_rows(work: AuditWork) -> Iterator[list[Row]]:
    """The rows of each task in turn, complete with ``prior_hit``."""
    for number, each, patient in work.tasks():
        if not each.is_random:
            yield _complete_all(work, work.spool.load(number), patient)


def side_rows(work: AuditWork) -> tuple[list[Row], list[Row]]:
    """The rows of controls.csv and of reveal.csv."""
    controls: list[Row] = []
    reveals: list[Row] = []
    for number, _, _ in work.tasks():
        result = work.spool.load(number)
        controls += result.controls
        reveals += result.reveals
    return controls, reveals


def _carry_out(work: AuditWork, progress: Progress) -> bool:
    total, done = len(work.plan.images) * len(work.passes), 0
    for number, each, patient in work.tasks():
        if number not in work.spool.finished:

            def report(further: int, at: int = done, now: Pass = each) -> bool:
                return progress(at + further, total, _message(now))

            result = explain_patient(work, each, patient, report)
            if result is None:
                return False
            work.spool.keep(number, result)
            if report(len(patient)):
                return False
        done += len(patient)
    return True


def _message(each: Pass) -> str:
    if each.is_random:
        return f"control: {each.model} with random weights"
    return f"comparing maps of {each.model} with readings"


def _complete_all(
    work: AuditWork, result: PatientResult, patient: Sequence[PlannedImage]
) -> list[Row]:
    marked = {
        (case.reading.reading_id, case.finding): case.outlines
        for planned in patient
        for case in planned.cases
    }
    means, grid = work.spool.means, work.choices.grid
    return [_complete(case, marked, result, (means, grid)) for case in result.cases]


def _complete(
    case: ScoredCase,
    marked: Mapping[CaseKey, Sequence[Outline]],
    result: PatientResult,
    means_and_grid: tuple[MeanMaps, GridName],
) -> Row:
    """The row with its ``prior_hit``, where there is another patient to take the mean of."""
    if case.geometry is None or case.key is None:
        return case.row
    means, grid = means_and_grid
    others = means.of_others(case.key, result.sums[case.key])
    if others is None:
        return case.row
    outlines = marked[str(case.row["reading_id"]), case.key.finding]
    return case.row | {"prior_hit": prior_hit(others, outlines, case.geometry, grid=grid)}
