"""A workspace in one file, to be kept elsewhere: what nobody could compute or fetch again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Final

from annotations.errors import DamagedWorkspace, StoreError, WorkspaceError
from annotations.store import Store
from annotations.store.restore import KIND, Restored, restore_backup
from annotations.workspace import Workspace, open_workspace

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
CORE: Final = ("audit.sqlite", "workspace.toml", "workspace.key")
FOLDERS: Final = ("images", "models")
_CHUNK: Final = 1 << 20
_MAX_MANIFEST: Final = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Archived:
    """What an archive holds: how many files, how many bytes before compression."""

    path: Path
    n_files: int
    n_bytes: int


def write_archive(
    workspace: Workspace, store: Store, to: Path, *, everything: bool = False
) -> Archived:
    """One checked ZIP file, readable by its owner only.

    Args:
        workspace: What to archive.
        store: Its store; others may go on writing meanwhile.
        to: A file that does not exist yet.
        everything: Also the pictures that were copied in and the models' files.

    Raises:
        StoreError: If there is such a file already, or it cannot be written.
        DamagedWorkspace: If the database is not sound.
    """
    if to.exists():
        raise StoreError(f"{to} exists already; give another name for the archive")
    partial = to.with_name(to.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        with os.fdopen(descriptor, "w+b") as file, tempfile.TemporaryDirectory() as name:
            copy = Path(name) / "audit.sqlite"
            store.backup(copy)
            files = _files(workspace, copy, everything=everything)
            facts = _write_zip(file, files)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(to)
    except OSError as error:
        raise StoreError(
            f"the archive {to} cannot be written: {error.strerror}; check the rights and the free "
            "space"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return Archived(to, len(facts), sum(int(str(one["bytes"])) for one in facts.values()))


def restore_archive(root: Path, archive: Path, *, actor: str) -> Restored | None:
    """Put what an archive holds into a new folder (None then), or in the place of what is there.

    Every file is compared with the archive's list before anything is put in place. In a workspace
    that is there already its database is moved into the backups' folder, not lost, and its key
    must be the archive's.

    Raises:
        DamagedWorkspace: If the archive is none of ours or not as it was written.
        WorkspaceError: If ``root`` is another workspace, holds other files, or is in use.
        StoreError: If the files cannot be written.
    """
    root = root.expanduser().absolute()
    is_there = (root / "workspace.toml").exists()
    if not is_there and root.exists() and any(root.iterdir()):
        raise WorkspaceError(f"{root} is not empty and no workspace; give a new or an empty folder")
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root.parent, prefix=".restore-") as name:
            unpacked = Path(name) / "workspace"
            _unpack(archive, unpacked)
            if not is_there:
                if root.exists():
                    root.rmdir()
                unpacked.replace(root)
                with Store.open(open_workspace(root)) as store:
                    store.log.add(KIND, actor, archive.name, {})
                return None
            return _put_back(open_workspace(root), unpacked, archive, actor=actor)
    except OSError as error:
        raise StoreError(
            f"the archive {archive} cannot be restored to {root}: {error.strerror}"
        ) from error


def _put_back(workspace: Workspace, unpacked: Path, archive: Path, *, actor: str) -> Restored:
    key = "workspace.key"
    if (unpacked / key).read_bytes() != (workspace.root / key).read_bytes():
        raise WorkspaceError(
            f"{archive} belongs to another workspace than {workspace.root}: their keys differ; "
            "restore it into a new folder"
        )
    database = unpacked / "audit.sqlite"
    done = restore_backup(workspace, database, actor=actor, called=archive.name)
    for folder in FOLDERS:
        for file in _files_below(unpacked / folder):
            target = workspace.root / file.relative_to(unpacked)
            if not target.exists():
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                shutil.move(file, target)
    return done


def _files(workspace: Workspace, copy: Path, *, everything: bool) -> dict[str, Path]:
    """Every file of the archive under its name there."""
    files = {"audit.sqlite": copy}
    files |= {name: workspace.root / name for name in CORE if name != "audit.sqlite"}
    if everything:
        for folder in FOLDERS:
            for file in _files_below(workspace.root / folder):
                files[file.relative_to(workspace.root).as_posix()] = file
    return files


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def _write_zip(file: IO[bytes], files: dict[str, Path]) -> dict[str, dict[str, object]]:
    facts: dict[str, dict[str, object]] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, path in files.items():
            with path.open("rb") as source, archive.open(name, "w", force_zip64=True) as target:
                facts[name] = _copy(source, target)
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        manifest = {"format": FORMAT, "made_at": made_at, "files": facts}
        archive.writestr(MANIFEST, json.dumps(manifest, indent=1))
    with zipfile.ZipFile(file) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise StoreError(f"the archive was not written well ('{damaged}'); try another disk")
    return facts


def _copy(source: IO[bytes], target: IO[bytes], *, most: int | None = None) -> dict[str, object]:
    """SHA-256 and number of the bytes that were copied; more than ``most`` are refused."""
    digest, n_bytes = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK):
        n_bytes += len(chunk)
        if most is not None and n_bytes > most:
            raise DamagedWorkspace("a file of the archive is larger than its list says")
        digest.update(chunk)
        target.write(chunk)
    return {"sha256": digest.hexdigest(), "bytes": n_bytes}


def _unpack(archive: Path, to: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            expected = _read_manifest(opened, archive)
            _make_folders(to)
            for name, facts in expected.items():
                _unpack_one(opened, name, facts, to)
    except FileNotFoundError:
        raise WorkspaceError(f"there is no archive {archive}; check the path") from None
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError) as error:
        raise DamagedWorkspace(
            f"{archive} is damaged or no archive ({type(error).__name__}); nothing was changed: "
            "take another one"
        ) from error


def _make_folders(to: Path) -> None:
    for folder in ("", "models", "exports", "cache", "images", "backups"):
        (to / folder).mkdir(mode=0o700)


def _unpack_one(opened: zipfile.ZipFile, name: str, facts: dict[str, object], to: Path) -> None:
    target = to / name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file, opened.open(name) as source:
        found = _copy(source, file, most=int(str(facts["bytes"])))
    if found != facts:
        raise DamagedWorkspace(
            f"'{name}' in the archive is not as it was written; nothing was changed: take another "
            "archive"
        )


def _read_manifest(opened: zipfile.ZipFile, archive: Path) -> dict[str, dict[str, object]]:
    """The files that the archive says it holds, each under a name that stays in the workspace."""
    with opened.open(MANIFEST) as file:
        text = file.read(_MAX_MANIFEST)
    try:
        manifest = json.loads(text)
        files = {
            str(name): {"sha256": str(facts["sha256"]), "bytes": int(facts["bytes"])}
            for name, facts in manifest["files"].items()
        }
        version = int(manifest["format"])
    except (ValueError, TypeError, AttributeError) as error:
        raise DamagedWorkspace(f"{archive} has no readable {MANIFEST}; take another one") from error
    if version > FORMAT:
        raise WorkspaceError(
            f"{archive} was written by a newer version of this tool (format {version}, this "
            f"version knows {FORMAT}); update the tool"
        )
    bad = [name for name in files if not _is_ours(name)]
    absent = [name for name in CORE if name not in files]
    if bad or absent:
        raise DamagedWorkspace(
            f"{archive} is no archive of a workspace: "
            + (f"it names the file {bad[0]!r}" if bad else f"it holds no '{absent[0]}'")
        )
    return files


def _is_ours(name: str) -> bool:
    if name in CORE:
        return True
    parts = PurePosixPath(name).parts
    return (
        len(parts) > 1
        and parts[0] in FOLDERS
        and "\\" not in name
        and ":" not in name
        and not any(part in ("", ".", "..") for part in name.split("/"))
    )
