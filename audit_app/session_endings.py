"""Since when an account's sessions are over, asked of the store without holding anybody up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from anyio.to_thread import run_sync

from annotations.errors import AnnotationError

log = logging.getLogger(__name__)

FRESH_S = 1.0


@dataclass(frozen=True, slots=True)
class _Answer:
    row: int
    asked_at: float


class SessionEndings:
    """Remembers each answer for a second: the command line may end sessions at any time."""

    def __init__(
        self, ask: Callable[[str], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._answers: dict[str, _Answer] = {}

    async def last_row(self, name: str) -> int:
        """Number of the log row that ended this account's sessions last, 0 without one."""
        known = self._answers.get(name)
        if known is not None and self._clock() - known.asked_at < FRESH_S:
            return known.row
        try:
            row = await run_sync(self._ask, name)
        except AnnotationError as error:
            # The handlers ask the store themselves and refuse; this must not end everybody's work.
            log.error("ended sessions could not be looked up: %s", type(error).__name__)
            row = known.row if known else 0
        self._answers[name] = _Answer(row, self._clock())
        return row
