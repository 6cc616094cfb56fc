"""The command `pseudonymise`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from audit_app.commands.console import WorkspacePath, opened, progress_bar, say

ACTOR = "command line"


def pseudonymise(
    workspace: WorkspacePath,
    out: Annotated[
        Path | None,
        typer.Argument(
            metavar="[OUT]", help="New folder; one in the workspace's exports when left out."
        ),
    ] = None,
) -> None:
    """Write copies of all pictures whose headers name nobody, and sheets to look through.

    Example: launch.py pseudonymise ./ward ./to-share
    """
    from annotations.pseudonyms import pseudonymise as write_copies

    with opened(workspace) as (at, store), progress_bar("Pseudonymise") as report:
        folder = out or at.exports / f"pseudonymised-{datetime.now(UTC):%Y%m%dT%H%M%S}Z"
        done = write_copies(at, store, folder, progress=report)
        store.log.add(
            "pseudonymise",
            ACTOR,
            folder.name,
            {
                "written": done.n_written,
                "look_first": done.n_look_first,
                "left_out": len(done.left_out),
            },
        )
    for line in done.lines():
        say(line)
    if done.left_out:
        raise typer.Exit(1)
