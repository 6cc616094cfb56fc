"""Does an audit's report say what its tables say? It is drawn again and compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from audit_app.audit_result import AuditResult
from audit_app.verification import Findings

# What tables and facts that somebody changed can make of the drawing.
UNREADABLE: Final = (
    ArithmeticError, AttributeError, LookupError, TypeError, ValueError,
)  # fmt: skip


def check_report(folder: Path, result: AuditResult, found: Findings) -> None:
    """Draw report and charts again from the tables and provenance.json, and compare the files.

    Another version of the program or its libraries may draw the same audit otherwise. That is no
    problem: then it is only said that nothing was compared.

    Args:
        folder: Of the audit.
        result: What its files say.
        found: Takes the sentences.
    """
    # Drawing takes a second to load, and audits without a report need none of it.
    from audit_app.reports.audit_report import draw_report
    from audit_app.reports.drawn_by import drawn_by

    try:
        again = draw_report(result)
    except UNREADABLE as error:
        found.problems.append(
            "no report can be drawn from the tables and provenance.json "
            f"({type(error).__name__}: {error}); restore the folder from a copy"
        )
        return
    other = ", ".join(name for name, content in again.items() if not _is(folder / name, content))
    if other and (changed := _changes(result.provenance.get("drawn_by"), drawn_by())):
        found.checks.append(
            f"Not compared with the tables: {other}. This program draws them otherwise than the "
            f"one that made the audit (not the same: {changed}); the tables are what counts."
        )
        return
    problem = (
        f"not what the tables and provenance.json give: {other}; somebody changed the report, or "
        "what it was drawn from: restore the folder from a copy, or run the audit again"
    )
    found.add(
        f"{len(again)} files of the report follow from the tables", [problem] if other else []
    )


def _is(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _changes(before: object, now: Mapping[str, str]) -> str:
    """The names of what is another one now."""
    known = before if isinstance(before, Mapping) else {}
    return ", ".join(name for name, value in now.items() if known.get(name) != value)
