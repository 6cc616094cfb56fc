"""Saliency Audit: does a vision-language model look where a radiologist marks?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typer.core import TyperGroup
from typer.exceptions import TyperException

if TYPE_CHECKING:
    from annotations.store import Store
    from annotations.workspace import Workspace

# The commands' own imports stand inside them: --help and the first page must not wait for torch.

CTRL_C_STATUS = 130
STOPPED = "Stopped. What was finished is kept; give the same command again to go on."


class Commands(TyperGroup):
    """All commands: whatever ends one early becomes one sentence and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        """What the command returns."""
        from audit_app.errors import DOMAIN_ERRORS

        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, typer.Abort):
            # Here, because Typer makes a silent exit of it.
            console.print(STOPPED)
            raise typer.Exit(CTRL_C_STATUS) from None
        except BrokenPipeError:
            raise  # the next command of a pipe has read enough; Typer ends without a word
        except DOMAIN_ERRORS as error:
            raise _failed(str(error)) from None
        except OSError as error:
            raise _failed(describe_os_error(error)) from None
        except (typer.Exit, TyperException):
            raise  # the command's own status; wrong use
        except Exception as error:  # noqa: BLE001 - the last line: place without values, which may name patients
            from audit_app.guard import where_it_failed

            raise _failed(
                f"the program failed, not what you entered: {where_it_failed(error)}; "
                "report this line"
            ) from None


def _failed(sentence: str) -> typer.Exit:
    console.print(sentence, style="red", markup=False, highlight=False)
    return typer.Exit(1)


def describe_os_error(error: OSError) -> str:
    """What the system refused, and on which file."""
    reason = error.strerror or str(error) or type(error).__name__
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{reason}; check the path, its rights and the free space, then try again"


app = typer.Typer(
    cls=Commands,
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
            "--as",
            metavar="KIND",
            help="folder, dicom, iu-xray, nih, vindr, coco, chexlocalize, chestx-det or csv.",
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
        Path | None,
        typer.Option(help="Folder with a local copy, or one checkpoint; no network is used."),
    ] = None,
    hub: Annotated[
        str | None, typer.Option(help="Hub repository, as in open_clip's hf-hub:...")
    ] = None,
    architecture: Annotated[
        str,
        typer.Option(help="Of one checkpoint: timm:NAME, torchvision:NAME or open_clip:NAME."),
    ] = "",
    labels: Annotated[
        Path | None, typer.Option(help="Of a classifier: a text file, one label a line.")
    ] = None,
) -> None:
    """Add a model: a preset, a local open_clip folder, one from the hub, or a classifier.

    Example: launch.py models ./ward add biomedclip --path ./BiomedCLIP

    Example: launch.py models ./ward add cnn --path cnn.pth --architecture timm:densenet121
    --labels labels.txt
    """
    from audit_app.models import add_checkpoint
    from audit_app.models import add_model as add
    from model_store.classifier_spec import read_labels
    from model_store.local_checkpoints import ClassifierFiles

    is_checkpoint = bool(architecture or labels)
    if is_checkpoint and path is None:
        raise typer.BadParameter("give the checkpoint with --path")
    with opened(context.obj) as (workspace, store), console.status(f"Adding {name}"):
        if is_checkpoint and path is not None:
            names = read_labels(labels) if labels else ()
            entry = add_checkpoint(
                workspace, store, name, ClassifierFiles(path, architecture, names)
            )
        else:
            entry = add(workspace, store, name, path=path, hub=hub)
    say(f"Added {entry.name}: {entry.location}, weights {entry.weights_sha256[:12]}")


