"""A whole audit: choices to rows, rows to a summary, both to files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from annotations.errors import UnreadableImage
from annotations.imaging import file_sha256, load_radiograph
from annotations.imaging.display import display_picture
from annotations.records import AuditRun, ImageRecord
from annotations.regions import Outline
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.audit_plan import AuditChoices, AuditPlan, PlannedImage, plan_audit
from audit_app.audit_spool import AuditSpool, PatientResult, ScoredCase
from audit_app.errors import DOMAIN_ERRORS, AuditError, place_of
from audit_app.evaluation import SCORED, Case, Explained, Row, Setting, agreement_row, invalid_row
from audit_app.mean_maps import IntMap, MapKey, MeanMaps, add_maps, levels_of, prior_hit
from audit_app.reports.agreement import AuditFacts, prepare_folder, write_audit

Progress = Callable[[int, int, str], bool]
Picture = NDArray[np.uint8]
RESUMABLE: Final = frozenset({"running", "failed", "cancelled"})
CANCELLED: Final = "cancelled; what was done is kept"


class Explainer(Protocol):
    """What turns a picture into scores and maps: see ``model_store.runtime.ModelRuntime``."""

    def supported(self, model: str, mode: str, findings: Sequence[str], /) -> tuple[str, ...]:
        """Those of the findings that this mode can be asked for."""

    def explain(
        self, model: str, mode: str, method: str, picture: Picture, findings: Sequence[str], /
    ) -> Explained:
        """Scores and maps of these findings, in one mode, by one method."""


@dataclass(frozen=True, slots=True)
class _Audit:
    """One run with everything that it works on; ``askable`` holds findings by mode."""

    store: Store
    runtime: Explainer
    choices: AuditChoices
    plan: AuditPlan
    askable: Mapping[str, tuple[str, ...]]
    run: AuditRun
    spool: AuditSpool
    workspace: Workspace

    def settings(self) -> Iterator[Setting]:
        """Each mode and method."""
        model, threshold = self.choices.model, self.choices.threshold
        for mode in self.choices.modes:
            for method in self.choices.methods:
                yield Setting(self.run.run_id, model, mode, method, threshold)


def run_audit(
    workspace: Workspace,
    store: Store,
    runtime: Explainer,
    choices: AuditChoices,
    *,
    out: Path,
    progress: Progress | None = None,
) -> str:
    """Compare a model's maps with the committed readings; the id of the run.

    Each image is read once. A picture that is missing, changed or cannot be used gives rows of
    status "invalid_input" with the reason, and the run goes on. The rows go to the store, complete,
    when the last image is done (``prior_hit`` needs the maps of all); until then they are kept in
    the workspace's cache folder, from which ``resume_audit`` goes on.

    Args:
        workspace: Where the heads and the cache lie.
        store: Of this workspace.
        runtime: Gives the maps.
        choices: What is audited.
        out: Folder for agreement.csv, summary.csv and provenance.json; made when absent, files of
            these names are replaced.
        progress: Called with (done, total, message) after each image; true asks to stop. The run
            then has status "cancelled" and no files are written.

    Raises:
        AuditError: If there is nothing to audit, or ``out`` cannot be written to.
        ModelError: If the model or a mode cannot be used; the run has status "failed" then.
    """
    plan = plan_audit(store, choices)
    askable = askable_findings(runtime, choices, plan)
    prepare_folder(out)
    run = store.audits.create(choices.owner, choices.to_dict())
    spool = _open_spool(workspace, store, run, plan)
    audit = _Audit(store, runtime, choices, plan, askable, run, spool, workspace)
    return _carry_out(audit, out, progress or _go_on)


def resume_audit(
    workspace: Workspace,
    store: Store,
    runtime: Explainer,
    run_id: str,
    *,
    out: Path,
    progress: Progress | None = None,
) -> str:
    """Go on with a run that was cancelled, failed or interrupted; images that are done stay done.

    Raises:
        AuditError: As ``run_audit``; if the run is done; if readings, images or the model
            changed since it began.
        UnknownRecord: If there is no such run.
        ModelError: As ``run_audit``.
    """
    run = store.audits.get(run_id)
    if run.status not in RESUMABLE:
        raise AuditError(f"audit {run_id} is {run.status}; there is nothing left to resume")
    choices = AuditChoices.from_dict(run.choices)
    plan = plan_audit(store, choices)
    askable = askable_findings(runtime, choices, plan)
    prepare_folder(out)
    spool = _open_spool(workspace, store, run, plan)
    run = store.audits.restart(run_id)
    audit = _Audit(store, runtime, choices, plan, askable, run, spool, workspace)
    return _carry_out(audit, out, progress or _go_on)


def askable_findings(
    runtime: Explainer, choices: AuditChoices, plan: AuditPlan
) -> dict[str, tuple[str, ...]]:
    """The audited findings that each chosen mode can be asked for.

    Raises:
        AuditError: If a mode knows none of them.
    """
    askable = {}
    for mode in choices.modes:
        askable[mode] = runtime.supported(choices.model, mode, plan.findings)
        if not askable[mode]:
            raise AuditError(
                f"mode {mode} of model '{choices.model}' is not trained for any of the audited "
                f"findings ({', '.join(plan.findings)}); run 'launch.py train WORKSPACE --model "
                f"{choices.model} --mode {mode}' first, or leave this mode out"
            )
    return askable


def spool_folder(workspace: Workspace, run_id: str) -> Path:
    """Where a run keeps what it has until it is done."""
    return workspace.cache / "audits" / run_id


def _open_spool(workspace: Workspace, store: Store, run: AuditRun, plan: AuditPlan) -> AuditSpool:
    choices = AuditChoices.from_dict(run.choices)
    fingerprint = plan.fingerprint(choices, store.models.get(choices.model))
    return AuditSpool(spool_folder(workspace, run.run_id), fingerprint)


def _carry_out(audit: _Audit, out: Path, progress: Progress) -> str:
    """Run to the end, a cancel or an error, and leave the run's status right in each case."""
    run_id = audit.run.run_id
    try:
        if _explain_all(audit, progress):
            _finish(audit, out)
        else:
            audit.store.audits.finish(run_id, "cancelled", {"reason": CANCELLED})
    except KeyboardInterrupt:
        audit.store.audits.finish(run_id, "cancelled", {"reason": CANCELLED})
        raise
    except DOMAIN_ERRORS as error:
        audit.store.audits.finish(run_id, "failed", {"reason": str(error)})
        raise
    except Exception as error:
        # Its text may name a patient or a folder, and auditors read the reason.
        reason = f"the audit stopped at {place_of(error)}"
        audit.store.audits.finish(run_id, "failed", {"reason": reason})
        raise
    return run_id


