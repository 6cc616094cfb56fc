"""What every format of the exports is: a row of the table EXPORTERS, and what a run of it wrote."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from annotations.errors import ExportRefused
from annotations.store import Store


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote, and what it left out."""

    count: int
    noun: str  # of what was counted, in the plural
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exporter:
    """One format. ``write`` makes the file, or the folder where ``suffix`` is empty."""

    kind: str
    write: Callable[[Store, Path], Exported]
    description: str
    suffix: str

    @property
    def is_folder(self) -> bool:
        """Whether it writes many files into a folder of its own."""
        return self.suffix == ""


@contextmanager
def unfinished_file(path: Path) -> Iterator[Path]:
    """A file to write to, which appears under its name only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def unfinished_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which appears under its name only when the block ends well.

    Raises:
        ExportRefused: If there is something at ``path`` that is no empty folder.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ExportRefused(f"{path} is there already; give a new or an empty folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        yield unfinished
        if path.exists():
            path.rmdir()
        unfinished.replace(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
