"""The reading protocol: in the file, in the log, and what is refused."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from annotations.errors import WorkspaceError
from annotations.protocol import (
    BY_HAND,
    Protocol,
    change_protocol,
    current_protocol,
    read_protocol,
    replace_table,
)
from annotations.store import Store
from annotations.workspace import Workspace, create_workspace, open_workspace

OTHER = Protocol(
    findings=("Edema",),
    certainty="required",
    smallest_box_px=9,
    heatmap="never",
    earlier_readings=True,
    random_order=True,
    seed=7,
    repeat_percent=12.5,
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "w", name="ward", findings=("Edema", "Fracture"))


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    with Store.open(workspace) as opened:
        yield opened


def test_a_new_workspace_says_its_protocol_in_the_file(workspace: Workspace) -> None:
    values = tomllib.loads(workspace.settings_file.read_text())
    assert values["protocol"] == {
        "findings": [],
        "certainty": "optional",
        "smallest_box_px": 2,
        "heatmap": "after commit",
        "earlier_readings": False,
        "random_order": False,
        "seed": 1,
        "repeat_percent": 0.0,
    }
    assert open_workspace(workspace.root).settings.findings == ("Edema", "Fracture")


def test_a_workspace_from_before_the_protocol_has_the_default_one(workspace: Workspace) -> None:
    file = workspace.settings_file
    file.write_text(file.read_text().split("# The rules of reading")[0])
    assert open_workspace(workspace.root).settings.name == "ward"
    assert read_protocol(file) == Protocol()


def test_a_change_is_in_the_file_and_in_the_log_with_before_and_after(
    workspace: Workspace, store: Store
) -> None:
    file = workspace.settings_file
    file.write_text("# a note of the study nurse\n" + file.read_text())
    assert change_protocol(file, store, OTHER, "ada")
    assert not change_protocol(file, store, OTHER, "ada")
    assert read_protocol(file) == OTHER
    assert open_workspace(workspace.root).settings == workspace.settings
    assert file.read_text().startswith("# a note of the study nurse\n")
    (row,) = store.log.about("protocol", "protocol")
    assert row.actor == "ada"
    assert row.details == {"before": Protocol().as_values(), "after": OTHER.as_values()}


def test_a_change_that_was_made_in_the_file_is_noticed_and_logged(
    workspace: Workspace, store: Store
) -> None:
    file = workspace.settings_file
    file.write_text(file.read_text().replace('heatmap = "after commit"', 'heatmap = "at once"'))
    assert current_protocol(file, store).heatmap == "at once"
    assert current_protocol(file, store).heatmap == "at once"
    (row,) = store.log.about("protocol", "protocol")
    assert row.actor == BY_HAND
    after = row.details["after"]
    assert isinstance(after, dict)
    assert after["heatmap"] == "at once"


def test_when_the_file_cannot_be_written_the_log_does_not_tell_of_a_change(
    workspace: Workspace, store: Store
) -> None:
    blocker = workspace.settings_file.with_name("workspace.toml.partial")
    blocker.mkdir()
    with pytest.raises(WorkspaceError, match=r"workspace\.toml cannot be written"):
        change_protocol(workspace.settings_file, store, OTHER, "ada")
    assert store.log.about("protocol", "protocol") == []
    assert read_protocol(workspace.settings_file) == Protocol()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('certainty = "often"', "'certainty' is 'often'; expected one of optional, required"),
        ("smallest_box_px = 1", "'smallest_box_px' is 1; expected a whole number from 2 to 1000"),
        ("smallest_box_px = 2.5", "expected a whole number"),
        ("repeat_percent = 101", "'repeat_percent' is 101; expected a number from 0 to 100"),
        ("repeat_percent = nan", "'repeat_percent' is nan"),
        ("random_order = 1", "'random_order' is 1; expected true or false"),
        ('findings = "Edema"', "'findings' is 'Edema'; expected a list of names"),
        ("colour = 3", "unknown rule 'colour'; known: findings, certainty"),
    ],
)
def test_a_rule_that_is_none_is_refused_by_name(
    workspace: Workspace, line: str, message: str
) -> None:
    file = workspace.settings_file
    file.write_text(replace_table(file.read_text(), f"[protocol]\n{line}\n"))
    with pytest.raises(WorkspaceError, match=r"workspace\.toml") as caught:
        open_workspace(workspace.root)
    assert message in str(caught.value)


def test_a_finding_that_the_workspace_lacks_is_refused_with_the_nearest(
    workspace: Workspace, store: Store
) -> None:
    wrong = replace(OTHER, findings=("Edemma",))
    with pytest.raises(WorkspaceError, match="did you mean 'Edema'"):
        change_protocol(workspace.settings_file, store, wrong, "ada")
    twice = replace(OTHER, findings=("Edema", "Edema"))
    with pytest.raises(WorkspaceError, match="'Edema' stands twice"):
        change_protocol(workspace.settings_file, store, twice, "ada")


def test_only_the_table_of_the_protocol_is_replaced() -> None:
    text = 'name = "w"\n[protocol]\nseed = 1\nfindings = [\n"A",\n]\n[later]\nx = 1\n'
    assert replace_table(text, "[protocol]\nseed = 2\n") == (
        'name = "w"\n[protocol]\nseed = 2\n[later]\nx = 1\n'
    )
    assert replace_table("name = 1", "[protocol]\n") == "name = 1\n\n[protocol]\n"
