"""Does a finished evaluation hold what its files say? Recomputed, not believed.

Files are compared with their hashes, all numbers of the tables with what the predictions and
embeddings give, and the predictions of some pictures with what the weights give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotations.records import ImageRecord
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.evaluator.answers import Answers
from audit_app.evaluator.explorer import layout_problems, read_layout
from audit_app.evaluator.measures import Measured, Reference, measure
from audit_app.evaluator.modelling import EvaluatedModel
from audit_app.evaluator.progress import Report
from audit_app.evaluator.result import LAYOUT, EvaluationResult, PredictionTable, Row, load_result
from audit_app.evaluator.training_data import read_frames
from audit_app.models import make_runtime
from audit_app.verification import Findings, Verification, file_problems, is_same
from model_store.files import file_sha256

SAMPLE: Final = 16
TABLE_TOLERANCE: Final = 1e-9
# Scores of the same weights on other hardware or in bf16 move by less than this share of their
# spread, those of other weights by more.
SCORE_TOLERANCE: Final = {"fp32": 1e-3, "bf16": 5e-2}


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
    tell(1, 3, "recomputing the tables")
    check_tables(result, findings)
    tell(2, 3, "asking the weights again")
    check_scores(EvaluatedFolder(workspace, store, result), findings, sample)
    tell(3, 3, "")
    return findings.result()


def check_files(result: EvaluationResult, findings: Findings) -> None:
    """Compare every file with the hash in the provenance."""
    files: Mapping[str, str] = result.provenance["files"]
    changed = file_problems(result.folder, files)
    findings.add(f"{len(files)} files are as they were written", changed)


def check_tables(result: EvaluationResult, findings: Findings) -> None:
    """Recompute every number of the tables from predictions.csv and embeddings.npz."""
    embeddings = result.embeddings()
    problems: list[str] = []
    rows: list[tuple[Row, Row]] = []
    for row in result.rows:
        table = result.predictions(row["preset"], row["mode"])
        measured = remeasure(result, row, table, embeddings[row["mode"]])
        problems += _wrong_decisions(row, table, measured)
        rows.append((row, measured.row))
        key = (row["preset"], row["mode"])
        rows += _paired(result.per_finding, measured.per_finding, key)
        rows += _paired(result.per_domain, measured.per_domain, key)
    for written, again in rows:
        problems += _differences(written, again)
    towers = {result.table["embeddings"][mode]: values for mode, values in embeddings.items()}
    problems += layout_problems(read_layout(result.folder / LAYOUT), towers)
    findings.add(
        f"{sum(len(written) for written, _ in rows)} cells and the map follow from predictions and "
        "embeddings",
        problems,
    )


def remeasure(
    result: EvaluationResult, row: Row, table: PredictionTable, embeddings: NDArray[np.float32]
) -> Measured:
    """The numbers of one mode, from its predictions and embeddings alone."""
    choices = result.provenance["choices"]
    test, validation = table.of("test"), table.of("validation")
    reference = Reference(
        findings=result.findings,
        labels=test.labels,
        validation_labels=validation.labels,
        patients=test.patients,
        replicates=choices["replicates"],
        permutations=choices["permutations"],
        seed=choices["seed"],
    )
    answers = Answers(
        preset=row["preset"],
        mode=row["mode"],
        score=row["score"],
        validation=validation.scores,
        test=test.scores,
        embeddings=embeddings,
        minutes=row["minutes"],
        seconds_per_image=row["seconds_per_image"],
    )
    return measure(answers, reference)


def _paired(
    written: Sequence[Row], again: Sequence[Row], key: tuple[str, str]
) -> list[tuple[Row, Row]]:
    own = [row for row in written if (row["preset"], row["mode"]) == key]
    return list(zip(own, again, strict=True))


def _wrong_decisions(row: Row, table: PredictionTable, measured: Measured) -> list[str]:
    decision = measured.decision
    expected = {"test": decision.predictions, "validation": decision.of_validation}
    return [
        f"{row['preset']} {row['mode']}: {wrong} predictions of {part} pictures do not follow from "
        "their scores"
        for part, predictions in expected.items()
        if (wrong := int((table.of(part).predictions != predictions).sum()))
    ]


def _differences(written: Row, again: Row) -> list[str]:
    what = " ".join(
        str(written[name]) for name in ("preset", "mode", "finding", "domain") if name in written
    )
    return [
        f"{what}: {name} is {written[name]} in the table, {again[name]} recomputed"
        for name in again
        if not is_same(written.get(name), again[name], tolerance=TABLE_TOLERANCE)
    ]


@dataclass(frozen=True, eq=False)
class EvaluatedFolder:
    """A finished evaluation beside the workspace that it was made from."""

    workspace: Workspace
    store: Store
    result: EvaluationResult

    def head(self, row: Row) -> Path | None:
        """The head file of a trained mode."""
        weights = self.result.provenance["weights"].get(f"{row['preset']} {row['mode']}")
        return self.workspace.models / weights["file"] if weights else None

    def head_problem(self, row: Row) -> str:
        """Why the head cannot be asked; "" when it is the one that was evaluated."""
        path = self.head(row)
        if path is None:
            return ""
        what = f"{row['preset']} {row['mode']}"
        if not path.is_file():
            return f"{what}: the weights {path.name} are gone, so its scores cannot be asked again"
        sha256 = self.result.provenance["weights"][what]["sha256"]
        return "" if file_sha256(path) == sha256 else f"{what}: {path.name} holds other weights"

    def images(self, ids: Sequence[str]) -> list[ImageRecord]:
        """Of these ids."""
        return [self.store.images.get(image_id) for image_id in ids]


def check_scores(folder: EvaluatedFolder, findings: Findings, sample: int) -> None:
    """Ask the weights for the scores of some test pictures again, in every mode."""
    from model_store.embedding_scores import ask_mode

    result = folder.result
    name = str(result.table["model"])
    runtime = make_runtime(folder.workspace, folder.store)
    model = EvaluatedModel(folder.workspace, folder.store, runtime, name)
    precision = str(result.provenance["made_by"]["encode"]["precision"])
    ids = result.embedded_ids()
    chosen = evenly(len(ids), sample)
    images = folder.images([ids[place] for place in chosen])
    frames, problems = read_frames(images, model.encoder(), lambda *_: False)
    for row in result.rows:
        table = result.predictions(row["preset"], row["mode"]).of("test")
        unasked = folder.head_problem(row) or _other_images(row, table, ids)
        if unasked:
            problems.append(unasked)
            continue
        _, scores = ask_mode(
            model.loaded,
            row["mode"],
            result.findings,
            frames,
            head_path=folder.head(row),
            prompts=model.prompts(row["preset"]) if row["mode"] == "zs" else None,
        )
        problems += _wrong_scores(row, table.scores[chosen], scores, SCORE_TOLERANCE[precision])
    n_rows = len(chosen) * len(result.rows)
    findings.add(f"{n_rows} rows of scores follow from the weights", problems)


def _other_images(row: Row, table: PredictionTable, ids: tuple[str, ...]) -> str:
    """Why the rows of predictions.csv cannot be compared; "" when they can."""
    if table.image_ids == ids:
        return ""
    return f"{row['preset']} {row['mode']}: predictions.csv and embeddings.npz name other pictures"


def _wrong_scores(
    row: Row, written: NDArray[np.float32], again: NDArray[np.float32], tolerance: float
) -> list[str]:
    spread = float(written.std()) or 1.0
    largest = float(np.abs(written - again).max()) / spread
    if largest <= tolerance:
        return []
    return [
        f"{row['preset']} {row['mode']}: the weights give other scores than predictions.csv, by up "
        f"to {largest:.2g} of their standard deviation"
    ]


def evenly(count: int, sample: int) -> list[int]:
    """At most ``sample`` of the numbers below ``count``, spread over all of them."""
    if count <= sample:
        return list(range(count))
    return [int(place) for place in np.linspace(0, count - 1, sample)]
