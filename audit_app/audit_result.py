"""All tables of an audit: derived from its rows, kept with its run, read back from its folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from annotations.exports.cells import TABLE_ENCODING, unescape_cell
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.audit_paired import PAIRED_COLUMNS, paired_rows
from audit_app.audit_plan import AuditChoices
from audit_app.audit_readers import with_ceiling
from audit_app.audit_slices import SLICE_COLUMNS, slice_rows
from audit_app.controls import CONTROL_COLUMNS
from audit_app.controls_summary import CONTROL_SUMMARY_COLUMNS, control_summary
from audit_app.errors import AuditError
from audit_app.evaluation import AGREEMENT_COLUMNS, Row
from audit_app.reader_lines import READER_COLUMNS
from audit_app.reliance_summary import RELIANCE_COLUMNS, reliance_summary
from audit_app.reports.summary import SUMMARY_COLUMNS, by_way, pool, summarise
from audit_app.reveals import REVEAL_COLUMNS, reveal_lines

PROVENANCE_FILE: Final = "provenance.json"
FORMAT: Final = "saliency-audit-agreement-3"
# Without these, each of its kind, nothing can be compared or recomputed.
NEEDED: Final[Mapping[str, type]] = {
    "run_id": str,
    "choices": dict,
    "vocabulary": list,
    "images": dict,
    "readings": dict,
    "versions": dict,
    "files": dict,
}
KINDS: Final[Mapping[type, str]] = {str: "text", list: "list", dict: "table of names"}
# Name of the table in the result and in the run's summary, its file, its columns.
TABLES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "rows": ("agreement.csv", AGREEMENT_COLUMNS),
    "summary": ("summary.csv", SUMMARY_COLUMNS),
    "slices": ("slices.csv", SLICE_COLUMNS),
    "controls": ("controls.csv", CONTROL_COLUMNS),
    "control_summary": ("control_summary.csv", CONTROL_SUMMARY_COLUMNS),
    "reliance": ("reliance.csv", RELIANCE_COLUMNS),
    "paired": ("paired.csv", PAIRED_COLUMNS),
    "readers": ("readers.csv", READER_COLUMNS),
    "reveal": ("reveal.csv", REVEAL_COLUMNS),
}
# Too many rows for the run's summary; the store has those of agreement.csv by themselves.
NOT_IN_SUMMARY: Final = frozenset({"rows", "controls"})
# What follows from other tables by arithmetic alone.
DERIVED: Final = ("summary", "slices", "control_summary", "reliance", "paired")
# Text that looks like a number, a truth value or nothing, and is none.
TEXT_COLUMNS: Final = frozenset(
    {
        "run_id", "image_id", "patient_hash", "reader", "reading_id", "reader_kind", "source",
        "view", "model", "mode", "method", "finding", "status", "status_reason", "certainty",
        "score_kind", "reliance_note", "preprocessing", "layer", "versions", "note", "slice",
        "detail", "control", "asked", "fill", "compared", "first", "second", "metric",
        "measure", "change", "image_sha256", "reading_sha256", "weights_sha256", "config_sha256",
    }
)  # fmt: skip


@dataclass(frozen=True)
class AuditResult:
    """A finished audit.

    Attributes:
        provenance: What decided the numbers.
        rows: One per reading, finding, model, mode and method.
        summary: One per finding, model, mode and method, with macro and pooled lines.
        slices: One per slice and value.
        controls: Rows of the controls.
        control_summary: The model beside each control.
        reliance: Drops of the score.
        paired: Modes, models and methods against each other.
        readers: Readers among themselves.
        reveal: What readers changed after a map was shown.
    """

    provenance: Mapping[str, Any]
    rows: list[Row] = field(default_factory=list)
    summary: list[Row] = field(default_factory=list)
    slices: list[Row] = field(default_factory=list)
    controls: list[Row] = field(default_factory=list)
    control_summary: list[Row] = field(default_factory=list)
    reliance: list[Row] = field(default_factory=list)
    paired: list[Row] = field(default_factory=list)
    readers: list[Row] = field(default_factory=list)
    reveal: list[Row] = field(default_factory=list)

    def table(self, name: str) -> list[Row]:
        """The table with this key of ``TABLES``."""
        found: list[Row] = getattr(self, name)
        return found


def derive_tables(
    rows: Sequence[Row],
    controls: Sequence[Row],
    readers: Sequence[Row],
    choices: AuditChoices,
) -> dict[str, list[Row]]:
    """The tables ``DERIVED``, from rows alone.

    Args:
        rows: All agreement rows.
        controls: All control rows.
        readers: Lines of readers.csv, for the human ceiling.
        choices: Of the run: draws, and how regions were filled.
    """
    draws = {"replicates": choices.replicates, "seed": choices.seed}
    summary = summarise(rows, **draws)
    summary += [pool(group, **draws) for group in by_way(rows).values()]
    return {
        "summary": with_ceiling(summary, readers),
        "slices": slice_rows(rows, **draws),
        "control_summary": control_summary(rows, controls, **draws),
        "reliance": reliance_summary(rows, fill=choices.reliance, **draws),
        "paired": paired_rows(rows, **draws),
    }


def reveal_table(reveals: Sequence[Row], run_id: object, choices: AuditChoices) -> list[Row]:
    """The lines of readers.csv about reveals; none where nobody's readings could be revised."""
    if choices.reference == "adjudicated":
        return []
    draws = {"replicates": choices.replicates, "seed": choices.seed}
    return reveal_lines(reveals, run_id=run_id, **draws)


