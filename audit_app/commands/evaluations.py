"""The command `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit_app.commands.console import WorkspacePath, opened, progress_bar, say, with_names

NAMED = 20  # of the pictures and rows that are left out; the report lists all


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
    clean: Annotated[
        bool, typer.Option("--clean", help="Only remove kept weights and stages not used lately.")
    ] = False,
    days: Annotated[
        int, typer.Option(help="With --clean: what was used within so many days stays.", min=0)
    ] = 30,
) -> None:
    """Evaluate a model's three modes against image labels: the study's table, and beside it.

    Example: launch.py evaluate ./ward --model biomedclip --labels mesh --out ./evaluation
    """
    if clean:
        say_cleaning(workspace, days)
        return
    if verify is not None:
        verify_folder(workspace, verify)
        return
    if not model or out is None:
        raise typer.BadParameter(
            "give --model and --out, or --verify with a finished folder, or --clean"
        )
    from audit_app.evaluator.choices import EvaluationChoices, presets_of
    from audit_app.evaluator.job import evaluate_workspace
    from audit_app.evaluator.result import load_result

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
    with opened(workspace) as (place, store), progress_bar("Evaluate") as report:
        lines = evaluate_workspace(place, store, choices, out=out, progress=report)
        left_out = load_result(out).table["left_out"][:NAMED]
        left_out = [with_names(store, one) for one in left_out]
    for line in [*lines, *left_out]:
        say(line)


def verify_folder(workspace: Path | None, folder: Path) -> None:
    """Check a finished evaluation; exit status 1 when something does not agree."""
    from audit_app.errors import AuditError
    from audit_app.evaluator.verify import verify_evaluation

    if workspace is None:
        raise AuditError(
            "an evaluation is verified with the weights of its workspace; name it with --workspace"
        )
    with opened(workspace) as (place, store), progress_bar("Verify") as report:
        checked = verify_evaluation(place, store, folder, progress=report)
    for line in checked.lines():
        say(line)
    if not checked.is_right:
        raise typer.Exit(1)


def say_cleaning(workspace: Path, days: int) -> None:
    """Remove what evaluations keep and nobody used for so long, and say what it was."""
    from audit_app.evaluator.cleaning import clean_evaluations, describe_cleaning

    with opened(workspace) as (opened_workspace, store):
        removed = clean_evaluations(opened_workspace, store, days=days)
        lines = describe_cleaning(opened_workspace, removed)
    for line in lines:
        say(line)
