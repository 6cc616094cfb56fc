"""One reading beside one model's maps: what the Compare tab shows."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from annotations.errors import ReadingLocked
from annotations.findings import NO_FINDING
from annotations.records import CommittedReading, ImageRecord, Job, Region
from audit_app.errors import AuditError
from audit_app.evaluation import crop_to_picture, score_region_map
from audit_app.jobs import ACTIVE_STATUSES
from audit_app.map_cache import CachedMaps, MapRequest, cache_file, read_maps
from audit_app.metrics.localisation import MapScore
from audit_app.models import ready_modes
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.viewer.state import case_meta, region_value
from model_store.preprocessing import FrameGeometry

MODES: Final = {"zs": "Zero-shot", "lp": "Linear probe", "ft": "Fine-tune"}
THRESHOLD: Final = 0.5
NOT_TRAINED: Final = "not trained yet; train this mode in the tab Data & models"
NUMBERS: Final = (
    ("hit", "Hit"),
    ("iou", "IoU"),
    ("energy_in_box", "Energy in box"),
    ("chance_hit", "Chance of a hit"),
)


@dataclass(frozen=True, slots=True)
class Selection:
    """What is compared: ids and names only."""

    image_id: str
    reader: str
    finding: str
    model: str
    method: str


@dataclass(frozen=True, slots=True)
class Case:
    """A committed reading that may be opened."""

    image_id: str
    reader: str
    label: str
    findings: tuple[str, ...]  # marked in it


def readable_cases(services: Services, visitor: Visitor) -> list[Case]:
    """The committed readings that this visitor may compare, newest commit of each.

    A reader sees only readings of their own; an auditor and an admin see all.
    """
    readers = [visitor.name] if visitor.role == "reader" else None
    readings = services.store.readings.committed(latest=True, blinded_only=False, readers=readers)
    names = services.store.images.names()
    return [
        Case(
            one.image_id,
            one.reader,
            f"{names[one.image_id]} - {describe_reading(one)}",
            marked_findings(one),
        )
        for one in readings
    ]


def describe_reading(reading: CommittedReading) -> str:
    """What was marked, and by whom."""
    return f"{', '.join(marked_findings(reading)) or NO_FINDING} ({reading.reader})"


def marked_findings(reading: CommittedReading) -> tuple[str, ...]:
    """The findings that have a region, each once, in the order of the reading."""
    return tuple(dict.fromkeys(region.finding for region in reading.regions))


def open_reading(services: Services, visitor: Visitor, selection: Selection) -> CommittedReading:
    """The reading to compare with; seeing the maps is recorded.

    Raises:
        ReadingLocked: If the visitor reads this image too and has not committed yet.
        AuditError: If the reading is somebody else's and the visitor is a reader.
    """
    if visitor.role == "reader" and selection.reader != visitor.name:
        raise AuditError("this reading is another reader's; open one of your own")
    for one in services.store.readings.committed(
        latest=True, blinded_only=False, readers=[selection.reader], image_ids=[selection.image_id]
    ):
        note_reveal(services, visitor, selection.image_id)
        return one
    raise ReadingLocked("this reading is not committed yet; commit it, then compare")


def note_reveal(services: Services, visitor: Visitor, image_id: str) -> None:
    """Keep that the visitor sees maps of this image now.

    Raises:
        ReadingLocked: If the visitor has begun to read this image and has not committed yet.
    """
    own = services.store.readings.get(image_id, visitor.name)
    if own.commits:
        if own.revealed_at is None:
            services.store.readings.reveal(image_id, visitor.name)
    elif own.status == "draft":
        raise ReadingLocked("commit your own reading of this image first; its maps are locked")
    else:
        services.store.readings.note_seen_unread(image_id, visitor.name)


def missing_modes(services: Services, selection: Selection) -> list[str]:
    """The modes that are ready and whose maps of this image were not computed yet."""
    ready = ready_modes(services.workspace, selection.model)
    return [mode for mode in ready if load_maps(services, selection, mode) is None]


def load_maps(services: Services, selection: Selection, mode: str) -> CachedMaps | None:
    """The maps of one mode, or None when they were not computed yet."""
    image = services.store.images.get(selection.image_id)
    findings = services.store.findings()
    request = MapRequest(image, selection.model, mode, selection.method, findings)
    entry = services.store.models.get(selection.model)
    return read_maps(cache_file(services.workspace, request, entry))


def build_panes(
    services: Services, selection: Selection, reading: CommittedReading, failures: dict[str, str]
) -> list[dict[str, Any]]:
    """Three panes for the panel, one per mode, each with its heat layer and its numbers."""
    image = services.store.images.get(selection.image_id)
    regions = [region for region in reading.regions if region.finding == selection.finding]
    ready = ready_modes(services.workspace, selection.model)
    panes = []
    for mode, title in MODES.items():
        maps = load_maps(services, selection, mode)
        if mode not in ready:
            panes.append(empty_pane(title, NOT_TRAINED))
        elif maps is None:
            panes.append(empty_pane(title, failures.get(mode, "computing the map ...")))
        elif selection.finding not in maps.findings:
            panes.append(empty_pane(title, f"this mode has no output for {selection.finding}"))
        else:
            panes.append(full_pane(title, selection.finding, maps, regions, image))
    return panes


def empty_pane(title: str, reason: str) -> dict[str, Any]:
    """A pane without a map, saying why."""
    return {"title": title, "subtitle": reason, "heat": None, "numbers": []}


def full_pane(
    title: str, finding: str, maps: CachedMaps, regions: list[Region], image: ImageRecord
) -> dict[str, Any]:
    """A pane with the heat layer of one finding and its agreement with the regions."""
    index = maps.findings.index(finding)
    saliency = maps.maps[index]
    heat = heat_layer(saliency, maps.geometry, image)
    if regions:
        boxes = [region.box for region in regions]
        score, visible = score_region_map(saliency, boxes, maps.geometry, threshold=THRESHOLD)
        heat["status"] = score.status
        lines = numbers(score, visible)
    else:
        lines = [("Agreement", "n/a: this reader marked no region of this finding")]
    return {
        "title": title,
        "subtitle": f"score {float(maps.scores[index]):.3f}",
        "heat": heat,
        "numbers": [[label, value] for label, value in lines],
    }


def numbers(score: MapScore, visible_fraction: float) -> list[tuple[str, str]]:
    """The agreement of this image as shown: name and text, n/a where a value is undefined."""
    lines: list[tuple[str, str]] = [("Status", score.status)]
    for column, label in NUMBERS:
        value = getattr(score, column)
        lines.append((label, "n/a" if value is None else f"{value:.3f}"))
    return [*lines, ("Visible to the model", f"{visible_fraction:.3f}")]


def heat_layer(
    saliency: NDArray[np.float32], geometry: FrameGeometry, image: ImageRecord
) -> dict[str, Any]:
    """The map as the page draws it: 8 bits over the place of the model's grid in the image."""
    low, high = float(saliency.min()), float(saliency.max())
    empty = high <= low
    scaled = np.zeros(saliency.shape) if empty else (saliency - low) / (high - low)
    height, width = saliency.shape
    return {
        "width": width,
        "height": height,
        "values_b64": base64.b64encode(np.rint(scaled * 255).astype(np.uint8).tobytes()).decode(),
        "box": [*to_image(geometry, 0, 0), *to_image(geometry, width, height)],
        "peak": None if empty else peak_px(saliency, geometry, image),
        "status": "no_evidence" if empty else "ok",
        "threshold": THRESHOLD,
    }


