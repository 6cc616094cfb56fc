"""Saliency Audit: does a vision-language model look where a radiologist marks?"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from annotations.store import Store
    from annotations.workspace import Workspace

# The commands' own imports stand inside them: --help and the first page must not wait for torch.

app = typer.Typer(
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Mark findings on radiographs, see where a model looks, measure how well they agree.\n\n"
    "Example: [bold]uv run launch.py[/bold] opens the demo workspace.",
)
users_app = typer.Typer(
    help="Who may sign in.\n\nExample: launch.py users ./ward add mira --role reader"
)
models_app = typer.Typer(
    help="The models of a workspace.\n\nExample: launch.py models ./ward add biomedclip"
)
console = Console(stderr=True)

WorkspacePath = Annotated[Path, typer.Argument(metavar="W", help="Folder of the workspace.")]
Report = Callable[[int, int, str], bool]


@contextmanager
def opened(root: Path) -> Iterator[tuple[Workspace, Store]]:
    """The workspace at ``root`` and its store, closed afterwards."""
    from annotations.store import Store
    from annotations.workspace import open_workspace

    workspace = open_workspace(root)
    with Store.open(workspace) as store:
        yield workspace, store


@contextmanager
def progress_bar(title: str) -> Iterator[Report]:
    """A bar for anything over a second. Its report never asks to stop: Ctrl-C does."""
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None, note="")

        def report(done: int, total: int, message: str) -> bool:
            bar.update(task, completed=done, total=total or None, note=message)
            return False

        yield report


def say(line: str) -> None:
    """One line of a command's result."""
    typer.echo(line)


@app.callback(invoke_without_command=True)
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


@app.command()
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


@app.command()
def new(
    workspace: WorkspacePath,
    demo: Annotated[bool, typer.Option("--demo", help="Fill it with the synthetic demo.")] = False,
    name: Annotated[
        str | None, typer.Option(help="Its name in the page; the folder's when left out.")
    ] = None,
) -> None:
    """Make a workspace.

    Example: launch.py new ./ward
    """
    if demo:
        from audit_app.demo import create_demo

        with progress_bar("Demo") as report:
            create_demo(workspace, progress=report)
    else:
        from annotations.store import Store
        from annotations.workspace import create_workspace

        Store.open(create_workspace(workspace, name=name or workspace.resolve().name)).close()
    say(f"Made {workspace}. Open it with: launch.py ui {workspace}")


@app.command(name="import")
def import_(
    workspace: WorkspacePath,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="File or folder to import.")],
    kind: Annotated[
        str,
        typer.Option(
            "--as", metavar="KIND", help="folder, dicom, iu-xray, nih, vindr, coco or csv."
        ),
    ],
    reader: Annotated[str, typer.Option(help="Who the imported boxes belong to.")] = "imported",
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the pictures into the workspace.")
    ] = False,
) -> None:
    """Import pictures, and boxes and labels where the source has them.

    Example: launch.py import ./ward ./nih --as nih --reader "NIH radiologists"
    """
    from annotations.importing import import_source

    with opened(workspace) as (opened_workspace, store), progress_bar("Import") as report:
        result = import_source(
            opened_workspace, store, source, kind, reader=reader, copy=copy, progress=report
        )
    for line in result.lines():
        say(line)


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, workspace: WorkspacePath) -> None:
    """The models of a workspace: list them, or add one.

    Example: launch.py models ./ward add biomedclip
    """
    context.obj = workspace
    if context.invoked_subcommand is None:
        list_models(context)


@models_app.command(name="list")
def list_models(context: typer.Context) -> None:
    """Each model with its modes that are ready.

    Example: launch.py models ./ward list
    """
    from audit_app.models import describe_models

    with opened(context.obj) as (workspace, store):
        for line in describe_models(workspace, store):
            say(line)


@models_app.command(name="add")
def add_model(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="A preset (biomedclip, demo-vit, demo-cnn) or a name of your own.")
    ],
    path: Annotated[
        Path | None, typer.Option(help="Folder with a local copy; no network is used.")
    ] = None,
    hub: Annotated[
        str | None, typer.Option(help="Hub repository, as in open_clip's hf-hub:...")
    ] = None,
) -> None:
    """Add a model: a preset, a local open_clip folder, or one from the hub.

    Example: launch.py models ./ward add biomedclip --path ./BiomedCLIP
    """
    from audit_app.models import add_model as add

    with opened(context.obj) as (workspace, store), console.status(f"Adding {name}"):
        entry = add(workspace, store, name, path=path, hub=hub)
    say(f"Added {entry.name}: {entry.location}, weights {entry.weights_sha256[:12]}")


