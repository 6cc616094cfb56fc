"""The table that every benchmark ends with."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure and what it is held against, if anything."""

    name: str
    value: float
    unit: str
    limit: float | None
    at_most: bool = True

    @property
    def is_met(self) -> bool:
        """Whether the target is met; true without one."""
        if self.limit is None:
            return True
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    @property
    def target(self) -> str:
        """The target in words; "" without one."""
        if self.limit is None:
            return ""
        return f"{'<=' if self.at_most else '>='} {self.limit:g} {self.unit}"


def machine() -> str:
    """Cores and processor kind; no GPU is used by these benchmarks."""
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, no GPU, Python {platform.python_version()}"
    )


def report(figures: Sequence[Figure]) -> int:
    """Print the table and the line that sums up; the exit status."""
    table = Table("figure", "measured", "target", "met", title=machine())
    for one in figures:
        met = "" if one.limit is None else "yes" if one.is_met else "NO"
        table.add_row(one.name, f"{one.value:.3g} {one.unit}", one.target, met)
    Console().print(table)
    held = [one for one in figures if one.limit is not None]
    short = [one for one in held if not one.is_met]
    missed = "; ".join(f"{one.name} {one.value:.3g} {one.unit} not {one.target}" for one in short)
    print(f"{len(held) - len(short)} of {len(held)} targets met{'; ' if short else ''}{missed}")
    return 1 if short else 0
