from __future__ import annotations

import hashlib
import hmac
import os
import stat
from pathlib import Path

import pytest

from annotations.errors import DamagedWorkspace, WorkspaceError
from annotations.findings import STUDY_FINDINGS
from annotations.store import Store
from annotations.workspace import Workspace, create_workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "w", name="My study")


def test_a_new_workspace_opens_as_it_was_made(tmp_path: Path) -> None:
    name = 'Quote " back\\slash \n tab\t del\x7f Ünïcode 🫁'
    made = create_workspace(tmp_path / "w", name=name, findings=("Edema", 'A "b"'), synthetic=True)
    opened = open_workspace(tmp_path / "w")
    assert opened == made
    assert opened.settings.name == name
    assert opened.settings.findings == ("Edema", 'A "b"')
    assert opened.settings.synthetic


def test_a_workspace_has_the_study_findings_and_is_not_called_pseudonymised_unasked(
    workspace: Workspace,
) -> None:
    assert workspace.settings.findings == STUDY_FINDINGS
    assert not workspace.settings.synthetic
    assert workspace.settings.pseudonymised == 0


@pytest.mark.parametrize(("said", "expected"), [("1210", 1210), ("true", 0), ("false", 0)])
def test_pictures_are_confirmed_by_their_number_and_not_all_for_ever(
    workspace: Workspace, said: str, expected: int
) -> None:
    text = workspace.settings_file.read_text(encoding="utf-8")
    text = text.replace("pseudonymised = 0\n", f"pseudonymised = {said}\n")
    workspace.settings_file.write_text(text, encoding="utf-8")
    assert open_workspace(workspace.root).settings.pseudonymised == expected


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_workspace_is_for_its_owner_only(workspace: Workspace) -> None:
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in workspace.root.rglob("*")}
    assert stat.S_IMODE(workspace.root.stat().st_mode) == 0o700
    assert {mode for path, mode in found.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in found.items() if path.is_file()} == {0o600}
    assert {path.name for path in found} == {
        "audit.sqlite", "workspace.toml", "workspace.key", "models", "exports", "cache", "images",
        "backups",
    }  # fmt: skip


def test_its_store_opens_with_its_findings(tmp_path: Path) -> None:
    made = create_workspace(tmp_path / "w", name="x", findings=["Edema"])
    with Store.open(made) as store:
        assert store.findings() == ("Edema",)


def test_a_lost_database_is_said_and_never_replaced_by_an_empty_one(workspace: Workspace) -> None:
    workspace.database.unlink()
    with pytest.raises(DamagedWorkspace, match="is missing; restore it from a backup"):
        Store.open(workspace)
    assert not workspace.database.exists()


def test_an_empty_folder_becomes_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir(mode=0o755)
    made = create_workspace(tmp_path / "w", name="x")
    assert os.name == "nt" or stat.S_IMODE(made.root.stat().st_mode) == 0o700


def test_a_folder_with_anything_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(WorkspaceError, match="not empty and no workspace"):
        create_workspace(tmp_path, name="x")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(WorkspaceError, match="not empty and no workspace"):
        create_workspace(tmp_path / "notes.txt", name="x")


def test_a_workspace_is_not_made_twice(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match="is a workspace already"):
        create_workspace(workspace.root, name="x")


@pytest.mark.parametrize(
    ("name", "findings", "sentence"),
    [
        (" ", ["Edema"], "has no name"),
        ("x", [], "expected names"),
        ("x", ["Edema", ""], "expected names"),
        ("x", ["Edema", "Pneumonia", "edema"], "names the finding 'Edema' twice"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_made(
    tmp_path: Path, name: str, findings: list[str], sentence: str
) -> None:
    with pytest.raises(WorkspaceError, match=sentence):
        create_workspace(tmp_path / "w", name=name, findings=findings)
    assert not (tmp_path / "w").exists()


def test_a_folder_that_is_no_workspace_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"is no workspace .*launch\.py new"):
        open_workspace(tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("format = 1", "format = 2"), "has format 2, this version of the tool knows 1; update"),
        (("format = 1", ""), "has format None; expected format = 1"),
        (("format = 1", "format = true"), "has format True; expected"),
        (("format = 1", "format = ["), "cannot be read as TOML"),
        (("synthetic = false", "synthetic = 0"), "'synthetic' is 0; expected a value of type bool"),
        (("synthetic", "syntetic"), "has the unknown setting 'syntetic'; known: name, findings"),
        (('"Edema"', "3"), "'findings' is .* expected a list of names"),
        (('"Edema"', '"fracture"'), "names the finding 'fracture' twice"),
        (('name = "My study"', 'name = ""'), "has no name"),
    ],
)
def test_settings_that_were_damaged_are_refused_with_the_reason(
    workspace: Workspace, change: tuple[str, str], sentence: str
) -> None:
    text = workspace.settings_file.read_text(encoding="utf-8")
    assert change[0] in text
    workspace.settings_file.write_text(text.replace(*change), encoding="utf-8")
    with pytest.raises(WorkspaceError, match=sentence) as refused:
        open_workspace(workspace.root)
    assert str(workspace.settings_file) in str(refused.value)