@app.command()
def train(
    workspace: WorkspacePath,
    model: Annotated[str, typer.Option(help="Name of a model of the workspace.")],
    mode: Annotated[str, typer.Option(help="lp (linear probe) or ft (fine-tune).")],
    labels: Annotated[
        str | None, typer.Option(help="Label source; the only one when left out.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="At most this many epochs.", min=1)] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the split and of the training.")] = 42,
) -> None:
    """Train the probe or the fine-tuned tower on the workspace's labels.

    Example: launch.py train ./ward --model biomedclip --mode lp
    """
    from audit_app.training import TrainingChoices, train_mode

    choices = TrainingChoices(model=model, mode=mode, labels=labels, epochs=epochs, seed=seed)
    with opened(workspace) as (opened_workspace, store), progress_bar(f"Train {mode}") as report:
        result = train_mode(opened_workspace, store, choices, progress=report)
    for line in result.lines():
        say(line)


@app.command()
def audit(
    workspace: WorkspacePath,
    model: Annotated[str, typer.Option(help="Name of a model of the workspace.")],
    out: Annotated[
        Path, typer.Option(help="Folder for agreement.csv, summary.csv, provenance.json.")
    ],
    modes: Annotated[str, typer.Option(help="Comma-separated: zs, lp, ft.")] = "zs,lp,ft",
    methods: Annotated[str, typer.Option(help="Comma-separated saliency methods.")] = "gradcam",
) -> None:
    """Measure how well a model's maps agree with the committed readings.

    Example: launch.py audit ./ward --model biomedclip --modes zs,lp --out ./audit
    """
    from audit_app.audit_job import audit_workspace
    from audit_app.audit_plan import AuditChoices

    choices = AuditChoices(
        model=model, modes=tuple(modes.split(",")), methods=tuple(methods.split(","))
    )
    with opened(workspace) as (opened_workspace, store), progress_bar("Audit") as report:
        lines = audit_workspace(opened_workspace, store, choices, out=out, progress=report)
    for line in lines:
        say(line)


@app.command()
def export(
    workspace: WorkspacePath,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File to write.")],
    kind: Annotated[str, typer.Option("--as", metavar="FORMAT", help="csv.")] = "csv",
) -> None:
    """Write the readings of a workspace to a file.

    Example: launch.py export ./ward --as csv readings.csv
    """
    from annotations.exports import export_readings

    with opened(workspace) as (_, store):
        count = export_readings(store, kind, out)
    say(f"Wrote {count} rows to {out}")


@app.command()
def check(workspace: WorkspacePath) -> None:
    """Check the database, its log chain and every image file.

    Example: launch.py check ./ward
    """
    with opened(workspace) as (_, store), progress_bar("Check") as report:
        problems = store.check(progress=report)
    for problem in problems:
        say(problem)
    if problems:
        raise typer.Exit(1)
    say("Everything is as it was written.")


@users_app.callback(invoke_without_command=True)
def users(context: typer.Context, workspace: WorkspacePath) -> None:
    """Who may sign in to a workspace.

    Example: launch.py users ./ward add mira --role reader
    """
    context.obj = workspace
    if context.invoked_subcommand is None:
        with opened(workspace) as (_, store):
            accounts = store.accounts.all()
        for account in accounts:
            say(f"{account.name}  {account.role}{'  disabled' if account.disabled else ''}")
        if not accounts:
            say("No accounts: the page opens on this computer only, for one local reader.")


@users_app.command(name="add")
def add_user(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Sign-in name.")],
    role: Annotated[str, typer.Option(help="reader, auditor or admin.")],
    password_file: Annotated[
        Path | None, typer.Option(help="Read the password from this file; asked for otherwise.")
    ] = None,
) -> None:
    """Add an account.

    Example: launch.py users ./ward add mira --role reader
    """
    from audit_app.accounts import add_account, password_from_file

    if password_file is not None:
        password = password_from_file(password_file)
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    with opened(context.obj) as (_, store):
        add_account(store, name, role, password)
        store.log.add("account added", "command line", name, {"role": role})
    say(f"Added {name} as {role}.")


app.add_typer(users_app, name="users")
app.add_typer(models_app, name="models")


def main() -> int:
    """Run the command line; 0 done, 1 failed with one sentence, 2 wrong use."""
    from annotations.errors import AnnotationError
    from audit_app.errors import AuditError
    from model_store.errors import ModelError

    os.umask(0o077)
    try:
        app()
    except (AnnotationError, AuditError, ModelError) as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped; what was finished is kept.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
