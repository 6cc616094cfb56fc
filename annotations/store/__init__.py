"""The store: everything that is kept, behind one object. The only package that touches SQLite."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from annotations.errors import DamagedWorkspace
from annotations.store.accounts import Accounts
from annotations.store.adjudications import Adjudications
from annotations.store.audits import Audits
from annotations.store.backup import backup_if_due, write_backup
from annotations.store.check import Progress, database_problems, file_problems
from annotations.store.edit_log import EditLog
from annotations.store.images import Images
from annotations.store.jobs import Jobs
from annotations.store.labels import Labels
from annotations.store.models import Models
from annotations.store.opening import open_database
from annotations.store.orders import Orders
from annotations.store.readers import Readers
from annotations.store.readings import Readings
from annotations.store.soundness import check_soundness
from annotations.store.trail import Trail
from annotations.store.vocabulary import Vocabulary
from annotations.workspace_lock import WorkspaceLock, hold_with_others

if TYPE_CHECKING:
    from annotations.workspace import Workspace

__all__ = ["Store"]


class Store:
    """One workspace's database. Any thread may use it, and several processes may open it."""

    def __init__(self, database: Path, findings: Sequence[str]) -> None:
        """Open the database file, made when it is absent.

        Raises:
            DamagedWorkspace: If it is damaged or its triggers are not as they were written.
            WorkspaceError: If it is no database of ours, or a newer version wrote it.
        """
        self.database = database
        self._connections = open_database(database)
        self._vocabulary = Vocabulary(self._connections, findings)
        self.images = Images(self._connections, self._vocabulary, database.parent)
        self.labels = Labels(self._connections, self._vocabulary)
        self.readers = Readers(self._connections)
        self.readings = Readings(self._connections, self._vocabulary)
        self.adjudications = Adjudications(self._connections, self._vocabulary)
        self.orders = Orders(self._connections)
        self.log = EditLog(self._connections)
        self.trail = Trail(self._connections)
        self.models = Models(self._connections)
        self.jobs = Jobs(self._connections)
        self.audits = Audits(self._connections)
        self.accounts = Accounts(self._connections)
        self._lock = WorkspaceLock(None)

    @classmethod
    def open(cls, workspace: Workspace) -> Store:
        """The store of this workspace.

        Raises:
            DamagedWorkspace: As the constructor, and when the database file is gone.
            WorkspaceError: As the constructor, and while its database is being restored.
        """
        if not workspace.database.exists():
            raise DamagedWorkspace(
                f"the database {workspace.database} is missing; restore it from a backup in "
                f"{workspace.backups}: launch.py restore {workspace.root}"
            )
        lock = hold_with_others(workspace.root)
        try:
            store = cls(workspace.database, workspace.settings.findings)
        except BaseException:
            lock.release()
            raise
        store._lock = lock
        return store

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; later use is refused."""
        self._connections.close()
        self._lock.release()

    def findings(self) -> tuple[str, ...]:
        """The findings that may be marked: the workspace's, then those that imports added."""
        return self._vocabulary.findings()

    def add_finding(self, name: str) -> str:
        """The finding under this name, added when there was none."""
        return self._vocabulary.add(name)

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Everything written inside by this thread is one transaction: all of it or nothing.

        For imports: a hundred images in one batch cost as much as one alone. Other writers wait
        meanwhile, so read and decode before, and write some hundred rows at a time. A step that
        fails inside and is caught there takes only itself back.
        """
        with self._connections.write():
            yield

    def check(self, *, files: bool = True, progress: Progress | None = None) -> list[str]:
        """A sentence for each thing that is not as it was written; [] when all is well.

        Args:
            files: Also read every image file and compare its SHA-256.
            progress: Called with (done, total, name) of the files; True asks to stop.
        """
        problems = database_problems(self._connections, self.log)
        return problems + (file_problems(self.images, progress) if files else [])

    def check_soundness(self) -> str:
        """What SQLite finds damaged in the whole file, "" when nothing is.

        After damage was found this process writes nothing more, and the next opening of the
        workspace checks the whole file first.
        """
        return check_soundness(self._connections)

    def backup(self, to: Path) -> None:
        """Write a checked copy of the database to a file that does not exist yet."""
        write_backup(self._connections, to)

    def backup_if_due(
        self, folder: Path, *, every: timedelta = timedelta(hours=1), keep: int = 12
    ) -> Path | None:
        """A new backup in the folder when the newest is older than ``every``, else None.

        Raises:
            StoreError: If it cannot be written.
            DamagedWorkspace: If the copy fails SQLite's own checks.
        """
        return backup_if_due(self._connections, folder, every=every, keep=keep)
