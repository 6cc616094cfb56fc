from __future__ import annotations

import errno
import itertools
import os
import re
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from annotations.errors import DamagedWorkspace, StoreError, WorkspaceError
from annotations.records import NewImage
from annotations.store import Store
from annotations.store import opening as opening_module
from annotations.store.backup import list_backups, soundness_problem
from annotations.store.restore import (
    describe_backups,
    newest_sound_backup,
    restore_backup,
)
from annotations.store.schema import APPLICATION_ID, SCHEMA_VERSION
from annotations.store.soundness import damage_mark
from annotations.workspace import Workspace, create_workspace, open_workspace
from annotations.workspace_lock import hold_alone

MakeImage = Callable[..., NewImage]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ward", name="ward")


@pytest.fixture
def backup(workspace: Workspace, new_image: MakeImage) -> Path:
    """A backup that knows one image; the workspace has a second one since."""
    with Store.open(workspace) as store:
        store.images.add(new_image("first.png"))
        made = store.backup_if_due(workspace.backups, every=timedelta(0))
        store.images.add(new_image("second.png"))
        store.log.add("import", "mira", "second", {})
    assert made is not None
    return made


def names(workspace: Workspace) -> list[str]:
    with Store.open(workspace) as store:
        return [image.name for image in store.images.all()]


def damage(path: Path) -> bytes:
    """The content after some pages in the middle were overwritten."""
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half : half + 9000] = b"\xa5" * 9000
    path.write_bytes(content)
    return bytes(content)


def test_a_restored_backup_takes_the_place_and_the_log_tells_of_it(
    workspace: Workspace, backup: Path
) -> None:
    before = workspace.database.read_bytes()
    done = restore_backup(workspace, backup, actor="anna")
    assert names(workspace) == ["first.png"]
    assert done.n_later == 1
    assert done.aside is not None
    assert done.aside.read_bytes() == before
    with Store.open(workspace) as store:
        assert store.check(files=False) == []
        last = store.log.rows(limit=1)[0]
    assert (last.kind, last.actor, last.subject) == ("restore", "anna", backup.name)
    assert last.details["rows_only_in_replaced"] == 1
    assert last.details["replaced"] == done.aside.name
    # What was there before is a whole database: the way forward again.
    again = restore_backup(workspace, done.aside, actor="anna")
    assert names(workspace) == ["first.png", "second.png"]
    assert again.n_later == 1  # the row about the first restore


def test_a_damaged_database_is_kept_byte_by_byte_and_what_it_had_more_is_not_known(
    workspace: Workspace, backup: Path
) -> None:
    damaged = b"no database at all" * 300
    workspace.database.write_bytes(damaged)
    done = restore_backup(workspace, backup, actor="anna")
    assert done.aside is not None
    assert done.aside.read_bytes() == damaged
    assert done.n_later is None
    assert names(workspace) == ["first.png"]


def test_a_journal_that_a_crash_left_is_not_rolled_into_the_backup(
    workspace: Workspace, backup: Path
) -> None:
    journal = workspace.database.with_name("audit.sqlite-journal")
    journal.write_bytes(b"journal of the database that is replaced")
    done = restore_backup(workspace, backup, actor="anna")
    assert not journal.exists()
    assert done.aside is not None
    moved = done.aside.with_name(done.aside.name + "-journal")
    assert moved.read_bytes() == b"journal of the database that is replaced"
    assert names(workspace) == ["first.png"]


def test_a_lost_database_comes_back(workspace: Workspace, backup: Path) -> None:
    workspace.database.unlink()
    with pytest.raises(DamagedWorkspace, match="is missing; restore it from a backup"):
        Store.open(workspace)
    done = restore_backup(workspace, backup, actor="anna")
    assert (done.aside, done.n_later) == (None, None)
    assert names(workspace) == ["first.png"]


def test_a_damaged_backup_is_refused_and_nothing_is_touched(
    workspace: Workspace, backup: Path
) -> None:
    damage(backup)
    before = workspace.database.read_bytes()
    with pytest.raises(DamagedWorkspace, match=r"was not restored: .*; choose another"):
        restore_backup(workspace, backup, actor="anna")
    assert workspace.database.read_bytes() == before
    with pytest.raises(DamagedWorkspace, match="there is no such file"):
        restore_backup(workspace, backup.with_name("gone.sqlite"), actor="anna")


