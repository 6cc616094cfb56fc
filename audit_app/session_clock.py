"""How long sessions last: an idle and an absolute lifetime for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass


@dataclass(slots=True)
class _Times:
    opened: float
    used: float


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

    def adopt(self, tokens: Collection[str]) -> None:
        """Start the time of sessions not seen yet, forget those that are gone."""
        now = self._clock()
        self._times = {token: self._times.get(token) or _Times(now, now) for token in tokens}

    def is_over(self, token: str) -> bool:
        """Whether one of the two lifetimes has passed."""
        now = self._clock()
        times = self._times.setdefault(token, _Times(now, now))
        return now - times.used > self._idle_s or now - times.opened > self._absolute_s

    def use(self, token: str) -> None:
        """Note that a person did something just now."""
        now = self._clock()
        self._times.setdefault(token, _Times(now, now)).used = now

    def forget(self, token: str) -> None:
        """Drop a session."""
        self._times.pop(token, None)
