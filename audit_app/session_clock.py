"""How long sessions last: an idle and an absolute lifetime for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass


@dataclass(slots=True)
class _Times:
    opened: float
    used: float
    since_row: int = 0  # the log's last row when the sign-in began


class SessionClock:
    """Remembers when each session was opened and last used by a person.

    The wall clock is used on purpose: a monotonic one stands still while a laptop sleeps.
    """

    def __init__(
        self, idle_s: float, absolute_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._idle_s = idle_s
        self._absolute_s = absolute_s
        self._clock = clock
        self._times: dict[str, _Times] = {}

    def adopt(self, tokens: Collection[str], *, since_row: int = 0) -> None:
        """Start the time of sessions not seen yet, forget those that are gone.

        Args:
            tokens: All sessions.
            since_row: Number of the log's last row when the sign-in began.
        """
        now = self._clock()
        self._times = {
            token: self._times.get(token) or _Times(now, now, since_row) for token in tokens
        }

    def why_over(self, token: str, ended_at_row: int = 0) -> str | None:
        """Why a session is over; ``None`` while it lasts.

        Args:
            token: The session's.
            ended_at_row: Number of the log row that ended the account's sessions last.
        """
        now = self._clock()
        times = self._times.setdefault(token, _Times(now, now))
        if ended_at_row > times.since_row:
            return "ended everywhere"
        if now - times.used > self._idle_s:
            return "not used for too long"
        return "open for too long" if now - times.opened > self._absolute_s else None

    def use(self, token: str) -> None:
        """Note that a person did something just now."""
        now = self._clock()
        self._times.setdefault(token, _Times(now, now)).used = now

    def forget(self, token: str) -> None:
        """Drop a session."""
        self._times.pop(token, None)
