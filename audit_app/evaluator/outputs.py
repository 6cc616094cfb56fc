"""The files of an evaluation but for its report: tables, predictions, embeddings, provenance."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path, PurePath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotations.workspace import WorkspaceSettings
from audit_app.evaluator.answers import RULES, Answers, tower_of
from audit_app.evaluator.measures import LENGTHS, Measured, Row
from audit_app.evaluator.nulls import NULL_MEANING
from audit_app.evaluator.plan import EvaluationPlan, findings_without_positives
from audit_app.evaluator.predictions import prediction_columns, prediction_rows
from audit_app.evaluator.published import LABELS as PUBLISHED_LABELS
from audit_app.evaluator.published import PUBLISHED
from audit_app.evaluator.published import SOURCE as PUBLISHED_SOURCE
from audit_app.evaluator.result import (
    EMBEDDINGS,
    FILES,
    FORMAT,
    PER_DOMAIN,
    PER_FINDING,
    PREDICTIONS,
    PROVENANCE,
    TABLE_CSV,
    TABLE_JSON,
)
from audit_app.evaluator.stages import disk_errors
from audit_app.metrics.bootstrap import LEVEL, MIN_CLUSTERS
from audit_app.metrics.classification_intervals import RATES
from audit_app.metrics.pauses import Pause, no_pause
from audit_app.metrics.separation import EXACT_IMAGES
from audit_app.replacing import replacing
from audit_app.reports.csv_files import write_csv

PACKAGES: Final = ("numpy", "scikit-learn")
LOCAL_PREFIX: Final = "local-dir:"
SEPARATION_NAMES: Final = ("inter", "intra", "ratio", "ratio_low", "ratio_high", "ratio_p")
TABLE_COLUMNS: Final = (
    "kind", "preset", "mode", "rule", "score", "separation", "n_images", "n_patients",
    *(f"{name}{suffix}" for suffix in LENGTHS for name in SEPARATION_NAMES),
    "f1", "f1_low", "f1_high", "exact_match", "exact_match_low", "exact_match_high", "lrap",
    "coverage_error", "labels_per_image", "predictions_per_image", "ece", "minutes",
    "seconds_per_image", "label_source",
)  # fmt: skip
METRIC_COLUMNS: Final = tuple(
    f"{metric}{suffix}" for metric in RATES for suffix in ("", "_low", "_high")
)
FINDING_COLUMNS: Final = (
    "preset", "mode", "rule", "finding", "support", "predicted", "threshold", *METRIC_COLUMNS,
    "note", "label_source",
)  # fmt: skip
DOMAIN_COLUMNS: Final = (
    "preset", "mode", "rule", "domain", "n_findings", "n_with_positive", "support", "predicted",
    *METRIC_COLUMNS, "note", "label_source",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Everything that the files say.

    Attributes:
        plan: What was evaluated on what.
        entry: The model's entry, as JSON values.
        workspace: Name and kind of the workspace.
        answers: By (preset, mode), in the order of the tables.
        measured: By (preset, mode).
        nulls: One row per preset and mode.
        distance_check: What was found about zero-shot and linear probe; None without both.
        made_by: By mode, what made its scores: weights, precision, layer of the embedding.
        installed: Modes whose heads the workspace lacked and now uses.
        weights: By (preset, mode), where the head lies below the workspace's models, its SHA-256.
    """

    plan: EvaluationPlan
    entry: Mapping[str, object]
    workspace: WorkspaceSettings
    answers: Mapping[tuple[str, str], Answers]
    measured: Mapping[tuple[str, str], Measured]
    nulls: Sequence[Row]
    distance_check: Mapping[str, object] | None
    made_by: Mapping[str, Mapping[str, object]]
    weights: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    installed: tuple[str, ...] = ()

    @property
    def precision(self) -> str:
        """In which the pictures were encoded."""
        return str(self.made_by["encode"]["precision"])


def write_tables(out: Path, done: Evaluated, pause: Pause = no_pause) -> None:
    """Write every file but the report and the provenance into ``out``.

    Args:
        out: Folder.
        done: What the files say.
        pause: Between the predictions of two modes.

    Raises:
        AuditError: If the disk is full.
    """
    measured = done.measured.values()
    with disk_errors(out):
        ours: Row = {"label_source": done.plan.label_source}
        blank: Row = dict.fromkeys(TABLE_COLUMNS)
        rows = [blank | row | ours for row in (*_measured_rows(done), *done.nulls)]
        rows += [blank | row for row in published_rows(done)]
        write_csv(out / TABLE_CSV, TABLE_COLUMNS, rows)
        findings = [row | ours for one in measured for row in one.per_finding]
        write_csv(out / PER_FINDING, FINDING_COLUMNS, findings)
        domains = [row | ours for one in measured for row in one.per_domain]
        write_csv(out / PER_DOMAIN, DOMAIN_COLUMNS, domains)
        answered = {key: (one, done.measured[key].decision) for key, one in done.answers.items()}
        columns = prediction_columns(done.plan.findings)
        write_csv(out / PREDICTIONS, columns, prediction_rows(done.plan, answered, pause))
        _write_embeddings(out / EMBEDDINGS, done)
        _write_json(out / TABLE_JSON, table_values(done))


def write_provenance(out: Path, done: Evaluated) -> None:
    """Write ``provenance.json``, with the hash of every other file; the last file of all."""
    values = describe(done)
    values["files"] = {
        name: hashlib.sha256((out / name).read_bytes()).hexdigest()
        for name in FILES
        if name != PROVENANCE
    }
    with disk_errors(out):
        _write_json(out / PROVENANCE, values)


