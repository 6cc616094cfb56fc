"""Holm's correction of a family of p-values."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """The adjusted p-values, in the order given.

    Args:
        p_values: One per comparison of the family; None for one that could not be tested, which
            stays None and does not count.

    Returns:
        Compared with a level, these keep the chance of any false alarm in the family below it.

    Raises:
        ValueError: If a p-value is not a number from 0 to 1.

    Source:
        Holm 1979: the k-th smallest of m times m - k + 1, at least its predecessor, at most 1.
    """
    tested = [(p, place) for place, p in enumerate(p_values) if p is not None]
    for p, place in tested:
        if not 0 <= p <= 1:
            raise ValueError(f"p-value {place} is {p}; expected a number from 0 to 1 or None")
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(sorted(tested)):
        highest = max(highest, min(1.0, p * (len(tested) - rank)))
        adjusted[place] = highest
    return tuple(adjusted)
