"""How long somebody must wait after wrong passwords, so that guessing does not pay."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FREE_ATTEMPTS = 5
LONGEST_WAIT_S = 300.0
MAX_REMEMBERED = 10_000


@dataclass(slots=True)
class _Attempts:
    n_failed: int = 0
    free_at: float = 0.0


class LoginBackoff:
    """Counts attempts per account name *and* guesser: a network, or a browser that is known.

    So a stranger who guesses a colleague's password waits, and the colleague, who comes from
    another address or has signed in there before, does not. An attempt counts as failed until
    it is known to have succeeded: many at once gain nothing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._attempts: OrderedDict[tuple[str, str], _Attempts] = OrderedDict()

    def begin(self, name: str, guesser: str) -> float:
        """Register an attempt.

        Returns:
            0.0 if it may go on, otherwise the seconds to wait; then it is not registered.
        """
        key = (name, guesser)
        attempts = self._attempts.setdefault(key, _Attempts())
        self._attempts.move_to_end(key)
        wait_s = attempts.free_at - self._clock()
        if wait_s > 0:
            return wait_s
        attempts.n_failed += 1
        attempts.free_at = self._clock() + wait_after(attempts.n_failed)
        while len(self._attempts) > MAX_REMEMBERED:
            self._attempts.popitem(last=False)
        return 0.0

    def succeeded(self, name: str, guesser: str) -> None:
        """Forget the failures: the password was right."""
        self._attempts.pop((name, guesser), None)


def wait_after(n_failed: int) -> float:
    """Seconds to wait after that many failures in a row: 0 up to four, then 2, 4, 8 ... 300."""
    n_beyond = n_failed - FREE_ATTEMPTS + 1
    if n_beyond < 1:
        return 0.0
    return min(LONGEST_WAIT_S, math.ldexp(1.0, min(n_beyond, 64)))
