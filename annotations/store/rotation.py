"""Which backups stay: all of the last hours, one of each day, one of each week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

DAYS: Final = 14
WEEKS: Final = 8
MAX_BYTES: Final = 8 * 1024**3
LEAST: Final = 3


@dataclass(frozen=True, slots=True)
class BackupFile:
    """One backup as the file system sees it."""

    path: Path
    made_at: datetime
    n_bytes: int

    @classmethod
    def of(cls, path: Path) -> BackupFile:
        """The facts of this file."""
        facts = path.stat()
        return cls(path, datetime.fromtimestamp(facts.st_mtime, UTC), facts.st_size)


def expendable(backups: Sequence[BackupFile], *, keep: int) -> list[Path]:
    """The backups that may go; the newest never does.

    The ``keep`` newest stay, and of the older ones the last of each of 14 days and of 8 weeks.
    Where those take more than 8 GiB together, only as many of the newest stay as fit, three at
    least.

    Args:
        backups: The oldest first. Their order counts, not their clock, which may have been wrong.
        keep: How many of the newest stay in any case.
    """
    newest_first = list(reversed(backups))
    kept = {one.path for one in newest_first[: max(keep, 1)]}
    kept |= _last_of_each(newest_first, "%Y-%j", DAYS)
    kept |= _last_of_each(newest_first, "%G-W%V", WEEKS)
    kept &= _within(newest_first, kept)
    return [one.path for one in backups if one.path not in kept]


def _last_of_each(newest_first: Sequence[BackupFile], period: str, n_periods: int) -> set[Path]:
    last: dict[str, Path] = {}
    for one in newest_first:
        last.setdefault(one.made_at.strftime(period), one.path)
    return set(list(last.values())[:n_periods])


def _within(newest_first: Sequence[BackupFile], kept: set[Path]) -> set[Path]:
    """Of those kept, the newest whose bytes together stay below the bound."""
    fitting: set[Path] = set()
    n_bytes = 0
    for one in newest_first:
        if one.path not in kept:
            continue
        n_bytes += one.n_bytes
        if n_bytes > MAX_BYTES and len(fitting) >= LEAST:
            break
        fitting.add(one.path)
    return fitting
