"""The Settings tab: who reads the protocol, who changes it, and what stands in its history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from annotations.errors import WorkspaceError
from annotations.protocol import Protocol, read_protocol
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.settings import Settings
from audit_app.tabs.settings import (
    CHANGED_ELSEWHERE,
    add_finding,
    build_settings_tab,
    fill_settings,
    history_rows,
    open_settings,
    parse_form,
    save_settings,
)

ADMIN, AUDITOR = Visitor("ada", "admin"), Visitor("otto", "auditor")
FORM: list[Any] = [["Edema"], "required", 8, "at once", True, True, 7, 12.5]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    findings = ("Edema", "Fracture", "No Finding")
    workspace = create_workspace(tmp_path / "w", name="w", findings=findings)
    with Store.open(workspace) as store:
        yield Services(workspace, store, Settings())


def test_what_an_admin_saves_is_in_force_and_in_the_history(services: Services) -> None:
    updates = save_settings(services, ADMIN, parse_form(services, *FORM))
    assert read_protocol(services.workspace.settings_file) == Protocol(
        ("Edema",), "required", 8, "at once", True, True, 7, 12.5
    )
    assert "Saved" in updates[0]
    assert "not blinded" in updates[0]
    assert "not independent" in updates[0]
    changed = {row[2]: (row[1], row[3], row[4]) for row in history_rows(services)}
    assert changed["heatmap"] == ("ada", "after commit", "at once")
    assert changed["findings"] == ("ada", "all of the workspace", "Edema")
    assert changed["smallest box (pixels)"] == ("ada", "2", "8")
    assert changed["earlier readings"] == ("ada", "no", "yes")
    again = save_settings(services, ADMIN, parse_form(services, *FORM))
    assert again[0].startswith("Nothing was changed.")


def test_all_findings_ticked_means_those_that_come_later_too(services: Services) -> None:
    form = [["Fracture", "Edema"], *FORM[1:]]
    assert parse_form(services, *form).findings == ()
    with pytest.raises(WorkspaceError, match="no finding is chosen"):
        parse_form(services, [], *FORM[1:])
    with pytest.raises(WorkspaceError, match="the field 'seed' is empty"):
        parse_form(services, *FORM[:6], None, 0)


def test_an_auditor_reads_the_protocol_and_cannot_touch_it(services: Services) -> None:
    said, *fields, save, new_finding, add, _, _ = fill_settings(services, AUDITOR)
    assert "an admin changes it" in said
    assert not any(field.interactive for field in fields)
    assert not any(one.visible for one in (save, new_finding, add))
    assert all(field.interactive for field in fill_settings(services, ADMIN)[1:9])


def test_a_tab_that_is_opened_again_is_filled_only_when_others_changed_it(
    services: Services,
) -> None:
    *_, known = open_settings(services, ADMIN, None)
    assert open_settings(services, ADMIN, known) is None
    save_settings(services, ADMIN, parse_form(services, *FORM))
    said, findings, certainty, *_, known = open_settings(services, ADMIN, known)
    assert said.startswith(CHANGED_ELSEWHERE)
    assert (findings.value, certainty.value) == (["Edema"], "required")
    add_finding(services, ADMIN, "Hiatal Hernia")
    _, findings, *_ = open_settings(services, ADMIN, known)
    assert findings.choices[-1] == ("Hiatal Hernia", "Hiatal Hernia")


def test_a_further_finding_is_added_once_and_logged(services: Services) -> None:
    assert add_finding(services, ADMIN, "  Hiatal  Hernia ")[0].startswith("The finding was added")
    assert add_finding(services, ADMIN, "hiatal hernia")[0].startswith("This finding is there")
    assert services.store.findings()[-1] == "Hiatal Hernia"
    rows = services.store.log.about("finding", "Hiatal Hernia")
    assert [row.actor for row in rows] == ["ada"]


def test_every_handler_that_changes_something_asks_for_an_admin(services: Services) -> None:
    services.store.accounts.add("otto", "auditor", "x")
    with gr.Blocks() as demo, gr.Tab("Settings") as place:
        build_settings_tab(services, place)

    class Request:
        username = "otto"

    refused = 0
    for event in demo.fns.values():
        if event.name in ("save", "add"):
            with pytest.raises(gr.Error, match="your role is auditor; this needs admin"):
                event.fn(Request(), *FORM)
            refused += 1
    assert refused == 2
