"""How many rows of one kind an attacker may cause in the log, which is never shortened."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

WINDOW_S = 60.0
ROWS_PER_WINDOW = 20
MAX_KEYS = 2000


@dataclass(slots=True)
class _Window:
    began: float
    n_admitted: int = 0
    n_left_out: int = 0


class RowLimit:
    """Admits twenty rows a minute for each key and counts what is left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[Hashable, _Window] = {}
        self._lock = threading.Lock()

    def admit(self, key: Hashable) -> int | None:
        """Whether a row may be written.

        Returns:
            How many were left out since the last one that was admitted; ``None`` if this one
            is left out, too.
        """
        with self._lock:
            now = self._clock()
            window = self._windows.get(key)
            if window is None or now - window.began >= WINDOW_S:
                left_out = window.n_left_out if window else 0
                self._make_room(key)
                self._windows[key] = _Window(now, 1)
                return left_out
            if window.n_admitted >= ROWS_PER_WINDOW:
                window.n_left_out += 1
                return None
            window.n_admitted += 1
            return 0

    def _make_room(self, key: Hashable) -> None:
        if key not in self._windows and len(self._windows) >= MAX_KEYS:
            del self._windows[next(iter(self._windows))]
