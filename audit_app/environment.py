"""What must be true of the process before gradio is imported. Imports nothing of gradio itself."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

import psutil

OWN_VARIABLES = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_RUN_HISTORY": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
# What Hugging Face's libraries take for yes.
TRUE_WORDS = ("1", "ON", "YES", "TRUE")
# "1" when who started the program had forbidden downloads: then no job lifts that.
NO_DOWNLOADS = "SALIENCY_AUDIT_NO_DOWNLOADS"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def prepare_environment(temp_dir: Path) -> Path:
    """Give this process a private place for Gradio's files and only the program's own settings.

    Call it once, before anything imports gradio, which reads its variables at import.

    Args:
        temp_dir: Folder below which the private folder is made; what earlier runs left there
            is wiped, what another live run uses is not.

    Returns:
        The private folder of this run; it is wiped when the process exits.

    Raises:
        RuntimeError: If gradio was imported already.
    """
    if "gradio" in sys.modules:
        raise RuntimeError(
            "prepare_environment was called after gradio had been imported; call it first"
        )
    os.umask(0o077)
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    is_forbidden = os.environ.get("HF_HUB_OFFLINE", "").upper() in TRUE_WORDS
    os.environ.setdefault(NO_DOWNLOADS, "1" if is_forbidden else "0")
    os.environ.update(OWN_VARIABLES)
    _reach_loopback_without_proxy()
    private = make_private_folder(temp_dir)
    os.environ["GRADIO_TEMP_DIR"] = str(private)
    return private


def make_private_folder(temp_dir: Path) -> Path:
    """A fresh folder (mode 700) of this process below ``temp_dir``, wiped at exit."""
    temp_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    wipe_abandoned(temp_dir)
    private = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=temp_dir.resolve()))
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    return private


def wipe_abandoned(temp_dir: Path) -> None:
    """Remove what ended runs left below ``temp_dir``; folders of live processes stay."""
    for entry in temp_dir.iterdir():
        if entry.is_symlink() or not entry.is_dir():
            entry.unlink()
        elif not _is_in_use(entry):
            shutil.rmtree(entry, ignore_errors=True)


def _is_in_use(folder: Path) -> bool:
    """Whether the process that made the folder still runs (and is no later one of that number)."""
    pid = folder.name.partition("-")[0]
    if not pid.isdecimal():
        return False
    try:
        return bool(psutil.Process(int(pid)).create_time() <= folder.stat().st_mtime)
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False


def _reach_loopback_without_proxy() -> None:
    """Gradio asks its own page over HTTP while it starts; a hospital's proxy must not see that."""
    for name in ("NO_PROXY", "no_proxy"):
        given = [part for part in os.environ.get(name, "").split(",") if part.strip()]
        os.environ[name] = ",".join([*given, *(host for host in LOOPBACK if host not in given)])
