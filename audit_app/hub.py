"""Adding a model from a hub: the one job that may use the network, in a process of its own.

The worker and everything that it starts run with ``HF_HUB_OFFLINE=1``, which Hugging Face libraries
read once, at import. The download therefore has a child process in which that variable is lifted.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from annotations.store import Store
from annotations.workspace import Workspace, open_workspace
from audit_app.environment import NO_DOWNLOADS
from audit_app.errors import DOMAIN_ERRORS, AuditError
from audit_app.models import add_model, load_entry
from model_store.entries import HUB_PREFIX, PRESETS, ModelEntry

Report = Callable[[int, int, str], bool]
OFFLINE: Final = "HF_HUB_OFFLINE"
REFUSED: Final = 1
_POLL_S: Final = 0.5
_PROJECT_ROOT: Final = Path(__file__).resolve().parent.parent


def is_hub_source(name: str, path: str, hub: str) -> bool:
    """Whether the files of this model must come from a hub."""
    is_hub_preset = name in PRESETS and PRESETS[name].location.startswith(HUB_PREFIX)
    return not path and (bool(hub) or is_hub_preset)


def add_from_hub(
    workspace: Workspace, store: Store, name: str, hub: str, report: Report
) -> ModelEntry | None:
    """The model, downloaded and put into the catalogue by a child process; None when cancelled.

    Args:
        workspace: Where the files go.
        store: Its store.
        name: Of the entry.
        hub: Repository; "" for that of the preset ``name``.
        report: Asked twice a second whether to stop.

    Raises:
        AuditError: With the sentence of the child when it refused; if downloads are forbidden here.
    """
    if os.environ.get(NO_DOWNLOADS) == "1":
        raise AuditError(
            f"{name} would be downloaded, but {OFFLINE} was set where the program was started; "
            "start it without, or give the folder of a local copy"
        )
    command = [sys.executable, "-m", "audit_app.hub", str(workspace.root), name, hub]
    online = {key: value for key, value in os.environ.items() if key != OFFLINE}
    with subprocess.Popen(
        command,
        cwd=_PROJECT_ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=online | {"HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        text=True,
    ) as child:
        if _is_cancelled(child, name, report):
            return None
        said = child.stdout.read() if child.stdout else ""
    if child.returncode == REFUSED and said.strip():
        raise AuditError(said.strip())
    if child.returncode:
        raise AuditError(
            f"the download of {name} ended with status {child.returncode}; cache/worker.log of the "
            "workspace has the reason; add the model again to go on"
        )
    return load_entry(store, name)


def _is_cancelled(child: subprocess.Popen[str], name: str, report: Report) -> bool:
    """Wait for the child; true when it was ended because the job was cancelled."""
    try:
        while True:
            try:
                child.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                if report(0, 0, f"fetching {name} from the hub"):
                    return True
            else:
                return False
    finally:
        child.kill()


def main(arguments: list[str]) -> int:
    """Add a model from a hub; the arguments: folder of the workspace, name, repository or ""."""
    os.umask(0o077)
    root, name, hub = arguments
    try:
        workspace = open_workspace(Path(root))
        with Store.open(workspace) as store:
            add_model(workspace, store, name, hub=hub or None)
    except DOMAIN_ERRORS as error:
        sys.stdout.write(f"{error}\n")
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
