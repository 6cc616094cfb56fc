from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from annotations.errors import DamagedWorkspace, StoreError, WorkspaceError
from annotations.findings import STUDY_FINDINGS
from annotations.records import ImageRecord, NewImage, Reading
from annotations.store import Store, migrations
from annotations.store.connection import connect
from annotations.store.schema import SCHEMA_VERSION

Raw = Callable[[], closing[sqlite3.Connection]]
Put = Callable[..., Reading]


def test_every_connection_has_the_pragmas(store: Store) -> None:
    with closing(connect(store.database)) as connection:
        names = {
            "foreign_keys": 1,
            "busy_timeout": 10_000,
            "synchronous": 2,
            "recursive_triggers": 1,
            "trusted_schema": 0,
            "journal_mode": "delete",
        }
        found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names}
    assert found == names


def test_every_table_is_strict_and_the_version_counts_the_migrations(
    store: Store, raw: Raw
) -> None:
    with raw() as connection:
        loose = connection.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' "
            "AND strict = 0 AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
        ).fetchall()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    assert loose == []
    assert version == SCHEMA_VERSION == len(migrations.MIGRATIONS._migrations)
    row = store.log.rows()[0]
    assert row.kind == "migrate"
    assert row.details["sqlite_version"] == sqlite3.sqlite_version


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_the_database_and_its_journal_are_for_the_owner_only(store: Store, database: Path) -> None:
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    with store.batch():
        store.log.add("import", "alice", "x", {})
        journal = database.with_name(database.name + "-journal")
        assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    assert not journal.exists()


def test_what_was_stored_is_there_after_opening_again(
    store: Store, database: Path, image: ImageRecord, put: Put
) -> None:
    drawn = put()
    store.close()
    with Store(database, STUDY_FINDINGS) as again:
        assert again.images.get(image.image_id) == image
        assert again.readings.get(image.image_id, "alice") == drawn
        assert [row.kind for row in again.log.rows()] == ["put", "migrate"]


def test_an_up_to_date_database_opens_without_loading_sqlite_utils(
    store: Store, repo_root: Path
) -> None:
    code = (
        "import sys; from pathlib import Path; from annotations.store import Store; "
        f"Store(Path({str(store.database)!r}), ['Edema']).close(); "
        "print('sqlite_utils' in sys.modules or 'pandas' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(repo_root)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_two_processes_may_make_the_same_database_at_once(database: Path, repo_root: Path) -> None:
    code = (
        "from pathlib import Path; from annotations.store import Store; "
        f"s = Store(Path({str(database)!r}), ['Edema']); s.readers.ensure('alice'); s.close()"
    )
    environment = {**os.environ, "PYTHONPATH": str(repo_root)}
    both = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    with Store(database, STUDY_FINDINGS) as store:
        assert [row.kind for row in store.log.rows()] == ["migrate"]
        assert store.check() == []


def test_a_database_of_a_newer_version_is_refused_and_left_alone(
    store: Store, database: Path, raw: Raw
) -> None:
    store.close()
    with raw() as connection:
        connection.execute("PRAGMA user_version = 99")
    before = database.read_bytes()
    with pytest.raises(WorkspaceError, match=r"written by a newer version.*schema 99"):
        Store(database, STUDY_FINDINGS)
    assert database.read_bytes() == before


def test_a_database_of_another_program_is_refused_and_left_alone(database: Path, raw: Raw) -> None:
    with raw() as connection:
        connection.execute("CREATE TABLE theirs (a)")
    with pytest.raises(WorkspaceError, match="of another program"):
        Store(database, STUDY_FINDINGS)
    with raw() as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_file_that_is_no_database_is_refused_and_left_alone(database: Path) -> None:
    database.write_bytes(b"this is no database " * 400)
    with pytest.raises(DamagedWorkspace, match="is damaged"):
        Store(database, STUDY_FINDINGS)
    assert database.read_bytes() == b"this is no database " * 400


def test_a_damaged_database_is_refused_and_the_newest_backup_named(
    store: Store, database: Path, new_image: Callable[..., NewImage]
) -> None:
    with store.batch():
        for number in range(500):
            store.images.add(new_image(f"{number}.png"))
    store.backup_if_due(database.parent / "backups", every=timedelta(0))
    newest = store.backup_if_due(database.parent / "backups", every=timedelta(0))
    store.close()
    whole = database.read_bytes()
    half = len(whole) // 2
    damaged = whole[:half] + b"\xa5" * 20_000 + whole[half + 20_000 :]
    database.write_bytes(damaged)
    with pytest.raises(DamagedWorkspace) as refused:
        Store(database, STUDY_FINDINGS)
    assert str(newest) in str(refused.value)
    assert "left as it is" in str(refused.value) or "left as it was" in str(refused.value)
    assert database.read_bytes() == damaged


def test_a_database_that_is_gone_is_not_begun_anew_beside_its_backups(
    store: Store, database: Path
) -> None:
    newest = store.backup_if_due(database.parent / "backups", every=timedelta(0))
    store.close()
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()
    with pytest.raises(DamagedWorkspace, match="is missing; the newest backup is") as refused:
        Store(database, STUDY_FINDINGS)
    assert str(newest) in str(refused.value)
    assert not database.exists()


def test_a_database_without_its_triggers_is_refused(store: Store, database: Path, raw: Raw) -> None:
    store.close()
    with raw() as connection:
        connection.execute("DROP TRIGGER log_no_delete")
    with pytest.raises(DamagedWorkspace, match="the trigger log_no_delete is missing"):
        Store(database, STUDY_FINDINGS)


def test_a_trigger_of_somebody_else_is_refused(store: Store, database: Path, raw: Raw) -> None:
    store.close()
    with raw() as connection:
        connection.execute(
            "CREATE TRIGGER quiet BEFORE INSERT ON log BEGIN SELECT RAISE(IGNORE); END"
        )
    with pytest.raises(DamagedWorkspace, match="the trigger quiet is not ours"):
        Store(database, STUDY_FINDINGS)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="cannot be made"):
        Store(tmp_path / "nowhere" / "audit.sqlite", STUDY_FINDINGS)


