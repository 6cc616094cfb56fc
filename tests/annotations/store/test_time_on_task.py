"""Time on task: what the log of a reading says about how long its reader worked on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from annotations.errors import InvalidRegion
from annotations.records import Edit, ImageRecord, Reading, Region
from annotations.store import Store

DAY_MS = 86_400_000


def test_the_time_until_a_commit_is_that_of_all_edits_and_commits_before_it(
    store: Store, edit: Callable[..., Edit], region: Callable[..., Region], image: ImageRecord
) -> None:
    first = edit(0, region=region(), active_ms=1500)
    store.readings.apply(first, "alice")
    store.readings.apply(first, "alice")  # sent twice, counted once
    drawn = store.readings.apply(edit(1, "delete", region_id="r1", active_ms=400), "alice")
    drawn = store.readings.apply(edit(2, region=region("r2"), active_ms=0), "alice")
    store.readings.commit(image.image_id, "alice", base_version=3, active_ms=100)
    store.readings.reopen(image.image_id, "alice")
    store.readings.apply(edit(3, region=region("r3"), active_ms=5000), "alice")
    store.readings.commit(image.image_id, "alice", base_version=4)

    assert store.readings.time_on_task(drawn.reading_id) == {1: 2000, 2: 7000}
    put, commit = (
        next(row for row in store.log.rows(image.image_id) if row.kind == kind)
        for kind in ("put", "commit")
    )
    assert put.details["active_ms"] == 5000
    assert "active_ms" not in commit.details  # nothing was measured
    assert store.check(files=False) == []


def test_a_reading_that_nobody_measured_has_no_time(
    store: Store, put: Callable[..., Reading], region: Callable[..., Region], image: ImageRecord
) -> None:
    drawn = put()
    store.readings.commit(image.image_id, "alice", base_version=drawn.version)
    store.readings.import_committed(image.image_id, "bert", "imported", [region()], False)
    (imported,) = store.readings.committed(readers=["bert"])
    assert store.readings.time_on_task(drawn.reading_id) == {}
    assert store.readings.time_on_task(imported.reading_id) == {}


@pytest.mark.parametrize("active_ms", [-1, DAY_MS + 1, 1.5, True])
def test_a_time_that_nobody_can_have_worked_is_refused_and_nothing_is_saved(
    store: Store,
    edit: Callable[..., Edit],
    region: Callable[..., Region],
    image: ImageRecord,
    active_ms: object,
) -> None:
    with pytest.raises(InvalidRegion, match="the time at work is"):
        store.readings.apply(edit(0, region=region(), active_ms=active_ms), "alice")
    drawn = store.readings.apply(edit(0, region=region(), active_ms=DAY_MS), "alice")
    with pytest.raises(InvalidRegion, match="the time at work is"):
        store.readings.commit(image.image_id, "alice", base_version=1, active_ms=active_ms)  # type: ignore[arg-type]
    assert (drawn.version, store.readings.get(image.image_id, "alice").commits) == (1, 0)
