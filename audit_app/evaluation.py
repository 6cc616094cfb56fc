"""One committed reading against one map: the row of ``agreement.csv``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from annotations.records import CERTAINTIES, CommittedReading, ImageRecord
from annotations.regions import Outline
from audit_app.metrics.localisation import MapStatus
from audit_app.metrics.overlap import CURVE_THRESHOLDS
from audit_app.region_scores import GridName, RegionScore, WorkingFrame, score_region
from model_store.preprocessing import FrameGeometry

Row = dict[str, object]
RowStatus = Literal[MapStatus, "invalid_input"]
STATUSES: Final[tuple[RowStatus, ...]] = (
    "ok",
    "no_evidence",
    "no_reference",
    "not_visible",
    "invalid_input",
)
SCORED: Final = frozenset({"ok", "no_evidence"})
# The study's rule: a finding is predicted above the middle of the picture's scores.
POSITIVE_ABOVE: Final = 0.5

IOU_COLUMNS: Final = tuple(f"iou_{threshold:.2f}" for threshold in CURVE_THRESHOLDS)
KEY_COLUMNS: Final = (
    "run_id",
    "image_id",
    "source",
    "view",
    "patient_hash",
    "reader",
    "reader_kind",
    "certainty",
    "reading_id",
    "commit_number",
    "blinded",
    "imported",
    "model",
    "mode",
    "method",
    "finding",
    "status",
    "status_reason",
)
SCORE_COLUMNS: Final = ("score", "score_kind", "score_rank", "n_ranked", "model_positive")
METRIC_COLUMNS: Final = (
    "hit",
    "hit_tolerance",
    "tolerance_radius",
    "iou",
    "threshold",
    *IOU_COLUMNS,
    "iou_otsu",
    "energy_in_box",
    "pixel_auroc",
    "peak_distance",
    "peak_distance_share",
    "peak_x_px",
    "peak_y_px",
    "chance_hit",
    "centre_hit",
    "prior_hit",
    "shift_null_iou",
    "shift_p",
    "visible_fraction",
    "box_area_fraction",
    "n_boxes",
)
RELIANCE_COLUMNS: Final = ("score_drop_region", "score_drop_elsewhere", "reliance_note")
FRAME_COLUMNS: Final = (
    "image_height",
    "image_width",
    "fov_x_min",
    "fov_y_min",
    "fov_x_max",
    "fov_y_max",
    "grid_height",
    "grid_width",
)
HASH_COLUMNS: Final = (
    "image_sha256",
    "reading_sha256",
    "weights_sha256",
    "config_sha256",
    "preprocessing",
    "layer",
    "versions",
)
AGREEMENT_COLUMNS: Final = (
    *KEY_COLUMNS,
    *SCORE_COLUMNS,
    *METRIC_COLUMNS,
    *RELIANCE_COLUMNS,
    *FRAME_COLUMNS,
    *HASH_COLUMNS,
)


class Explained(Protocol):
    """What a model says about one picture in one mode: see ``model_store.runtime``."""

    @property
    def maps(self) -> NDArray[np.float32]:
        """Shape (K, h, w), raw, on the model's input grid."""

    @property
    def scores(self) -> NDArray[np.float32]:
        """Shape (K,)."""

    @property
    def findings(self) -> Sequence[str]:
        """K names, in the order of ``maps`` and ``scores``."""

    @property
    def geometry(self) -> FrameGeometry:
        """How the grid lies on the original picture."""

    @property
    def provenance(self) -> Mapping[str, object]:
        """Hashes, layer, preprocessing and versions."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is scored: all boxes of one finding in one committed reading of one image."""

    image: ImageRecord
    reading: CommittedReading
    finding: str

    @property
    def outlines(self) -> tuple[Outline, ...]:
        """Boxes, or shapes where there are some, in original pixels, in the reading's order."""
        return outlines_of(self.reading, self.finding)

    @property
    def certainty(self) -> str:
        """The surest of its boxes and shapes."""
        said = {one.certainty for one in self.reading.regions if one.finding == self.finding}
        return next((one for one in CERTAINTIES if one in said), "")


def outlines_of(reading: CommittedReading, finding: str) -> tuple[Outline, ...]:
    """What a reading marks as this finding; empty where it marks none."""
    return tuple(one.outline for one in reading.regions if one.finding == finding)


@dataclass(frozen=True, slots=True)
class Setting:
    """What it is scored with."""

    run_id: str
    model: str
    mode: str
    method: str
    threshold: float
    grid: GridName = "model"