def _finish(audit: _Audit, out: Path) -> None:
    """Rows into the store, files into the folder, the spool away."""
    _store_rows(audit)
    run_id = audit.run.run_id
    facts = AuditFacts(
        run=audit.run,
        choices=audit.choices,
        plan=audit.plan,
        workspace=audit.workspace.settings,
        entry=audit.store.models.get(audit.choices.model),
        made_by=audit.spool.made_by,
    )
    summary = write_audit(out, audit.store.audits.rows(run_id), facts)
    audit.store.audits.finish(run_id, "done", summary)
    audit.spool.remove()


def _explain_all(audit: _Audit, progress: Progress) -> bool:
    """False when it was cancelled; patients that are done are kept, also after an error."""
    try:
        return _explain_patients(audit, progress)
    finally:
        audit.spool.checkpoint()


def _explain_patients(audit: _Audit, progress: Progress) -> bool:
    total = len(audit.plan.images)
    done = 0

    def report(further: int) -> bool:
        return progress(done + further, total, "comparing maps with readings")

    for number, patient in enumerate(audit.plan.patients):
        if number in audit.spool.finished:
            done += len(patient)
            continue
        result = _explain_patient(audit, patient, report)
        if result is None:
            return False
        audit.spool.keep(number, result)
        done += len(patient)
        if report(0):
            return False
    return True


