"""Commands on models: `models` and `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit_app.commands.console import WorkspacePath, console, opened, progress_bar, say

models_app = typer.Typer(
    help="The models of a workspace.\n\nExample: launch.py models ./ward add biomedclip"
)


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
