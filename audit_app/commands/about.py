"""The command `about`: what this program is, what it is made of, and under which licences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit_app.commands.console import say

SHOWN = ("gradio", "torch", "open-clip-torch", "pydicom", "numpy", "pillow")


def about(
    sbom: Annotated[
        bool, typer.Option("--sbom", help="The software bill of materials (CycloneDX, JSON).")
    ] = False,
    licences: Annotated[
        bool, typer.Option("--licences", help="Each package that is used, with its licence.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write to this file; to the terminal when left out.")
    ] = None,
) -> None:
    """Versions of this program and of what it is built on.

    Example: launch.py about --sbom --out bom.json
    """
    if sbom and licences:
        raise typer.BadParameter("give --sbom or --licences, not both")
    text = _text(sbom=sbom, licences=licences)
    if out is None:
        say(text)
    else:
        out.write_text(f"{text}\n", encoding="utf-8")
        say(f"Wrote {out}")


def _text(*, sbom: bool, licences: bool) -> str:
    if sbom:
        from audit_app.sbom import write_sbom

        return write_sbom()
    return "\n".join(_licences() if licences else _versions())


def _versions() -> list[str]:
    import platform

    from annotations.store.engine import sqlite_version
    from audit_app.supply import packages, project_version

    found = {one.name: one.version for one in packages()}
    return [
        f"Saliency Audit {project_version()}. A research tool. Not for clinical use.",
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"SQLite {sqlite_version()}",
        ", ".join(f"{name} {found.get(name, 'missing')}" for name in SHOWN),
        f"{len(found)} packages; --licences lists them, --sbom is the bill of materials.",
    ]


def _licences() -> list[str]:
    from audit_app.supply import forbidden, packages

    found = packages()
    against = forbidden(found)
    verdict = (
        f"FORBIDS THE USE: {', '.join(one.name for one in against)}"
        if against
        else "None of these licences forbids the use."
    )
    return [*(f"{one.name} {one.version}: {one.licence}" for one in found), verdict]