def test_backups_are_described_the_newest_first_and_the_newest_sound_one_is_found(
    workspace: Workspace, backup: Path
) -> None:
    with Store.open(workspace) as store:
        later = store.backup_if_due(workspace.backups, every=timedelta(0))
    assert later is not None
    damage(later)
    facts = describe_backups(workspace.backups)
    assert [one.path for one in facts] == [later, backup]
    assert [bool(one.problem) for one in facts] == [True, False]
    assert (facts[1].n_images, facts[1].n_log) == (1, 1)
    assert newest_sound_backup(workspace.backups) == backup


@pytest.mark.parametrize(
    ("pragma", "said"),
    [
        ("application_id = 7", "it is no database of this tool"),
        (f"user_version = {SCHEMA_VERSION + 1}", "a newer version of this tool wrote it"),
    ],
)
def test_a_database_that_this_version_must_not_open_is_no_backup(
    backup: Path, pragma: str, said: str
) -> None:
    assert soundness_problem(backup) == ""
    with closing(sqlite3.connect(backup)) as connection:
        connection.execute(f"PRAGMA {pragma}")
    assert said in soundness_problem(backup)


STEPS = ("os.rename", "os.link", "os.remove")
MOST_STEPS = 40


def restore_killed_at(workspace: Workspace, backup: Path, step: int) -> bool:
    """Restore in a process that is killed just before one change to the folders; whether it was."""

    def kill(event: str, _arguments: object) -> None:
        nonlocal step
        if event in STEPS:
            step -= 1
            if step == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        sys.addaudithook(kill)
        try:
            restore_backup(workspace, backup, actor="anna")
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.parametrize("left", ["", "-journal"])
def test_a_restore_that_is_killed_at_any_step_leaves_the_old_database_or_the_new_one(
    workspace: Workspace, backup: Path, tmp_path: Path, left: str
) -> None:
    old = workspace.database.read_bytes()
    journal = b"what a crash left"
    outcomes = []
    for step in range(1, MOST_STEPS):
        mine = open_workspace(shutil.copytree(workspace.root, tmp_path / str(step)))
        beside = mine.database.with_name(mine.database.name + "-journal")
        if left:
            beside.write_bytes(journal)
        was_killed = restore_killed_at(mine, mine.backups / backup.name, step)
        kept = [mine.database, *mine.backups.glob("replaced-*.sqlite")]
        assert old in [one.read_bytes() for one in kept if one.exists()]
        if left:
            journals = [beside, *mine.backups.glob("replaced-*.sqlite-journal")]
            assert journal in [one.read_bytes() for one in journals if one.exists()]
        outcomes.append(state_of(mine))
        if not was_killed:
            break
        restore_backup(mine, mine.backups / backup.name, actor="anna")
        assert state_of(mine) == "new"
        assert list(mine.root.glob("audit.sqlite*")) == [mine.database]
    # In this order, and each of them was seen.
    assert [state for state, _ in itertools.groupby(outcomes)] == ["old", "interrupted", "new"]


def state_of(workspace: Workspace) -> str:
    """Which database a kill left."""
    try:
        known = names(workspace)
    except DamagedWorkspace as error:
        said = re.search(r"a restore .* was (interrupted); .*launch\.py restore", str(error))
        return said[1] if said else str(error)
    return "new" if known == ["first.png"] else "old"


