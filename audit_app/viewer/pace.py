"""How fast a reader reads, and how long the rest will take."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

LONGEST_CASE_S: Final = 30 * 60  # a longer gap between two commits is a break
FEWEST_CASES: Final = 3


def seconds_per_case(committed_at: Sequence[str]) -> float | None:
    """The median time between two commits, None before there are enough of them.

    Args:
        committed_at: ISO 8601, newest first. Breaks are left out, and so are pairs whose times
            run backwards (a clock that was set back).
    """
    times = [datetime.fromisoformat(one) for one in committed_at]
    gaps = [(later - earlier).total_seconds() for later, earlier in pairwise(times)]
    counted = [gap for gap in gaps if 0 < gap <= LONGEST_CASE_S]
    return statistics.median(counted) if len(counted) >= FEWEST_CASES else None


def pace_text(committed_at: Sequence[str], n_left: int) -> str:
    """As "about 40 s per case, 2 h 10 min for the rest"; "" while nobody can say."""
    seconds = seconds_per_case(committed_at)
    if seconds is None or n_left <= 0:
        return ""
    return f"about {span(seconds)} per case, {span(seconds * n_left)} for the rest"


def span(seconds: float) -> str:
    """A length of time in at most two units."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10 and rest:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(whole / 60), 60)
    if not hours:
        return f"{minutes} min"
    if hours < 10 and minutes:
        return f"{hours} h {minutes} min"
    return f"{round(whole / 3600):,} h"
