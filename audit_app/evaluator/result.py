"""A finished evaluation as its folder holds it. For pages and reports: no torch, no model."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from annotations.exports.cells import TABLE_ENCODING, unescape_cell
from audit_app.errors import AuditError

FORMAT: Final = "saliency-audit-evaluation-1"
TABLE_CSV: Final = "three_modes.csv"
TABLE_JSON: Final = "three_modes.json"
PER_FINDING: Final = "per_finding.csv"
PER_DOMAIN: Final = "per_domain.csv"
PREDICTIONS: Final = "predictions.csv"
EMBEDDINGS: Final = "embeddings.npz"
LAYOUT: Final = "explorer.npz"
MAPS_OF_15: Final = "maps_of_15.npz"
FIGURE_OF_15: Final = "figure_15.png"
REPORT: Final = "report.html"
PROVENANCE: Final = "provenance.json"
FILES: Final = (
    TABLE_CSV,
    TABLE_JSON,
    PER_FINDING,
    PER_DOMAIN,
    PREDICTIONS,
    EMBEDDINGS,
    LAYOUT,
    MAPS_OF_15,
    FIGURE_OF_15,
    REPORT,
    PROVENANCE,
)
SCORE_PREFIX: Final = "score: "
LABEL_PREFIX: Final = "label: "
PREDICTED_PREFIX: Final = "predicted: "

Row = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class PredictionTable:
    """The scores of one mode under one preset.

    Attributes:
        image_ids: N ids, opaque.
        patients: N keyed hashes.
        parts: N words: validation or test.
        scores: Shape (N, K).
        labels: Shape (N, K), 0 or 1.
        predictions: Shape (N, K), 0 or 1.
    """

    image_ids: tuple[str, ...]
    patients: tuple[str, ...]
    parts: tuple[str, ...]
    scores: NDArray[np.float32]
    labels: NDArray[np.uint8]
    predictions: NDArray[np.uint8]

    def of(self, part: str) -> PredictionTable:
        """The rows of one part."""
        rows = [row for row, each in enumerate(self.parts) if each == part]
        return PredictionTable(
            tuple(self.image_ids[row] for row in rows),
            tuple(self.patients[row] for row in rows),
            tuple(self.parts[row] for row in rows),
            self.scores[rows],
            self.labels[rows],
            self.predictions[rows],
        )


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """One folder of outputs. Tables are read at once, predictions and embeddings when asked.

    Attributes:
        folder: Where it lies.
        table: ``three_modes.json``: rows, nulls, published rows, label distribution, curves.
        provenance: ``provenance.json``.
    """

    folder: Path
    table: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def findings(self) -> tuple[str, ...]:
        """K names, in the order of all tables."""
        return tuple(self.table["findings"])

    @property
    def rows(self) -> list[Row]:
        """One per preset and mode."""
        return list(self.table["rows"])

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes that were evaluated, in order."""
        return tuple(dict.fromkeys(str(row["mode"]) for row in self.rows))

    @property
    def presets(self) -> tuple[str, ...]:
        """The presets that were evaluated, in order."""
        return tuple(dict.fromkeys(str(row["preset"]) for row in self.rows))

    @cached_property
    def table_rows(self) -> list[Row]:
        """The lines of ``three_modes.csv``: measured, grey and published; numbers as numbers."""
        return _read_rows(self.folder / TABLE_CSV)

    @cached_property
    def per_finding(self) -> list[Row]:
        """The lines of ``per_finding.csv``, numbers as numbers."""
        return _read_rows(self.folder / PER_FINDING)

    @cached_property
    def per_domain(self) -> list[Row]:
        """The lines of ``per_domain.csv``, numbers as numbers."""
        return _read_rows(self.folder / PER_DOMAIN)

    def predictions(self, preset: str, mode: str) -> PredictionTable:
        """What one mode said under one preset, validation and test pictures.

        Raises:
            AuditError: If it was not evaluated.
        """
        found = self.all_predictions.get((preset, mode))
        if found is None:
            raise AuditError(
                f"{PREDICTIONS} holds no mode {mode} under the preset {preset}; it holds "
                f"{', '.join(self.modes)} under {', '.join(self.presets)}"
            )
        return found

    @cached_property
    def all_predictions(self) -> dict[tuple[str, str], PredictionTable]:
        """Every table of scores, by (preset, mode)."""
        groups: dict[tuple[str, str], list[dict[str, str]]] = {}
        for row in _read_cells(self.folder / PREDICTIONS):
            groups.setdefault((row["preset"], row["mode"]), []).append(row)
        return {key: self._prediction_table(rows) for key, rows in groups.items()}

    def _prediction_table(self, rows: list[dict[str, str]]) -> PredictionTable:
        def numbers(prefix: str) -> list[list[str]]:
            return [[row[f"{prefix}{finding}"] for finding in self.findings] for row in rows]

        return PredictionTable(
            image_ids=tuple(row["image_id"] for row in rows),
            patients=tuple(row["patient"] for row in rows),
            parts=tuple(row["part"] for row in rows),
            scores=np.array(numbers(SCORE_PREFIX), dtype=np.float32),
            labels=np.array(numbers(LABEL_PREFIX), dtype=np.uint8),
            predictions=np.array(numbers(PREDICTED_PREFIX), dtype=np.uint8),
        )

    def embeddings(self) -> dict[str, NDArray[np.float32]]:
        """Mode to (N, D), rows as ``embedded_ids``; zero-shot and linear probe share theirs."""
        with np.load(self.folder / EMBEDDINGS, allow_pickle=False) as stored:
            return {mode: stored[self.table["embeddings"][mode]] for mode in self.modes}

    def embedded_ids(self) -> tuple[str, ...]:
        """The images of the embeddings' rows."""
        with np.load(self.folder / EMBEDDINGS, allow_pickle=False) as stored:
            return tuple(str(name) for name in stored["image_ids"])


def is_evaluation(folder: Path) -> bool:
    """Whether the folder says of itself that an evaluation wrote it, and not an audit."""
    path = folder / PROVENANCE
    return path.is_file() and _read_json(path).get("format") == FORMAT


def load_result(folder: Path) -> EvaluationResult:
    """The evaluation in this folder.

    Raises:
        AuditError: If a file is missing or cannot be read.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise AuditError(
            f"{folder.name} is no finished evaluation: it lacks {', '.join(missing)}; give the "
            "folder that 'launch.py evaluate' wrote, or evaluate again"
        )
    return EvaluationResult(
        folder, _read_json(folder / TABLE_JSON), _read_json(folder / PROVENANCE)
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AuditError(f"{path} cannot be read ({error}); run the evaluation again") from None
    if not isinstance(values, dict):
        raise AuditError(f"{path} holds no JSON object; run the evaluation again")
    return values


def _read_cells(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding=TABLE_ENCODING, newline="") as file:
        reader = csv.DictReader(file)
        reader.fieldnames = [unescape_cell(name) for name in reader.fieldnames or ()]
        yield from reader


def _read_rows(path: Path) -> list[Row]:
    return [{name: _value(text) for name, text in row.items()} for row in _read_cells(path)]


def _value(text: str) -> object:
    """The number that a cell spells, None for an empty one, else its text."""
    if text == "":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return unescape_cell(text)
