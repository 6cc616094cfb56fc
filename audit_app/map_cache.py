"""Saliency maps that were computed once, kept in the workspace's cache folder."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotations.records import ImageRecord
from annotations.workspace import Workspace
from model_store.preprocessing import FrameGeometry

MAX_BYTES = 512 * 1024**2


@dataclass(frozen=True, slots=True)
class MapRequest:
    """One image, one model, one mode, one method: what a cached file answers."""

    image: ImageRecord
    model: str
    mode: str
    method: str
    findings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class CachedMaps:
    """All findings' maps of one image in one mode.

    Attributes:
        maps: Shape (K, h, w), raw and non-negative, on the model's input grid.
        scores: Shape (K,).
        findings: K names, in the order of ``maps``.
        geometry: How the grid lies on the original image.
        provenance: Hashes, layer and versions of what made them.
    """

    maps: NDArray[np.float32]
    scores: NDArray[np.float32]
    findings: tuple[str, ...]
    geometry: FrameGeometry
    provenance: dict[str, object]


def cache_file(workspace: Workspace, request: MapRequest, entry: dict[str, object]) -> Path:
    """Where the maps of this request lie, whether they exist or not.

    The name covers everything that decides the maps, so an exchanged head or an edited entry
    leads to another file.
    """
    head = workspace.models / request.model / f"{request.mode}.safetensors"
    stamp = [head.stat().st_size, head.stat().st_mtime_ns] if head.exists() else None
    described = json.dumps(
        {
            "pixels": request.image.pixel_sha256,
            "entry": entry,
            "mode": request.mode,
            "method": request.method,
            "findings": request.findings,
            "head": stamp,
        },
        sort_keys=True,
    )
    name = hashlib.sha256(described.encode()).hexdigest()[:40]
    return workspace.cache / "maps" / f"{name}.npz"


def read_maps(path: Path) -> CachedMaps | None:
    """The maps in this file, or None when they were not computed yet."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            maps = CachedMaps(
                maps=stored["maps"],
                scores=stored["scores"],
                findings=tuple(facts["findings"]),
                geometry=_geometry(facts["geometry"]),
                provenance=facts["provenance"],
            )
    except FileNotFoundError:
        return None
    os.utime(path)
    return maps


def write_maps(path: Path, maps: CachedMaps) -> None:
    """Keep these maps, and drop the least recently used beyond the cache's bound."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = {
        "findings": maps.findings,
        "geometry": asdict(maps.geometry),
        "provenance": maps.provenance,
    }
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        np.savez(file, maps=maps.maps, scores=maps.scores, facts=np.array(json.dumps(facts)))
    Path(file.name).replace(path)
    prune(path.parent)


def prune(folder: Path, max_bytes: int = MAX_BYTES) -> None:
    """Remove the files that were not used for longest until ``max_bytes`` are left."""
    files = sorted(folder.glob("*.npz"), key=lambda file: file.stat().st_mtime, reverse=True)
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > max_bytes:
            file.unlink(missing_ok=True)


def _geometry(facts: dict[str, Any]) -> FrameGeometry:
    """The geometry that ``asdict`` wrote; JSON made its tuples lists."""
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()
    }
    return FrameGeometry(**values)
