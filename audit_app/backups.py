"""Backups of the database for as long as the page is served."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from annotations.errors import AnnotationError
from annotations.store import Store
from annotations.workspace import Workspace

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 600.0


@contextmanager
def regular_backups(
    workspace: Workspace, store: Store, *, look_every_s: float = LOOK_EVERY_S
) -> Iterator[None]:
    """Make a backup at once when one is due, and later ones until the block ends.

    A later one that fails is said in the log; the readers can go on.

    Args:
        workspace: Where the backups go.
        store: Of this workspace.
        look_every_s: Seconds after which it is asked again whether one is due.

    Raises:
        AnnotationError: If the first backup is due and cannot be made.
    """
    store.backup_if_due(workspace.backups)
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(look_every_s):
            try:
                store.backup_if_due(workspace.backups)
            except (AnnotationError, OSError) as error:
                log.error("no backup was made: %s", error)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