def agreement_row(case: Case, setting: Setting, explained: Explained) -> Row:
    """The row of one case under one mode and method, keys in the order of ``AGREEMENT_COLUMNS``.

    A map that cannot be scored gives status "invalid_input" with the reason; ``prior_hit``, which
    needs the maps of other patients, is None here.
    """
    if case.finding not in explained.findings:
        known = ", ".join(explained.findings)
        reason = f"mode {setting.mode} has no output for '{case.finding}'; it knows: {known}"
        return invalid_row(case, setting, reason)
    index = list(explained.findings).index(case.finding)
    frame = WorkingFrame(explained.geometry, setting.grid)
    facts = _provenance_facts(explained.provenance) | _score_facts(explained, index)
    try:
        found = score_region(
            explained.maps[index], case.outlines, frame, threshold=setting.threshold
        )
    except ValueError as error:
        return invalid_row(case, setting, str(error)) | facts
    facts |= _frame_facts(found, explained.geometry) | _metric_facts(found)
    return _empty_row(case, setting) | facts | {"status_reason": status_reason(found)}


def invalid_row(case: Case, setting: Setting, reason: str) -> Row:
    """The row of a case without a usable picture or map."""
    row = _empty_row(case, setting)
    return row | {"status": "invalid_input", "status_reason": reason, "n_boxes": len(case.outlines)}


def status_reason(found: RegionScore) -> str:
    """Why a map was not scored as others are; "" when it was."""
    height, width = found.grid
    return {
        "ok": "",
        "no_evidence": "the map is the same everywhere",
        "no_reference": f"the boxes cover no pixel centre of the {width} x {height} grid",
        "not_visible": "every box lies outside the model's field of view",
    }[found.score.status]


def _empty_row(case: Case, setting: Setting) -> Row:
    """All columns, with what is known before any map is."""
    image, reading = case.image, case.reading
    row: Row = dict.fromkeys(AGREEMENT_COLUMNS)
    return row | {
        "run_id": setting.run_id,
        "image_id": image.image_id,
        "source": image.source,
        "view": image.view,
        "patient_hash": image.patient_hash,
        "reader": reading.reader,
        "reader_kind": reading.reader_kind,
        "certainty": case.certainty,
        "reading_id": reading.reading_id,
        "commit_number": reading.commit_number,
        "blinded": reading.blinded,
        "imported": reading.imported,
        "model": setting.model,
        "mode": setting.mode,
        "method": setting.method,
        "finding": case.finding,
        "status_reason": "",
        "threshold": setting.threshold,
        "image_height": image.height,
        "image_width": image.width,
        "image_sha256": image.sha256,
        "reading_sha256": reading.content_sha256,
    }


def _score_facts(explained: Explained, index: int) -> Row:
    """The finding's score and its rank, 1 for the highest; equal scores share the better rank."""
    scores = explained.scores
    score = float(scores[index])
    facts: Row = {
        "score": score if math.isfinite(score) else None,
        "score_kind": str(explained.provenance.get("score", "")),
        "n_ranked": len(scores),
    }
    if not np.isfinite(scores).all():
        return facts
    rank = 1 + int(np.count_nonzero(scores > scores[index]))
    return facts | {"score_rank": rank, "model_positive": is_positive(scores, index)}


def is_positive(scores: NDArray[np.floating], index: int) -> bool | None:
    """Whether the study's rule predicts this finding; None where all scores are equal.

    Args:
        scores: Shape (K,), of one picture, finite.
        index: Of the finding.

    Source:
        The study: min-max over the picture's scores, positive above 0.5.
    """
    low, high = float(scores.min()), float(scores.max())
    if low == high:
        return None
    return (float(scores[index]) - low) / (high - low) > POSITIVE_ABOVE


def _metric_facts(found: RegionScore) -> Row:
    score = found.score
    curve = score.iou_curve or (None,) * len(IOU_COLUMNS)
    names = [name for name in METRIC_COLUMNS if hasattr(score, name)]
    facts: Row = {name: getattr(score, name) for name in names}
    x_px, y_px = found.peak or (None, None)
    facts |= dict(zip(IOU_COLUMNS, curve, strict=True))
    return facts | {
        "status": score.status,
        "visible_fraction": found.visible_fraction,
        "peak_x_px": x_px,
        "peak_y_px": y_px,
    }


def _frame_facts(found: RegionScore, geometry: FrameGeometry) -> Row:
    x_min, y_min, x_max, y_max = geometry.field_of_view
    height, width = found.grid
    return {
        "fov_x_min": x_min,
        "fov_y_min": y_min,
        "fov_x_max": x_max,
        "fov_y_max": y_max,
        "grid_height": height,
        "grid_width": width,
    }


def _provenance_facts(provenance: Mapping[str, object]) -> Row:
    names = ("weights_sha256", "config_sha256", "preprocessing", "layer", "versions")
    return {name: json_text(provenance.get(name, "")) for name in names}


def json_text(value: object) -> str:
    """A string as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
