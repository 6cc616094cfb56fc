"""Do the weights give the scores and embeddings that an evaluation says they gave?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotations.records import ImageRecord
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.evaluator.modelling import CHECKED_PICTURES, EvaluatedModel, preset_prompts
from audit_app.evaluator.result import EMBEDDINGS, EvaluationResult, PredictionTable, Row
from audit_app.evaluator.training_data import Frames, read_frames
from audit_app.models import make_runtime
from audit_app.verification import Findings
from model_store.files import file_sha256
from model_store.prompts import PromptSet

# Scores of the same weights on other hardware or in bf16 move by less than this share of their
# spread, embeddings by less than this share of their length; those of other weights by more.
TOLERANCE: Final = {"fp32": 1e-3, "bf16": 5e-2}
# Zero-shot's and the probe's embeddings are compared in fp32: what is left is float noise.
NOISE: Final = 1e-5

FloatTable = NDArray[np.float32]


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

    @property
    def prompts(self) -> PromptSet:
        """Of the model when it was evaluated; they may have been edited since."""
        return PromptSet.from_dict(self.result.provenance["model_entry"])

    @property
    def tolerance(self) -> float:
        """Of scores and embeddings."""
        return TOLERANCE[str(self.result.provenance["made_by"]["encode"]["precision"])]


def check_weights(folder: EvaluatedFolder, findings: Findings, sample: int) -> None:
    """Ask the weights for scores and embeddings of some test pictures again, in every mode."""
    result = folder.result
    runtime = make_runtime(folder.workspace, folder.store)
    model = EvaluatedModel(folder.workspace, folder.store, runtime, str(result.table["model"]))
    ids = result.embedded_ids()
    chosen = evenly(len(ids), sample)
    images = folder.images([ids[place] for place in chosen])
    frames, problems = read_frames(images, model.encoder(), lambda *_: False)
    asked_towers: set[str] = set()
    for row in result.rows:
        table = result.predictions(row["preset"], row["mode"]).of("test")
        unasked = folder.head_problem(row) or _other_images(row, table, ids)
        if unasked:
            problems.append(unasked)
            continue
        embeddings, scores = _ask(folder, model, row, frames)
        problems += _wrong_scores(row, table.scores[chosen], scores, folder.tolerance)
        tower = result.table["embeddings"][row["mode"]]
        if tower not in asked_towers:
            asked_towers.add(tower)
            kept = result.embeddings()[row["mode"]][chosen]
            far = _distant(kept, embeddings, folder.tolerance)
            problems += [
                f"{EMBEDDINGS}: the weights ({tower}) give another embedding of "
                f"'{images[place].name}', {share:.2%} of its length away"
                for place, share in far.items()
            ]
    problems += _wrong_distance_check(folder, model)
    findings.add(
        f"{len(chosen) * len(result.rows)} rows of scores and {len(chosen) * len(asked_towers)} "
        f"embeddings follow from the weights, within {folder.tolerance:.1%} of the scores' spread "
        "and of an embedding's length",
        problems,
    )


def _ask(
    folder: EvaluatedFolder, model: EvaluatedModel, row: Row, frames: Frames
) -> tuple[FloatTable, FloatTable]:
    """Embeddings and scores of these frames."""
    from model_store.embedding_scores import ask_mode

    return ask_mode(
        model.loaded,
        row["mode"],
        folder.result.findings,
        frames,
        head_path=folder.head(row),
        prompts=preset_prompts(row["preset"], folder.prompts) if row["mode"] == "zs" else None,
    )


def _other_images(row: Row, table: PredictionTable, ids: tuple[str, ...]) -> str:
    """Why the rows of predictions.csv cannot be compared; "" when they can."""
    if table.image_ids == ids:
        return ""
    return f"{row['preset']} {row['mode']}: predictions.csv and embeddings.npz name other pictures"


def _wrong_scores(row: Row, written: FloatTable, again: FloatTable, tolerance: float) -> list[str]:
    spread = float(written.std()) or 1.0
    largest = float(np.abs(written - again).max()) / spread
    if largest <= tolerance:
        return []
    return [
        f"{row['preset']} {row['mode']}: the weights give other scores than predictions.csv, by up "
        f"to {largest:.2g} of their standard deviation"
    ]


def _distant(written: FloatTable, again: FloatTable, tolerance: float) -> dict[int, float]:
    """The rows that lie too far from those computed again, and how far, in their lengths."""
    lengths = np.linalg.norm(again, axis=1)
    shares = np.linalg.norm(written - again, axis=1) / np.where(lengths > 0, lengths, 1)
    # Turned around, so that what is no number is too far.
    return {int(row): float(shares[row]) for row in np.flatnonzero(~(shares <= tolerance))}


def _wrong_distance_check(folder: EvaluatedFolder, model: EvaluatedModel) -> list[str]:
    """What ``distance_check`` says of embeddings, against both modes' networks."""
    result = folder.result
    written = result.table["distance_check"]
    row = next((r for r in result.rows if r["mode"] == "lp"), None)
    head = folder.head(row) if row else None
    if written is None or head is None or not head.is_file():
        return []  # recomputing the tables tells of a lacking one, the scores of a lacking head
    images = folder.images(result.embedded_ids()[:CHECKED_PICTURES])
    frames, problems = read_frames(images, model.encoder(), lambda *_: False)
    again = model.compare_towers(result.findings, frames, head)
    return problems + [
        f"distance_check: {name} is {written[name]} in the table, {again[name]} recomputed"
        for name in again
        if not abs(written[name] - again[name]) <= NOISE
    ]


def evenly(count: int, sample: int) -> list[int]:
    """At most ``sample`` of the numbers below ``count``, spread over all of them."""
    if count <= sample:
        return list(range(count))
    return [int(place) for place in np.linspace(0, count - 1, sample)]