def test_settings_that_are_no_text_are_refused(workspace: Workspace) -> None:
    workspace.settings_file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WorkspaceError, match="cannot be read as TOML"):
        open_workspace(workspace.root)


def test_a_lost_or_damaged_key_is_said(workspace: Workspace) -> None:
    key = workspace.root / "workspace.key"
    key.write_text("abcd")
    with pytest.raises(WorkspaceError, match="holds 2 bytes; expected 32"):
        open_workspace(workspace.root)
    key.write_text("no hex")
    with pytest.raises(WorkspaceError, match="cannot be read"):
        open_workspace(workspace.root)
    key.unlink()
    with pytest.raises(WorkspaceError, match="is missing"):
        open_workspace(workspace.root)


def test_a_patient_hash_is_the_keyed_hash_written_out_by_hand(workspace: Workspace) -> None:
    key = bytes.fromhex((workspace.root / "workspace.key").read_text())
    expected = hmac.new(key, b'["NIH", "00000032"]', hashlib.sha256).hexdigest()[:32]
    assert workspace.patient_hash("NIH", "00000032") == expected
    assert open_workspace(workspace.root).patient_hash("NIH", "00000032") == expected


def test_a_seal_is_of_this_workspace_and_no_patients_hash(
    workspace: Workspace, tmp_path: Path
) -> None:
    other = create_workspace(tmp_path / "other", name="other")
    sealed = workspace.seal("browser", "anna")
    assert open_workspace(workspace.root).seal("browser", "anna") == sealed
    apart = [workspace.seal("browseranna"), workspace.seal("browser", "berta")]
    apart += [other.seal("browser", "anna"), workspace.patient_hash("browser", "anna")]
    assert not [one for one in apart if sealed.startswith(one)]


def test_patient_hashes_keep_patients_parts_and_workspaces_apart(
    workspace: Workspace, tmp_path: Path
) -> None:
    other = create_workspace(tmp_path / "other", name="x")
    hashes = {
        workspace.patient_hash("a", "bc"),
        workspace.patient_hash("ab", "c"),
        workspace.patient_hash("abc"),
        workspace.patient_hash("abc", ""),
        other.patient_hash("abc"),
    }
    assert len(hashes) == 5
    assert workspace.patient_hash("") == workspace.patient_hash() == ""


def test_the_key_shows_nowhere_when_a_workspace_is_printed(workspace: Workspace) -> None:
    key = (workspace.root / "workspace.key").read_text().strip()
    assert key not in repr(workspace)
    assert repr(bytes.fromhex(key)) not in repr(workspace)


def test_lost_folders_are_made_again(workspace: Workspace) -> None:
    workspace.cache.rmdir()
    assert open_workspace(workspace.root).cache.is_dir()


def test_a_file_in_the_place_of_a_folder_is_named(workspace: Workspace) -> None:
    workspace.cache.rmdir()
    workspace.cache.write_text("in the way", encoding="utf-8")

    with pytest.raises(WorkspaceError, match=r"cache is a file; expected a folder"):
        open_workspace(workspace.root)


def test_a_folder_that_cannot_be_made_again_is_named(workspace: Workspace) -> None:
    workspace.cache.rmdir()
    workspace.cache.symlink_to("cache")  # a link to itself, which also root cannot follow

    with pytest.raises(WorkspaceError, match="cache"):
        open_workspace(workspace.root)


def test_a_place_that_cannot_hold_a_workspace_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")

    with pytest.raises(WorkspaceError, match="cannot be made: Not a directory"):
        create_workspace(tmp_path / "file" / "w", name="w")
    with pytest.raises(WorkspaceError, match="cannot be made: File name too long"):
        create_workspace(tmp_path / ("w" * 300), name="w")
    with pytest.raises(WorkspaceError, match="cannot be looked for: File name too long"):
        open_workspace(tmp_path / ("w" * 300))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(WorkspaceError, match="cannot be made: Permission denied"):
            create_workspace(tmp_path / "w", name="w")
    finally:
        tmp_path.chmod(0o700)
