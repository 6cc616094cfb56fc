"""One password check after the other, in turn for all parties that wait for one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MAX_WAITING = 200


class LoginTurns:
    """Lets one check at a time go on; each takes 64 MiB and every core.

    The parties that wait are served in rotation: a hundred attempts from one address delay the
    first one from another by a single check.
    """

    def __init__(self) -> None:
        self._is_busy = False
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @property
    def is_full(self) -> bool:
        """Whether so many wait already that another one would wait for half a minute."""
        return sum(map(len, self._waiting.values())) >= MAX_WAITING

    @asynccontextmanager
    async def turn(self, party: str) -> AsyncIterator[None]:
        """Wait for this party's turn and keep it for the length of the block."""
        await self._begin(party)
        try:
            yield
        finally:
            self._pass_on()

    async def _begin(self, party: str) -> None:
        if not self._is_busy:
            self._is_busy = True
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(party, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the turn had come just then
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give the turn to the party that has waited longest for one."""
        while self._waiting:
            party = next(iter(self._waiting))
            of_party = self._waiting.pop(party)
            turn = of_party.popleft()
            if of_party:
                self._waiting[party] = of_party
            if not turn.done():
                turn.set_result(None)
                return
        self._is_busy = False
