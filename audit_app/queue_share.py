"""How much of Gradio's queue of events one account may fill, so that there is room for others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from audit_app.refusal import Refusal
from audit_app.session import count_waiting

# Events that wait for their turn, of all accounts together: Gradio refuses the next one.
QUEUE_SIZE: Final = 64
# An opened page asks for two at once; what runs already is not counted.
EVENTS_PER_ACCOUNT: Final = QUEUE_SIZE // 4
TOO_MANY_WAIT: Final = Refusal(
    429,
    f"{EVENTS_PER_ACCOUNT} requests of your account wait for their turn already; wait until they "
    "are done, then try again",
    retry_after_s=1.0,
)


class QueueShare:
    """Counts what waits, and what is on its way into the queue."""

    def __init__(self) -> None:
        self._joining: Counter[str] = Counter()

    def is_full(self, app: Any, name: str) -> bool:
        """Whether this account has as many events in Gradio's queue as it may have."""
        return self._joining[name] + count_waiting(app, name) >= EVENTS_PER_ACCOUNT

    @contextmanager
    def joining(self, name: str) -> Iterator[None]:
        """Count one more of this account's events for the length of the block."""
        self._joining[name] += 1
        try:
            yield
        finally:
            self._joining[name] -= 1
