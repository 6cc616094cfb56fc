"""The layout of test embeddings: what stays the same across modes, what is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from audit_app.errors import AuditError
from audit_app.evaluator import explorer
from audit_app.evaluator.explorer import (
    NEIGHBOURS,
    chosen_rows,
    layout_key,
    layout_stage,
    nearest_pictures,
    project_pca,
    project_umap,
    read_layout,
    turned_onto,
    write_layout,
)
from audit_app.evaluator.progress import Cancelled


def blobs(n_pictures: int = 24, size: int = 6, seed: int = 0) -> np.ndarray:
    """Two groups far from each other."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(n_pictures, size))
    values[: n_pictures // 2, 0] += 12
    return values


def test_one_tower_is_projected_as_by_scikit_learn() -> None:
    values = blobs()
    places, shares = project_pca({"frozen": values})
    expected = PCA(2, svd_solver="full").fit(values)
    found = places["frozen"]
    theirs = expected.transform(values)
    for column in range(2):  # a direction has no sign
        sign = np.sign(found[:, column] @ theirs[:, column])
        np.testing.assert_allclose(sign * found[:, column], theirs[:, column], atol=1e-9)
    np.testing.assert_allclose(shares["frozen"], expected.explained_variance_ratio_)


def test_all_towers_share_their_axes() -> None:
    first = blobs()
    places, shares = project_pca({"frozen": first, "ft": first + 100.0})
    np.testing.assert_allclose(places["ft"], places["frozen"], atol=1e-9)
    assert shares["ft"] == pytest.approx(shares["frozen"])
    # The second tower varies along an axis that the first does not have.
    turned = np.roll(first, 1, axis=1) * 3
    places, _ = project_pca({"frozen": first, "ft": turned})
    together = np.concatenate([first - first.mean(0), turned - turned.mean(0)])
    theirs = PCA(2, svd_solver="full").fit_transform(together)
    np.testing.assert_allclose(
        np.abs(np.concatenate(list(places.values()))), np.abs(theirs), atol=1e-9
    )


def test_the_same_embeddings_always_point_the_same_way() -> None:
    values = blobs()
    once, _ = project_pca({"frozen": values})
    again, _ = project_pca({"frozen": values[::-1].copy()})
    np.testing.assert_allclose(again["frozen"][::-1], once["frozen"], atol=1e-9)


def test_one_number_per_picture_and_equal_pictures_have_places_too() -> None:
    places, shares = project_pca({"frozen": np.array([[1.0], [2.0], [4.0]])})
    assert places["frozen"].shape == (3, 2)
    assert (places["frozen"][:, 1] == 0).all()
    assert shares["frozen"] == [1.0, 0.0]
    places, shares = project_pca({"frozen": np.ones((3, 4))})
    assert (places["frozen"] == 0).all()
    assert shares["frozen"] == [0.0, 0.0]


def test_turning_keeps_distances_and_is_as_near_as_scipy_gets() -> None:
    generator = np.random.default_rng(3)
    fixed, points = generator.normal(size=(2, 30, 2))
    turned = turned_onto(points, fixed)
    np.testing.assert_allclose(pdist(turned), pdist(points))
    moving, still = points - points.mean(0), fixed - fixed.mean(0)
    rotation, _ = orthogonal_procrustes(moving, still)
    np.testing.assert_allclose(turned, moving @ rotation + fixed.mean(0))
    mirrored = fixed * [1, -1] @ [[0.0, 1.0], [-1.0, 0.0]] + 7
    np.testing.assert_allclose(turned_onto(mirrored, fixed), fixed, atol=1e-12)


def test_umap_keeps_neighbours_and_puts_each_picture_near_its_place_in_the_first_map() -> None:
    # A chain: groups far apart have no place of their own beside each other.
    first = np.random.default_rng(0).normal(size=(24, 6)) + np.outer(np.arange(24), np.eye(6)[0])
    second = first * 1.1 + np.random.default_rng(1).normal(scale=0.05, size=first.shape)
    n_threads = torch.get_num_threads()
    places = project_umap({"frozen": first, "ft": second}, seed=42)
    for name, values in (("frozen", first), ("ft", second)):
        assert trustworthiness(values, places[name], n_neighbors=5) > 0.8
    moved = np.linalg.norm(places["ft"] - places["frozen"], axis=1)
    assert np.median(moved) < 0.25 * pdist(places["frozen"]).max()
    again = project_umap({"frozen": first}, seed=42)
    np.testing.assert_array_equal(again["frozen"], places["frozen"])
    # The suite computes with one thread; on a machine with more, UMAP used to leave more behind.
    assert torch.get_num_threads() == n_threads


def test_the_map_can_be_stopped_before_each_tower() -> None:
    values = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32)
    told: list[str] = []

    def stop(said: str) -> None:
        told.append(said)
        if "ft" in said:
            raise Cancelled(said)

    with pytest.raises(Cancelled):
        layout_stage({"frozen": values, "ft": values}, 1, stop)
    assert told == ["UMAP of the frozen embeddings", "UMAP of the ft embeddings"]


def test_umap_is_given_the_neighbours_that_scikit_learn_finds() -> None:
    values = blobs(40)
    rows, distances = nearest_pictures(values)
    theirs = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(values)
    expected, order = theirs.kneighbors(values)
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_allclose(distances, expected, atol=1e-6)
    assert (rows[:, 0] == np.arange(40)).all()


def test_too_few_pictures_have_no_umap_and_the_reason_is_kept(tmp_path: Path) -> None:
    stage = layout_stage({"frozen": blobs(6).astype(np.float32)}, seed=1)
    path = tmp_path / "explorer.npz"
    write_layout(path, [f"image-{number}" for number in range(6)], stage)
    layout = read_layout(path)
    assert list(layout.places) == ["PCA"]
    assert "6 test pictures are too few" in layout.reasons["UMAP"]
    assert layout.image_ids == tuple(f"image-{number}" for number in range(6))
    assert layout.facts["n_test"] == layout.facts["n_shown"] == 6
    np.testing.assert_array_equal(layout.places["PCA"]["frozen"], stage.arrays["PCA frozen"])


def test_more_pictures_than_a_page_can_draw_are_chosen_by_the_seed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(explorer, "MOST_PICTURES", 10)
    values = blobs(40).astype(np.float32)
    rows = chosen_rows(40, seed=5)
    assert len(set(rows)) == 10
    assert list(rows) == sorted(rows) == list(chosen_rows(40, seed=5))
    assert list(rows) != list(chosen_rows(40, seed=6))
    stage = layout_stage({"frozen": values}, seed=5)
    places, _ = project_pca({"frozen": values[rows].astype(np.float64)})
    np.testing.assert_allclose(stage.arrays["PCA frozen"], places["frozen"], rtol=1e-5)
    write_layout(tmp_path / "explorer.npz", [str(number) for number in range(40)], stage)
    layout = read_layout(tmp_path / "explorer.npz")
    assert layout.image_ids == tuple(str(row) for row in rows)
    assert (layout.facts["n_test"], layout.facts["n_shown"]) == (40, 10)


def test_another_embedding_is_another_stage() -> None:
    values = blobs().astype(np.float32)
    assert layout_key({"frozen": values}) == layout_key({"frozen": values.copy()})
    assert layout_key({"frozen": values}) != layout_key({"frozen": values * 2})
    assert layout_key({"frozen": values}) != layout_key({"ft": values})


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "explorer.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(AuditError, match=r"explorer.npz cannot be read .*; evaluate again"):
        read_layout(path)
