"""Commands on a workspace and its readings: `new`, `import`, `export`, `check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit_app.commands.console import WorkspacePath, opened, progress_bar, say


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


def check(
    workspace: WorkspacePath,
    clean: Annotated[
        bool, typer.Option("--clean", help="Delete the leftovers that nothing refers to.")
    ] = False,
) -> None:
    """Check the database, its triggers and log chain, every image file, and look for leftovers.

    Example: launch.py check ./ward
    """
    from audit_app.clock import clock_problem
    from audit_app.orphans import find_orphans, remove_orphans

    with opened(workspace) as (at, store), progress_bar("Check") as report:
        problems = store.check(progress=report)
        orphans = find_orphans(at, store)
        clock = clock_problem(store)
    for problem in problems:
        say(problem)
    for orphan in orphans:
        say(f"orphan: {orphan.path}: {orphan.reason}")
    if orphans and clean:
        say(f"Deleted {len(orphans)} orphans, {remove_orphans(orphans):,} bytes.")
    elif orphans:
        say("Orphans harm nothing; --clean deletes them.")
    if clock:
        say(clock)
    if problems:
        raise typer.Exit(1)
    say("Everything is as it was written.")
