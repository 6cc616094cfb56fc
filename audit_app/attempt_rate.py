"""How many sign-ins each party may try: a bucket of attempts that fills up again slowly."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

# A hospital often shows one address for all: fifty readers sign in at eight, some of them twice.
AT_ONCE = 100
SECONDS_PER_ATTEMPT = 2.0
MAX_REMEMBERED = 10_000


@dataclass(slots=True)
class _Bucket:
    left: float
    counted_at: float


class AttemptRate:
    """A hundred attempts at once, then one every two seconds, for each party by itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, party: str) -> float:
        """Take one attempt.

        Returns:
            0.0 if there was one, otherwise the seconds until there is; then none is taken.
        """
        now = self._clock()
        bucket = self._buckets.setdefault(party, _Bucket(AT_ONCE, now))
        self._buckets.move_to_end(party)
        gained = (now - bucket.counted_at) / SECONDS_PER_ATTEMPT
        bucket.left = min(AT_ONCE, bucket.left + gained)
        bucket.counted_at = now
        while len(self._buckets) > MAX_REMEMBERED:
            self._buckets.popitem(last=False)
        if bucket.left < 1:
            return (1 - bucket.left) * SECONDS_PER_ATTEMPT
        bucket.left -= 1
        return 0.0