def test_a_write_that_finds_the_database_locked_says_so(
    store: Store, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The wait itself is shortened; that it is 10 s stands in the test of the pragmas.
    pragmas = ("PRAGMA busy_timeout = 50", "PRAGMA foreign_keys = ON")
    monkeypatch.setattr("annotations.store.connection._PRAGMAS", pragmas)
    store.close()
    with Store(store.database, STUDY_FINDINGS) as short, raw() as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="nothing was saved: another user of the database"):
            short.readers.ensure("alice")
        other.execute("ROLLBACK")
        assert short.readers.ensure("alice").name == "alice"


def test_a_backup_is_a_whole_database_for_the_owner_only(
    store: Store, tmp_path: Path, put: Put
) -> None:
    drawn = put()
    to = tmp_path / "copy.sqlite"
    store.backup(to)
    with Store(to, STUDY_FINDINGS) as copy:
        assert copy.readings.get(drawn.image_id, "alice") == drawn
        assert copy.log.head() == store.log.head()
    assert os.name == "nt" or stat.S_IMODE(to.stat().st_mode) == 0o600
    assert not (tmp_path / "copy.sqlite.partial").exists()
    with pytest.raises(StoreError, match="exists already"):
        store.backup(to)


def test_backups_are_made_when_due_and_the_oldest_go(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    first = store.backup_if_due(folder)
    assert first is not None
    assert store.backup_if_due(folder) is None
    made = [store.backup_if_due(folder, every=timedelta(0), keep=2) for _ in range(3)]
    assert sorted(folder.iterdir()) == made[1:]


def test_a_copy_that_somebody_put_beside_the_backups_is_neither_counted_nor_removed(
    store: Store, tmp_path: Path
) -> None:
    own = tmp_path / "backups" / "before the study.sqlite"
    own.parent.mkdir()
    store.backup(own)
    os.utime(own, (1, 1))
    made = [store.backup_if_due(own.parent, every=timedelta(0), keep=1) for _ in range(2)]
    assert store.backup_if_due(own.parent) is None
    assert sorted(own.parent.iterdir()) == [made[-1], own]


def test_check_names_a_changed_and_a_missing_file(
    store: Store, tmp_path: Path, new_image: Callable[..., NewImage]
) -> None:
    files = [tmp_path / f"{name}.png" for name in ("good", "changed", "missing")]
    for file in files:
        file.write_bytes(file.name.encode() * 1000)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        store.images.add(new_image(file.name, path=str(file), origin=str(file), sha256=digest))
    assert store.check() == []
    files[1].write_bytes(b"other")
    files[2].unlink()
    seen: list[tuple[int, int, str]] = []
    problems = store.check(progress=lambda *one: bool(seen.append(one)))
    assert problems == [
        f"changed: {files[1]} (image changed.png) since its import",
        f"missing: {files[2]} (image missing.png)",
    ]
    assert seen == [(0, 3, "good.png"), (1, 3, "changed.png"), (2, 3, "missing.png"), (3, 3, "")]
    assert store.check(files=False) == []
    assert store.check(progress=lambda done, *_: done == 2)[-1] == (
        "stopped: 1 of 3 files not checked"
    )


def test_check_names_a_commit_that_was_changed_behind_the_triggers(
    store: Store, put: Put, raw: Raw
) -> None:
    drawn = put()
    store.readings.commit(drawn.image_id, "alice", base_version=drawn.version)
    with raw() as connection:
        kept = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in names.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE commit_regions SET finding = 'Fracture'")
        connection.execute("UPDATE commits SET blinded = 0")
        for (sql,) in kept:
            connection.execute(sql)
    problems = store.check(files=False)
    assert f"commit 1 of reading {drawn.reading_id} (reader 'alice'" in problems[0]
    assert "its hash does not match" in problems[0]
    assert "is not the one that the log tells of" in problems[1]
    assert len(problems) == 2


def test_check_names_rows_that_point_nowhere(store: Store, put: Put, raw: Raw) -> None:
    put()
    with raw() as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("UPDATE regions SET reading_id = 'nowhere'")
    assert store.check(files=False) == ["dangling: row 1 of regions points to no row of readings"]
