"""The moments in a long computation at which it says how far it is, and may be stopped."""

from __future__ import annotations

from collections.abc import Callable

# Told how far it is, in words; what it raises ends the computation.
Pause = Callable[[str], None]


def no_pause(said: str) -> None:
    """Nothing: nobody waits."""
    del said
