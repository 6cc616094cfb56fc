"""Maps, prompt bases and lists of layers that were computed once, in the cache folder.

Each name covers everything that decides the content, so an exchanged head or an edited entry leads
to another file. All are bounded: what was not used for longest goes first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from annotations.records import ImageRecord
from annotations.workspace import Workspace
from model_store.preprocessing import FrameGeometry

AUTO: Final = "auto"
MAX_BYTES: Final = 512 * 1024**2
# A damaged file counts as absent: all this can be computed again.
DAMAGED: Final = (FileNotFoundError, zipfile.BadZipFile, EOFError, KeyError, ValueError)
# What decides an embedding; prompts and names do not.
TOWER_KEYS: Final = (
    "location", "kind", "preprocessing", "layer", "precision", "weights_sha256", "config_sha256",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MapRequest:
    """One image, one model, one mode, one method, one layer: what a cached file answers."""

    image: ImageRecord
    model: str
    mode: str
    method: str
    findings: tuple[str, ...]
    layer: str = AUTO


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


def cache_file(workspace: Workspace, request: MapRequest, entry: Mapping[str, object]) -> Path:
    """Where the maps of this request lie, whether they exist or not."""
    head = workspace.models / request.model / f"{request.mode}.safetensors"
    stamp = [head.stat().st_size, head.stat().st_mtime_ns] if head.exists() else None
    described = {
        "pixels": request.image.pixel_sha256,
        "entry": dict(entry),
        "mode": request.mode,
        "method": request.method,
        "findings": request.findings,
        "layer": request.layer,
        "head": stamp,
    }
    return workspace.cache / "maps" / f"{_name(described)}.npz"


def basis_file(
    workspace: Workspace, image: ImageRecord, entry: Mapping[str, object], method: str
) -> Path:
    """Where the basis maps of one image in one model by one method lie."""
    described = {"pixels": image.pixel_sha256, "method": method, **_tower(entry)}
    return workspace.cache / "bases" / f"{_name(described)}.basis"


def text_file(workspace: Workspace, entry: Mapping[str, object], text: str) -> Path:
    """Where the embedding of one text by one model lies."""
    return workspace.cache / "texts" / f"{_name({'text': text, **_tower(entry)})}.npy"


def layers_file(workspace: Workspace, entry: Mapping[str, object]) -> Path:
    """Where the list of one model's layers lies."""
    return workspace.cache / "layers" / f"{_name(_tower(entry))}.json"


def read_maps(path: Path) -> CachedMaps | None:
    """The maps in this file, or None when they were not computed yet."""
    try:
        # Opened here: numpy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            maps = CachedMaps(
                maps=stored["maps"],
                scores=stored["scores"],
                findings=tuple(facts["findings"]),
                geometry=_geometry(facts["geometry"]),
                provenance=facts["provenance"],
            )
        os.utime(path)
    except DAMAGED:
        return None
    return maps


def write_maps(path: Path, maps: CachedMaps) -> None:
    """Keep these maps, and drop the least recently used beyond the cache's bound."""
    facts = {
        "findings": maps.findings,
        "geometry": asdict(maps.geometry),
        "provenance": maps.provenance,
    }
    with _replacing(path) as file:
        np.savez(file, maps=maps.maps, scores=maps.scores, facts=np.array(json.dumps(facts)))
    prune(path.parent)


def read_text_embedding(path: Path) -> NDArray[np.float32] | None:
    """Shape (D,), or None when this text was not embedded yet."""
    try:
        with path.open("rb") as file:
            values: NDArray[np.float32] = np.load(file, allow_pickle=False)
        os.utime(path)
    except DAMAGED:
        return None
    return values


def write_text_embedding(path: Path, values: NDArray[np.float32]) -> None:
    """Keep the embedding of one text."""
    with _replacing(path) as file:
        np.save(file, values)
    prune(path.parent, 32 * 1024**2)


def read_layers(path: Path) -> list[dict[str, Any]] | None:
    """The layers as they were written, or None when nobody asked the model yet."""
    try:
        layers: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except DAMAGED:
        return None
    return layers


def write_layers(path: Path, layers: Sequence[Mapping[str, object]]) -> None:
    """Keep the list of one model's layers."""
    with _replacing(path) as file:
        file.write(json.dumps([dict(layer) for layer in layers]).encode())


def prune(folder: Path, max_bytes: int = MAX_BYTES) -> None:
    """Remove the files that were not used for longest until ``max_bytes`` are left."""
    ages = []
    for file in folder.iterdir():
        try:
            facts = file.stat()
        except FileNotFoundError:  # another process prunes the same folder
            continue
        if file.suffix != ".tmp":
            ages.append((facts.st_mtime_ns, facts.st_size, file))
    total = 0
    for _, size, file in sorted(ages, reverse=True):
        total += size
        if total > max_bytes:
            file.unlink(missing_ok=True)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """An open file of its own name that takes the place of ``path``, or is gone after an error."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _tower(entry: Mapping[str, object]) -> dict[str, object]:
    return {key: entry.get(key) for key in TOWER_KEYS}


def _name(described: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:40]


def _geometry(facts: dict[str, Any]) -> FrameGeometry:
    """The geometry that ``asdict`` wrote; JSON made its tuples lists."""
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()
    }
    return FrameGeometry(**values)
