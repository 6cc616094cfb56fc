"""The next batches made ready while the network learns from this one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

Item = TypeVar("Item")
_END: Final = object()


def prefetched(items: Iterable[Item]) -> Iterator[Item]:
    """The same items in the same order, each next one made in a thread meanwhile.

    One thread makes them one after the other, so what draws random numbers draws the same ones.
    An error of the maker is raised here, at the item that it broke.
    """
    source = iter(items)
    with ThreadPoolExecutor(max_workers=1) as maker:
        coming = maker.submit(next, source, _END)
        while (item := coming.result()) is not _END:
            coming = maker.submit(next, source, _END)
            yield item  # type: ignore[misc]
