"""Drawing patients with all their rows."""

from __future__ import annotations

import numpy as np
import pytest

from audit_app.metrics import clusters as module
from audit_app.metrics.clusters import group_rows

LABELS = ["b", "a", "c", "a", "b", "a"]


def test_labels_become_numbers_in_an_order_of_their_own():
    grouped = group_rows(LABELS)
    assert grouped.codes.tolist() == [1, 0, 2, 0, 1, 0]
    assert grouped.order.tolist() == [1, 3, 5, 0, 4, 2]
    assert (grouped.starts.tolist(), grouped.sizes.tolist()) == ([0, 3, 5], [3, 2, 1])


def test_labels_of_different_types_are_different_clusters():
    assert group_rows(["1", 1, "1"]).codes.tolist() == [1, 0, 1]


def test_many_rows_keep_their_order_within_a_cluster():
    labels = np.random.default_rng(1).integers(0, 3, 2000)
    grouped = group_rows(labels.tolist())
    for cluster in range(3):
        rows = grouped.rows_of(np.array([cluster]))
        np.testing.assert_array_equal(rows, np.flatnonzero(labels == cluster))


@pytest.mark.parametrize("draw", [[0, 1, 2], [2, 2, 2], [1, 0, 1]])
def test_the_rows_of_a_draw_are_those_of_its_clusters_one_after_the_other(draw: list[int]):
    grouped = group_rows(LABELS)
    names = ["a", "b", "c"]
    expected = [row for k in draw for row, label in enumerate(LABELS) if label == names[k]]
    assert grouped.rows_of(np.array(draw)).tolist() == expected


def test_blocks_do_not_change_what_is_drawn(monkeypatch: pytest.MonkeyPatch):
    grouped = group_rows(range(7))
    whole = np.concatenate(list(grouped.draws(100, seed=3)))
    monkeypatch.setattr(module, "DRAWS_AT_ONCE", 21)
    blocks = list(grouped.draws(100, seed=3))
    assert len(blocks) == 34
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    np.testing.assert_array_equal(whole, np.random.default_rng(3).integers(7, size=(100, 7)))


def test_counts_and_weights_say_how_often_each_was_drawn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "DRAWS_AT_ONCE", 12)
    grouped = group_rows(LABELS)
    draws = np.concatenate(list(grouped.draws(9, seed=5)))
    counts = np.concatenate(list(grouped.drawn_counts(9, seed=5)))
    weights = np.concatenate(list(grouped.drawn_weights(9, seed=5)))
    for draw, count, weight in zip(draws, counts, weights, strict=True):
        assert count.tolist() == [draw.tolist().count(k) for k in range(3)]
        rows = grouped.rows_of(draw).tolist()
        assert weight.tolist() == [rows.count(row) for row in range(6)]
