"""The product itself in a process of its own, started by its own command."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.browser.conftest import Server


@dataclass
class App(Server):
    """``launch.py ui`` on one workspace."""

    def start(self) -> None:
        repository = Path(__file__).resolve().parents[2]
        log = self.workspace.root.parent / "server.log"
        command = [sys.executable, "launch.py", "ui", str(self.workspace.root)]
        command += ["--port", str(self.port), "--no-browser"]
        with log.open("a") as output:
            self.process = subprocess.Popen(
                command,
                cwd=repository,
                stdout=output,
                stderr=output,
                text=True,
            )
        self._wait_until_ready(str(log))
