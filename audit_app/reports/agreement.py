"""The files of an audit: its tables, its report and provenance.json."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path, PurePath
from typing import Final

from annotations.records import AuditRun
from annotations.workspace import WorkspaceSettings
from audit_app.audit_plan import CONTROLS, THREE_MODES, AuditChoices, AuditPlan
from audit_app.audit_result import FORMAT, PROVENANCE_FILE, TABLES, AuditResult, summary_of
from audit_app.errors import AuditError
from audit_app.evaluation import STATUSES, Row
from audit_app.metrics.bootstrap import LEVEL, MIN_CLUSTERS
from audit_app.metrics.overlap import CURVE_THRESHOLDS, OTSU_BINS
from audit_app.metrics.pointing import TOLERANCE_EDGE, TOLERANCE_PIXELS
from audit_app.region_scores import GRIDS
from audit_app.reports.checklists import checklists
from audit_app.reports.csv_files import write_csv
from audit_app.reports.whole_files import write_whole

AGREEMENT_FILE: Final = TABLES["rows"][0]
SUMMARY_FILE: Final = TABLES["summary"][0]
LOCAL_PREFIX: Final = "local-dir:"
PACKAGES: Final = ("numpy", "scipy", "scikit-image", "torch", "open_clip_torch")


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """What is known about a run beside its rows.

    Attributes:
        run: As the store has it.
        choices: Of the run.
        plan: What the choices made of the readings.
        workspace: Name and kind of the workspace.
        entries: By model, its entry.
        modes: By model, the modes that were audited.
        made_by: By "model mode method", what the model said about how its maps were made.
        elapsed_s: How long this process worked on it; a resumed run took longer.
    """

    run: AuditRun
    choices: AuditChoices
    plan: AuditPlan
    workspace: WorkspaceSettings
    entries: Mapping[str, Mapping[str, object]]
    modes: Mapping[str, Sequence[str]]
    made_by: Mapping[str, object]
    elapsed_s: float


def write_audit(out: Path, tables: Mapping[str, list[Row]], facts: AuditFacts) -> dict[str, object]:
    """Write all files into ``out``; the summary that the run keeps.

    Args:
        out: Exists; files of the same names are replaced, each as a whole.
        tables: By the keys of ``TABLES``, complete.
        facts: Of the run.

    Returns:
        JSON types: every table but agreement and controls, ``counts`` by status, ``warnings`` and
        the files' names.
    """
    provenance = describe_audit(tables["rows"], facts)
    provenance["checklists"] = checklists(provenance)
    result = AuditResult(provenance=provenance, **tables)
    names = [file for file, _ in TABLES.values()]
    for name, (file, columns) in TABLES.items():
        write_csv(out / file, columns, result.table(name))
    if facts.choices.report:
        # Drawing takes a second to load, and the first page needs none of it.
        from audit_app.reports.audit_report import write_report
        from audit_app.reports.drawn_by import drawn_by

        provenance["drawn_by"] = drawn_by()
        names += write_report(out, result)
    hashes = {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in names}
    text = json.dumps({**provenance, "files": hashes}, indent=2, ensure_ascii=False, default=str)
    write_whole(out / PROVENANCE_FILE, f"{text}\n")
    return {**summary_of(result), "files": [*names, PROVENANCE_FILE]}


def prepare_folder(out: Path) -> None:
    """Make the folder and see that files can be written to it, before hours are spent.

    Raises:
        AuditError: If not, with the reason.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise AuditError(
            f"cannot write to the folder {out}: {error.strerror}; choose another one"
        ) from None


def describe_audit(rows: Sequence[Row], facts: AuditFacts) -> dict[str, object]:
    """Everything that decided the numbers, and how many rows of which status came out."""
    choices = facts.choices
    return {
        "format": FORMAT,
        "run_id": facts.run.run_id,
        "started": facts.run.created_at,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "elapsed_s": round(facts.elapsed_s, 3),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "workspace": facts.workspace.name,
        "synthetic": facts.workspace.synthetic,
        "choices": choices.described(),
        "models": {
            model: {
                "entry": without_folders(facts.entries[model]),
                "modes": list(facts.modes[model]),
                "skipped_modes": [one for one in choices.modes if one not in facts.modes[model]],
            }
            for model in choices.models
        },
        "maps": without_folders(facts.made_by),
        **recomputable_facts(rows, choices, facts.plan, facts.made_by),
        "definitions": _definitions(rows, choices),
        "controls": {name: CONTROLS[name] for name in choices.controls},
        "warnings": warnings_of(rows),
        "versions": _versions(rows),
    }