@models_app.command(name="set")
def set_model(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of a model of the workspace.")],
    precision: Annotated[
        str | None, typer.Option(help="Of embeddings: auto (measured), fp32 or bf16.")
    ] = None,
    preprocessing: Annotated[str | None, typer.Option(help="crop, pad or squash.")] = None,
    layer: Annotated[str | None, typer.Option(help="Where maps are read; auto or a path.")] = None,
) -> None:
    """Change how a model is asked. Heads that were trained otherwise must be trained again.

    Example: launch.py models ./ward set biomedclip --precision bf16
    """
    from audit_app.models import change_entry

    given = {"precision": precision, "preprocessing": preprocessing, "layer": layer}
    changes = {key: value for key, value in given.items() if value is not None}
    with opened(context.obj) as (_, store):
        entry = change_entry(store, name, **changes)
    say(
        f"{entry.name}: precision {entry.precision}, preprocessing {entry.preprocessing}, "
        f"layer {entry.layer}"
    )


@models_app.command(name="prompts")
def prompts(  # noqa: PLR0913 - each is an option of the command
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of an image-text model of the workspace.")],
    preset: Annotated[
        str | None, typer.Option(help="default (the model's own) or study (bare names).")
    ] = None,
    restore: Annotated[int | None, typer.Option(help="Number of an earlier version.")] = None,
    template: Annotated[str | None, typer.Option(help="Text with {finding} in it.")] = None,
    negative: Annotated[
        str | None, typer.Option(help="Template of the negative prompt; '' for none.")
    ] = None,
    synonyms: Annotated[
        list[str] | None, typer.Option(help="'FINDING=name; name', put through the template.")
    ] = None,
    texts: Annotated[
        list[str] | None, typer.Option(help="'FINDING=text; text', instead of the template.")
    ] = None,
    negatives: Annotated[
        list[str] | None, typer.Option(help="'FINDING=text; text' for its absence.")
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="List the versions.")] = False,
) -> None:
    """Show a model's prompts, or save a new version of them; earlier versions are kept.

    Example: launch.py models ./ward prompts biomedclip --synonyms "Edema=pulmonary edema"
    """
    from audit_app.prompts import PromptChange, change_prompts, describe_history, describe_prompts

    change = PromptChange(
        preset, restore, template, negative, synonyms or (), texts or (), negatives or ()
    )
    with opened(context.obj) as (_, store):
        entry = change_prompts(store, name, change)
        lines = describe_history(entry) if history else describe_prompts(entry, store.findings())
    for line in lines:
        say(line)


