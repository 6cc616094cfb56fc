"""Commands that measure maps: `audit` and `survey`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit_app.commands.console import WorkspacePath, opened, progress_bar, say


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
