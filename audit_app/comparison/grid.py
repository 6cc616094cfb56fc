"""All findings in all modes: small maps, a column for each finding."""

from __future__ import annotations

from typing import Any

from audit_app.comparison.captions import picture_caption
from audit_app.comparison.heat import THRESHOLD, thumbnail
from audit_app.comparison.maps import (
    NOT_TRAINED,
    failure_of,
    find_maps,
    layer_of,
    mode_title,
    modes_of,
    wanted_map,
)
from audit_app.comparison.panes import Scene, describe_score
from audit_app.map_cache import CachedMaps
from audit_app.region_scores import score_region_map
from audit_app.viewer.state import region_value
from model_store.saliency import find_method


def grid_content(scene: Scene) -> dict[str, Any]:
    """Columns of the workspace's findings, rows of the model's modes."""
    modes = modes_of(scene.services, scene.selection.model)
    findings = scene.services.store.findings()
    columns = [
        {
            "finding": finding,
            "regions": [region_value(region) for region in scene.regions_of(finding)],
        }
        for finding in findings
    ]
    rows = [row(scene, mode, findings, is_ready=mode in modes.ready) for mode in modes.all]
    head = f"All findings: {scene.selection.model}, {find_method(scene.selection.method).title}."
    caption = [head, *picture_caption(scene.image, scene.reading)]
    return {"columns": columns, "rows": rows, "caption": caption}


def row(scene: Scene, mode: str, findings: tuple[str, ...], *, is_ready: bool) -> dict[str, Any]:
    """One mode: its cells, or the reason why it has none."""
    selection = scene.selection
    wanted = wanted_map(selection, selection.model, mode, layer_of(scene.services, selection))
    maps = find_maps(scene.services, wanted) if is_ready else None
    if maps is None:
        reason = failure_of(scene.job, wanted) if is_ready else NOT_TRAINED
        return {"mode": mode, "title": mode_title(mode), "reason": reason, "layer": "", "cells": []}
    head = scene.caption(maps, wanted, "")[1:]
    return {
        "mode": mode,
        "title": mode_title(mode),
        "reason": "",
        "caption": head,
        "layer": str(maps.provenance.get("layer", "")),
        "cells": [cell(scene, maps, finding) for finding in findings],
    }


def cell(scene: Scene, maps: CachedMaps, finding: str) -> dict[str, Any]:
    """One small map with its score, and its agreement where the reader marked something."""
    if finding not in maps.findings:
        return {"heat": None, "score": "", "iou": "", "hit": ""}
    index = maps.findings.index(finding)
    heat = thumbnail(maps.maps[index], maps.geometry, scene.image)
    agreement = {"iou": "", "hit": ""}
    outlines = [region.outline for region in scene.regions_of(finding)]
    if outlines:
        score, _ = score_region_map(maps.maps[index], outlines, maps.geometry, threshold=THRESHOLD)
        heat["status"] = score.status
        agreement = {"iou": text(score.iou), "hit": text(score.hit)}
    return {"heat": heat, "score": describe_score(maps, index), **agreement}


def text(value: float | None) -> str:
    """A number with two digits, n/a where it is undefined."""
    return "n/a" if value is None else f"{value:.2f}"
