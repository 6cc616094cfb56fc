"""The worklist in a reader's own order: every question is held against the stored order itself."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from annotations.cases import case_id_of
from annotations.errors import UnknownRecord
from annotations.records import Edit, NewImage
from annotations.store import Store
from annotations.store.orders import OrderPlan

MakeImage = Callable[..., NewImage]
N_IMAGES = 12


@pytest.fixture
def ids(store: Store, new_image: MakeImage) -> list[str]:
    views = ("PA", "LATERAL")
    return [
        store.images.add(
            new_image(f"film {number}.png", view=views[number % 2], sha256=f"{number:064x}")
        )[0].image_id
        for number in range(N_IMAGES)
    ]


def walk(store: Store, reader: str, **filters: object) -> list[str]:
    """The whole list, as one page, as pages of five, and step by step in both directions."""
    images = store.images
    whole = [row.image_id for row in images.worklist(reader, limit=99, **filters).rows]
    pages = [images.worklist(reader, limit=5, offset=at, **filters).rows for at in range(0, 30, 5)]
    assert [row.image_id for page in pages for row in page] == whole
    for before, after in pairwise(whole):
        assert images.neighbour(reader, before, 1, **filters) == after
        assert images.neighbour(reader, after, -1, **filters) == before
    assert images.neighbour(reader, whole[-1], 1, **filters) is None
    assert [images.position(reader, one, **filters) for one in whole] == list(range(len(whole)))
    return whole


def commit(store: Store, case_id: str, reader: str) -> None:
    edit = Edit(f"client-{case_id}", 1, case_id, 0, "no_finding", no_finding=True)
    store.readings.apply(edit, reader)
    store.readings.commit(case_id, reader, base_version=1)


def test_a_random_order_is_the_readers_own_and_is_walked_as_it_is_stored(
    store: Store, ids: list[str]
) -> None:
    for reader in ("alice", "bob"):
        store.orders.ensure(reader, OrderPlan(is_random=True, seed=3))
    alice, bob = (walk(store, reader) for reader in ("alice", "bob"))
    assert alice == [case.image_id for case in store.orders.cases("alice")]
    assert sorted(alice) == sorted(bob) == sorted(ids)
    assert alice != bob
    assert walk(store, "carol") == ids  # without a plan: the order of the import
    lateral = walk(store, "alice", view="LATERAL")
    assert lateral == [one for one in alice if ids.index(one) % 2]
    assert store.images.worklist("alice").rows[0].name == f"film {ids.index(alice[0])}.png"
    assert walk(store, "alice", search="film 3") == [ids[3]]


def test_a_repeat_is_a_line_of_its_own_with_its_own_status_and_no_name(
    store: Store, ids: list[str]
) -> None:
    store.orders.ensure("alice", OrderPlan(is_random=True, repeat_percent=25))
    order = [case_id_of(case.image_id, case.occasion) for case in store.orders.cases("alice")]
    twice = [one.removesuffix("-2") for one in order if one.endswith("-2")]
    assert len(order) == N_IMAGES + 3
    assert set(twice) < set(ids)
    assert walk(store, "alice") == order
    page = store.images.worklist("alice", limit=99)
    assert (page.n_images, page.n_matching, page.n_read) == (15, 15, 0)
    names = [row.name for row in page.rows]
    assert names == [f"Case {place}" for place in range(1, 16)]
    assert walk(store, "alice", search="case 15") == [order[14]]
    assert store.images.worklist("alice", search="film").rows == ()

    commit(store, twice[0], "alice")
    assert walk(store, "alice", status="committed") == [twice[0]]
    commit(store, f"{twice[0]}-2", "alice")
    assert walk(store, "alice", finding="No Finding") == [twice[0], f"{twice[0]}-2"]
    assert store.images.worklist("alice").n_read == 2
    assert len(walk(store, "alice", status="new")) == 13
    assert len(store.images.commit_times("alice")) == 2


def test_a_case_that_is_not_in_the_order_has_no_place_and_no_neighbour(
    store: Store, ids: list[str]
) -> None:
    assert store.images.position("alice", f"{ids[0]}-2") is None
    store.orders.ensure("alice", OrderPlan(is_random=True))
    assert store.images.position("alice", f"{ids[0]}-2") is None
    assert store.images.neighbour("alice", f"{ids[0]}-2", 1) is None
    with pytest.raises(UnknownRecord, match="reload the worklist"):
        store.images.position("alice", "x")
