"""The command `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit_app.commands.console import WorkspacePath, opened, progress_bar, say


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
