"""What a sign-in has to wait for: earlier wrong passwords, its network's many, its turn."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from audit_app.attempt_rate import AttemptRate
from audit_app.caller import Caller, caller_of
from audit_app.known_browsers import KnownBrowsers
from audit_app.login_backoff import LoginBackoff
from audit_app.login_turns import LoginTurns

WRONG_TOO_OFTEN = "too many attempts"
NETWORK_TOO_BUSY = "too many sign-ins from one network"
CROWDED = "too many people are signing in at this moment"
CROWD_LASTS_S = 30.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Why an attempt is not made now, and for how long."""

    reason: str
    seconds: float


class SignInLimits:
    """The limits of one run.

    Known browsers have turns, attempts and back-off of their own: no stranger, and no number of
    them, keeps out whoever signed in there before. Two passwords are checked at once at most.
    """

    def __init__(
        self, browsers: KnownBrowsers, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.browsers = browsers
        self._backoff = LoginBackoff(clock)
        self._rate = AttemptRate(clock)
        self._turns = {is_known: LoginTurns() for is_known in (True, False)}

    def caller(self, name: str, address: str, cookies: Mapping[str, str]) -> Caller:
        """Who tries to sign in to this account."""
        return caller_of(name, address, self.browsers.number_in(cookies, name))

    def begin(self, name: str, caller: Caller) -> Wait | None:
        """Register an attempt; ``None`` if it may go on, otherwise it is not registered."""
        if self._turns[caller.is_known].is_full:
            return Wait(CROWDED, CROWD_LASTS_S)
        wait_s = self._rate.take(caller.party)
        if wait_s > 0:
            return Wait(NETWORK_TOO_BUSY, wait_s)
        wait_s = self._backoff.begin(name, caller.guesser)
        return Wait(WRONG_TOO_OFTEN, wait_s) if wait_s > 0 else None

    @asynccontextmanager
    async def turn(self, caller: Caller) -> AsyncIterator[None]:
        """Wait until a password of this caller may be checked."""
        async with self._turns[caller.is_known].turn(caller.party):
            yield

    def succeeded(self, name: str, caller: Caller) -> None:
        """Forget the wrong passwords."""
        self._backoff.succeeded(name, caller.guesser)
