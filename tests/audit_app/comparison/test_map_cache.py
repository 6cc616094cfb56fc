"""Caches whose names cover everything that decides their content."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audit_app.comparison.selection import MODES
from audit_app.map_cache import (
    CachedMaps,
    MapRequest,
    basis_file,
    cache_file,
    layers_file,
    prune,
    read_layers,
    read_maps,
    read_text_embedding,
    text_file,
    write_layers,
    write_maps,
    write_text_embedding,
)
from model_store.preprocessing import frame_geometry

ENTRY = {"name": "m", "location": "local-dir:x", "weights_sha256": "1", "prompt_template": "{}"}


def test_maps_come_back_as_they_were_put_in(services, image_id) -> None:
    image = services.store.images.get(image_id)
    request = MapRequest(image, "m", "zs", "gradcam", ("Edema",))
    path = cache_file(services.workspace, request, {"name": "m"})
    assert read_maps(path) is None
    maps = CachedMaps(
        maps=np.random.default_rng(0).random((1, 8, 8), dtype=np.float32),
        scores=np.array([0.25], np.float32),
        findings=("Edema",),
        geometry=frame_geometry("crop", (200, 120), (8, 8)),
        provenance={"layer": "x"},
    )
    write_maps(path, maps)
    back = read_maps(path)
    assert back is not None
    assert (back.maps == maps.maps).all()
    assert (back.findings, back.geometry, back.provenance) == (
        maps.findings,
        maps.geometry,
        maps.provenance,
    )


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, small_disk: Callable[[int], None]
) -> None:
    small_disk(100)
    with pytest.raises(OSError, match="File too large"):
        write_text_embedding(tmp_path / "texts" / "one.npy", np.zeros(512, np.float32))
    with pytest.raises(OSError, match="File too large"):
        write_layers(tmp_path / "layers" / "one.json", [{"path": "x" * 200}])
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == []


def test_a_damaged_file_counts_as_absent(services, image_id) -> None:
    image = services.store.images.get(image_id)
    path = cache_file(
        services.workspace, MapRequest(image, "m", "zs", "gradcam", ("Edema",)), {"name": "m"}
    )
    path.parent.mkdir(parents=True)
    for content in (b"", b"PK\x03\x04 cut off", b"no archive"):
        path.write_bytes(content)
        assert read_maps(path) is None
        assert read_text_embedding(path) is None
        assert read_layers(path) is None


def test_another_entry_mode_method_layer_or_head_leads_to_another_file(services, image_id) -> None:
    image = services.store.images.get(image_id)
    base = MapRequest(image, "m", "zs", "gradcam", ("Edema",))
    requests = [replace(base, mode=mode) for mode in MODES]
    requests += [replace(base, method="hirescam"), replace(base, layer="visual.layer3")]
    requests += [replace(base, findings=("Edema", "Fracture"))]
    entries = ({"name": "m"}, {"name": "m", "layer": "x"})
    places = {
        cache_file(services.workspace, request, entry) for request in requests for entry in entries
    }
    assert len(places) == 2 * len(requests)
    head = services.workspace.models / "m" / "lp.safetensors"
    head.parent.mkdir(parents=True)
    head.write_bytes(b"weights")
    trained = cache_file(services.workspace, replace(base, mode="lp"), entries[0])
    assert trained not in places


def test_an_edited_prompt_keeps_embeddings_and_basis_and_other_weights_do_not(
    services, image_id
) -> None:
    image = services.store.images.get(image_id)
    edited = {**ENTRY, "prompt_template": "a photo of {}"}
    other = {**ENTRY, "weights_sha256": "2"}
    workspace = services.workspace
    kept = basis_file(workspace, image, ENTRY, "gradcam")
    assert kept == basis_file(workspace, image, edited, "gradcam")
    assert kept != basis_file(workspace, image, other, "gradcam")
    assert kept != basis_file(workspace, image, ENTRY, "hirescam")
    assert text_file(workspace, ENTRY, "a") == text_file(workspace, edited, "a")
    assert text_file(workspace, ENTRY, "a") != text_file(workspace, other, "a")
    assert text_file(workspace, ENTRY, "a") != text_file(workspace, ENTRY, "b")
    assert layers_file(workspace, ENTRY) != layers_file(workspace, other)


def test_embeddings_and_layers_come_back(services) -> None:
    path = text_file(services.workspace, ENTRY, "fluid")
    assert read_text_embedding(path) is None
    values = np.random.default_rng(1).random(8, dtype=np.float32)
    write_text_embedding(path, values)
    back = read_text_embedding(path)
    assert back is not None
    assert (back == values).all()
    layers = [{"path": "a", "title": "A", "grid": (7, 7), "is_default": True}]
    write_layers(layers_file(services.workspace, ENTRY), layers)
    assert read_layers(layers_file(services.workspace, ENTRY)) == [{**layers[0], "grid": [7, 7]}]


def test_the_cache_forgets_what_was_not_used_for_longest(tmp_path: Path) -> None:
    for number in range(5):
        file = tmp_path / f"{number}.npz"
        file.write_bytes(b"x" * 100)
        os.utime(file, (number, number))
    (tmp_path / "being-written.tmp").write_bytes(b"x" * 100)
    prune(tmp_path, max_bytes=250)
    assert sorted(file.name for file in tmp_path.glob("*.npz")) == ["3.npz", "4.npz"]
    assert (tmp_path / "being-written.tmp").exists()