def to_image(geometry: FrameGeometry, x: float, y: float) -> tuple[float, float]:
    """A place on the model's grid in original pixels; outside the picture where it is padding."""
    return (x + geometry.offset_x) / geometry.scale_x, (y + geometry.offset_y) / geometry.scale_y


def peak_px(
    saliency: NDArray[np.float32], geometry: FrameGeometry, image: ImageRecord
) -> list[float]:
    """The first maximum (row-major) of what shows the picture, in original pixels."""
    shown = crop_to_picture(saliency.astype(np.float64), geometry)
    row, column = np.unravel_index(int(np.argmax(shown)), shown.shape)
    left, top, _, _ = geometry.input_window
    x_px, y_px = to_image(geometry, left + int(column) + 0.5, top + int(row) + 0.5)
    return [min(max(x_px, 0.0), float(image.width)), min(max(y_px, 0.0), float(image.height))]


@dataclass(frozen=True, slots=True)
class View:
    """What the tab shows now, and whether it should ask again because maps are being computed."""

    value: dict[str, Any]
    sentence: str
    is_waiting: bool


def view(services: Services, visitor: Visitor, selection: Selection, job_id: int | None) -> View:
    """The panel's value for a selection as far as its maps exist.

    Args:
        services: The workspace.
        visitor: Who looks.
        selection: What is compared.
        job_id: The job that computes the missing maps, or None when none was asked for.
    """
    reading = open_reading(services, visitor, selection)
    job = services.store.jobs.get(job_id) if job_id is not None else None
    is_waiting = job is not None and job.status in ACTIVE_STATUSES
    failures = failures_of(job)
    value = {
        "case_id": selection.image_id,
        "reader": selection.reader,
        "finding": selection.finding,
        "meta": case_meta(services, selection.image_id),
        "regions": [
            region_value(region)
            for region in reading.regions
            if region.finding == selection.finding
        ],
        "panes": build_panes(services, selection, reading, failures),
    }
    return View(value, describe_view(selection, job), is_waiting)


def failures_of(job: Job | None) -> dict[str, str]:
    """Why modes have no map: from the finished job, or the job's own end for all of them."""
    if job is None or job.status in ACTIVE_STATUSES:
        return {}
    if job.status != "done":
        return dict.fromkeys(MODES, job.message or f"the computation was {job.status}")
    failures = job.result.get("failures")
    return dict(failures) if isinstance(failures, dict) else {}


def describe_view(selection: Selection, job: Job | None) -> str:
    """One sentence for the status line."""
    if job is not None and job.status in ACTIVE_STATUSES:
        return f"Computing the maps of {selection.model}; the first ones take a few seconds."
    return f"{selection.finding}: {selection.model} beside {selection.reader}."
