"""Does a finished audit hold what its files say? Recomputed, not believed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotations.imaging import file_sha256
from annotations.store import Store
from annotations.store.regions import content_sha256
from annotations.workspace import Workspace
from audit_app.audit import askable_findings, complete_tables
from audit_app.audit_plan import AuditChoices, AuditPlan, plan_audit
from audit_app.audit_result import (
    DERIVED,
    TABLES,
    AuditResult,
    derive_tables,
    load_provenance,
    read_table,
)
from audit_app.audit_spool import AuditSpool
from audit_app.audit_tasks import agreement_rows, carry_out
from audit_app.audit_work import AuditWork, Explainer, Progress
from audit_app.errors import DOMAIN_ERRORS, AuditError
from audit_app.evaluation import Row, json_text
from audit_app.reports.agreement import recomputable_facts
from audit_app.verification import Findings, Verification, file_problems
from audit_app.verify_report import check_report
from audit_app.verify_tables import table_problems

# The same machine gives the same numbers; another one may differ in the last digits of a float32.
TOLERANCE: Final = 1e-6
MISSING: Final = "(missing)"


def verify_audit(
    folder: Path,
    workspace: Workspace | None = None,
    store: Store | None = None,
    runtime: Explainer | None = None,
    *,
    tolerance: float = TOLERANCE,
    progress: Progress | None = None,
) -> Verification:
    """Recompute what the folder says.

    Without a workspace the files are compared with their hashes, the tables that follow from
    rows with what the rows give, and the report with what the tables give. With one, images and
    readings are compared with those that were audited, and every row is computed again from
    images, readings and weights.

    Args:
        folder: Of a finished audit.
        workspace: That it was made from; nothing is written to it.
        store: Of the workspace.
        runtime: Of the workspace's models.
        tolerance: Largest relative difference of two numbers that count as the same.
        progress: Told (done, total, message).

    Raises:
        AuditError: If the folder is no finished audit.
    """
    found = Findings()
    provenance = load_provenance(folder)
    files: Mapping[str, str] = provenance.get("files", {})
    changed = file_problems(folder, files)
    found.add(f"{len(files)} files are as they were written", changed)
    tables = _read_tables(folder, found)
    result = AuditResult(provenance=provenance, **tables)
    choices = AuditChoices.from_dict(provenance["choices"])
    if len(tables) == len(TABLES):
        _check_derived(result, choices, found, tolerance)
        _check_versions(result, found)
        if choices.report:
            check_report(folder, result, found)
    if workspace is None or store is None or runtime is None:
        found.checks.append(
            "Images, readings and weights were not looked at: give the workspace for that."
        )
        return found.result()
    _check_run(result, store, found)
    try:
        plan = plan_audit(store, choices, vocabulary=tuple(provenance["vocabulary"]))
    except DOMAIN_ERRORS as error:
        found.problems.append(f"the workspace gives no such audit: {error}")
        return found.result()
    _check_images(result, store, found)
    _check_readings(result, store, plan, found)
    again = _recomputed(_Again(workspace, store, runtime, plan, choices), result, found, progress)
    if again is not None:
        # First: changed weights are said in one sentence, and then in every row.
        _check_facts(result, again[1], found)
        _check_recomputed(result, again[0], found, tolerance)
    return found.result()


@dataclass(frozen=True, slots=True)
class _Again:
    """What the rows are computed from once more."""

    workspace: Workspace
    store: Store
    runtime: Explainer
    plan: AuditPlan
    choices: AuditChoices


def _read_tables(folder: Path, found: Findings) -> dict[str, list[Row]]:
    tables = {}
    for name in TABLES:
        try:
            tables[name] = read_table(folder, name)
        except AuditError as error:
            found.problems.append(str(error))
    return tables


def _check_derived(
    result: AuditResult, choices: AuditChoices, found: Findings, tolerance: float
) -> None:
    """Recompute the tables that follow from rows alone."""
    try:
        derived = derive_tables(result.rows, result.controls, result.readers, choices)
    except (TypeError, ValueError, KeyError, ZeroDivisionError) as error:
        found.problems.append(
            f"agreement.csv or controls.csv holds cells that no number follows from ({error})"
        )
        return
    for name in DERIVED:
        problems = table_problems(name, result.table(name), derived[name], tolerance)
        found.add(f"{TABLES[name][0]} follows from the rows", problems)


def _check_versions(result: AuditResult, found: Findings) -> None:
    """Compare the versions in rows with provenance.json; other libraries are no problem later."""
    listed = result.provenance["versions"].get("model")
    known = {json_text(one) for one in listed} if isinstance(listed, list) else set()
    known.add("")  # of a picture or map that could not be used
    found.add(
        "the rows were made with the versions that provenance.json names",
        [
            f"agreement.csv line {line}: versions is {row['versions']}; provenance.json has none "
            "such"
            for line, row in enumerate(result.rows, start=2)
            if row["versions"] not in known
        ],
    )


def _check_run(result: AuditResult, store: Store, found: Findings) -> None:
    """Compare the choices with those that the workspace kept of this run."""
    run_id = str(result.provenance["run_id"])
    run = next((one for one in store.audits.all() if one.run_id == run_id), None)
    if run is None:
        found.checks.append(f"The workspace knows no run {run_id}; its choices were not compared.")
        return
    kept = AuditChoices.from_dict(run.choices).described()
    given = AuditChoices.from_dict(result.provenance["choices"]).described()
    found.add(
        "the choices are those of the run",
        [
            f"provenance.json: choice {name} is {given[name]!r}, the workspace has {kept[name]!r}"
            for name in kept
            if given[name] != kept[name]
        ],
    )


def _check_images(result: AuditResult, store: Store, found: Findings) -> None:
    """Compare every image file with the hash that was audited."""
    audited: Mapping[str, str] = result.provenance["images"]
    images = {one.image_id: one for one in store.images.all()}
    problems = []
    for image_id, sha256 in audited.items():
        image = images.get(image_id)
        if image is None:
            problems.append(f"image {image_id} is not in the workspace any more")
            continue
        try:
            now = file_sha256(Path(image.path))
        except OSError as error:
            problems.append(f"image {image_id} cannot be read: {error.strerror}")
            continue
        if now != sha256:
            problems.append(
                f"image {image_id} changed: its file has SHA-256 {now[:12]}, audited was "
                f"{str(sha256)[:12]}"
            )
    found.add(f"{len(audited)} images are those that were audited", problems)


def _check_readings(result: AuditResult, store: Store, plan: AuditPlan, found: Findings) -> None:
    """Compare the readings with those that were audited, and each with its own hash."""
    audited: Mapping[str, str] = result.provenance["readings"]
    now = {reading.reading_id: reading for one in plan.images for reading in one.readings}
    problems = [
        f"reading {reading_id} was audited and is not among the workspace's readings now"
        for reading_id in audited
        if reading_id not in now
    ]
    for reading_id, reading in now.items():
        where = f"reading {reading_id} of image {reading.image_id} by '{reading.reader}'"
        if reading_id not in audited:
            problems.append(f"{where} was made after the audit")
        elif reading.content_sha256 != audited[reading_id]:
            problems.append(f"{where} says something else than the one that was audited")
    problems += [
        f"reading {one.reading_id} of image {image_id} by '{one.reader}': a box or finding was "
        "changed after its commit; its hash does not match"
        for image_id in result.provenance["images"]
        for one in store.readings.of_image(image_id)
        if content_sha256(one.no_finding, one.regions) != one.content_sha256
    ]
    found.add(f"{len(audited)} readings are those that were audited", problems)


def _recomputed(
    again: _Again, result: AuditResult, found: Findings, progress: Progress | None
) -> tuple[dict[str, list[Row]], dict[str, object]] | None:
    """All tables and facts, computed again; None when the models cannot be asked."""
    store, choices, plan = again.store, again.choices, again.plan
    with tempfile.TemporaryDirectory(prefix="verify-", dir=again.workspace.cache) as place:
        spool = AuditSpool(Path(place) / "spool", "verify")
        run_id = str(result.provenance["run_id"])
        try:
            askable = askable_findings(store, again.runtime, choices, plan)
            work = AuditWork(again.runtime, choices, plan, askable, run_id, spool)
            if not carry_out(work, progress or _go_on):
                found.problems.append("stopped before every row was computed again")
                return None
        except DOMAIN_ERRORS as error:
            found.problems.append(f"the rows cannot be computed again: {error}")
            return None
        rows = [row for part in agreement_rows(work) for row in part]
        facts = recomputable_facts(rows, choices, plan, spool.made_by)
        return complete_tables(store, work, rows), facts


def _check_recomputed(
    result: AuditResult, tables: Mapping[str, list[Row]], found: Findings, tolerance: float
) -> None:
    other_versions = set()
    for name in ("rows", "controls", "reveal", "readers"):
        again = tables[name]
        if name == "rows":
            other_versions = {str(row["versions"]) for row in again} - {
                str(row["versions"]) for row in result.rows
            }
        problems = table_problems(name, result.table(name), again, tolerance)
        file = TABLES[name][0]
        found.add(f"{len(again)} rows of {file} follow from images, readings and weights", problems)
    if other_versions - {"None", ""}:
        found.checks.append("The audit was made with other versions of the libraries.")


def _check_facts(result: AuditResult, again: Mapping[str, object], found: Findings) -> None:
    """Compare what provenance.json says about the audit."""
    facts = json.loads(json.dumps(again, default=str))  # as it would be read from the file
    problems = [
        _fact_problem(name, result.provenance.get(name), fact)
        for name, fact in facts.items()
        if fact != result.provenance.get(name)
    ]
    found.add(
        f"{len(facts)} facts of provenance.json follow from images, readings and weights", problems
    )


def _fact_problem(name: str, written: object, again: object) -> str:
    """The innermost difference of two facts that are not the same."""
    if isinstance(written, Mapping) and isinstance(again, Mapping):
        keys = {**written, **again}
        pairs = ((one, written.get(one, MISSING), again.get(one, MISSING)) for one in keys)
        key, before, now = next(one for one in pairs if one[1] != one[2])
        return _fact_problem(f"{name}: {key}", before, now)
    return f"{name} is {written!r} in provenance.json, {again!r} recomputed"


def _go_on(done: int, total: int, message: str) -> bool:
    del done, total, message
    return False
