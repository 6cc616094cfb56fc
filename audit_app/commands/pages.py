"""Commands that open the page: the demo, and `ui`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit_app.commands.console import WorkspacePath, opened, progress_bar, say


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

    root = demo_folder()
    if not (root / DEMO_FILE).exists():
        say(f"Making the demo workspace in {root}: synthetic radiographs, two small models.")
        with progress_bar("Demo") as report:
            create_demo(root, progress=report)
    serve_workspace(root, port=port, browser=browser)


def serve_workspace(
    root: Path,
    *,
    port: int | None,
    browser: bool,
    share: bool = False,
    share_server: str | None = None,
) -> None:
    """Serve one workspace until Ctrl-C or SIGTERM."""
    from annotations.workspace import open_workspace
    from audit_app.environment import prepare_environment

    prepare_environment(open_workspace(root).cache / "gradio")

    from audit_app.app import run_app
    from audit_app.settings import Settings

    settings = Settings(port=port, open_browser=browser, share=share, share_server=share_server)
    with opened(root) as (workspace, store):
        from audit_app.services import Services

        run_app(Services(workspace, store, settings))


def ui(
    workspace: WorkspacePath,
    port: Annotated[
        int | None, typer.Option(help="Port of the page; a free one when left out.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    share: Annotated[
        bool, typer.Option("--share", help="Also make a public Gradio link; needs accounts.")
    ] = False,
    share_server: Annotated[
        str | None, typer.Option(help="The hospital's own share server, host:port.")
    ] = None,
) -> None:
    """Open the page of a workspace.

    Example: launch.py ui ./ward --port 7860 --no-browser
    """
    serve_workspace(workspace, port=port, browser=browser, share=share, share_server=share_server)
