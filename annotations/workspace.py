"""A workspace: one folder that holds everything of one study but the image files."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from annotations.errors import WorkspaceError
from annotations.findings import STUDY_FINDINGS, normalise_term
from annotations.private_files import write_private
from annotations.protocol import Protocol, parse_protocol, to_toml
from annotations.store import Store
from annotations.toml_files import read_toml

FORMAT: Final = 1
_SETTINGS_NAME: Final = "workspace.toml"
_KEY_NAME: Final = "workspace.key"
_KEY_BYTES: Final = 32
_FOLDERS: Final = ("models", "exports", "cache", "images", "backups")


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """What workspace.toml says."""

    name: str
    findings: tuple[str, ...]
    synthetic: bool  # made-up pictures: the page shows the demo banner
    pseudonymised: int  # so many pictures somebody made sure of: no patient named, in no text


@dataclass(frozen=True, slots=True)
class Workspace:
    """An opened workspace folder."""

    root: Path
    settings: WorkspaceSettings
    _key: bytes = field(repr=False)

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "audit.sqlite"

    @property
    def models(self) -> Path:
        """Folder of model files and trained heads."""
        return self.root / "models"

    @property
    def exports(self) -> Path:
        """Folder of what was exported and reported."""
        return self.root / "exports"

    @property
    def cache(self) -> Path:
        """Folder of what can be computed again."""
        return self.root / "cache"

    @property
    def images(self) -> Path:
        """Folder of image files that were copied in."""
        return self.root / "images"

    @property
    def backups(self) -> Path:
        """Folder of copies of the database."""
        return self.root / "backups"

    @property
    def settings_file(self) -> Path:
        """workspace.toml."""
        return self.root / _SETTINGS_NAME

    def patient_hash(self, *parts: str) -> str:
        """32 hex digits that stand for this patient (or study) in this workspace only.

        Without the workspace's key nobody can find out which patient it was by trying numbers.
        "" when all parts are empty: an unknown patient must not equal another one.
        """
        if not any(parts):
            return ""
        # JSON keeps ("a", "bc") and ("ab", "c") apart.
        message = json.dumps(parts, ensure_ascii=True).encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:32]

    def seal(self, *parts: str) -> str:
        """64 hex digits that only this workspace can give for these words."""
        # Not the key of the patients' hashes: those are exported, and a file names whom it likes.
        key = hmac.new(self._key, b"seal", hashlib.sha256).digest()
        return hmac.new(key, json.dumps(parts).encode(), hashlib.sha256).hexdigest()


def create_workspace(
    root: Path,
    *,
    name: str,
    findings: Sequence[str] = STUDY_FINDINGS,
    synthetic: bool = False,
) -> Workspace:
    """The new workspace, its folders for the owner only and its database empty.

    Raises:
        WorkspaceError: If the folder holds anything or cannot be written, the name is empty or a
            finding stands twice.
    """
    root = root.expanduser().absolute()
    settings = WorkspaceSettings(
        name=name.strip(),
        findings=tuple(findings),
        synthetic=synthetic,
        pseudonymised=0,
    )
    _check_settings(settings, "the new workspace")
    try:
        _make_folders(root)
        key = secrets.token_bytes(_KEY_BYTES)
        write_private(root / _KEY_NAME, key.hex() + "\n")
        workspace = Workspace(root, settings, key)
        Store(workspace.database, settings.findings).close()
        # Last, because its presence makes the folder a workspace.
        write_private(workspace.settings_file, _to_toml(settings))
    except OSError as error:
        raise WorkspaceError(
            f"the workspace {root} cannot be made: {_reason(error)}; check the rights and the free "
            "space, or give another folder"
        ) from error
    return workspace


def open_workspace(root: Path) -> Workspace:
    """The workspace in this folder.

    Raises:
        WorkspaceError: If it is none, its settings cannot be read, its key is gone, a folder of it
            cannot be made, or a newer version wrote it.
    """
    root = root.expanduser().absolute()
    file = root / _SETTINGS_NAME
    if not _is_file(file):
        raise WorkspaceError(
            f"{root} is no workspace (it has no {_SETTINGS_NAME}); make one "
            f"with: launch.py new {root}"
        )
    settings = _read_settings(file)
    key = _read_key(root / _KEY_NAME)
    _restore_folders(root)
    return Workspace(root, settings, key)


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError as error:
        raise WorkspaceError(
            f"{file} cannot be looked for: {_reason(error)}; check the rights of its folders"
        ) from error


def _restore_folders(root: Path) -> None:
    """Make those folders of a workspace that are gone, for instance an emptied cache."""
    for name in _FOLDERS:
        folder = root / name
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except FileExistsError:
            raise WorkspaceError(
                f"{folder} is a file; expected a folder: move the file away and try again"
            ) from None
        except OSError as error:
            raise WorkspaceError(
                f"the folder {folder} cannot be made: {_reason(error)}; check the rights of {root} "
                "and the free space"
            ) from error


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _make_folders(root: Path) -> None:
    if (root / _SETTINGS_NAME).exists():
        raise WorkspaceError(f"{root} is a workspace already; open it, or give another folder")
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise WorkspaceError(f"{root} is not empty and no workspace; give a new or an empty folder")
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    root.chmod(0o700)
    for folder in _FOLDERS:
        (root / folder).mkdir(mode=0o700)


def _to_toml(settings: WorkspaceSettings) -> str:
    findings = "".join(f"    {_toml_text(finding)},\n" for finding in settings.findings)
    return (
        "# What this workspace is. The findings' order is the order of tables and training.\n"
        f"format = {FORMAT}\n"
        f"name = {_toml_text(settings.name)}\n"
        f"synthetic = {str(settings.synthetic).lower()}\n"
        "# How many pictures it held when somebody made sure that none of them, nor a text, names\n"
        "# a patient. After more came, a public share link is refused until that was done again.\n"
        f"pseudonymised = {settings.pseudonymised}\n"
        f"findings = [\n{findings}]\n\n"
        "# The rules of reading; the page's tab Settings changes them, too.\n" + to_toml(Protocol())
    )


def _toml_text(text: str) -> str:
    # A JSON string is a TOML string, but for the one control character that JSON leaves alone.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _read_settings(file: Path) -> WorkspaceSettings:
    values = read_toml(file)
    version = values.pop("format", None)
    if type(version) is int and version > FORMAT:
        raise WorkspaceError(
            f"{file} has format {version}, this version of the tool knows {FORMAT}; update the tool"
        )
    if type(version) is not int or version != FORMAT:
        raise WorkspaceError(f"{file} has format {version!r}; expected format = {FORMAT}")
    # Only checked, so that a slip shows at once; it may change while the workspace is open.
    parse_protocol(values.pop("protocol", {}), str(file))
    settings = _settings_of(values, file)
    _check_settings(settings, str(file))
    return settings


def _settings_of(values: dict[str, object], file: Path) -> WorkspaceSettings:
    expected = {"name": str, "findings": list, "synthetic": bool, "pseudonymised": int}
    unknown = sorted(set(values) - set(expected))
    if unknown:
        raise WorkspaceError(
            f"{file} has the unknown setting '{unknown[0]}'; known: {', '.join(expected)}"
        )
    for key, kind in expected.items():
        if not isinstance(values.get(key), kind):
            raise WorkspaceError(
                f"{file}: '{key}' is {values.get(key)!r}; expected a value of type {kind.__name__}"
            )
    findings = values["findings"]
    if not isinstance(findings, list) or not all(isinstance(one, str) for one in findings):
        raise WorkspaceError(f"{file}: 'findings' is {findings!r}; expected a list of names")
    return WorkspaceSettings(
        name=str(values["name"]),
        findings=tuple(findings),
        synthetic=values["synthetic"] is True,
        pseudonymised=_number_confirmed(values["pseudonymised"]),
    )


def _number_confirmed(value: object) -> int:
    """How many pictures; earlier versions wrote true or false, which says nothing of later ones."""
    return 0 if isinstance(value, bool) else int(str(value))


def _check_settings(settings: WorkspaceSettings, where: str) -> None:
    if not settings.name.strip():
        raise WorkspaceError(f"{where} has no name; give one")
    keys = [normalise_term(finding) for finding in settings.findings]
    if not keys or not all(keys):
        raise WorkspaceError(f"{where} has the findings {settings.findings}; expected names")
    twice = next(
        (one for one, key in zip(settings.findings, keys, strict=True) if keys.count(key) > 1), None
    )
    if twice is not None:
        raise WorkspaceError(f"{where} names the finding '{twice}' twice; name each once")


def _read_key(file: Path) -> bytes:
    try:
        key = bytes.fromhex(file.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        raise WorkspaceError(
            f"{file} is missing; without it new imports would not find known patients again: "
            "restore it from where the workspace was copied"
        ) from None
    except (ValueError, OSError) as error:
        raise WorkspaceError(f"{file} cannot be read ({error}); restore it") from error
    if len(key) != _KEY_BYTES:
        raise WorkspaceError(f"{file} holds {len(key)} bytes; expected {_KEY_BYTES}; restore it")
    return key
