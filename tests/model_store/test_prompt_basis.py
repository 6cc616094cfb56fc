"""A prompt's map as a dot product: numbers by hand, the file, and what is refused."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model_store.preprocessing import frame_geometry
from model_store.prompt_basis import (
    PromptBasis,
    pack_basis,
    prompt_maps,
    read_basis,
    write_basis,
)


def make_basis(
    maps: NDArray[np.float32], embedding: NDArray[np.float32], input_size: tuple[int, int]
) -> PromptBasis:
    packed, scale = pack_basis(maps)
    geometry = frame_geometry("crop", (300, 200), input_size)
    return PromptBasis(packed, embedding, input_size, geometry, "visual.layer4", "ab" * 32, scale)


@pytest.fixture
def basis() -> PromptBasis:
    """Two dimensions on a grid of 1 x 2; the embedding points along the first, length 2."""
    maps = np.array([[[4.0, 0.0]], [[0.0, 3.0]]], dtype=np.float32)
    return make_basis(maps, np.array([2.0, 0.0], dtype=np.float32), (1, 2))


def test_a_map_by_hand(basis: PromptBasis) -> None:
    # cos = 0.6; d cos / d embedding = (t - 0.6 e) / 2 = (0, 0.4): 0.4 of the second map.
    maps, scores = prompt_maps(basis, np.array([[0.6, 0.8]], dtype=np.float32))
    np.testing.assert_allclose(scores, [0.6], atol=1e-6)
    np.testing.assert_allclose(maps, [[[0.0, 1.2]]], rtol=1e-3)


def test_what_speaks_against_a_prompt_is_cut_off(basis: PromptBasis) -> None:
    maps, scores = prompt_maps(basis, np.array([[0.6, -0.8], [-0.6, 0.8]], dtype=np.float32))
    assert not maps[0].any()
    assert maps[1].any()
    np.testing.assert_allclose(scores, [0.6, -0.6], atol=1e-6)


def test_a_text_along_the_picture_itself_has_an_empty_map(basis: PromptBasis) -> None:
    maps, scores = prompt_maps(basis, np.array([[1.0, 0.0]], dtype=np.float32))
    assert not maps.any()
    assert scores[0] == pytest.approx(1)


@pytest.mark.parametrize(("grid", "size"), [((3, 5), (48, 40)), ((7, 7), (7, 7)), ((6, 4), (9, 3))])
def test_maps_are_enlarged_as_torch_enlarges_them(
    grid: tuple[int, int], size: tuple[int, int]
) -> None:
    values = np.random.default_rng(1).random((2, *grid), dtype=np.float32)
    basis = make_basis(values, np.array([0.0, 1.0], dtype=np.float32), size)
    maps, _ = prompt_maps(basis, np.array([[1.0, 0.0]], dtype=np.float32))
    exact = basis.basis[0].astype(np.float32) * np.float32(basis.scale)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(exact)[None, None], size, mode="bilinear"
    )
    assert maps.shape == (1, *size)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps[0], expected[0, 0].numpy(), atol=1e-5)


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e6])
def test_half_precision_keeps_three_digits_whatever_the_unit(factor: float) -> None:
    maps = (np.random.default_rng(2).normal(size=(5, 4, 4)) * factor).astype(np.float32)
    packed, scale = pack_basis(maps)
    assert packed.dtype == np.float16
    back = packed.astype(np.float64) * scale
    np.testing.assert_allclose(back, maps, atol=1e-3 * np.abs(maps).max())


def test_an_all_zero_basis_stays_so() -> None:
    packed, scale = pack_basis(np.zeros((2, 3, 3), dtype=np.float32))
    assert not packed.any()
    assert scale == 1


def test_texts_that_are_not_of_this_model_or_not_of_length_one_are_refused(
    basis: PromptBasis,
) -> None:
    with pytest.raises(ValueError, match=r"texts of shape \(1, 3\) given; expected \(N, 2\)"):
        prompt_maps(basis, np.ones((1, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="expected rows of length 1"):
        prompt_maps(basis, np.array([[3.0, 4.0]], dtype=np.float32))


def test_a_basis_comes_back_from_its_file(basis: PromptBasis, tmp_path: Path) -> None:
    path = tmp_path / "bases" / "one.npz"
    assert read_basis(path) is None
    write_basis(path, basis)
    found = read_basis(path)
    assert found is not None
    np.testing.assert_array_equal(found.basis, basis.basis)
    np.testing.assert_array_equal(found.embedding, basis.embedding)
    assert found.basis.dtype == np.float16
    arrays = {"basis": basis.basis, "embedding": basis.embedding}
    facts = [
        getattr(found, name) == getattr(basis, name)
        for name in ("input_size", "geometry", "layer", "weights_sha256", "scale")
    ]
    assert all(facts)
    assert replace(found, **arrays).geometry.field_of_view == basis.geometry.field_of_view
    assert [file.name for file in path.parent.iterdir()] == ["one.npz"]


def test_a_basis_that_could_not_be_written_leaves_the_old_one_and_nothing_else(
    basis: PromptBasis, tmp_path: Path
) -> None:
    path = tmp_path / "one.npz"
    write_basis(path, basis)
    broken = np.array([lambda: None], dtype=object)  # fails half-way
    with pytest.raises(Exception, match="pickle"):
        write_basis(path, replace(basis, embedding=broken))
    assert list(tmp_path.iterdir()) == [path]
    assert read_basis(path) is not None


def test_reading_marks_the_file_as_just_used(basis: PromptBasis, tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    write_basis(path, basis)
    os.utime(path, (1000, 1000))
    assert read_basis(path) is not None
    assert path.stat().st_mtime > time.time() - 3600


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"not a file of ours"])
def test_a_damaged_file_counts_as_absent(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    path.write_bytes(content)
    assert read_basis(path) is None


def test_a_file_that_was_cut_short_counts_as_absent(basis: PromptBasis, tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    write_basis(path, basis)
    path.write_bytes(path.read_bytes()[:-40])
    assert read_basis(path) is None
