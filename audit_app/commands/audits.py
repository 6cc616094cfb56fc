"""Commands that measure maps: `audit` and `survey`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit_app.commands.console import WorkspacePath, opened, progress_bar, say


def audit(  # noqa: PLR0913 - each is an option of the command
    workspace: WorkspacePath,
    model: Annotated[str, typer.Option(help="Comma-separated names of models of the workspace.")],
    out: Annotated[Path, typer.Option(help="Folder for the tables, report and provenance.json.")],
    modes: Annotated[str, typer.Option(help="Comma-separated: zs, lp, ft; cls.")] = "zs,lp,ft",
    methods: Annotated[str, typer.Option(help="Comma-separated saliency methods.")] = "gradcam",
    findings: Annotated[
        str | None, typer.Option(help="Comma-separated; all when left out.")
    ] = None,
    readers: Annotated[str | None, typer.Option(help="Comma-separated; all when left out.")] = None,
    reference: Annotated[
        str, typer.Option(help="Compare with: readers, consensus or adjudicated.")
    ] = "readers",
    latest: Annotated[
        bool, typer.Option("--latest", help="Last commits, not the first blinded ones.")
    ] = False,
    grid: Annotated[str, typer.Option(help="Compare on the grid: model or original.")] = "model",
    threshold: Annotated[float, typer.Option(help="Of the headline IoU.")] = 0.5,
    controls: Annotated[
        str, typer.Option(help="randomcam, random-weights, wrong-finding; all, none.")
    ] = "all",
    reliance: Annotated[str, typer.Option(help="inpaint, blur or none.")] = "inpaint",
    replicates: Annotated[int, typer.Option(help="Of the bootstrap.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of bootstrap and controls.")] = 42,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Draw report.html and report.pdf.")
    ] = True,
) -> None:
    """Measure how well models' maps agree with the committed readings.

    The same command with the same folder goes on where it was stopped.

    Example: launch.py audit ./ward --model biomedclip --modes zs,lp --out ./audit
    """
    from audit_app.audit_job import audit_workspace
    from audit_app.audit_plan import CONTROLS, AuditChoices

    first, *further = listed(model)
    choices = AuditChoices.from_dict(
        {
            "model": first,
            "further_models": further,
            "modes": listed(modes),
            "methods": listed(methods),
            "findings": listed(findings) if findings else None,
            "readers": listed(readers) if readers else None,
            "reference": reference,
            "latest": latest,
            "grid": grid,
            "threshold": threshold,
            "controls": {"all": list(CONTROLS), "none": []}.get(controls, listed(controls)),
            "reliance": "" if reliance == "none" else reliance,
            "replicates": replicates,
            "seed": seed,
            "report": report,
        }
    )
    with opened(workspace) as (opened_workspace, store), progress_bar("Audit") as progress:
        lines = audit_workspace(opened_workspace, store, choices, out=out, progress=progress)
    for line in lines:
        say(line)


def verify(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a finished audit or evaluation.")
    ],
    workspace: Annotated[
        Path | None,
        typer.Option(metavar="W", help="The workspace that it was made from, to compute it again."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Largest relative difference that counts as the same.", min=0.0)
    ] = 1e-6,
) -> None:
    """Recompute an audit or evaluation from pictures, readings and weights; print each difference.

    Exit status 1 when something does not agree. Without --workspace only what follows from the
    files themselves is checked.

    Example: launch.py verify ./audit --workspace ./ward
    """
    from audit_app.commands.evaluations import verify_folder
    from audit_app.evaluator.result import is_evaluation
    from audit_app.models import make_runtime
    from audit_app.verify_audit import verify_audit

    if is_evaluation(folder):
        verify_folder(workspace, folder)
        return
    if workspace is None:
        found = verify_audit(folder, tolerance=tolerance)
    else:
        with opened(workspace) as (place, store), progress_bar("Verify") as report:
            runtime = make_runtime(place, store)
            found = verify_audit(
                folder, place, store, runtime, tolerance=tolerance, progress=report
            )
    for line in found.lines():
        say(line)
    if not found.is_right:
        raise typer.Exit(1)


def compare(
    first: Annotated[Path, typer.Argument(metavar="DIR1", help="Folder of a finished audit.")],
    second: Annotated[Path, typer.Argument(metavar="DIR2", help="Folder of another one.")],
    out: Annotated[Path | None, typer.Option(help="Folder for comparison.csv.")] = None,
) -> None:
    """Put two audits side by side on the rows that both have.

    Example: launch.py compare ./audit-before ./audit-after --out ./comparison
    """
    from audit_app.audit_compare import compare_audits, write_comparison

    comparison = compare_audits(first, second)
    if out is not None:
        write_comparison(out, comparison)
    for line in comparison.sentences():
        say(line)


def listed(text: str) -> list[str]:
    """The names between the commas; a name with a comma of its own can be chosen in the page."""
    return [name.strip() for name in text.split(",")]


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
