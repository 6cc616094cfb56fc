"""One committed reading against one map: the row of ``agreement.csv``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from annotations.records import CommittedReading, ImageRecord
from annotations.regions import Box, Outline, outline_mask
from audit_app.metrics.localisation import (
    MapScore,
    MapStatus,
    ScoreSettings,
    checked_map,
    score_reference,
)
from audit_app.metrics.overlap import CURVE_THRESHOLDS
from audit_app.metrics.pointing import FloatMap, default_tolerance_radius
from audit_app.metrics.reference import (
    GridShape,
    Mask,
    Reference,
    build_reference,
    mask_reference,
)
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

IOU_COLUMNS: Final = tuple(f"iou_{threshold:.2f}" for threshold in CURVE_THRESHOLDS)
KEY_COLUMNS: Final = (
    "run_id",
    "image_id",
    "source",
    "view",
    "patient_hash",
    "reader",
    "reader_kind",
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
SCORE_COLUMNS: Final = ("score", "score_rank", "n_ranked")
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
    "chance_hit",
    "centre_hit",
    "prior_hit",
    "shift_null_iou",
    "shift_p",
    "visible_fraction",
    "box_area_fraction",
    "n_boxes",
)
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
        return tuple(one.outline for one in self.reading.regions if one.finding == self.finding)


@dataclass(frozen=True, slots=True)
class Setting:
    """What it is scored with."""

    run_id: str
    model: str
    mode: str
    method: str
    threshold: float


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
    facts = _provenance_facts(explained.provenance) | _score_facts(explained.scores, index)
    try:
        score, visible_fraction = score_region_map(
            explained.maps[index], case.outlines, explained.geometry, threshold=setting.threshold
        )
    except ValueError as error:
        return invalid_row(case, setting, str(error)) | facts
    facts |= _frame_facts(explained.geometry) | _metric_facts(score)
    facts |= {"visible_fraction": visible_fraction, "status_reason": _reason(score, explained)}
    return _empty_row(case, setting) | facts


def invalid_row(case: Case, setting: Setting, reason: str) -> Row:
    """The row of a case without a usable picture or map."""
    row = _empty_row(case, setting)
    return row | {"status": "invalid_input", "status_reason": reason, "n_boxes": len(case.outlines)}


def score_region_map(
    saliency: NDArray[np.floating],
    outlines: Sequence[Outline],
    geometry: FrameGeometry,
    *,
    threshold: float,
) -> tuple[MapScore, float]:
    """Agreement of a map on the model's grid with boxes and shapes in original pixels.

    The working grid is the model's input grid without its padding, which is the field of view at
    the model's resolution. ``peak_distance`` is in original pixels, its share is of the original
    image's diagonal, ``tolerance_radius`` is in pixels of the working grid.

    Args:
        saliency: Shape (h, w), the model's input grid.
        outlines: At least one, in original pixels; of a shape its mask counts, not its box.
        geometry: Of this picture's transform.
        threshold: Of the headline IoU.

    Returns:
        The score, and the share of the outlines' area that the model saw. Status "not_visible" when
        that share is 0.

    Raises:
        ValueError: If the map is on another grid or not finite.
    """
    values = checked_map(saliency)
    if values.shape != tuple(geometry.input_size):
        raise ValueError(f"the map is {values.shape}; the model's grid is {geometry.input_size}")
    visible_fraction = visible_share(outlines, geometry)
    if visible_fraction == 0:
        radius = default_tolerance_radius(working_grid(geometry))
        return MapScore("not_visible", len(outlines), radius), 0.0
    settings = ScoreSettings(
        threshold=threshold,
        pixel_size=(1.0 / geometry.scale_y, 1.0 / geometry.scale_x),
        diagonal=math.hypot(*geometry.image_size),
    )
    reference = region_reference(outlines, geometry)
    return score_reference(crop_to_picture(values, geometry), reference, settings), visible_fraction


def working_grid(geometry: FrameGeometry) -> GridShape:
    """(H, W) of the grid on which agreement is computed."""
    left, top, right, bottom = geometry.input_window
    return (bottom - top, right - left)


def crop_to_picture(values: FloatMap, geometry: FrameGeometry) -> FloatMap:
    """The part of a model-grid map that shows the picture and not padding."""
    left, top, right, bottom = geometry.input_window
    return values[top:bottom, left:right]


def region_reference(outlines: Sequence[Outline], geometry: FrameGeometry) -> Reference:
    """The union of boxes and shapes in original pixels, on the working grid."""
    boxes = [one for one in outlines if isinstance(one, Box)]
    grid = working_grid(geometry)
    if len(boxes) == len(outlines):
        return build_reference([_on_grid(box, geometry) for box in boxes], grid)
    mask = np.logical_or.reduce([region_mask(one, geometry) for one in outlines])
    return mask_reference(mask, n_boxes=len(outlines))


def region_mask(outline: Outline, geometry: FrameGeometry) -> Mask:
    """True where a pixel's centre of the working grid lies inside a box or shape.

    Args:
        outline: In original pixels.
        geometry: Of the picture's transform.
    """
    grid = working_grid(geometry)
    if isinstance(outline, Box):
        return build_reference([_on_grid(outline, geometry)], grid).mask
    left, top, _, _ = geometry.input_window
    offset_x, offset_y = geometry.offset_x + left, geometry.offset_y + top
    return outline_mask(
        [outline.mapped(geometry.scale_x, geometry.scale_y, offset_x, offset_y)], grid
    )


def visible_share(outlines: Sequence[Outline], geometry: FrameGeometry) -> float:
    """Share of the union of boxes and shapes, in original pixels, that the model saw: 0 to 1.

    Boxes alone are measured exactly; with a shape among them the area is that of the pixels whose
    centres lie inside, each as far as it is in the field of view.
    """
    boxes = [one for one in outlines if isinstance(one, Box)]
    if len(boxes) == len(outlines):
        return geometry.visible_fraction([box.corners for box in boxes])
    return _drawn_share(tuple(outlines), geometry)


# Every mode, method and layer asks for the same regions again.
@lru_cache(maxsize=256)
def _drawn_share(outlines: tuple[Outline, ...], geometry: FrameGeometry) -> float:
    height, width = geometry.image_size
    mask = outline_mask(outlines, (height, width))
    x_min, y_min, x_max, y_max = geometry.field_of_view
    rows, columns = _coverage(height, y_min, y_max), _coverage(width, x_min, x_max)
    return float(rows @ mask @ columns) / int(np.count_nonzero(mask))


def _coverage(length: int, low: float, high: float) -> NDArray[np.float64]:
    """How much of each pixel of a line lies between two positions."""
    edges = np.clip(np.arange(length + 1, dtype=np.float64), low, high)
    return np.diff(edges)


def _on_grid(box: Box, geometry: FrameGeometry) -> tuple[float, float, float, float]:
    left, top, _, _ = geometry.input_window
    x_min, y_min, x_max, y_max = geometry.to_input(box.corners)
    return (x_min - left, y_min - top, x_max - left, y_max - top)


def _reason(score: MapScore, explained: Explained) -> str:
    height, width = working_grid(explained.geometry)
    return {
        "ok": "",
        "no_evidence": "the map is the same everywhere",
        "no_reference": f"the boxes cover no pixel centre of the {width} x {height} grid",
        "not_visible": "every box lies outside the model's field of view",
    }[score.status]


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


def _score_facts(scores: NDArray[np.float32], index: int) -> Row:
    """The finding's score and its rank, 1 for the highest; equal scores share the better rank."""
    score = float(scores[index])
    if not np.isfinite(scores).all():
        return {"score": score if math.isfinite(score) else None, "n_ranked": len(scores)}
    rank = 1 + int(np.count_nonzero(scores > scores[index]))
    return {"score": score, "score_rank": rank, "n_ranked": len(scores)}


def _metric_facts(score: MapScore) -> Row:
    curve = score.iou_curve or (None,) * len(IOU_COLUMNS)
    names = [name for name in METRIC_COLUMNS if hasattr(score, name)]
    facts: Row = {name: getattr(score, name) for name in names}
    return facts | dict(zip(IOU_COLUMNS, curve, strict=True)) | {"status": score.status}


def _frame_facts(geometry: FrameGeometry) -> Row:
    x_min, y_min, x_max, y_max = geometry.field_of_view
    height, width = working_grid(geometry)
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
    return {name: _text(provenance.get(name, "")) for name in names}


def _text(value: object) -> str:
    """A string as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
