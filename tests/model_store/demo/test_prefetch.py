from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from model_store.demo.prefetch import prefetched


def test_the_items_come_in_order_and_draw_the_same_numbers() -> None:
    def draws() -> Iterator[float]:
        rng = np.random.default_rng(5)
        for _ in range(20):
            yield float(rng.random())

    assert list(prefetched(draws())) == list(draws())


def test_the_next_item_is_made_while_this_one_is_used() -> None:
    begun = threading.Event()

    def two() -> Iterator[int]:
        yield 1
        begun.set()
        yield 2

    items = prefetched(two())
    assert next(items) == 1
    assert begun.wait(timeout=20)
    assert list(items) == [2]


def test_an_error_of_the_maker_is_raised_at_its_item() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("film 2 is damaged")

    items = prefetched(broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="film 2 is damaged"):
        next(items)


def test_nothing_gives_nothing() -> None:
    assert list(prefetched([])) == []
