"""The finished stages of an evaluation, on disk, so that a killed one goes on where it was.

A stage is a JSON file, written last, beside the arrays that it speaks of. It is there as a whole or
not at all. A stage's name holds everything that can differ within one folder (mode and preset); all
else is in the folder's own name, the fingerprint of pictures, labels, split, model and settings.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audit_app.errors import AuditError
from audit_app.replacing import replacing

Arrays = Mapping[str, NDArray[np.float32]]
KEY_LENGTH: Final = 20


@dataclass(frozen=True, eq=False)
class Stage:
    """What one stage left behind: JSON values and float32 arrays."""

    facts: Mapping[str, object]
    arrays: Arrays = field(default_factory=dict)

    def number(self, name: str) -> float:
        """A number among the facts."""
        value = self.facts[name]
        if not isinstance(value, int | float):
            raise TypeError(f"fact {name} is {value!r}; expected a number")
        return float(value)


class StageFolder:
    """The finished stages of one fingerprint."""

    def __init__(self, root: Path, fingerprint: str) -> None:
        """Make or open the folder below ``root``.

        Raises:
            AuditError: If it cannot be written to.
        """
        self.folder = root / fingerprint[:KEY_LENGTH]
        with disk_errors(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.utime(self.folder)  # cleaning asks when it was used last

    def path(self, name: str) -> Path:
        """A file of this folder that a stage writes by itself, such as weights."""
        return self.folder / name

    def find(self, name: str) -> Stage | None:
        """The finished stage, or None."""
        try:
            facts = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        arrays = self.folder / f"{name}.npz"
        if not arrays.is_file():
            return Stage(facts)
        with np.load(arrays, allow_pickle=False) as stored:
            return Stage(facts, {key: stored[key] for key in stored.files})

    def keep(self, name: str, stage: Stage) -> Stage:
        """The stage, on the disk when this returns.

        Raises:
            AuditError: If the disk is full; nothing of this stage is there then.
        """
        with disk_errors(self.folder):
            if stage.arrays:
                with replacing(self.folder / f"{name}.npz") as file:
                    np.savez(file, **dict(stage.arrays))  # type: ignore[arg-type] # the stub takes **arrays for its own flag
            text = json.dumps(dict(stage.facts), ensure_ascii=False, indent=1)
            with replacing(self.folder / f"{name}.json") as file:
                file.write(text.encode())
        return stage

    def do(self, name: str, work: Callable[[], Stage]) -> Stage:
        """The finished stage, or what the work makes of it now."""
        found = self.find(name)
        return found if found is not None else self.keep(name, work())


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """A sentence for a disk that is full or may not be written to."""
    try:
        yield
    except OSError as error:
        raise AuditError(
            f"cannot write to {folder}: {error.strerror or error}; make room or rights there and "
            "start the same evaluation again: its finished stages are kept"
        ) from None
