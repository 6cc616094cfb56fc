"""Backups while a page is served: at its start, and again when one is due."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annotations.store import Store
from annotations.workspace import Workspace, create_workspace
from audit_app.backups import regular_backups

WAIT_S = 20.0


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "w", name="w")


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    with Store.open(workspace) as opened:
        yield opened


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def test_a_backup_is_made_at_the_start_and_when_the_last_one_is_old(
    workspace: Workspace, store: Store
) -> None:
    threads = threading.active_count()
    with regular_backups(workspace, store, look_every_s=0.02):
        (first,) = workspace.backups.iterdir()
        store.readers.ensure("mira")
        time.sleep(0.1)
        assert list(workspace.backups.iterdir()) == [first]
        os.utime(first, (1, 1))
        wait_until(lambda: len(list(workspace.backups.glob("*.sqlite"))) == 2)
    assert threading.active_count() == threads
    _, second = sorted(workspace.backups.glob("*.sqlite"))
    with Store(second, workspace.settings.findings) as copy:
        assert [reader.name for reader in copy.readers.all()] == ["mira"]


def test_a_backup_that_fails_later_is_said_in_the_log_and_stops_nothing(
    workspace: Workspace, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    with regular_backups(workspace, store, look_every_s=0.02):
        shutil.rmtree(workspace.backups)
        workspace.backups.write_text("in the way", encoding="utf-8")
        wait_until(lambda: "no backup was made" in caplog.text)
        workspace.backups.unlink()
        wait_until(lambda: list(workspace.backups.glob("*.sqlite")) != [])
