"""Looking after a workspace while its page is served: is the file whole, is the clock right."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from annotations.errors import AnnotationError
from annotations.store.soundness import CHECKED_AT_ONCE_BYTES
from audit_app.backups import regular_backups
from audit_app.clock import TOPIC as CLOCK
from audit_app.clock import clock_problem
from audit_app.services import Services

log = logging.getLogger(__name__)

DAMAGE: Final = "damage"


@contextmanager
def watched(services: Services) -> Iterator[None]:
    """Check clock and database once, and make backups, until the block ends."""
    services.notices.set(CLOCK, clock_problem(services.store))
    if services.workspace.database.stat().st_size > CHECKED_AT_ONCE_BYTES:
        threading.Thread(target=check_database, args=(services,), daemon=True).start()
    with regular_backups(services.workspace, services.store, notices=services.notices):
        yield


def check_database(services: Services) -> None:
    """Tell everybody, and end all writing, when the database is damaged."""
    try:
        damage = services.store.check_soundness()
    except AnnotationError as error:
        damage = str(error)
    if damage:
        log.error("the database %s is damaged: %s", services.workspace.database, damage)
        services.notices.set(
            DAMAGE,
            "The database of this workspace is damaged. Nothing can be saved. Whoever runs this "
            "program must stop and start it: it then shows the way back to the last backup.",
        )
