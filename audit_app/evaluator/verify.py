"""Does a finished evaluation hold what its files say? Recomputed, not believed.

Files are compared with their hashes, all numbers of the tables with what the predictions and
embeddings give, and scores and embeddings of some pictures with what the weights give.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.evaluator.progress import Report
from audit_app.evaluator.result import EvaluationResult, load_result
from audit_app.evaluator.verify_tables import check_tables
from audit_app.evaluator.verify_weights import EvaluatedFolder, check_weights
from audit_app.verification import Findings, Verification, file_problems

SAMPLE: Final = 16


def verify_evaluation(
    workspace: Workspace,
    store: Store,
    folder: Path,
    *,
    sample: int = SAMPLE,
    progress: Report | None = None,
) -> Verification:
    """Recompute what the folder says.

    Args:
        workspace: That it was made from.
        store: Of the workspace.
        folder: With the files of ``launch.py evaluate``.
        sample: How many test pictures go through the weights again, in each mode.
        progress: Told (done, total, message).

    Raises:
        AuditError: If the folder is no finished evaluation.
        ModelError: If the model is gone or another one.
    """
    result = load_result(folder)
    tell = progress or (lambda *_: False)
    findings = Findings()
    tell(0, 3, "comparing files with their hashes")
    check_files(result, findings)

    def pause(said: str) -> None:
        tell(1, 3, f"recomputing the tables: {said}")

    pause("reading predictions")
    check_tables(result, findings, pause)
    tell(2, 3, "asking the weights again")
    check_weights(EvaluatedFolder(workspace, store, result), findings, sample)
    tell(3, 3, "")
    return findings.result()


def check_files(result: EvaluationResult, findings: Findings) -> None:
    """Compare every file with the hash in the provenance."""
    files: Mapping[str, str] = result.provenance["files"]
    changed = file_problems(result.folder, files)
    findings.add(f"{len(files)} files are as they were written", changed)
