"""Commands that open the page: the demo, and `ui`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit_app.commands.console import WorkspacePath, progress_bar, say

if TYPE_CHECKING:
    from audit_app.settings import Settings


def demo(
    context: typer.Context,
    port: Annotated[
        int | None, typer.Option(help="Port of the page; free one when left out.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Open the demo workspace (made on the first run in the user's data folder)."""
    if context.invoked_subcommand is not None:
        return
    from audit_app.demo import DEMO_FILE, create_demo, demo_folder
    from audit_app.settings import Settings

    root = demo_folder()
    if not (root / DEMO_FILE).exists():
        say(f"Making the demo workspace in {root}: synthetic radiographs, two small models.")
        with progress_bar("Demo") as report:
            create_demo(root, progress=report)
    serve_workspace(root, Settings(port=port, open_browser=browser))


def serve_workspace(root: Path, settings: Settings) -> None:
    """Serve one workspace until Ctrl-C or SIGTERM.

    Raises:
        WorkspaceError: If the folder is no workspace, or may not be written.
    """
    from annotations.errors import WorkspaceError
    from annotations.workspace import open_workspace
    from audit_app.environment import prepare_environment

    workspace = open_workspace(root)
    if not os.access(workspace.root, os.W_OK):
        raise WorkspaceError(
            f"this account may not write into {workspace.root}, so no reading could be kept; give "
            "it the right to, or copy the folder to a place of your own"
        )
    prepare_environment(workspace.cache / "gradio")

    from audit_app.app import run_app
    from audit_app.rescue import open_or_rescue
    from audit_app.services import Services

    with open_or_rescue(workspace, settings) as store:
        run_app(Services(workspace, store, settings))


def ui(  # noqa: PLR0913 - each is an option of the command
    workspace: WorkspacePath,
    port: Annotated[
        int | None, typer.Option(help="Port of the page; a free one when left out.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    share: Annotated[
        bool, typer.Option("--share", help="Also make a public Gradio link; needs accounts.")
    ] = False,
    share_for: Annotated[
        str, typer.Option("--for", help="After this time the link closes: 8h, 90m, 1h30m.")
    ] = "4h",
    share_server: Annotated[
        str | None, typer.Option(help="The hospital's own share server, host:port.")
    ] = None,
    share_certificate: Annotated[
        Path | None, typer.Option(help="Certificate (PEM) that signed the own share server's.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; another than 127.0.0.1 needs accounts.")
    ] = "127.0.0.1",
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="A further name of this computer in the network.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="TLS certificate (PEM) of the page.")
    ] = None,
    certificate_key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
) -> None:
    """Open the page of a workspace.

    Example: launch.py ui ./ward --port 7860 --no-browser

    Example: launch.py ui ./ward --share --for 8h
    """
    from audit_app.settings import Settings, parse_duration

    settings = Settings(
        host=host,
        port=port,
        allowed_hosts=tuple(allowed_host or ()),
        certificate=certificate,
        certificate_key=certificate_key,
        share=share,
        share_server=share_server,
        share_certificate=share_certificate,
        share_s=parse_duration(share_for),
        open_browser=browser,
    )
    serve_workspace(workspace, settings)
