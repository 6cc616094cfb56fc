"""The cache of embeddings: what is kept, what it depends on, what damage does."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_store.embeddings import EmbeddingCache, Encoding

ENCODING = Encoding("w" * 64, {"kind": "crop", "input_size": [96, 96]}, "fp32", "display 1")


def names(count: int, *, first: int = 0) -> list[str]:
    return [hashlib.sha256(str(first + n).encode()).hexdigest() for n in range(count)]


def rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 5)).astype(np.float32)


def test_what_was_added_is_read_by_another_cache_of_the_same_encoding(tmp_path: Path) -> None:
    images, values = names(7), rows(7)
    EmbeddingCache(tmp_path, ENCODING).add(images[:4], values[:4])
    EmbeddingCache(tmp_path, ENCODING).add(images[4:], values[4:])
    found = EmbeddingCache(tmp_path, ENCODING).read([*images[::-1], *names(3, first=100)])
    assert set(found) == set(images)
    for image, value in zip(images, values, strict=True):
        np.testing.assert_array_equal(found[image], value)


@pytest.mark.parametrize(
    "change",
    [
        {"weights_sha256": "x" * 64},
        {"preprocessing": {"kind": "pad", "input_size": [96, 96]}},
        {"precision": "bf16"},
        {"pictures": "display 2"},
    ],
)
def test_anything_that_decides_an_embedding_leads_to_another_cache(
    tmp_path: Path, change: dict[str, object]
) -> None:
    images = names(2)
    EmbeddingCache(tmp_path, ENCODING).add(images, rows(2))
    other = EmbeddingCache(tmp_path, replace(ENCODING, **change))
    assert other.read(images) == {}
    assert EmbeddingCache(tmp_path, replace(ENCODING)).read(images).keys() == set(images)


def test_a_damaged_shard_counts_as_unknown_and_can_be_added_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = EmbeddingCache(tmp_path, ENCODING)
    kept, lost = names(3), names(3, first=50)
    cache.add(kept, rows(3))
    before = set(cache.folder.glob("shard-*"))
    cache.add(lost, rows(3, seed=1))
    (shard,) = set(cache.folder.glob("shard-*")) - before
    shard.write_bytes(shard.read_bytes()[:-100])
    with caplog.at_level(logging.WARNING):
        assert cache.read([*kept, *lost]).keys() == set(kept)
    assert "damaged" in caplog.text
    cache.add(lost, rows(3, seed=1))
    assert cache.read([*kept, *lost]).keys() == {*kept, *lost}


def test_an_embedding_that_is_not_finite_is_never_kept(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, ENCODING)
    values = rows(3)
    values[1, 2] = np.nan
    with pytest.raises(ValueError, match="of 1 of 3 images is not finite"):
        cache.add(names(3), values)
    assert cache.read(names(3)) == {}


def test_rows_that_do_not_fit_their_images_are_refused(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, ENCODING)
    with pytest.raises(ValueError, match="expected one row per image"):
        cache.add(names(2), rows(3))
    with pytest.raises(ValueError, match="expected the SHA-256"):
        cache.add(["film.png"], rows(1))


def test_nothing_unfinished_is_left_behind(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, ENCODING)
    cache.add(names(2), rows(2))
    cache.add([], rows(0))
    assert sorted(path.suffix for path in cache.folder.iterdir()) == [".json", ".npz"]
