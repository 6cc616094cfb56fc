"""What evaluations keep so that they go on after a kill, and how it goes away again.

Trained weights lie below the model, finished stages in the cache; both are named by the
evaluation's fingerprint. Whoever removes them gives up two things: the same evaluation trains
again, and its scores cannot be asked of the weights any more.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.errors import AuditError
from audit_app.evaluator.job import JOB_KIND
from audit_app.evaluator.result import PROVENANCE
from audit_app.evaluator.stages import KEY_LENGTH
from audit_app.jobs import ACTIVE_STATUSES

DEFAULT_DAYS: Final = 30
DAY_S: Final = 86_400
EVALUATIONS: Final = "evaluations"


@dataclass(frozen=True, slots=True)
class KeptEvaluation:
    """What one evaluation left in the workspace.

    Attributes:
        key: Beginning of its fingerprint.
        folders: Weights and finished stages.
        n_bytes: That removing it gives back; weights which a mode of the workspace uses are stored
            once and stay.
        used_at: Seconds since 1970.
        is_shown: Whether the page has this evaluation.
    """

    key: str
    folders: tuple[Path, ...]
    n_bytes: int
    used_at: float
    is_shown: bool


def kept_evaluations(workspace: Workspace) -> list[KeptEvaluation]:
    """Everything that evaluations keep, what was used longest ago first."""
    folders: dict[str, list[Path]] = {}
    for root in (workspace.cache / EVALUATIONS, *workspace.models.glob(f"*/{EVALUATIONS}")):
        for folder in root.iterdir() if root.is_dir() else ():
            if folder.is_dir():
                folders.setdefault(folder.name, []).append(folder)
    shown = set(_shown_keys(workspace))
    kept = [
        KeptEvaluation(
            key=key,
            folders=tuple(found),
            n_bytes=sum(map(_freed_bytes, found)),
            used_at=max(map(_used_at, found)),
            is_shown=key in shown,
        )
        for key, found in folders.items()
    ]
    return sorted(kept, key=lambda one: one.used_at)


def clean_evaluations(
    workspace: Workspace, store: Store, *, days: int = DEFAULT_DAYS, everything: bool = False
) -> list[KeptEvaluation]:
    """What was removed: everything kept that was not used for so many days.

    Args:
        workspace: Whose models and cache are cleaned.
        store: Of the workspace.
        days: Younger ones stay.
        everything: Also of the evaluations that the page shows; else those stay, however old.

    Raises:
        AuditError: If an evaluation is under way or days are negative.
    """
    if days < 0:
        raise AuditError(f"{days} days given; expected 0 or more")
    active = [
        job
        for job in store.jobs.recent(limit=200, kinds=(JOB_KIND,))
        if job.status in ACTIVE_STATUSES
    ]
    if active:
        raise AuditError(
            "an evaluation is under way or waiting, and needs what it keeps; let it finish or "
            "cancel it, then clean"
        )
    before = time.time() - days * DAY_S
    removed = [
        one
        for one in kept_evaluations(workspace)
        if one.used_at <= before and (everything or not one.is_shown)
    ]
    for one in removed:
        # Stages last: without them the weights would be believed to be another's.
        for folder in sorted(one.folders, key=lambda path: path.is_relative_to(workspace.cache)):
            shutil.rmtree(folder)
    return removed


def describe_cleaning(workspace: Workspace, removed: list[KeptEvaluation]) -> list[str]:
    """A line for each, and what stays."""
    lines = [
        f"removed {one.key}: {_megabytes(one.n_bytes)}, last used "
        f"{time.strftime('%Y-%m-%d', time.localtime(one.used_at))}"
        for one in removed
    ]
    stay = kept_evaluations(workspace)
    freed = _megabytes(sum(one.n_bytes for one in removed))
    lines.append(
        f"Removed what {len(removed)} evaluations kept ({freed}); {len(stay)} stay "
        f"({_megabytes(sum(one.n_bytes for one in stay))})."
    )
    if removed:
        lines.append(
            "Their tables and reports are untouched; verifying them cannot ask their weights "
            "any more, and evaluating the same again trains again."
        )
    return lines


def _shown_keys(workspace: Workspace) -> Iterator[str]:
    """Of the evaluations whose folder lies among the exports."""
    for path in workspace.exports.glob(f"evaluation-*/{PROVENANCE}"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            yield str(json.loads(path.read_text(encoding="utf-8"))["fingerprint"])[:KEY_LENGTH]


def _freed_bytes(folder: Path) -> int:
    """Of files that lie nowhere else under another name."""
    states = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum(state.st_size for state in states if state.st_nlink == 1)


def _used_at(folder: Path) -> float:
    return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"
