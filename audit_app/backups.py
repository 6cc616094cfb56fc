"""Backups of the database for as long as the page is served."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from annotations.errors import AnnotationError
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.notices import Notices

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 300.0
# A page that is started again and again must not push the older backups out.
AT_START: Final = timedelta(minutes=5)
TOPIC: Final = "backup"


@contextmanager
def regular_backups(
    workspace: Workspace,
    store: Store,
    *,
    notices: Notices | None = None,
    look_every_s: float = LOOK_EVERY_S,
) -> Iterator[None]:
    """Make a backup at the start and every hour until the block ends.

    They are made beside the page, which does not wait for them. One that fails is said in the log
    and to everybody who opens the page; the readers can go on.

    Args:
        workspace: Where the backups go.
        store: Of this workspace.
        notices: Where a failure is shown.
        look_every_s: Seconds after which it is asked again whether one is due.
    """
    ended = threading.Event()
    shown = notices or Notices()

    def look() -> None:
        _back_up(workspace, store, shown, every=AT_START)
        while not ended.wait(look_every_s):
            _back_up(workspace, store, shown)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _back_up(
    workspace: Workspace, store: Store, notices: Notices, *, every: timedelta = timedelta(hours=1)
) -> None:
    try:
        store.backup_if_due(workspace.backups, every=every)
    except (AnnotationError, OSError) as error:
        log.error("no backup was made: %s", error)
        # The page says nothing of paths: whoever can act on it reads the log.
        notices.set(
            TOPIC,
            "No backup of the readings could be made. Tell whoever runs this program: the "
            "terminal says why. What you mark is still saved.",
        )
    else:
        notices.set(TOPIC, "")
