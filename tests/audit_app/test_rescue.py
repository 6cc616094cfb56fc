"""The page of a damaged workspace: what it shows to whom, and that it leads back."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from annotations.errors import DamagedWorkspace
from annotations.findings import STUDY_FINDINGS
from annotations.records import Region
from annotations.regions import Box
from annotations.store import Store
from annotations.store.restore import newest_sound_backup
from annotations.workspace import Workspace
from audit_app.accounts import add_account
from audit_app.errors import AuditError
from audit_app.rescue import NO_BACKUP, Rescue, _stand_in, open_or_rescue
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.settings import Settings
from audit_app.stop_request import StopRequest
from audit_app.witness import LogWitness
from tests.browser.films import make_workspace

ADMIN, READER, AUDITOR = (
    Visitor("root", "admin"),
    Visitor("anna", "reader"),
    Visitor("bert", "auditor"),
)
MOST_S = 60.0


@pytest.fixture
def damaged(tmp_path: Path) -> Workspace:
    """Two readings in the older backup, one more since, and a database that is damaged."""
    workspace, records = make_workspace(tmp_path, ["film-00.png", "film-01.png"])
    first, second = records.values()
    box = Region("", "Mass", "definite", Box(1, 1, 9, 9))
    with Store.open(workspace) as store:
        store.readings.import_committed(first.image_id, "anna", "synthetic", [box], False)
        store.readings.import_committed(first.image_id, "carla", "synthetic", [], True)
        store.backup_if_due(workspace.backups, every=timedelta(0))
        store.readings.import_committed(second.image_id, "anna", "synthetic", [box], False)
    workspace.database.write_bytes(b"no database " * 1000)
    return workspace


@contextmanager
def rescue_of(workspace: Workspace) -> Iterator[Rescue]:
    with _stand_in(workspace) as store:
        services = Services(workspace, store, Settings(open_browser=False))
        yield Rescue(services, StopRequest())


def test_who_may_see_and_restore_what(damaged: Workspace) -> None:
    with rescue_of(damaged) as rescue:
        shown = {visitor.role: rescue.filled(visitor) for visitor in (ADMIN, READER, AUDITOR)}
    way_back, backups, choice, button, readings = shown["admin"]
    assert "The way back" in way_back
    assert [(row[1], row[2], row[4]) for row in backups] == [("2", "2", "sound")]
    assert (choice.interactive, button.interactive) == (True, True)
    assert [(row[0], row[1], row[3]) for row in readings] == [
        ("film-00.png", "anna", "Mass"),
        ("film-00.png", "carla", "No Finding"),
    ]
    assert [row[1] for row in shown["reader"][4]] == ["anna"]
    assert [row[1] for row in shown["auditor"][4]] == ["anna", "carla"]
    for role in ("reader", "auditor"):
        assert (shown[role][2].interactive, shown[role][3].interactive) == (False, False)
    assert list(damaged.cache.glob("rescue-*")) == []


def test_a_restore_on_the_page_puts_the_backup_in_place_once(damaged: Workspace) -> None:
    content = damaged.database.read_bytes()
    with rescue_of(damaged) as rescue:
        with pytest.raises(AuditError, match="choose one of the backups"):
            rescue.restore("../../etc/passwd", ADMIN)
        assert not rescue.is_restored
        name = rescue.filled(ADMIN)[2].value
        assert "Restored" in rescue.restore(name, ADMIN)
        rescue.stop.wait()
        assert rescue.is_restored
        with pytest.raises(AuditError, match="restored already"):
            rescue.restore(name, ADMIN)
    with Store.open(damaged) as store:
        assert store.readings.count_committed() == 2
        row = store.log.rows(limit=1)[0]
        assert (row.kind, row.actor) == ("restore", "root")
        assert store.check(files=False) == []
    (aside,) = damaged.backups.glob("replaced-*.sqlite")
    assert aside.read_bytes() == content


def test_what_happened_on_the_page_stands_in_the_restored_log(damaged: Workspace) -> None:
    with rescue_of(damaged) as rescue:
        witness = LogWitness(rescue.services)
        witness.sign_in_failed("root", "10.0.0.7", "wrong name or password")
        witness.signed_in("root", "10.0.0.7")
        rescue.restore(rescue.filled(ADMIN)[2].value, ADMIN)
    with Store.open(damaged) as store:
        restored, signed_in, failed = store.log.rows(limit=3)
        assert store.check(files=False) == []
    assert [row.kind for row in (failed, signed_in, restored)] == [
        "sign in failed",
        "sign in",
        "restore",
    ]
    assert failed.details["address"] == "10.0.0.7"
    assert str(failed.details["on_rescue_page_at"]) < failed.at


def test_what_happened_on_a_page_that_restores_nothing_stands_in_the_programs_log(
    damaged: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()

    def fail_and_stop() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=MOST_S) as client:
            first_answer(client, "/")
            client.post("/login", data={"username": "root", "password": "guessed"})
        os.kill(os.getpid(), signal.SIGTERM)

    copy = newest_sound_backup(damaged.backups)
    assert copy is not None
    with Store(copy, STUDY_FINDINGS) as store:
        add_account(store, "root", "admin", "correct horse battery")
    stopper = threading.Thread(target=fail_and_stop, daemon=True)
    stopper.start()
    with pytest.raises(DamagedWorkspace):
        open_or_rescue(damaged, Settings(port=port, open_browser=False))
    stopper.join(MOST_S)
    told = [text for text in caplog.messages if text.startswith("on the rescue page at ")]
    assert any("sign in failed, nobody, root" in text for text in told)
    assert all("guessed" not in text for text in told)


def test_an_account_that_was_disabled_after_the_backup_gets_no_further_on_the_page(
    tmp_path: Path,
) -> None:
    workspace, _ = make_workspace(tmp_path, ["film-00.png"])
    with Store.open(workspace) as store:
        store.accounts.add("root", "admin", "hash")
        store.backup_if_due(workspace.backups, every=timedelta(0))
        store.accounts.disable("root")
        store.log.add("account disabled", "command line", "root", {})
    # A page of the log is torn; the accounts can still be read.
    content = bytearray(workspace.database.read_bytes())
    place = content.rindex(b"command line")
    content[place - 2000 : place + 200] = b"\xa5" * 2200
    workspace.database.write_bytes(content)
    with pytest.raises(DamagedWorkspace):
        Store.open(workspace)
    with rescue_of(workspace) as rescue:
        assert [one.disabled for one in rescue.services.store.accounts.all()] == [True]


def test_a_missing_database_is_restored_on_the_same_page(
    damaged: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    damaged.database.unlink()
    port = free_port()
    (backup,) = damaged.backups.iterdir()
    said: list[str] = []
    threading.Thread(
        target=use_page, args=(f"http://127.0.0.1:{port}", backup.name, said), daemon=True
    ).start()
    with open_or_rescue(damaged, Settings(port=port, open_browser=False)) as store:
        assert store.readings.count_committed() == 2
    assert f"is missing; restore it from a backup in {damaged.backups}" in caplog.text
    assert f"launch.py restore {damaged.root}" in caplog.text


def test_without_a_sound_backup_the_page_says_what_else_can_be_done(damaged: Workspace) -> None:
    (backup,) = damaged.backups.iterdir()
    backup.write_bytes(b"neither")
    with rescue_of(damaged) as rescue:
        way_back, backups, choice, button, readings = rescue.filled(ADMIN)
        assert way_back == NO_BACKUP
        assert [row[4] for row in backups] == ["not sound"]
        assert (choice.interactive, button.interactive, readings) == (False, False, [])
        with pytest.raises(DamagedWorkspace, match="was not restored"):
            rescue.restore(backup.name, ADMIN)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def use_page(url: str, name: str, said: list[str]) -> None:
    """What the page does when it loads and its button is clicked; the answers go to ``said``."""
    try:
        with httpx.Client(base_url=url, timeout=30) as client:
            said.append(str(first_answer(client, "/audit/rescue").status_code))
            said.append(client.get("/", follow_redirects=True).text)
            session = os.urandom(6).hex()
            said.append(run_event(client, session, "load", []))
            said.append(run_event(client, session, "click", [name]))
    except BaseException:
        # The page would wait for ever; this ends it as Ctrl-C does.
        os.kill(os.getpid(), signal.SIGINT)
        raise


def first_answer(client: httpx.Client, path: str) -> httpx.Response:
    until = time.monotonic() + MOST_S
    while True:
        try:
            return client.get(path)
        except httpx.TransportError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def run_event(client: httpx.Client, session: str, trigger: str, data: list[str]) -> str:
    events = client.get("/config").json()["dependencies"]
    (event,) = (one["id"] for one in events if [name for _, name in one["targets"]] == [trigger])
    body = {"data": data, "fn_index": event, "session_hash": session}
    assert client.post("/gradio_api/queue/join", json=body).status_code == 200
    with client.stream("GET", f"/gradio_api/queue/data?session_hash={session}") as stream:
        return next(line for line in stream.iter_lines() if "process_completed" in line)


# Of Gradio's own table of how long events take.
def test_a_damaged_workspace_is_served_until_a_backup_is_restored_and_then_opens(
    damaged: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    (backup,) = damaged.backups.iterdir()
    said: list[str] = []
    browser = threading.Thread(
        target=use_page, args=(f"http://127.0.0.1:{port}", backup.name, said), daemon=True
    )
    browser.start()
    with open_or_rescue(damaged, Settings(port=port, open_browser=False)) as store:
        browser.join(MOST_S)
        assert store.readings.count_committed() == 2
    status, page, loaded, restored = said
    assert status == "200"
    assert "film-00.png" in loaded
    assert "Restored" in restored
    assert "film-00.png" not in page
    assert str(damaged.root) not in page
    assert "is damaged" in caplog.text
