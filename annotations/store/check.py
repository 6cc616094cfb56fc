"""Is everything as it was written: database, log, commits and image files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from annotations.records import ImageRecord
from annotations.store import commits
from annotations.store.connection import Connections
from annotations.store.edit_log import EditLog
from annotations.store.images import Images

Progress = Callable[[int, int, str], bool]  # done, total, what; True asks to stop
_CHUNK: Final = 1 << 20


def database_problems(connections: Connections, log: EditLog) -> list[str]:
    """A sentence for each thing in the database that is not as it was written."""
    with connections.read() as connection:
        found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(20)")]
        problems = [f"damaged: {one}" for one in found if one != "ok"]
        problems += [
            f"dangling: row {row['rowid']} of {row['table']} points to no row of {row['parent']}"
            for row in connection.execute("PRAGMA foreign_key_check").fetchmany(20)
        ]
        problems += commits.content_problems(connection)
    return problems + log.verify()


def file_problems(images: Images, progress: Progress | None = None) -> list[str]:
    """A sentence for each image whose file is gone, unreadable or has another content."""
    problems: list[str] = []
    records = images.all()
    for done, image in enumerate(records):
        if progress is not None and progress(done, len(records), image.name):
            return [
                *problems,
                f"stopped: {len(records) - done} of {len(records)} files not checked",
            ]
        problems += _file_problem(image)
    if progress is not None:
        progress(len(records), len(records), "")
    return problems


def _file_problem(image: ImageRecord) -> list[str]:
    try:
        digest = _sha256(Path(image.path))
    except FileNotFoundError:
        return [f"missing: {image.path} (image {image.name})"]
    except OSError as error:
        return [f"unreadable: {image.path} (image {image.name}): {error.strerror}"]
    if digest != image.sha256:
        return [f"changed: {image.path} (image {image.name}) since its import"]
    return []


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
