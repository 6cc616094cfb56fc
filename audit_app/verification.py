"""What a check of finished results found: what agreed and what did not, one sentence each."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Verification:
    """What was checked and what was found.

    Attributes:
        checks: What agreed, one sentence each.
        problems: What did not, one sentence each.
    """

    checks: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Whether everything agreed."""
        return not self.problems

    def lines(self) -> list[str]:
        """For the command line."""
        last = "Everything agrees." if self.is_right else f"{len(self.problems)} do not agree."
        return [*self.checks, *self.problems, last]


@dataclass(frozen=True, eq=False)
class Findings:
    """Sentences so far."""

    checks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, agreed: str, problems: Sequence[str]) -> None:
        """The problems, or when there are none what agreed."""
        self.problems.extend(problems)
        if not problems:
            self.checks.append(agreed)

    def result(self) -> Verification:
        """Everything that was added."""
        return Verification(tuple(self.checks), tuple(self.problems))


def file_problems(folder: Path, files: Mapping[str, str]) -> list[str]:
    """A sentence for each file that is gone or changed.

    Args:
        folder: Where they lie.
        files: SHA-256 by name.
    """
    problems = []
    for name, sha256 in files.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            problems.append(f"{name} changed since it was written")
    return problems


def is_same(written: object, again: object, *, tolerance: float) -> bool:
    """Whether two cells say the same; numbers may differ by this share, nothing equals "".

    Args:
        written: What the file says.
        again: What was recomputed.
        tolerance: Of numbers, relative, and absolute near 0.
    """
    if isinstance(written, bool) or isinstance(again, bool):
        return written is again
    if isinstance(written, int | float) and isinstance(again, int | float):
        return math.isclose(written, again, rel_tol=tolerance, abs_tol=tolerance)
    return ("" if written is None else written) == ("" if again is None else again)
