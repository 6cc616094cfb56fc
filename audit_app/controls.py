"""Maps that ought to say nothing about a finding, against the regions of that finding."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotations.findings import NO_FINDING
from annotations.regions import Outline
from audit_app.audit_plan import PlannedImage
from audit_app.evaluation import Case, Explained, Row, Setting, json_text
from audit_app.metrics.localisation import checked_map
from audit_app.metrics.overlap import energy_in_region, iou, normalise
from audit_app.metrics.pointing import hit
from audit_app.region_scores import WorkingFrame, visible_share

RANDOMCAM: Final = "randomcam"
RANDOM_WEIGHTS: Final = "random-weights"
WRONG_FINDING: Final = "wrong-finding"
CONTROL_COLUMNS: Final = (
    "run_id",
    "image_id",
    "patient_hash",
    "reader",
    "reading_id",
    "model",
    "mode",
    "method",
    "finding",
    "control",
    "asked",
    "status",
    "status_reason",
    "hit",
    "iou",
    "energy_in_box",
    "chance_hit",
    "weights_sha256",
    "image_sha256",
    "reading_sha256",
)


@dataclass(frozen=True, slots=True)
class ShortScore:
    """The headline columns alone; None where nothing can be scored."""

    status: str
    hit: float | None = None
    iou: float | None = None
    energy_in_box: float | None = None
    chance_hit: float | None = None


@dataclass(frozen=True, slots=True)
class Control:
    """One control under one mode and method.

    Attributes:
        name: Of ``CONTROLS``.
        asked: What was asked instead: another finding, or the seed of random weights.
    """

    name: str
    asked: str = ""


def short_score(
    saliency: NDArray[np.floating],
    outlines: Sequence[Outline],
    frame: WorkingFrame,
    *,
    threshold: float,
) -> ShortScore:
    """The headline columns of ``score_region``, without the slow ones.

    Raises:
        ValueError: If the map is not finite.
    """
    values = checked_map(saliency)
    if visible_share(outlines, frame.geometry) == 0:
        return ShortScore("not_visible")
    here, reference = frame.values(values), frame.reference(outlines)
    if reference.n_pixels == 0:
        return ShortScore("no_reference")
    chance = reference.n_pixels / reference.mask.size
    if here.max() == here.min():
        return ShortScore("no_evidence", 0.0, 0.0, 0.0, chance)
    return ShortScore(
        "ok",
        hit(here, reference),
        iou(normalise(here) > threshold, reference.mask),
        energy_in_region(here, reference.mask),
        chance,
    )


def control_rows(
    cases: Iterable[Case], setting: Setting, control: Control, explained: Explained
) -> list[Row]:
    """One row per case whose finding the mode knows: the control's map in the case's region."""
    rows = []
    for case in cases:
        asked = control.asked if control.name == WRONG_FINDING else case.finding
        if case.finding in explained.findings:
            rows.append(_row(case, setting, control, explained, asked))
    return rows


def wrong_finding_rows(
    planned: PlannedImage, setting: Setting, explained: Explained, *, seed: int
) -> list[Row]:
    """Each case against the map of another finding, chosen among those that nobody marked.

    No row where every finding that the mode knows is marked on this picture.
    """
    rows: list[Row] = []
    for case in planned.cases:
        other = other_finding(planned, case.finding, explained.findings, seed=seed)
        if other is not None:
            control = Control(WRONG_FINDING, other)
            rows += control_rows([case], setting, control, explained)
    return rows


def other_finding(
    planned: PlannedImage, finding: str, known: Sequence[str], *, seed: int
) -> str | None:
    """A finding of those that the mode knows and nobody marked here; always the same one."""
    free = [name for name in known if name not in planned.marked and name != NO_FINDING]
    if not free:
        return None
    words = f"{seed} {planned.image.sha256} {finding}".encode()
    return free[int.from_bytes(hashlib.sha256(words).digest()[:8], "big") % len(free)]


def _row(case: Case, setting: Setting, control: Control, explained: Explained, asked: str) -> Row:
    frame = WorkingFrame(explained.geometry, setting.grid)
    saliency = explained.maps[list(explained.findings).index(asked)]
    reason = ""
    try:
        score = short_score(saliency, case.outlines, frame, threshold=setting.threshold)
    except ValueError as error:
        score, reason = ShortScore("invalid_input"), str(error)
    return {
        "run_id": setting.run_id,
        "image_id": case.image.image_id,
        "patient_hash": case.image.patient_hash,
        "reader": case.reading.reader,
        "reading_id": case.reading.reading_id,
        "model": setting.model,
        "mode": setting.mode,
        "method": setting.method,
        "finding": case.finding,
        "control": control.name,
        "asked": control.asked,
        "status": score.status,
        "status_reason": reason,
        "hit": score.hit,
        "iou": score.iou,
        "energy_in_box": score.energy_in_box,
        "chance_hit": score.chance_hit,
        "weights_sha256": json_text(explained.provenance.get("weights_sha256", "")),
        "image_sha256": case.image.sha256,
        "reading_sha256": case.reading.content_sha256,
    }
