from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from annotations.store.rotation import MAX_BYTES, BackupFile, expendable

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)


def made(*ages: timedelta, n_bytes: int = 1) -> list[BackupFile]:
    return [BackupFile(Path(f"{index:04d}"), NOW - age, n_bytes) for index, age in enumerate(ages)]


def kept(backups: list[BackupFile], keep: int) -> list[timedelta]:
    gone = set(expendable(backups, keep=keep))
    return [NOW - one.made_at for one in backups if one.path not in gone]


def test_the_newest_stay_and_of_a_day_only_its_last() -> None:
    hourly = [timedelta(hours=hours) for hours in range(48, -1, -1)]
    # 12:00 today; the two days before ended at 23:00, 13 and 37 hours ago.
    assert kept(made(*hourly), keep=3) == [timedelta(hours=one) for one in (37, 13, 2, 1, 0)]


def test_after_a_year_of_hours_days_and_weeks_stay() -> None:
    hourly = [timedelta(hours=hours) for hours in range(24 * 365, -1, -1)]
    ages = kept(made(*hourly), keep=12)
    assert ages[-12:] == [timedelta(hours=hours) for hours in range(11, -1, -1)]
    # 8 weeks, of which the last three end on one of the 14 days, today's included.
    weeks = [age for age in ages if age > timedelta(days=14)]
    assert {(NOW - age).isoweekday() for age in weeks} == {7}
    assert len(weeks) == 5
    assert len(ages) == 12 + 13 + 5


def test_backups_that_fill_the_disk_go_but_three() -> None:
    large = made(*(timedelta(hours=h) for h in range(9, -1, -1)), n_bytes=MAX_BYTES)
    assert kept(large, keep=12) == [timedelta(hours=h) for h in (2, 1, 0)]
    some = made(*(timedelta(hours=h) for h in range(9, -1, -1)), n_bytes=MAX_BYTES // 5)
    assert kept(some, keep=12) == [timedelta(hours=h) for h in (4, 3, 2, 1, 0)]


def test_the_newest_by_order_stays_whatever_its_clock_says() -> None:
    backups = made(timedelta(days=-900), timedelta(0))
    assert kept(backups, keep=1)[-1] == timedelta(0)
    assert expendable(made(timedelta(0)), keep=0) == []
