"""Each reader's own order: seeded, stable, with repeats far from their cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from annotations.cases import FIRST, REPEAT, Case, case_id_of, parse_case
from annotations.errors import UnknownRecord
from annotations.findings import STUDY_FINDINGS
from annotations.records import NewImage
from annotations.store import Store
from annotations.store.orders import OrderPlan, place_cases

MakeImage = Callable[..., NewImage]
FILES = [(seq, f"{seq * 7919:064x}") for seq in range(1, 201)]
RANDOM = OrderPlan(is_random=True, seed=3, repeat_percent=10)


@pytest.fixture
def add(store: Store, new_image: MakeImage) -> Callable[[range], list[str]]:
    def some(numbers: range) -> list[str]:
        with store.batch():
            return [
                store.images.add(new_image(f"{n:03d}.png", sha256=f"{n:064x}"))[0].image_id
                for n in numbers
            ]

    return some


def test_every_image_comes_once_and_the_share_of_them_twice() -> None:
    placed = place_cases(FILES, "anna", RANDOM)
    assert sorted(seq for seq, occasion in placed if occasion == FIRST) == list(range(1, 201))
    assert len([seq for seq, occasion in placed if occasion == REPEAT]) == 20
    assert max(Counter(placed).values()) == 1


@pytest.mark.parametrize("percent", [3, 10, 40])
@pytest.mark.parametrize("is_random", [True, False])
def test_a_repeat_stands_at_least_half_a_worklist_after_its_case(
    is_random: bool, percent: int
) -> None:
    plan = OrderPlan(is_random, seed=5, repeat_percent=percent)
    place = {case: at for at, case in enumerate(place_cases(FILES, "anna", plan))}
    gaps = [place[seq, REPEAT] - place[seq, FIRST] for seq, occ in place if occ == REPEAT]
    assert len(gaps) == 2 * percent
    assert min(gaps) >= len(FILES) / 2
    assert len({place[seq, REPEAT] for seq, occ in place if occ == REPEAT}) == len(gaps)


def test_the_order_depends_on_seed_and_reader_and_on_nothing_else() -> None:
    order = place_cases(FILES, "anna", RANDOM)
    assert place_cases(list(reversed(FILES)), "anna", RANDOM) == order
    assert place_cases(FILES, "bert", RANDOM) != order
    assert place_cases(FILES, "anna", OrderPlan(True, 4, 10)) != order
    # Written down: the same files and seed must give this order on every machine and version.
    assert [seq for seq, _ in order[:6]] == [5, 8, 181, 195, 19, 134]


def test_without_a_random_order_the_images_keep_theirs() -> None:
    placed = place_cases(FILES, "anna", OrderPlan(False, 1, 5))
    assert [seq for seq, occasion in placed if occasion == FIRST] == list(range(1, 201))


def test_a_random_order_does_not_lean_to_the_order_of_the_import() -> None:
    order = [seq for seq, _ in place_cases(FILES, "anna", OrderPlan(True, 11))]
    mean = sum(order) / len(order)
    covariance = sum((at - 99.5) * (seq - mean) for at, seq in enumerate(order)) / 200
    assert abs(covariance / (200**2 / 12)) < 0.2  # 2.8 standard errors


def test_the_stored_order_outlives_sessions_and_new_images_follow_at_its_end(
    store: Store, add: Callable[[range], list[str]]
) -> None:
    add(range(20))
    store.orders.ensure("anna", RANDOM)
    before = store.orders.cases("anna")
    assert len(before) == 22
    store.orders.ensure("anna", RANDOM)
    assert len(store.log.rows()) == 2  # migrate and one order: nothing is made twice
    new = add(range(20, 30))
    store.orders.ensure("anna", RANDOM)
    after = store.orders.cases("anna")
    assert after[: len(before)] == before
    assert {case.image_id for case in after[len(before) :]} <= set(new)
    assert sum(case.occasion == REPEAT for case in after) == 3
    database = store.database
    store.close()
    with Store(database, STUDY_FINDINGS) as again:
        again.orders.ensure("anna", RANDOM)
        assert again.orders.cases("anna") == after
        assert again.check(files=False) == []


def test_another_plan_makes_the_order_anew_and_a_plain_one_removes_it(
    store: Store, add: Callable[[range], list[str]]
) -> None:
    add(range(12))
    store.orders.ensure("anna", RANDOM)
    first = store.orders.cases("anna")
    store.orders.ensure("anna", OrderPlan(True, 4))
    assert store.orders.cases("anna") != first
    store.orders.ensure("anna", OrderPlan())
    assert store.orders.cases("anna") == []
    assert store.orders.cases("bert") == []


def test_the_worklist_follows_the_order_and_hides_the_names_of_files_read_twice(
    store: Store, add: Callable[[range], list[str]]
) -> None:
    ids = add(range(10))
    store.orders.ensure("anna", RANDOM)
    cases = [case_id_of(one.image_id, one.occasion) for one in store.orders.cases("anna")]
    page = store.images.worklist("anna")
    assert [row.image_id for row in page.rows] == cases
    assert [row.name for row in page.rows] == [f"Case {n + 1}" for n in range(11)]
    assert page.n_images == 11
    assert store.images.neighbour("anna", cases[3], 1) == cases[4]
    assert store.orders.shown_name("anna", cases[4]) == "Case 5"
    assert [row.image_id for row in store.images.worklist("bert").rows] == ids
    assert store.orders.shown_name("bert", ids[0]) is None


def test_a_case_id_names_image_and_occasion_and_nothing_else() -> None:
    assert case_id_of("ab12", FIRST) == "ab12"
    assert parse_case(case_id_of("ab12", REPEAT)) == Case("ab12", REPEAT)
    for wrong in ("ab12-", "ab12-1", "ab12-3", "ab12-2-2", "ab12-02"):
        with pytest.raises(UnknownRecord, match="there is no image"):
            parse_case(wrong)