def _explain_patient(
    audit: _Audit, patient: Sequence[PlannedImage], report: Callable[[int], bool]
) -> PatientResult | None:
    """All cases of one patient, or None when it was cancelled in between."""
    sums: dict[MapKey, IntMap] = {}
    cases: list[ScoredCase] = []
    for offset, planned in enumerate(patient):
        if offset and report(offset):
            return None
        cases += _explain_image(audit, planned, sums)
    return PatientResult(tuple(cases), sums)


def _explain_image(
    audit: _Audit, planned: PlannedImage, sums: dict[MapKey, IntMap]
) -> list[ScoredCase]:
    """All cases of one image under all modes and methods; its maps are added to ``sums``."""
    picture = load_picture(planned.image)
    scored: list[ScoredCase] = []
    for setting in audit.settings():
        if isinstance(picture, str):
            scored += _invalid(planned.cases, setting, picture)
            continue
        try:
            explained = audit.runtime.explain(
                setting.model, setting.mode, setting.method, picture, audit.askable[setting.mode]
            )
        except ValueError as error:
            # A picture that this model cannot take, for instance far too narrow for its crop.
            scored += _invalid(planned.cases, setting, str(error))
            continue
        audit.spool.note(setting, explained.provenance)
        scored += _score(planned.cases, setting, explained)
        add_maps(sums, _usable_maps(audit, setting, explained))
    return scored


def load_picture(image: ImageRecord) -> Picture | str:
    """The picture as the reader saw it, or the reason why there is none.

    The reason names no file: file names may name patients, and reasons go into tables.
    """
    path = Path(image.path)
    try:
        if file_sha256(path) != image.sha256:
            return "the image file changed since it was imported; restore it or import it anew"
        return display_picture(load_radiograph(path))
    except FileNotFoundError:
        return "the image file is missing; put it back where it was imported from"
    except OSError as error:
        return f"the image file cannot be read: {error.strerror or type(error).__name__}"
    except UnreadableImage as error:
        reason = str(error).replace(str(path), "the image file")
        return reason.replace(path.name, "the image file")


def _score(cases: Iterable[Case], setting: Setting, explained: Explained) -> list[ScoredCase]:
    rows = [agreement_row(case, setting, explained) for case in cases]
    return [
        ScoredCase(row, explained.geometry if row["status"] in SCORED else None) for row in rows
    ]


def _invalid(cases: Iterable[Case], setting: Setting, reason: str) -> list[ScoredCase]:
    return [ScoredCase(invalid_row(case, setting, reason), None) for case in cases]


def _usable_maps(
    audit: _Audit, setting: Setting, explained: Explained
) -> Iterator[tuple[MapKey, IntMap]]:
    """The maps of all findings that some row has; a map with a non-finite value is left out."""
    wanted = audit.plan.marked_findings
    for finding, saliency in zip(explained.findings, explained.maps, strict=True):
        if finding in wanted and np.isfinite(saliency).all():
            levels = levels_of(saliency)
            yield MapKey(setting.mode, setting.method, finding, *levels.shape), levels


def _store_rows(audit: _Audit) -> None:
    """Complete each patient's rows by ``prior_hit`` and put them into the store."""
    run_id = audit.run.run_id
    stored = {row["image_id"] for row in audit.store.audits.rows(run_id)}
    for number, patient in enumerate(audit.plan.patients):
        if patient[0].image.image_id not in stored:
            marked = {
                (case.reading.reading_id, case.finding): case.outlines
                for planned in patient
                for case in planned.cases
            }
            result = audit.spool.load(number)
            rows = [_complete(case, marked, result, audit.spool.means) for case in result.cases]
            audit.store.audits.add_rows(run_id, rows)


def _complete(
    case: ScoredCase,
    marked: Mapping[tuple[str, str], Sequence[Outline]],
    result: PatientResult,
    means: MeanMaps,
) -> Row:
    """The row with its ``prior_hit``, where there is another patient to take the mean of."""
    if case.geometry is None or case.key is None:
        return case.row
    others = means.of_others(case.key, result.sums[case.key])
    if others is None:
        return case.row
    outlines = marked[str(case.row["reading_id"]), case.key.finding]
    return case.row | {"prior_hit": prior_hit(others, outlines, case.geometry)}


def _go_on(done: int, total: int, message: str) -> bool:
    del done, total, message
    return False
