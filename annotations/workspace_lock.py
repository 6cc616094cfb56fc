"""Who has a workspace open: many may use it at once, only one alone may replace its database."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from annotations.errors import WorkspaceError

# Locked, never changed: every workspace has it, so that no further file is needed.
_LOCKED_FILE: Final = "workspace.key"


class WorkspaceLock:
    """A hold on a workspace that ends with ``release``, or with the process."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go. Does nothing a second time."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def hold_with_others(root: Path) -> WorkspaceLock:
    """Use the workspace beside others.

    Raises:
        WorkspaceError: While somebody replaces its database.
    """
    return _lock(root, alone=False)


@contextlib.contextmanager
def hold_alone(root: Path) -> Iterator[None]:
    """Use the workspace while nobody else does.

    Raises:
        WorkspaceError: If a page, a worker or a command has it open.
    """
    lock = _lock(root, alone=True)
    try:
        yield
    finally:
        lock.release()


def _lock(root: Path, *, alone: bool) -> WorkspaceLock:
    # Windows has no such locks, but it refuses by itself to replace a file that is open.
    if sys.platform == "win32":
        return WorkspaceLock(None)
    import fcntl

    try:
        descriptor = os.open(root / _LOCKED_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        # A bare database, as a backup is: nobody replaces one of those.
        return WorkspaceLock(None)
    except OSError as error:
        raise WorkspaceError(f"{root / _LOCKED_FILE} cannot be read: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise WorkspaceError(_in_use(root, alone=alone)) from None
    except OSError:
        # Some network drives know no locks; refusing to work there would help nobody.
        os.close(descriptor)
        return WorkspaceLock(None)
    return WorkspaceLock(descriptor)


def _in_use(root: Path, *, alone: bool) -> str:
    if alone:
        return (
            f"the workspace {root} is open in another program (a page, its worker or a command); "
            "stop that first, then try again"
        )
    return f"the database of {root} is being restored at this moment; try again when that is done"
