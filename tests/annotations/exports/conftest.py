"""One study for the tests of all formats."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.annotations.exports.study import Study, build_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """Built once for a file of tests; they only read it."""
    built = build_study(tmp_path_factory.mktemp("study"))
    with built.store:
        yield built
