from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

import pytest

from annotations.archive import restore_archive, write_archive
from annotations.errors import DamagedWorkspace, StoreError, WorkspaceError
from annotations.store import Store
from annotations.workspace import Workspace, create_workspace, open_workspace

BIG = bytes(range(256)) * 20_000  # several chunks


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = create_workspace(tmp_path / "ward", name="Ward 7")
    with Store.open(made) as store:
        store.readers.ensure("mira")
    (made.images / "picture.png").write_bytes(BIG)
    (made.models / "cnn").mkdir()
    (made.models / "cnn" / "head.safetensors").write_bytes(b"weights")
    (made.cache / "maps.npz").write_bytes(b"can be computed again")
    return made


def archived(workspace: Workspace, to: Path, *, everything: bool = True) -> Path:
    with Store.open(workspace) as store:
        return write_archive(workspace, store, to, everything=everything).path


def rewritten(archive: Path, to: Path, changes: dict[str, bytes | None]) -> Path:
    """The archive with some members changed or, for None, left out."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(to, "w") as new:
        members = {name: old.read(name) for name in old.namelist()}
        for name, content in {**members, **changes}.items():
            if content is not None:
                new.writestr(name, content)
    return to


def with_manifest(archive: Path, to: Path, change: dict[str, object]) -> Path:
    manifest = json.loads(zipfile.ZipFile(archive).read("manifest.json"))
    manifest["files"] |= change
    return rewritten(archive, to, {"manifest.json": json.dumps(manifest).encode()})


def readers(workspace: Workspace) -> list[str]:
    with Store.open(workspace) as store:
        assert store.check(files=False) == []
        return [reader.name for reader in store.readers.all()]


def test_a_workspace_comes_back_whole_in_a_new_folder(workspace: Workspace, tmp_path: Path) -> None:
    archive = archived(workspace, tmp_path / "ward.zip")
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert restore_archive(tmp_path / "again", archive, actor="anna") is None
    again = open_workspace(tmp_path / "again")
    assert again.settings == workspace.settings
    assert readers(again) == ["mira"]
    with Store.open(again) as store:
        row = store.log.rows(limit=1)[0]
    assert (row.kind, row.actor, row.subject) == ("restore", "anna", "ward.zip")
    assert again.patient_hash("patient", "7") == workspace.patient_hash("patient", "7")
    assert (again.images / "picture.png").read_bytes() == BIG
    assert (again.models / "cnn" / "head.safetensors").read_bytes() == b"weights"
    assert list(again.cache.iterdir()) == []
    assert {stat.S_IMODE(one.stat().st_mode) for one in again.root.rglob("*") if one.is_file()} == {
        0o600
    }


def test_without_pictures_and_models_only_the_three_own_files_are_kept(
    workspace: Workspace, tmp_path: Path
) -> None:
    archive = archived(workspace, tmp_path / "ward.zip", everything=False)
    assert sorted(zipfile.ZipFile(archive).namelist()) == [
        "audit.sqlite",
        "manifest.json",
        "workspace.key",
        "workspace.toml",
    ]


def test_into_its_own_workspace_the_database_and_lost_files_come_back(
    workspace: Workspace, tmp_path: Path
) -> None:
    archive = archived(workspace, tmp_path / "ward.zip")
    with Store.open(workspace) as store:
        store.readers.ensure("later")
    (workspace.images / "picture.png").unlink()
    (workspace.models / "cnn" / "head.safetensors").write_bytes(b"trained since")
    done = restore_archive(workspace.root, archive, actor="anna")
    assert readers(workspace) == ["mira"]
    with Store.open(workspace) as store:
        row = store.log.rows(limit=1)[0]
    assert done is not None
    assert (row.kind, row.actor, row.subject) == ("restore", "anna", "ward.zip")
    assert done.aside is not None
    assert row.details["replaced"] == done.aside.name
    assert (workspace.images / "picture.png").read_bytes() == BIG
    # What is there already is not written over.
    assert (workspace.models / "cnn" / "head.safetensors").read_bytes() == b"trained since"
    assert len(list(workspace.backups.glob("replaced-*.sqlite"))) == 1


def test_another_workspace_of_another_key_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    archive = archived(workspace, tmp_path / "ward.zip")
    other = create_workspace(tmp_path / "other", name="other")
    with pytest.raises(WorkspaceError, match="their keys differ; restore it into a new folder"):
        restore_archive(other.root, archive, actor="anna")
    assert readers(other) == []


def test_a_folder_with_something_else_in_it_is_left_alone(
    workspace: Workspace, tmp_path: Path
) -> None:
    archive = archived(workspace, tmp_path / "ward.zip")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(WorkspaceError, match="is not empty and no workspace"):
        restore_archive(mine, archive, actor="anna")
    assert [one.name for one in mine.iterdir()] == ["thesis.txt"]


def test_a_file_that_exists_is_not_written_over(workspace: Workspace, tmp_path: Path) -> None:
    archive = archived(workspace, tmp_path / "ward.zip")
    with pytest.raises(StoreError, match="exists already"):
        archived(workspace, archive)


@pytest.mark.parametrize(
    "name", ["../evil", "images/../../evil", "/evil", "images\\..\\evil", "evil", "models/"]
)
def test_a_name_that_leaves_the_workspace_is_refused_before_anything_is_written(
    workspace: Workspace, tmp_path: Path, name: str
) -> None:
    archive = archived(workspace, tmp_path / "ward.zip")
    facts = {"sha256": "0" * 64, "bytes": 4}
    evil = with_manifest(archive, tmp_path / "evil.zip", {name: facts})
    with pytest.raises(DamagedWorkspace, match="is no archive of a workspace: it names the file"):
        restore_archive(tmp_path / "again", evil, actor="anna")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["evil.zip", "ward", "ward.zip"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"images/picture.png": BIG + b"!"}, "is larger than its list says"),
        ({"images/picture.png": BIG[:-1] + b"!"}, "is not as it was written"),
        ({"images/picture.png": None}, "is damaged or no archive"),
        ({"manifest.json": None}, "is damaged or no archive"),
        ({"manifest.json": b"[]"}, "has no readable manifest"),
    ],
)
def test_an_archive_that_was_changed_is_refused_and_nothing_is_left(
    workspace: Workspace, tmp_path: Path, changes: dict[str, bytes | None], said: str
) -> None:
    archive = archived(workspace, tmp_path / "ward.zip")
    changed = rewritten(archive, tmp_path / "changed.zip", changes)
    with pytest.raises(DamagedWorkspace, match=said):
        restore_archive(tmp_path / "again", changed, actor="anna")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["changed.zip", "ward", "ward.zip"]


def test_what_is_no_archive_or_of_a_newer_version_is_said(
    workspace: Workspace, tmp_path: Path
) -> None:
    archive = archived(workspace, tmp_path / "ward.zip")
    manifest = json.loads(zipfile.ZipFile(archive).read("manifest.json"))
    newer = rewritten(
        archive,
        tmp_path / "newer.zip",
        {"manifest.json": json.dumps({**manifest, "format": 99}).encode()},
    )
    with pytest.raises(WorkspaceError, match=r"newer version of this tool \(format 99"):
        restore_archive(tmp_path / "again", newer, actor="anna")
    text = tmp_path / "text.zip"
    text.write_text("no archive", encoding="utf-8")
    with pytest.raises(DamagedWorkspace, match="damaged or no archive"):
        restore_archive(tmp_path / "again", text, actor="anna")
    with pytest.raises(WorkspaceError, match="there is no archive"):
        restore_archive(tmp_path / "again", tmp_path / "gone.zip", actor="anna")