def recomputable_facts(
    rows: Sequence[Row], choices: AuditChoices, plan: AuditPlan, made_by: Mapping[str, object]
) -> dict[str, object]:
    """What provenance.json says and a later check can compute again.

    Args:
        rows: Of agreement.csv.
        choices: Of the run.
        plan: What the choices made of the readings.
        made_by: By "model mode method", what the model said about how its maps were made.
    """
    return {
        "command": command_of(choices),
        "left_out": left_out(choices),
        "findings": list(plan.findings),
        "vocabulary": list(plan.vocabulary),
        "prompts": _prompts(made_by),
        "grid": choices.grid,
        "reliance": choices.reliance,
        "seeds": {"bootstrap": choices.seed, "controls": choices.seed, "reliance": choices.seed},
        "counts": _counts(rows, plan),
        "images": {one.image.image_id: one.image.sha256 for one in plan.images},
        "readings": {
            reading.reading_id: reading.content_sha256
            for one in plan.images
            for reading in one.readings
        },
        "weights": _by_way(rows, "weights_sha256"),
        "hashes": {name: _by_way(rows, name) for name in ("weights_sha256", "config_sha256")},
        "preprocessing": _distinct(rows, "preprocessing"),
        "layers": _by_way(rows, "layer"),
    }


def left_out(choices: AuditChoices) -> list[str]:
    """What belongs to every audit and was ticked off in this one."""
    missing = [f"control {name}" for name in CONTROLS if name not in choices.controls]
    return missing + ([] if choices.reliance else ["reliance test"])


def command_of(choices: AuditChoices) -> str:
    """The command line that does the same; the folders stand as words, not as paths."""
    words = ["launch.py", "audit", "WORKSPACE", "--model", ",".join(choices.models)]
    words += ["--modes", ",".join(choices.modes), "--methods", ",".join(choices.methods)]
    usual = AuditChoices(choices.model, THREE_MODES)
    for option, name in (("--findings", "findings"), ("--readers", "readers")):
        if getattr(choices, name) is not None:
            words += [option, ",".join(getattr(choices, name))]
    words += ["--latest"] if choices.latest else []
    words += [] if choices.report else ["--no-report"]
    if choices.controls != usual.controls:
        words += ["--controls", ",".join(choices.controls) or "none"]
    if choices.reliance != usual.reliance:
        words += ["--reliance", choices.reliance or "none"]
    for name in ("reference", "grid", "threshold", "replicates", "seed"):
        if getattr(choices, name) != getattr(usual, name):
            words += [f"--{name}", str(getattr(choices, name))]
    return shlex.join([*words, "--out", "DIR"])


def warnings_of(rows: Sequence[Row]) -> list[str]:
    """Sentences about what a reader of the numbers must know first."""
    found = []
    for way, hashes in _by_way(rows, "weights_sha256").items():
        if len(hashes) > 1:
            found.append(
                f"the weights of {way} changed while the audit ran ({', '.join(hashes)}); "
                "its rows speak of different models: run the audit again"
            )
    n_invalid = sum(row["status"] == "invalid_input" for row in rows)
    if n_invalid:
        found.append(
            f"{n_invalid} of {len(rows)} rows have status invalid_input and are not scored; "
            "the column status_reason says why"
        )
    return found


