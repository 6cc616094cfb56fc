"""Who has the page open, and whether a share link is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

# Browsers let the timers of a page in the background tick once a minute.
SEEN_LATELY_S = 90.0


@dataclass(frozen=True, slots=True)
class OpenLink:
    """A share link that is open."""

    url: str
    closes_at: datetime


@dataclass(frozen=True, slots=True)
class Connected:
    """Somebody who has the page open."""

    name: str
    through_link: bool


class Presence:
    """What the banner tells: kept in memory, since it is over when the process is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[Connected, float] = {}
        self._link: OpenLink | None = None
        self._lock = threading.Lock()

    @property
    def link(self) -> OpenLink | None:
        """The open share link, ``None`` without one."""
        return self._link

    def link_opened(self, url: str, seconds: float) -> OpenLink:
        """Note that a link is open for so long."""
        self._link = OpenLink(url, datetime.fromtimestamp(time.time() + seconds, UTC))
        return self._link

    def link_closed(self) -> bool:
        """Note that no link is open any more.

        Returns:
            Whether one was.
        """
        with self._lock:
            was_open, self._link = self._link is not None, None
        return was_open

    def saw(self, name: str, *, through_link: bool) -> None:
        """Note a request of somebody who is signed in."""
        with self._lock:
            self._seen[Connected(name, through_link)] = self._clock()

    def left(self, name: str) -> None:
        """Note that somebody signed out."""
        with self._lock:
            for through_link in (True, False):
                self._seen.pop(Connected(name, through_link), None)

    def connected(self) -> tuple[Connected, ...]:
        """Who was here within the last minute and a half, by name."""
        earliest = self._clock() - SEEN_LATELY_S
        with self._lock:
            self._seen = {one: at for one, at in self._seen.items() if at >= earliest}
            return tuple(sorted(self._seen, key=lambda one: (one.name, one.through_link)))
