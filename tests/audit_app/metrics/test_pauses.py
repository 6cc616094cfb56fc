"""Whatever takes minutes with many images says how far it is, and can be stopped there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from audit_app.metrics import clusters, image_pairs
from audit_app.metrics.classification_intervals import classification_intervals, decided_table
from audit_app.metrics.pauses import Pause, no_pause
from audit_app.metrics.separation import pair_separation, shuffled_study_distances

N_IMAGES = 60
generator = np.random.default_rng(1)
POINTS = generator.normal(size=(N_IMAGES, 4))
LABELS = generator.random((N_IMAGES, 3)) < 0.4


class Stopped(Exception):
    """Somebody asked to stop."""


def of_pairs(pause: Pause) -> object:
    return pair_separation(POINTS, LABELS, permutations=50, replicates=3, pause=pause)


def of_classes(pause: Pause) -> object:
    return shuffled_study_distances(POINTS, LABELS, permutations=3, seed=0, pause=pause)


def of_intervals(pause: Pause) -> object:
    table = decided_table(LABELS, POINTS[:, :3], POINTS[:, :3] > 0, range(N_IMAGES))
    found = classification_intervals(table, {}, replicates=25, pause=pause)
    return [interval.low for rates in found.findings for interval in rates.values()]


LONG = {
    of_pairs: [
        *(f"{number} of 3 blocks of distances" for number in (1, 2, 3)),
        "20 of 50 permutations",
        "40 of 50 permutations",
    ],
    of_classes: [f"{number} of 3 shuffles" for number in (1, 2, 3)],
    of_intervals: ["10 of 25 resamples", "20 of 25 resamples", "25 of 25 resamples"],
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_pairs, "BLOCK", 40)
    monkeypatch.setattr(clusters, "DRAWS_AT_ONCE", 10 * N_IMAGES)


@pytest.mark.parametrize("compute", LONG)
def test_how_far_it_is_is_said_in_parts_and_changes_no_number(
    compute: Callable[[Pause], object],
) -> None:
    told: list[str] = []
    found = compute(told.append)
    assert told == LONG[compute]
    assert repr(found) == repr(compute(no_pause))


@pytest.mark.parametrize("compute", LONG)
def test_what_a_pause_raises_ends_the_computation_there(
    compute: Callable[[Pause], object],
) -> None:
    told: list[str] = []

    def stop(said: str) -> None:
        told.append(said)
        if len(told) == 2:
            raise Stopped

    with pytest.raises(Stopped):
        compute(stop)
    assert told == LONG[compute][:2]