def _definitions(rows: Sequence[Row], choices: AuditChoices) -> dict[str, object]:
    """How the columns were computed, in words and numbers."""
    return {
        "grid": GRIDS[choices.grid],
        "grid_sizes": _grids(rows),
        "threshold": choices.threshold,
        "iou_thresholds": list(CURVE_THRESHOLDS),
        "otsu_bins": OTSU_BINS,
        "tolerance_radius": f"{TOLERANCE_PIXELS}/{TOLERANCE_EDGE} of the grid's shorter edge",
        "peak_distance": "original pixels; share of the original image's diagonal",
        "prior_hit": (
            "hit of the mean of the min-max normalised maps of this finding (65,535 levels) over "
            "all audited images of all other patients, same mode and method; empty when there is "
            "no other patient"
        ),
        "shift_null": "all circular shifts of the boxes, the identity included, exact",
        "interval": (
            f"patient-cluster bootstrap, {choices.replicates} replicates, percentile "
            f"{LEVEL:.0%}; none with fewer than {MIN_CLUSTERS} patients"
        ),
        "readings": "last commit" if choices.latest else "first blinded commit",
        "reference": choices.reference,
        "model_positive": (
            "the study's rule: min-max of a picture's scores > 0.5, over all findings of the "
            "workspace that the mode knows (n_ranked), audited or not; score_rank over the same"
        ),
        "controls": (
            "randomcam: weights uniform in -1..1, seeded by picture and finding; random-weights: "
            "the same architecture, all weights drawn anew, heads included; wrong-finding: the "
            "map of another finding that no audited reading marks on the picture, drawn by the "
            "picture's hash and the seed"
        ),
        "reliance": (
            "score of the picture minus score with the reader's region filled in (drop_region), "
            "and with an equally large place elsewhere filled in (drop_elsewhere), on the model's "
            "input grid; elsewhere is drawn inside the estimated lung field (rule-based, its "
            "convex hull) on nothing that a reading marks; the column reliance_note says where "
            "that was not possible, and such rows are counted in reliance.csv but in no mean"
        ),
    }


def _counts(rows: Sequence[Row], plan: AuditPlan) -> dict[str, object]:
    by_status = Counter(str(row["status"]) for row in rows)
    return {
        "rows": len(rows),
        "rows_by_status": {status: by_status[status] for status in STATUSES},
        "images": sum(bool(one.cases) for one in plan.images),
        "patients": sum(any(one.cases for one in patient) for patient in plan.patients),
        "readings": plan.n_readings,
        "readings_with_no_finding": plan.n_no_finding,
        "readings_of_other_findings": plan.n_other_findings,
        "images_without_consensus": plan.n_single,
        "readings_revised_after_reveal": sum(len(one.revisions) for one in plan.images),
    }


def _grids(rows: Sequence[Row]) -> list[list[object]]:
    """Each (height, width) that rows were scored on."""
    sizes = {(row["grid_height"], row["grid_width"]): None for row in rows}
    return [list(size) for size in sizes if None not in size]


def _by_way(rows: Sequence[Row], name: str) -> dict[str, list[str]]:
    """The values of a column, by model and mode."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(f"{row['model']} {row['mode']}", []).append(row)
    return {way: _distinct(group, name) for way, group in groups.items()}


def _prompts(made_by: Mapping[str, object]) -> dict[str, object]:
    """By model, mode and method, the texts that stood for the findings, where there were some."""
    found: dict[str, object] = {}
    for way, facts in made_by.items():
        if isinstance(facts, Mapping) and facts.get("prompts"):
            names = ("prompt_version", "prompts", "negative_prompts")
            found[way] = {name: facts.get(name) for name in names}
    return found


def _distinct(rows: Sequence[Row], name: str) -> list[str]:
    return list(dict.fromkeys(str(row[name]) for row in rows if row[name] not in (None, "")))


def without_folders(value: object) -> object:
    """The same, but of a local model's place only the folder's own name: paths name users."""
    if isinstance(value, Mapping):
        return {name: without_folders(item) for name, item in value.items()}
    if isinstance(value, str) and value.startswith(LOCAL_PREFIX):
        return LOCAL_PREFIX + PurePath(value.removeprefix(LOCAL_PREFIX)).name
    return value


def _versions(rows: Sequence[Row]) -> dict[str, object]:
    """Of what measured, and of what made the maps as the rows say."""
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        "model": [json.loads(text) for text in _distinct(rows, "versions")],
    }