def test_where_files_have_one_name_only_the_replaced_database_is_copied(
    workspace: Workspace, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    before = workspace.database.read_bytes()
    done = restore_backup(workspace, backup, actor="anna")
    assert done.aside is not None
    assert done.aside.read_bytes() == before
    assert names(workspace) == ["first.png"]


def test_a_disk_without_room_for_the_replaced_database_leaves_everything_as_it_was(
    workspace: Workspace, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(StoreError, match="No space left on device; nothing is lost"):
        restore_backup(workspace, backup, actor="anna")
    assert names(workspace) == ["first.png", "second.png"]
    assert list(workspace.backups.iterdir()) == [backup]
    assert list(workspace.root.glob("audit.sqlite*")) == [workspace.database]


class TestAccounts:
    @pytest.fixture
    def backup(self, workspace: Workspace) -> Path:
        """Made before each account was changed in its own way."""
        with Store.open(workspace) as store:
            for name in ("anna", "bert", "carla", "dora", "emil"):
                store.accounts.add(name, "reader", f"hash of {name}")
            store.accounts.disable("emil")
            made = store.backup_if_due(workspace.backups, every=timedelta(0))
            store.accounts.disable("anna")
            store.accounts.set_role("bert", "admin")
            store.accounts.set_password_hash("carla", "another hash")
            store.accounts.enable("emil")
            store.accounts.add("fritz", "reader", "hash of fritz")
        assert made is not None
        return made

    def test_those_that_differ_are_named_and_a_disabled_one_is_not_revived(
        self, workspace: Workspace, backup: Path
    ) -> None:
        done = restore_backup(workspace, backup, actor="root")
        assert done.accounts == (
            "anna was disabled after the backup and stays so",
            "bert was admin and is reader again",
            "carla has the older password again",
            "emil was enabled after the backup and is disabled again",
            "fritz was made after the backup and is gone",
        )
        with Store.open(workspace) as store:
            accounts = {one.name: one for one in store.accounts.all()}
            disabled, restored = store.log.rows(limit=2)
            assert store.check(files=False) == []
        assert [name for name, one in accounts.items() if one.disabled] == ["anna", "emil"]
        assert (disabled.kind, disabled.actor, disabled.subject) == (
            "account disabled",
            "root",
            "anna",
        )
        assert restored.details["accounts"] == list(done.accounts)

    def test_of_a_database_that_cannot_be_read_they_are_not_known(
        self, workspace: Workspace, backup: Path
    ) -> None:
        workspace.database.write_bytes(b"no database" * 999)
        assert restore_backup(workspace, backup, actor="root").accounts is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses to replace open files itself")
class TestWhileItIsOpen:
    def test_nothing_is_restored(self, workspace: Workspace, backup: Path) -> None:
        with (
            Store.open(workspace),
            Store.open(workspace),
            pytest.raises(WorkspaceError, match="is open in another program"),
        ):
            restore_backup(workspace, backup, actor="anna")
        assert names(workspace) == ["first.png", "second.png"]

    def test_nobody_opens_it_during_a_restore(self, workspace: Workspace) -> None:
        with (
            hold_alone(workspace.root),
            pytest.raises(WorkspaceError, match="is being restored at this moment"),
        ):
            Store.open(workspace)
        Store.open(workspace).close()


@pytest.fixture
def old_database(tmp_path: Path) -> Path:
    """What the first version of the tool wrote: its tables, made by SQL alone."""
    from annotations.store.schema import TABLES

    workspace = create_workspace(tmp_path / "old", name="old")
    workspace.database.unlink()
    with closing(sqlite3.connect(workspace.database)) as connection:
        for statement in TABLES:
            connection.execute(statement)
        connection.execute("INSERT INTO readers VALUES ('mira', 'person', '2025-01-01T00:00:00')")
        connection.execute(
            "CREATE TABLE _sqlite_migrations (id INTEGER PRIMARY KEY, migration_set TEXT, "
            "name TEXT, applied_at TEXT)"
        )
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
            "VALUES ('saliency-audit', 'm001_tables', '2025-01-01')"
        )
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    return workspace.database


def test_a_database_of_an_older_version_is_backed_up_before_it_is_migrated(
    old_database: Path,
) -> None:
    workspace = open_workspace(old_database.parent)
    with Store.open(workspace) as store:
        assert [reader.name for reader in store.readers.all()] == ["mira"]
        assert store.check(files=False) == []
    (kept,) = workspace.backups.iterdir()
    assert re.fullmatch(r"before-schema-1-\d{8}T\d{12}Z\.sqlite", kept.name)
    with closing(sqlite3.connect(kept)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT name FROM readers").fetchall() == [("mira",)]
    # The rotation counts and removes its own backups only.
    assert list_backups(workspace.backups) == []
    Store.open(workspace).close()
    assert list(workspace.backups.iterdir()) == [kept]


def test_without_the_backup_an_older_database_is_left_as_it_is(old_database: Path) -> None:
    workspace = open_workspace(old_database.parent)
    workspace.backups.rmdir()
    workspace.backups.write_text("in the way", encoding="utf-8")
    before = old_database.read_bytes()
    with pytest.raises(StoreError, match=r"older version \(schema 1\) and was left as it is"):
        Store(old_database, workspace.settings.findings)
    assert old_database.read_bytes() == before


class TestAWrongClock:
    def test_a_backup_from_the_future_does_not_stop_new_ones_and_they_sort_behind_it(
        self, workspace: Workspace
    ) -> None:
        with Store.open(workspace) as store:
            first = store.backup_if_due(workspace.backups)
            assert first is not None
            future = first.rename(first.with_name("20990101T000000000000Z.sqlite"))
            os.utime(future, (4_070_908_800, 4_070_908_800))
            second = store.backup_if_due(workspace.backups)
            assert second is not None
            assert list_backups(workspace.backups) == [future, second]
            assert store.backup_if_due(workspace.backups) is None


def test_a_backup_that_does_not_fit_is_said_and_leaves_nothing_behind(
    workspace: Workspace, small_disk: Callable[[int], None]
) -> None:
    with Store.open(workspace) as store:
        small_disk(20_000)
        with pytest.raises(StoreError, match="it may be full"):
            store.backup_if_due(workspace.backups, every=timedelta(0))
    assert list(workspace.backups.iterdir()) == []


def test_an_edit_that_does_not_fit_is_refused_with_a_sentence_and_the_rest_is_kept(
    workspace: Workspace, small_disk: Callable[[int], None], new_image: MakeImage
) -> None:
    def fill(store: Store) -> None:
        with store.batch():
            for number in range(2000):
                store.images.add(new_image(f"{number}.png"))

    with Store.open(workspace) as store:
        small_disk(workspace.database.stat().st_size)
        with pytest.raises(StoreError, match=r"nothing was saved .* full"):
            fill(store)
        small_disk(1 << 30)
        store.images.add(new_image("after.png"))
        assert [image.name for image in store.images.all()] == ["after.png"]
        assert store.check(files=False) == []


@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() == 0, reason="the rights of files do not bind the root user"
)
def test_a_read_only_folder_can_be_read_and_every_write_says_why_not(workspace: Workspace) -> None:
    with Store.open(workspace) as store:
        store.readers.ensure("mira")
    paths = [workspace.root, *workspace.root.rglob("*")]
    try:
        for path in paths:
            path.chmod(0o500 if path.is_dir() else 0o400)
        with Store.open(open_workspace(workspace.root)) as store:
            assert [reader.name for reader in store.readers.all()] == ["mira"]
            with pytest.raises(StoreError, match="may not be written; check its permissions"):
                store.readers.ensure("anna")
            with pytest.raises(StoreError, match="cannot be written: Permission denied"):
                store.backup_if_due(workspace.backups)
            assert store.check(files=False) == []
    finally:
        for path in paths:
            path.chmod(0o700 if path.is_dir() else 0o600)


class TestALargeDatabase:
    """Too large to be read at each start: checked beside the page, and marked when damaged."""

    @pytest.fixture
    def large(
        self, workspace: Workspace, new_image: MakeImage, monkeypatch: pytest.MonkeyPatch
    ) -> Workspace:
        monkeypatch.setattr(opening_module, "CHECKED_AT_ONCE_BYTES", 0)
        with Store.open(workspace) as store, store.batch():
            for number in range(300):
                store.images.add(new_image(f"{number}.png"))
        return workspace

    def test_a_whole_one_stays_writable(self, large: Workspace) -> None:
        with Store.open(large) as store:
            assert store.check_soundness() == ""
            store.readers.ensure("mira")
        assert not damage_mark(large.database).exists()

    def test_damage_ends_writing_and_the_next_start_refuses_until_a_backup_is_restored(
        self, large: Workspace
    ) -> None:
        with Store.open(large) as store:
            backup = store.backup_if_due(large.backups, every=timedelta(0))
        damage(large.database)
        with Store.open(large) as store:
            assert store.check_soundness() != ""
            with pytest.raises(DamagedWorkspace, match="nothing was saved: the database"):
                store.readers.ensure("mira")
        with pytest.raises(DamagedWorkspace, match="is damaged"):
            Store.open(large)
        assert backup is not None
        restore_backup(large, backup, actor="anna")
        assert not damage_mark(large.database).exists()
        with Store.open(large) as store:
            assert store.images.count() == 300
