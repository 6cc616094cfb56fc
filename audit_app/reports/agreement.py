"""The files of an audit: agreement.csv, summary.csv and provenance.json."""

from __future__ import annotations

import hashlib
import json
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
from audit_app.audit_plan import AuditChoices, AuditPlan
from audit_app.errors import AuditError
from audit_app.evaluation import AGREEMENT_COLUMNS, STATUSES, Row
from audit_app.metrics.bootstrap import LEVEL, MIN_CLUSTERS
from audit_app.metrics.overlap import CURVE_THRESHOLDS, OTSU_BINS
from audit_app.metrics.pointing import TOLERANCE_EDGE, TOLERANCE_PIXELS
from audit_app.reports.csv_files import write_csv
from audit_app.reports.summary import SUMMARY_COLUMNS, summarise

AGREEMENT_FILE: Final = "agreement.csv"
SUMMARY_FILE: Final = "summary.csv"
PROVENANCE_FILE: Final = "provenance.json"
FORMAT: Final = "saliency-audit-agreement-1"
LOCAL_PREFIX: Final = "local-dir:"
PACKAGES: Final = ("numpy", "scikit-image")


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """What is known about a run beside its rows.

    Attributes:
        run: As the store has it.
        choices: Of the run.
        plan: What the choices made of the readings.
        workspace: Name and kind of the workspace.
        entry: The model's entry.
        made_by: By "mode method", what the model said about how its maps were made.
    """

    run: AuditRun
    choices: AuditChoices
    plan: AuditPlan
    workspace: WorkspaceSettings
    entry: Mapping[str, object]
    made_by: Mapping[str, object]


def write_audit(out: Path, rows: Sequence[Row], facts: AuditFacts) -> dict[str, object]:
    """Write the three files into ``out``; the summary that the run keeps.

    Args:
        out: Exists; files of the same names are replaced, each as a whole.
        rows: All agreement rows of the run, complete.
        facts: Of the run.

    Returns:
        JSON types: ``summary`` (the lines of summary.csv), ``counts`` by status, ``warnings`` and
        the files' names.
    """
    lines = summarise(rows, replicates=facts.choices.replicates, seed=facts.choices.seed)
    write_csv(out / AGREEMENT_FILE, AGREEMENT_COLUMNS, rows)
    write_csv(out / SUMMARY_FILE, SUMMARY_COLUMNS, lines)
    provenance = describe_audit(rows, facts)
    provenance["files"] = {
        name: hashlib.sha256((out / name).read_bytes()).hexdigest()
        for name in (AGREEMENT_FILE, SUMMARY_FILE)
    }
    text = json.dumps(provenance, indent=2, ensure_ascii=False, default=str)
    (out / PROVENANCE_FILE).write_text(f"{text}\n", encoding="utf-8")
    return {
        "summary": lines,
        "counts": provenance["counts"],
        "warnings": provenance["warnings"],
        "files": [AGREEMENT_FILE, SUMMARY_FILE, PROVENANCE_FILE],
    }


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
    return {
        "format": FORMAT,
        "run_id": facts.run.run_id,
        "started": facts.run.created_at,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command_of(facts.choices),
        "workspace": facts.workspace.name,
        "synthetic": facts.workspace.synthetic,
        "choices": facts.choices.described(),
        "findings": list(facts.plan.findings),
        "model_entry": without_folders(facts.entry),
        "maps": without_folders(facts.made_by),
        "definitions": _definitions(rows, facts.choices),
        "seeds": {"bootstrap": facts.choices.seed},
        "counts": _counts(rows, facts.plan),
        "hashes": {
            name: _values_by_mode(rows, name) for name in ("weights_sha256", "config_sha256")
        },
        "preprocessing": _distinct(rows, "preprocessing"),
        "layers": _values_by_mode(rows, "layer"),
        "warnings": warnings_of(rows),
        "versions": _versions(rows),
    }


def command_of(choices: AuditChoices) -> str:
    """The command line that does the same; the folders stand as words, not as paths."""
    words = ["launch.py", "audit", "WORKSPACE", "--model", choices.model]
    words += ["--modes", ",".join(choices.modes), "--methods", ",".join(choices.methods)]
    return shlex.join([*words, "--out", "DIR"])


def warnings_of(rows: Sequence[Row]) -> list[str]:
    """Sentences about what a reader of the numbers must know first."""
    found = []
    for mode, hashes in _values_by_mode(rows, "weights_sha256").items():
        if len(hashes) > 1:
            found.append(
                f"the weights of mode {mode} changed while the audit ran ({', '.join(hashes)}); "
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
        "grid": (
            "working grid: the model's input grid without padding, which is the field of view at "
            "the model's resolution; observed and null on the same grid"
        ),
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
    }


def _counts(rows: Sequence[Row], plan: AuditPlan) -> dict[str, object]:
    by_status = Counter(str(row["status"]) for row in rows)
    return {
        "rows": len(rows),
        "rows_by_status": {status: by_status[status] for status in STATUSES},
        "images": len(plan.images),
        "patients": len(plan.patients),
        "readings": plan.n_readings,
        "readings_with_no_finding": plan.n_no_finding,
        "readings_of_other_findings": plan.n_other_findings,
    }


def _grids(rows: Sequence[Row]) -> list[list[object]]:
    """Each (height, width) that rows were scored on."""
    sizes = {(row["grid_height"], row["grid_width"]): None for row in rows}
    return [list(size) for size in sizes if None not in size]


def _values_by_mode(rows: Sequence[Row], name: str) -> dict[str, list[str]]:
    modes = dict.fromkeys(str(row["mode"]) for row in rows)
    return {mode: _distinct([row for row in rows if row["mode"] == mode], name) for mode in modes}


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
