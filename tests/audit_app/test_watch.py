"""Clock and database while a page is served, and what it says of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from annotations.errors import DamagedWorkspace
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.banner import banner_value
from audit_app.clock import clock_problem
from audit_app.services import Services
from audit_app.session import LOCAL_READER
from audit_app.settings import Settings
from audit_app.watch import check_database, watched


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    workspace = create_workspace(tmp_path / "ward", name="ward")
    with Store.open(workspace) as store:
        for number in range(300):
            store.log.add("import", "mira", "somewhere", {"number": number})
        yield Services(workspace, store, Settings(open_browser=False))


def test_a_clock_that_is_behind_the_log_is_said_and_one_that_is_ahead_is_not(
    services: Services,
) -> None:
    now = datetime.now(UTC)
    assert clock_problem(services.store) == ""
    assert clock_problem(services.store, now + timedelta(days=900)) == ""
    assert clock_problem(services.store, now - timedelta(minutes=5)) == ""
    behind = datetime(2001, 2, 3, 4, 5, tzinfo=UTC)
    said = clock_problem(services.store, behind)
    assert "clock says 2001-02-03 04:05 UTC" in said
    assert f"was made at {now:%Y-%m-%d %H:}" in said
    assert "Nothing is lost" in said


def test_what_is_done_while_the_clock_is_wrong_keeps_its_order_and_its_chain(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    from annotations.store import edit_log

    monkeypatch.setattr(edit_log, "now", lambda: "2001-01-01T00:00:00.000000+00:00")
    services.store.log.add("import", "mira", "with the clock set back", {})
    monkeypatch.undo()
    services.store.log.add("import", "mira", "afterwards", {})
    rows = services.store.log.rows(limit=2)
    assert [row.subject for row in rows] == ["afterwards", "with the clock set back"]
    assert services.store.check(files=False) == []


def test_warnings_stand_above_the_tabs_while_they_hold(services: Services) -> None:
    services.notices.set("clock", "The clock is wrong & late.")
    assert banner_value(services, LOCAL_READER)["warnings"] == ["The clock is wrong & late."]
    services.notices.set("clock", "")
    assert banner_value(services, LOCAL_READER)["warnings"] == []


def test_a_sound_workspace_is_watched_without_a_word(services: Services) -> None:
    with watched(services):
        assert services.notices.all() == ()


def test_damage_that_is_found_while_the_page_is_open_ends_all_saving(services: Services) -> None:
    database = services.workspace.database
    content = bytearray(database.read_bytes())
    half = len(content) // 2
    content[half : half + 30_000] = b"\xa5" * 30_000
    database.write_bytes(content)
    check_database(services)
    (said,) = services.notices.all()
    assert "Nothing can be saved" in said
    with pytest.raises(DamagedWorkspace, match="nothing was saved"):
        services.store.readers.ensure("mira")
