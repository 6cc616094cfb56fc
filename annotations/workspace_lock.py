"""Who has a workspace open: many may use it at once, only one alone may replace its database.

And who brings pictures in: nobody, while those that are there can be seen through a public link.
"""

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
_PICTURES: Final = "images"


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
    return _lock(
        root / _LOCKED_FILE,
        alone=False,
        refusal=f"the database of {root} is being restored at this moment; try again when that is "
        "done",
    )


@contextlib.contextmanager
def hold_alone(root: Path) -> Iterator[None]:
    """Use the workspace while nobody else does.

    Raises:
        WorkspaceError: If a page, a worker or a command has it open.
    """
    lock = _lock(
        root / _LOCKED_FILE,
        alone=True,
        refusal=f"the workspace {root} is open in another program (a page, its worker or a "
        "command); stop that first, then try again",
    )
    try:
        yield
    finally:
        lock.release()


def hold_import(root: Path) -> WorkspaceLock:
    """Bring pictures in, beside other imports.

    Raises:
        WorkspaceError: While the pictures can be seen through a public share link.
    """
    return _lock(
        root / _PICTURES,
        alone=False,
        refusal=f"the pictures of {root} can be seen through a public share link now, and nobody "
        "has made sure yet that those to be imported name no patient; stop the page that is "
        "shared, then import",
    )


def hold_pictures(root: Path) -> WorkspaceLock:
    """See to it that no pictures come in.

    Raises:
        WorkspaceError: While an import runs, or somebody else holds them.
    """
    return _lock(
        root / _PICTURES,
        alone=True,
        refusal=f"pictures are being imported into {root}, or it is shared already; try again when "
        "that has ended",
    )


def _lock(locked: Path, *, alone: bool, refusal: str) -> WorkspaceLock:
    # Windows has no such locks, but it refuses by itself to replace a file that is open.
    if sys.platform == "win32":
        return WorkspaceLock(None)
    import fcntl

    try:
        descriptor = os.open(locked, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        # A bare database, as a backup is: nobody replaces one of those.
        return WorkspaceLock(None)
    except OSError as error:
        raise WorkspaceError(f"{locked} cannot be read: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise WorkspaceError(refusal) from None
    except OSError:
        # Some network drives know no locks; refusing to work there would help nobody.
        os.close(descriptor)
        return WorkspaceLock(None)
    return WorkspaceLock(descriptor)
