"""What everybody who opens the page must be told: one sentence for each topic, while it holds."""

from __future__ import annotations

import threading


class Notices:
    """The present warnings. Any thread may set, clear and read them."""

    def __init__(self) -> None:
        self._sentences: dict[str, str] = {}
        self._lock = threading.Lock()

    def set(self, topic: str, sentence: str) -> None:
        """Show this sentence from now on; "" clears the topic."""
        with self._lock:
            if sentence:
                self._sentences[topic] = sentence
            else:
                self._sentences.pop(topic, None)

    def all(self) -> tuple[str, ...]:
        """The sentences, in the order in which their topics came up."""
        with self._lock:
            return tuple(self._sentences.values())