def table_values(done: Evaluated) -> dict[str, object]:
    """``three_modes.json``: all that a page needs to show the evaluation."""
    plan = done.plan
    return {
        "format": FORMAT,
        "model": plan.choices.model,
        "findings": list(plan.findings),
        "rows": _measured_rows(done),
        "nulls": list(done.nulls),
        "published": published_rows(done),
        "published_source": PUBLISHED_SOURCE,
        "distance_check": done.distance_check,
        "label_source": plan.label_source,
        "split_rule": plan.split_rule,
        "remarks": list(plan.remarks),
        "n_missing": len(plan.missing),
        "missing": list(plan.missing),
        "left_out": list(plan.left_out),
        "parts": {part: len(plan.rows(part)) for part in ("train", "validation", "test")},
        "distribution": plan.distribution(),
        "without_positives": findings_without_positives(plan),
        "radiologist": sorted(plan.radiologist),
        "histograms": _by_name({key: one.histogram for key, one in done.measured.items()}),
        "labels_histogram": _label_histogram(plan),
        "calibration": _by_name({key: one.calibration for key, one in done.measured.items()}),
        "training": _by_name(
            {key: dict(one.training) for key, one in done.answers.items() if one.training}
        ),
        "embeddings": {mode: tower_of(mode) for _, mode in done.answers},
    }


def describe(done: Evaluated) -> dict[str, object]:
    """Everything that decided the numbers."""
    plan, choices = done.plan, done.plan.choices
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": choices.command(),
        "workspace": done.workspace.name,
        "synthetic": done.workspace.synthetic,
        "choices": _without_folders(choices.to_dict()),
        "fingerprint": plan.fingerprint(done.entry, done.precision),
        "findings": list(plan.findings),
        "label_source": plan.label_source,
        "labels_sha256": plan.labels_sha256,
        "uncertain_rule": choices.uncertain,
        "split_rule": plan.split_rule,
        "parts": {part: len(plan.rows(part)) for part in ("train", "validation", "test")},
        "patients": len(set(plan.patients)),
        "n_missing": len(plan.missing),
        "remarks": list(plan.remarks),
        "rules": {preset: RULES[preset] for preset in choices.presets},
        "definitions": _definitions(plan),
        "model_entry": _without_folders(done.entry),
        "made_by": _without_folders(done.made_by),
        "weights": _by_name({key: dict(value) for key, value in done.weights.items()}),
        "training": _by_name({key: dict(one.training) for key, one in done.answers.items()}),
        "installed_heads": list(done.installed),
        "seeds": {"all": choices.seed},
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in PACKAGES},
        },
    }


def published_rows(done: Evaluated) -> list[Row]:
    """The study's rows for the modes that were evaluated."""
    modes = dict.fromkeys(mode for _, mode in done.answers)
    return [
        {
            "kind": "published",
            "preset": "published",
            "mode": mode,
            **PUBLISHED[mode],
            "label_source": PUBLISHED_LABELS,
        }
        for mode in modes
        if mode in PUBLISHED
    ]


def _measured_rows(done: Evaluated) -> list[Row]:
    return [{"kind": "measured", **one.row} for one in done.measured.values()]


def _write_embeddings(path: Path, done: Evaluated) -> None:
    """Test embeddings by mode; modes that share a tower share one array."""
    arrays: dict[str, NDArray[np.float32]] = {}
    for (_, mode), answers in done.answers.items():
        arrays.setdefault(tower_of(mode), answers.embeddings)
    plan = done.plan
    ids = np.array([plan.images[row].image_id for row in plan.rows("test")])
    source = np.array(plan.label_source)
    with replacing(path) as file:
        np.savez(file, image_ids=ids, label_source=source, **arrays)  # type: ignore[arg-type] # the stub takes **arrays for its own flag


def _label_histogram(plan: EvaluationPlan) -> list[int]:
    counts = plan.labels[plan.rows("test")].sum(axis=1)
    return [int(count) for count in np.bincount(counts, minlength=len(plan.findings) + 1)]


def _by_name(values: Mapping[tuple[str, str], object]) -> dict[str, object]:
    return {f"{preset} {mode}": value for (preset, mode), value in values.items()}


def _definitions(plan: EvaluationPlan) -> dict[str, object]:
    choices = plan.choices
    return {
        "separation": (
            "Euclidean distances of un-normalised image embeddings of the test pictures; columns "
            "with _l2: of the same at unit length"
        ),
        "f1": "macro over all findings, zero_division 0",
        "domains": "means over the domain's findings that have a positive test picture",
        "interval": (
            f"patient-cluster bootstrap, {choices.replicates} replicates, percentile {LEVEL:.0%}; "
            f"none with fewer than {MIN_CLUSTERS} patients"
        ),
        "p": f"{choices.permutations} permutations of the label rows, the identity included",
        "null": (
            f"{NULL_MEANING}; mean of {choices.null_draws} draws, _low and _high: their middle "
            f"95 %; the pair formula's of at most {EXACT_IMAGES} pictures"
        ),
        "published": PUBLISHED_SOURCE,
    }


def _without_folders(value: object) -> object:
    """The same, but of a place on the disk only its own name: paths name users."""
    if isinstance(value, Mapping):
        return {name: _without_folders(item) for name, item in value.items()}
    if isinstance(value, str):
        prefix, _, rest = value.rpartition(LOCAL_PREFIX)
        place = PurePath(rest)
        return (
            f"{prefix}{LOCAL_PREFIX}{place.name}"
            if prefix or value != rest
            else (place.name if place.is_absolute() else value)
        )
    return value


def _write_json(path: Path, values: Mapping[str, object]) -> None:
    text = json.dumps(dict(values), indent=1, ensure_ascii=False, default=str)
    with replacing(path) as file:
        file.write(f"{text}\n".encode())
