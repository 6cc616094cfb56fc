"""What evaluations keep is found, removed when old, and never taken from one that needs it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.errors import AuditError
from audit_app.evaluator.cleaning import (
    DAY_S,
    clean_evaluations,
    describe_cleaning,
    kept_evaluations,
)
from audit_app.evaluator.job import evaluation_folder
from audit_app.evaluator.stages import Stage, StageFolder

OLD, SHOWN, NEW = ("0" * 20, "1" * 20, "2" * 20)


def keep(workspace: Workspace, key: str, days_ago: float) -> Path:
    """A finished stage and the weights that it speaks of; the weights' path."""
    stages = StageFolder(workspace.cache / "evaluations", key)
    stages.keep("train-ft", Stage({"epochs": 3}))
    weights = workspace.models / "tiny" / "evaluations" / key / "ft.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"w" * 1000)
    then = time.time() - days_ago * DAY_S
    for path in (stages.folder, *stages.folder.iterdir(), weights.parent, weights):
        os.utime(path, (then, then))
    return weights


@pytest.fixture
def kept(workspace: Workspace) -> dict[str, Path]:
    shown = evaluation_folder(workspace, 4)
    shown.mkdir(parents=True)
    (shown / "provenance.json").write_text(json.dumps({"fingerprint": SHOWN + "rest"}))
    return {
        OLD: keep(workspace, OLD, 90),
        SHOWN: keep(workspace, SHOWN, 60),
        NEW: keep(workspace, NEW, 2),
    }


@pytest.mark.usefixtures("kept")
def test_everything_is_listed_the_oldest_first(workspace: Workspace) -> None:
    found = kept_evaluations(workspace)
    assert [one.key for one in found] == [OLD, SHOWN, NEW]
    assert [one.is_shown for one in found] == [False, True, False]
    assert all(len(one.folders) == 2 for one in found)
    assert all(1000 < one.n_bytes < 1100 for one in found)


def test_only_what_is_old_and_not_on_the_page_goes(
    workspace: Workspace, store: Store, kept: dict[str, Path]
) -> None:
    removed = clean_evaluations(workspace, store, days=30)
    assert [one.key for one in removed] == [OLD]
    assert not kept[OLD].parent.exists()
    assert not (workspace.cache / "evaluations" / OLD).exists()
    assert kept[SHOWN].is_file()
    assert kept[NEW].is_file()
    said = describe_cleaning(workspace, removed)
    assert said[0].startswith(f"removed {OLD}: 0.0 MB, last used ")
    assert said[1].startswith("Removed what 1 evaluations kept (0.0 MB); 2 stay")
    assert "cannot ask their weights" in said[2]


def test_everything_goes_when_asked(
    workspace: Workspace, store: Store, kept: dict[str, Path]
) -> None:
    removed = clean_evaluations(workspace, store, days=0, everything=True)
    assert {one.key for one in removed} == set(kept)
    assert kept_evaluations(workspace) == []
    assert clean_evaluations(workspace, store, days=0) == []


def test_weights_that_a_mode_uses_are_stored_once_and_stay(
    workspace: Workspace, store: Store, kept: dict[str, Path]
) -> None:
    used = workspace.models / "tiny" / "ft.safetensors"
    used.hardlink_to(kept[OLD])
    found = {one.key: one.n_bytes for one in kept_evaluations(workspace)}
    assert found[OLD] < 100
    clean_evaluations(workspace, store, days=30)
    assert used.read_bytes() == b"w" * 1000


@pytest.mark.usefixtures("kept")
def test_a_new_start_counts_as_use(workspace: Workspace, store: Store) -> None:
    StageFolder(workspace.cache / "evaluations", OLD)
    assert clean_evaluations(workspace, store, days=30) == []


@pytest.mark.usefixtures("kept")
def test_nothing_goes_while_an_evaluation_waits(workspace: Workspace, store: Store) -> None:
    job = store.jobs.submit("evaluate", {"model": "tiny"}, "anna")
    with pytest.raises(AuditError, match=r"under way or waiting, .* then clean"):
        clean_evaluations(workspace, store)
    store.jobs.cancel(job.job_id)
    assert len(clean_evaluations(workspace, store)) == 1
    with pytest.raises(AuditError, match="-1 days given"):
        clean_evaluations(workspace, store, days=-1)
