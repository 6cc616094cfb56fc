"""Files of a workspace that belong to nothing any more: leftovers of what was stopped or removed.

Maps, embeddings and texts are not looked at: their names are hashes of what made them, and each
of those folders is bounded by itself.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.viewer.pixels import picture_key

UNFINISHED: Final = (".tmp", ".partial", ".part", ".prepared")
THROWN_AWAY: Final = ("export-", "rescue-", ".restore-")
# Younger ones may be at work in another process.
LEAST_AGE_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Orphan:
    """One file or folder that nothing refers to."""

    path: Path
    reason: str

    @property
    def n_bytes(self) -> int:
        """Its size, with all that lies below."""
        if not self.path.is_dir():
            return self.path.stat().st_size
        return sum(one.stat().st_size for one in self.path.rglob("*") if one.is_file())


def find_orphans(
    workspace: Workspace, store: Store, *, least_age_s: float = LEAST_AGE_S
) -> list[Orphan]:
    """Everything in the workspace's own folders that belongs to nothing, in the order of paths.

    Args:
        workspace: Whose folders.
        store: Says what is referred to.
        least_age_s: Unfinished files that were changed later than this are left alone.
    """
    images = store.images.all()
    kept = {Path(image.path).name for image in images}
    shown = {picture_key(image) for image in images}
    runs = {run.run_id for run in store.audits.all()}
    found = [
        *_unfinished(workspace, least_age_s),
        *_unknown(workspace.images, kept, "no image refers to it"),
        *_unknown(workspace.cache / "viewer", shown, "the picture is no longer in the workspace"),
        *_unknown(workspace.cache / "audits", runs, "there is no such audit"),
    ]
    return sorted({one.path: one for one in found}.values(), key=lambda one: one.path)


def remove_orphans(orphans: Iterable[Orphan]) -> int:
    """Delete them; how many bytes that freed."""
    n_bytes = 0
    for one in orphans:
        n_bytes += one.n_bytes
        if one.path.is_dir() and not one.path.is_symlink():
            shutil.rmtree(one.path)
        else:
            one.path.unlink()
    return n_bytes


def _unfinished(workspace: Workspace, least_age_s: float) -> Iterator[Orphan]:
    limit = time.time() - least_age_s
    folders = (workspace.root, workspace.cache, workspace.images, workspace.backups)
    for folder in folders:
        for path in sorted(folder.iterdir()):
            is_left = path.name.endswith(UNFINISHED) or path.name.startswith(THROWN_AWAY)
            if is_left and path.stat().st_mtime < limit:
                yield Orphan(path, "left by something that was stopped")


def _unknown(folder: Path, known: set[str], reason: str) -> Iterator[Orphan]:
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.name not in known and not path.name.endswith(UNFINISHED):
                yield Orphan(path, reason)
