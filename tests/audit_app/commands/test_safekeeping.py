"""The commands `backup`, `restore`, `pseudonymise` and `check`, in this process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

import launch
from annotations.store import Store
from annotations.store.backup import list_backups
from annotations.workspace import Workspace, open_workspace
from tests.browser.films import make_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path, ["film-00.png"])[0]


def run(*arguments: object) -> tuple[int, str]:
    """Exit status, and everything that the command said as one line."""
    done = CliRunner().invoke(launch.app, [str(argument) for argument in arguments])
    return done.exit_code, " ".join(done.output.split())


def test_backup_list_damage_restore(workspace: Workspace) -> None:
    root = workspace.root
    status, said = run("backup", root)
    (backup,) = list_backups(workspace.backups)
    assert (status, said) == (0, f"Wrote {backup}, checked.")
    status, said = run("restore", root, "--list")
    assert status == 0
    assert said.startswith(backup.name)
    assert "1 images 0 committed" in said
    assert said.endswith("sound")
    workspace.database.write_bytes(b"damaged " * 999)
    status, said = run("check", root)
    assert status == 1
    assert "is damaged" in said
    status, said = run("restore", root)
    assert status == 0, said
    assert f"Restored {backup}." in said
    assert "lies, untouched, in" in said
    assert "Its accounts cannot be read" in said
    status, said = run("check", root)
    assert (status, said) == (0, "Everything is as it was written.")
    with Store.open(workspace) as store:
        assert [row.kind for row in store.log.rows(limit=1)] == ["restore"]


def test_a_backup_in_one_file_makes_the_workspace_anew(
    workspace: Workspace, tmp_path: Path
) -> None:
    archive = tmp_path / "ward.zip"
    status, said = run("backup", workspace.root, "--to", archive, "--all")
    assert status == 0
    assert f"Wrote {archive} (3 files" in said
    assert run("backup", workspace.root, "--all")[0] == 2
    again = tmp_path / "again"
    status, said = run("restore", again, archive)
    assert (status, said) == (0, f"Restored {again} from {archive}.")
    with Store.open(open_workspace(again)) as store:
        assert store.images.count() == 1


def test_without_any_backup_restore_says_what_else_there_is(workspace: Workspace) -> None:
    assert run("restore", workspace.root, "--list")[1].startswith("There is no backup")
    status, said = run("restore", workspace.root)
    assert status == 1
    assert "there is no sound backup" in said
    assert "give an archive" in said


def test_pseudonymise_says_what_a_person_must_still_do(workspace: Workspace) -> None:
    status, said = run("pseudonymise", workspace.root)
    (out,) = workspace.exports.iterdir()
    assert status == 0
    assert f"Wrote 1 pictures to {out / 'pictures'}." in said
    assert "look through all 1 contact sheets" in said
    with Store.open(workspace) as store:
        row = store.log.rows(limit=1)[0]
    assert (row.kind, row.details["written"]) == ("pseudonymise", 1)


def test_check_names_leftovers_and_removes_them_when_asked(workspace: Workspace) -> None:
    left = workspace.images / ("a" * 64 + ".png")
    left.write_bytes(b"12345")
    os.utime(left, (1, 1))
    status, said = run("check", workspace.root)
    assert status == 0
    assert f"orphan: {left}: no image refers to it" in said
    assert left.exists()
    status, said = run("check", workspace.root, "--clean")
    assert status == 0
    assert "Deleted 1 orphans, 5 bytes." in said
    assert not left.exists()
