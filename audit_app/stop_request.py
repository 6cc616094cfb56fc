"""The wish that a page ends: by a signal, or from another thread."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

BY_THREAD: Final = 0
BY_SIGNAL: Final = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Waited for by the main thread.

    A byte in a socket, which stays there until it is read. An event or a queue that a signal's
    handler sets can be waited for in vain: Python runs handlers between two of its steps, so not
    while the main thread is just about to sleep, and a lock that it holds there is held for ever.
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)

    @property
    def fileno(self) -> int:
        """Where the number of a signal that ends the page is written."""
        return self._writer.fileno()

    def set(self) -> None:
        """Ask for the end; nothing happens when it is over already."""
        with suppress(OSError):
            self._writer.send(bytes([BY_THREAD]))

    def wait(self) -> None:
        """Until somebody asks."""
        while self._reader.recv(1)[0] not in (BY_THREAD, *BY_SIGNAL):
            pass  # a signal that means something else

    def close(self) -> None:
        """Give the socket back."""
        self._reader.close()
        self._writer.close()


@contextmanager
def stop_signal() -> Iterator[StopRequest]:
    """A request that SIGTERM and SIGINT make; what they did before comes back afterwards."""
    stop = StopRequest()
    before = signal.set_wakeup_fd(stop.fileno, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _leave_to_the_socket) for number in BY_SIGNAL}
    try:
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        stop.close()


def _leave_to_the_socket(_number: int, _frame: FrameType | None) -> None:
    """Without a handler of Python's, nothing is written to the socket."""
