"""The pace estimate, by hand."""

from __future__ import annotations

import pytest

from audit_app.viewer.pace import pace_text, seconds_per_case, span


def at(*seconds: int) -> list[str]:
    """Times of commits, newest first as the store gives them."""
    times = (f"2025-03-04T{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}+00:00" for s in seconds)
    return list(reversed(list(times)))


def test_the_pace_is_the_median_of_the_gaps_without_breaks() -> None:
    # gaps 40, 50, a lunch of 7,200, 90, 60; the median of 40, 50, 60, 90 is 55
    assert seconds_per_case(at(0, 40, 90, 7290, 7380, 7440)) == 55


def test_nobody_can_say_before_three_gaps_and_a_clock_set_back_counts_for_nothing() -> None:
    assert seconds_per_case([]) is None
    assert seconds_per_case(at(0, 40, 90)) is None
    assert seconds_per_case(at(0, 40, 90, 20, 60)) == 40


def test_the_estimate_is_for_what_is_left() -> None:
    times = at(0, 60, 120, 180)
    assert pace_text(times, 130) == "about 1 min per case, 2 h 10 min for the rest"
    assert pace_text(times, 0) == ""
    assert pace_text(times[:2], 5) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (59.4, "59 s"), (60, "1 min"), (95, "1 min 35 s"), (605, "10 min"),
     (3599, "1 h"), (3600, "1 h"), (35_990, "10 h"), (4_000_000, "1,111 h")],
)  # fmt: skip
def test_a_length_of_time_is_told_in_at_most_two_units(seconds: float, text: str) -> None:
    assert span(seconds) == text
