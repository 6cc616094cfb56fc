"""The body of a request with an upper limit, however it is sent."""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive


class BodyTooLarge(Exception):
    """More bytes arrived than the path may take."""


class Body:
    """The request's body with an upper limit; it can be read ahead and is then given again."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._n_bytes = 0
        self._ahead: list[Message] = []

    @property
    def content(self) -> bytes:
        """What was read ahead."""
        return b"".join(message.get("body", b"") for message in self._ahead)

    async def read(self) -> None:
        """Read the whole body ahead.

        Raises:
            BodyTooLarge: If it is longer than allowed.
            ClientDisconnect: If the client went away.
        """
        while True:
            message = await self._next()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self._ahead.append(message)
            if not message.get("more_body", False):
                return

    def replayed(self) -> Receive:
        """Another receiver of what was read ahead."""
        messages = iter(list(self._ahead))

        async def receive() -> Message:
            return next(messages, {"type": "http.disconnect"})

        return receive

    async def __call__(self) -> Message:
        """The next message of the request."""
        return self._ahead.pop(0) if self._ahead else await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._n_bytes += len(message.get("body", b""))
        if self._n_bytes > self._limit:
            raise BodyTooLarge
        return message
