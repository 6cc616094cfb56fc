"""The files of a finished evaluation, written by hand: six test pictures, two findings."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from audit_app.evaluator.explorer import layout_stage, write_layout
from audit_app.evaluator.predictions import prediction_columns
from audit_app.evaluator.result import (
    FILES,
    LAYOUT,
    PREDICTIONS,
    PROVENANCE,
    TABLE_JSON,
)

FINDINGS = ("Edema", "No Finding")
IDS = tuple(f"picture-{number}" for number in range(6))
LABELS = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 0], [1, 1]])
PREDICTED = {
    "zs": np.array([[1, 0], [0, 0], [1, 1], [0, 1], [0, 0], [1, 1]]),
    "ft": LABELS,
}
TOWERS = {"zs": "frozen", "ft": "ft"}


def row_of(mode: str, ratio: float) -> dict[str, object]:
    return {
        "kind": "measured",
        "preset": "study",
        "mode": mode,
        "separation": "study formula",
        "inter": 2.0 * ratio,
        "intra": 2.0,
        "ratio": ratio,
        "ratio_low": None,
        "ratio_high": None,
        "ratio_p": None,
        "ratio_l2": 1.25,
    }


def write_finished(folder: Path, image_ids: tuple[str, ...] = IDS) -> Path:
    """The folder, with everything that ``load_result`` asks for."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).write_bytes(b"")
    null = {
        "kind": "null",
        "separation": "study formula, labels shuffled",
        "ratio_low": 0.5,
        "ratio_high": 0.625,
    }
    table = {
        "findings": FINDINGS,
        "rows": [row_of("zs", 1.5), row_of("ft", 1.75)],
        "nulls": [row_of(mode, ratio) | null for mode, ratio in (("zs", 0.56), ("ft", 0.5))],
        "embeddings": TOWERS,
    }
    (folder / TABLE_JSON).write_text(json.dumps(table), encoding="utf-8")
    (folder / PROVENANCE).write_text("{}", encoding="utf-8")
    write_predictions(folder / PREDICTIONS, image_ids)
    generator = np.random.default_rng(0)
    towers = {name: generator.normal(size=(6, 4)).astype(np.float32) for name in TOWERS.values()}
    write_layout(folder / LAYOUT, list(IDS), layout_stage(towers, seed=0))
    return folder


def write_predictions(path: Path, image_ids: tuple[str, ...]) -> None:
    """Both modes; the rows of the test pictures stand backwards, after one of validation."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(prediction_columns(FINDINGS))
        for mode, predicted in PREDICTED.items():
            named = ["study", mode, "a rule", "by hand"]
            writer.writerow([*named, "other", "p", "validation", *[0.5] * 2, *[0] * 4])
            for row in reversed(range(len(image_ids))):
                cells = [0.1, 0.2, *LABELS[row], *predicted[row]]
                writer.writerow([*named, image_ids[row], f"p{row}", "test", *cells])