@app.command()
def train(  # noqa: PLR0913 - each is an option of the command
    workspace: WorkspacePath,
    model: Annotated[str, typer.Option(help="Name of a model of the workspace.")],
    mode: Annotated[str, typer.Option(help="lp (linear probe) or ft (fine-tune).")],
    labels: Annotated[
        str | None, typer.Option(help="Label source; the only one when left out.")
    ] = None,
    preset: Annotated[
        str, typer.Option(help="study (AdamW); for lp also converged (L-BFGS).")
    ] = "study",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the preset, as in --set learning_rate=1e-4."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Train the probe or the fine-tuned tower on the workspace's labels.

    A fine-tune that was stopped goes on when the same command is given again.

    Example: launch.py train ./ward --model biomedclip --mode lp --preset converged
    """
    from audit_app.training import TrainingChoices, train_mode

    choices = TrainingChoices(model, mode, labels, preset, tuple(settings or ()), device)
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

    The same command with the same folder goes on where it was stopped.

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
def survey(
    workspace: WorkspacePath,
    model: Annotated[str, typer.Option(help="Name of a model of the workspace.")],
    out: Annotated[Path, typer.Option(help="Folder for survey.csv, survey.json, survey.svg.")],
    mode: Annotated[str, typer.Option(help="zs, lp or ft; cls for a classifier.")] = "zs",
    methods: Annotated[
        str | None, typer.Option(help="Comma-separated saliency methods; all when left out.")
    ] = None,
) -> None:
    """Measure every saliency method at every layer on the committed regions.

    The same command with the same folder goes on where it was stopped.

    Example: launch.py survey ./ward --model biomedclip --out ./survey
    """
    from audit_app.models import make_runtime
    from audit_app.survey import run_survey
    from audit_app.survey_plan import SurveyChoices
    from model_store.saliency import SALIENCY_METHODS

    wanted = tuple(methods.split(",")) if methods else tuple(SALIENCY_METHODS)
    choices = SurveyChoices(model=model, mode=mode, methods=wanted)
    with opened(workspace) as (opened_workspace, store), progress_bar("Survey") as report:
        runtime = make_runtime(opened_workspace, store)
        result = run_survey(opened_workspace, store, runtime, choices, out=out, progress=report)
    for line in result.lines():
        say(line)


@app.command()
def evaluate(  # noqa: PLR0913 - each is an option of the command
    workspace: WorkspacePath,
    model: Annotated[str, typer.Option(help="Name of a model of the workspace.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the tables, report.html, provenance.json.")
    ] = None,
    preset: Annotated[str, typer.Option(help="study, recommended or both.")] = "both",
    labels: Annotated[
        str | None,
        typer.Option(help="Label source, or a CSV path,patient,split,<findings...>."),
    ] = None,
    uncertain: Annotated[
        str, typer.Option(help="2 and -1 in a CSV: 'not positive', 'positive' or 'leave out'.")
    ] = "not positive",
    modes: Annotated[str, typer.Option(help="Comma-separated: zs, lp, ft.")] = "zs,lp,ft",
    split: Annotated[
        str | None, typer.Option(help="study, a CSV path,split, or a seed for one by patient.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="At most this many; the study's ten when left out.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of training, bootstrap and null.")] = 42,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    verify: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Only check the evaluation in this folder.")
    ] = None,
) -> None:
    """Evaluate a model's three modes against image labels: the study's table, and beside it.

    Example: launch.py evaluate ./ward --model biomedclip --labels mesh --out ./evaluation
    """
    if verify is None and not (model and out):
        raise typer.BadParameter("give --model and --out, or --verify with a finished folder")
    with opened(workspace) as (opened_workspace, store), progress_bar("Evaluate") as report:
        if verify is not None:
            from audit_app.evaluator.verify import verify_evaluation

            checked = verify_evaluation(opened_workspace, store, verify, progress=report)
            lines, is_right = checked.lines(), checked.is_right
        elif out is not None:
            from audit_app.evaluator.choices import EvaluationChoices, presets_of
            from audit_app.evaluator.job import evaluate_workspace

            choices = EvaluationChoices(
                model=model,
                presets=presets_of(preset),
                labels=labels,
                uncertain=uncertain,
                modes=tuple(modes.split(",")),
                split=split,
                epochs=epochs,
                seed=seed,
                device=device,
            )
            lines = evaluate_workspace(opened_workspace, store, choices, out=out, progress=report)
            is_right = True
    for line in lines:
        say(line)
    if not is_right:
        raise typer.Exit(1)


@app.command()
def export(
    workspace: WorkspacePath,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="File to write; for yolo, voc, dicom-sr a folder.")
    ],
    kind: Annotated[
        str,
        typer.Option("--as", metavar="FORMAT", help="csv, jsonl, coco, yolo, voc or dicom-sr."),
    ] = "csv",
) -> None:
    """Write the committed readings of a workspace to a file or folder.

    Example: launch.py export ./ward --as csv readings.csv
    """
    from annotations.exports import export_readings

    with opened(workspace) as (_, store):
        exported = export_readings(store, kind, out)
        store.log.add("export", "command line", kind, {"format": kind, "count": exported.count})
    say(f"Wrote {exported.count} {exported.noun} to {out}")
    for remark in exported.remarks:
        say(remark)


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


def main() -> None:
    """Run the command line; exits 0 done, 1 failed with one sentence, 2 wrong use, 130 Ctrl-C."""
    os.umask(0o077)
    app()


if __name__ == "__main__":
    main()
