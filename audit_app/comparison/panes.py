"""One pane of the panel: a heat layer, its numbers, its caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from annotations.records import CommittedReading, ImageRecord, Job, Region
from audit_app.comparison.captions import map_caption, picture_caption
from audit_app.comparison.heat import THRESHOLD, heat_layer
from audit_app.comparison.maps import (
    NOT_TRAINED,
    WAITING,
    failure_of,
    find_maps,
    is_active,
    mode_title,
    modes_of,
)
from audit_app.comparison.selection import Selection
from audit_app.explanations import Wanted
from audit_app.map_cache import CachedMaps
from audit_app.metrics.localisation import MapScore
from audit_app.region_scores import score_region_map
from audit_app.services import Services
from model_store.saliency import find_method

NUMBERS: Final = (
    ("hit", "Hit"),
    ("iou", "IoU"),
    ("energy_in_box", "Energy in box"),
    ("chance_hit", "Chance of a hit"),
)
SCORE_WORDS: Final = {"cosine": "cosine", "dot": "dot product", "logit": "logit"}


@dataclass(frozen=True)
class Scene:
    """What all panes of one view share."""

    services: Services
    selection: Selection
    reading: CommittedReading
    image: ImageRecord
    job: Job | None

    @property
    def regions(self) -> list[Region]:
        """The reader's regions of the chosen finding."""
        return self.regions_of(self.selection.finding)

    def regions_of(self, finding: str) -> list[Region]:
        """The reader's regions of one finding."""
        return [region for region in self.reading.regions if region.finding == finding]

    def pane(self, wanted: Wanted, title: str) -> dict[str, Any]:
        """The pane of one map; without the map it says why."""
        if wanted.mode not in modes_of(self.services, wanted.model).ready:
            return empty_pane(title, NOT_TRAINED)
        maps = find_maps(self.services, wanted)
        if maps is None:
            reason = failure_of(self.job, wanted)
            return empty_pane(title, reason, is_waiting=reason == WAITING and is_active(self.job))
        finding = self.selection.finding
        if finding not in maps.findings:
            return empty_pane(title, f"this mode has no output for {finding}")
        return self.full_pane(maps, finding, title, caption=self.caption(maps, wanted, finding))

    def full_pane(
        self, maps: CachedMaps, finding: str, title: str, *, caption: list[str]
    ) -> dict[str, Any]:
        """The pane of one finding's map with its agreement with the reader's regions."""
        index = maps.findings.index(finding)
        saliency = maps.maps[index]
        heat = heat_layer(saliency, maps.geometry, self.image)
        score = self.score(maps, index)
        if score is None:
            lines = [("Agreement", "n/a: this reader marked no region of this finding")]
        else:
            heat["status"] = score[0].status
            lines = numbers(*score)
        return {
            "title": title,
            "subtitle": describe_score(maps, index),
            "heat": heat,
            "numbers": [list(line) for line in lines],
            "caption": [*caption, *picture_caption(self.image, self.reading)],
            "layer": str(maps.provenance.get("layer", "")),
            "is_waiting": False,
        }

    def score(self, maps: CachedMaps, index: int) -> tuple[MapScore, float] | None:
        """Agreement and visible share of one map; None when nothing was marked."""
        regions = self.regions_of(self.selection.finding)
        if not regions:
            return None
        outlines = [region.outline for region in regions]
        return score_region_map(maps.maps[index], outlines, maps.geometry, threshold=THRESHOLD)

    def caption(self, maps: CachedMaps, wanted: Wanted, finding: str) -> list[str]:
        """The caption of one map, the picture's part excluded."""
        head = (
            f"{finding}: {wanted.model}, {mode_title(wanted.mode).lower()}, "
            f"{find_method(wanted.method).title}."
        )
        return [head, *map_caption(maps, finding)]


def empty_pane(title: str, reason: str, *, is_waiting: bool = False) -> dict[str, Any]:
    """A pane without a map, saying why."""
    return {
        "title": title,
        "subtitle": reason,
        "heat": None,
        "numbers": [],
        "caption": [],
        "layer": "",
        "is_waiting": is_waiting,
    }


def describe_score(maps: CachedMaps, index: int) -> str:
    """The score, and what kind of number it is."""
    kind = SCORE_WORDS.get(str(maps.provenance.get("score", "")), "")
    return f"score {float(maps.scores[index]):.3f}{f' ({kind})' if kind else ''}"


def numbers(score: MapScore, visible_fraction: float) -> list[tuple[str, str]]:
    """The agreement of this image as shown: name and text, n/a where a value is undefined."""
    lines: list[tuple[str, str]] = [("Status", score.status)]
    for column, label in NUMBERS:
        value = getattr(score, column)
        lines.append((label, "n/a" if value is None else f"{value:.3f}"))
    return [*lines, ("Visible to the model", f"{visible_fraction:.3f}")]
