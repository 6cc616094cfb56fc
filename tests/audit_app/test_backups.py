"""Backups while a page is served: at its start, and again when one is due."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annotations.store import Store
from annotations.store.backup import list_backups
from annotations.workspace import Workspace, create_workspace
from audit_app.backups import regular_backups
from audit_app.notices import Notices

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
        wait_until(lambda: len(list_backups(workspace.backups)) == 1)
        (first,) = list_backups(workspace.backups)
        store.readers.ensure("mira")
        time.sleep(0.1)
        assert list_backups(workspace.backups) == [first]
        an_hour_ago = time.time() - 3601
        os.utime(first, (an_hour_ago, an_hour_ago))
        wait_until(lambda: len(list_backups(workspace.backups)) == 2)
    assert threading.active_count() == threads
    _, second = list_backups(workspace.backups)
    with Store(second, workspace.settings.findings) as copy:
        assert [reader.name for reader in copy.readers.all()] == ["mira"]


def test_a_page_that_is_started_again_and_again_makes_no_backup_each_time(
    workspace: Workspace, store: Store
) -> None:
    for _ in range(3):
        with regular_backups(workspace, store):
            pass
    assert len(list_backups(workspace.backups)) == 1


def test_a_backup_that_fails_is_said_to_everybody_and_stops_nothing(
    workspace: Workspace, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    notices = Notices()
    workspace.backups.rmdir()
    workspace.backups.write_text("in the way", encoding="utf-8")
    with regular_backups(workspace, store, notices=notices, look_every_s=0.02):
        wait_until(lambda: "no backup was made" in caplog.text)
        wait_until(lambda: notices.all() != ())
        (said,) = notices.all()
        assert "No backup of the readings could be made" in said
        assert str(workspace.root) not in said
        workspace.backups.unlink()
        wait_until(lambda: list_backups(workspace.backups) != [])
        wait_until(lambda: notices.all() == ())
