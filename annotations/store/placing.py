"""A finished database in the place of another one: a kill at any moment leaves both or either.

A crash can leave a journal beside the replaced database, without which that one is torn, and which
would be rolled into the new one. File and journal cannot be exchanged in one step, so the finished
one first gets the name ``restored_file``: while that is there, no database is opened.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Final

from annotations.store.soundness import damage_mark

_JOURNAL_ENDINGS: Final = ("-journal", "-wal", "-shm")


def restored_file(database: Path) -> Path:
    """The file that is there from the moment a restore begins to change things until it is done."""
    return database.with_name(database.name + ".restored")


def place(prepared: Path, database: Path, aside: Path) -> None:
    """Put a finished database in place; what was there is kept with its journal.

    Args:
        prepared: The finished one, beside the place; gone afterwards.
        database: The place.
        aside: Where the present database is kept, if there is one.

    Raises:
        OSError: If the files cannot be written or moved.
    """
    finished = restored_file(database)
    was_begun = finished.exists()
    prepared.replace(finished)
    try:
        _keep(database, aside)
    except OSError:
        # Nothing was changed yet, unless by an earlier restore that was killed.
        if not was_begun:
            finished.unlink()
        raise
    _sync_folder(database.parent)
    for ending in _JOURNAL_ENDINGS:
        _beside(database, ending).unlink(missing_ok=True)
    finished.replace(database)
    damage_mark(database).unlink(missing_ok=True)
    _sync_folder(database.parent)


def _keep(database: Path, aside: Path) -> None:
    """A second name for the database and its journals, or a copy where links are not known."""
    kept: list[Path] = []
    try:
        for ending in (*_JOURNAL_ENDINGS, ""):
            source, to = _beside(database, ending), _beside(aside, ending)
            if source.exists():
                kept.append(to)
                _link_or_copy(source, to)
        _sync_folder(aside.parent)
    except OSError:
        for to in kept:
            to.unlink(missing_ok=True)
        raise


def _link_or_copy(source: Path, to: Path) -> None:
    with contextlib.suppress(OSError):
        to.hardlink_to(source)
        return
    partial = to.with_name(to.name + ".partial")
    try:
        shutil.copy2(source, partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(to)
    finally:
        partial.unlink(missing_ok=True)


def _beside(database: Path, ending: str) -> Path:
    return database.with_name(database.name + ending)


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself last through a power failure; Windows cannot and need not."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