def summary_of(result: AuditResult) -> dict[str, object]:
    """What the run keeps: every table but those with a line per reading."""
    kept: dict[str, object] = {
        name: result.table(name) for name in TABLES if name not in NOT_IN_SUMMARY
    }
    names = ("counts", "warnings", "left_out", "versions")
    return kept | {name: result.provenance.get(name) for name in names}


def load_audit(folder: Path) -> AuditResult:
    """The audit that lies in a folder, as its files say.

    Raises:
        AuditError: If a file is missing or cannot be read; the message says which.
    """
    provenance = load_provenance(folder)
    tables = {name: read_table(folder, name) for name in TABLES}
    return AuditResult(provenance=provenance, **tables)


def load_provenance(folder: Path) -> dict[str, Any]:
    """What provenance.json of an audit's folder says.

    Raises:
        AuditError: If there is none, or it is not that of an audit of this format.
    """
    path = folder / PROVENANCE_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AuditError(
            f"{folder} holds no {PROVENANCE_FILE}; give the folder of a finished audit"
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise AuditError(f"{path} cannot be read ({error}); restore it from a copy") from None
    given = found.get("format") if isinstance(found, dict) else None
    if given != FORMAT:
        raise AuditError(f"{path} is of format {given!r}; expected {FORMAT!r}: run the audit again")
    missing = [name for name in NEEDED if name not in found]
    if missing:
        raise AuditError(f"{path} lacks {', '.join(missing)}; restore it from a copy")
    for name, kind in NEEDED.items():
        if not isinstance(found[name], kind):
            raise AuditError(
                f"{path}: {name} is {found[name]!r:.80}; expected a {KINDS[kind]}: restore it from "
                "a copy"
            )
    return dict(found)


def read_table(folder: Path, name: str) -> list[Row]:
    """The rows of one table of an audit's folder, with the types that they had.

    Args:
        folder: Of the audit.
        name: A key of ``TABLES``.

    Raises:
        AuditError: If the file is missing or no such table.
    """
    file_name, columns = TABLES[name]
    path = folder / file_name
    try:
        with path.open(encoding=TABLE_ENCODING, newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
    except FileNotFoundError:
        raise AuditError(f"{path} is missing; restore it from a copy") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AuditError(f"{path} cannot be read ({error}); restore it from a copy") from None
    if tuple(reader.fieldnames or ()) != columns:
        raise AuditError(
            f"{path} has the columns {', '.join(reader.fieldnames or ())}; "
            f"expected {', '.join(columns)}; restore it from a copy"
        )
    # In slices.csv a value is a word, in readers.csv a number.
    texts = TEXT_COLUMNS | {"value"} if name == "slices" else TEXT_COLUMNS
    return [
        {column: read_cell(text, is_text=column in texts) for column, text in row.items()}
        for row in rows
    ]


def read_cell(text: str | None, *, is_text: bool) -> object:
    """The value that a cell had when it was written."""
    if is_text:
        return unescape_cell(text or "")
    if not text:
        return None
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return unescape_cell(text)


def result_of_run(workspace: Workspace, store: Store, run_id: str) -> AuditResult:
    """The audit of a run as the store keeps it, with the rows of its files where these lie here.

    Raises:
        UnknownRecord: If there is no such run.
    """
    run = store.audits.get(run_id)
    folder = workspace.exports / f"audit-{run_id}"
    kept = {
        name: list(value)
        for name, value in run.summary.items()
        if name in TABLES and isinstance(value, list)
    }
    has_files = (folder / PROVENANCE_FILE).is_file()
    return AuditResult(
        provenance=load_provenance(folder) if has_files else dict(run.summary),
        rows=store.audits.rows(run_id),
        controls=read_table(folder, "controls") if has_files else [],
        **kept,
    )
