"""Leaving a patient out of a mean map: exact, in any order, ties kept."""

from __future__ import annotations

import numpy as np
import pytest

from annotations.regions import Box
from audit_app.audit_spool import AuditSpool, PatientResult, ScoredCase
from audit_app.errors import AuditError
from audit_app.mean_maps import LEVELS, MapKey, MeanMaps, add_maps, levels_of, prior_hit
from model_store.preprocessing import frame_geometry
from tests.audit_app.naive_agreement import naive_hit, naive_mask

KEY = MapKey("tiny", "zs", "gradcam", "Edema", 14, 14)


def random_maps(n: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.maximum(rng.normal(size=(14, 14)), 0).astype(np.float32) for _ in range(n)]


def test_levels_reach_from_zero_to_the_highest_and_are_zero_for_a_constant_map():
    levels = levels_of(np.array([[-1.0, 0.0], [1.0, 3.0]]))
    assert levels.tolist() == [[0, 16384], [32768, LEVELS]]
    assert levels_of(np.full((2, 2), 7.0)).tolist() == [[0, 0], [0, 0]]


def test_the_others_are_the_sum_without_ones_own_in_any_order():
    levels = [levels_of(one) for one in random_maps(9)]
    means = MeanMaps()
    for one in levels[4:] + levels[:4]:
        means.add_patient({KEY: one})
    others = means.of_others(KEY, levels[2])
    np.testing.assert_array_equal(others, sum(levels[:2] + levels[3:]))


def test_pixels_that_tie_in_all_other_maps_still_tie_when_the_own_map_differs_there():
    plateau = np.zeros((14, 14))
    plateau[:2, :2] = 0.1  # what an enlarged map has in a corner
    own = random_maps(1)[0]
    means = MeanMaps()
    for one in (plateau, plateau * 3, own):
        means.add_patient({KEY: levels_of(one)})
    others = means.of_others(KEY, levels_of(own))
    assert others is not None
    assert np.count_nonzero(others == others.max()) == 4


def test_a_lone_patient_has_no_others_however_many_images():
    means, sums = MeanMaps(), {}
    add_maps(sums, [(KEY, levels_of(one)) for one in random_maps(3)])
    means.add_patient(sums)
    assert means.of_others(KEY, sums[KEY]) is None


def test_the_prior_is_the_hit_of_the_floating_mean_on_the_part_that_shows_the_picture():
    geometry = frame_geometry("pad", (40, 80), (14, 14))
    boxes = [Box(0, 0, 44, 20)]
    left, top, right, bottom = geometry.input_window
    corners = geometry.to_input(boxes[0].corners)
    mask = naive_mask([corners], 14, 14)[top:bottom, left:right]
    hits = []
    for seed in range(8):
        maps = random_maps(4, seed)
        total = sum(levels_of(one) for one in maps)
        mean = sum(one.astype(float) / one.max() for one in maps) / 4
        expected = naive_hit(mean[top:bottom, left:right], mask)
        assert prior_hit(total, boxes, geometry) == expected
        hits.append(expected)
    assert set(hits) == {0.0, 1.0}


def test_others_that_are_all_constant_point_nowhere():
    geometry = frame_geometry("squash", (14, 14), (14, 14))
    assert prior_hit(np.zeros((14, 14), dtype=np.int64), [Box(0, 0, 3, 3)], geometry) == 0.0


def test_what_a_spool_kept_comes_back_as_it_was(tmp_path):
    geometry = frame_geometry("crop", (40, 30), (14, 14))
    sums = {KEY: levels_of(random_maps(1)[0]) * 5, KEY._replace(finding="Fracture"): np.eye(14)}
    way = {"model": "tiny", "mode": "zs", "method": "gradcam", "finding": "Edema"}
    row, blind = {**way, "hit": 0.1, "view": "PA"}, {**way, "hit": None}
    cases = (ScoredCase(row, geometry), ScoredCase(blind, None))
    result = PatientResult(cases, sums, ({"control": "randomcam"},), ({"change": "none"},))
    spool = AuditSpool(tmp_path / "run", "state")
    spool.keep(3, result)
    spool.checkpoint()
    again = AuditSpool(tmp_path / "run", "state")
    assert again.finished == {3}
    loaded = again.load(3)
    assert loaded.cases == result.cases
    assert (loaded.controls, loaded.reveals) == (result.controls, result.reveals)
    assert list(loaded.sums) == [KEY]
    np.testing.assert_array_equal(loaded.sums[KEY], sums[KEY])
    assert {key: total.tolist() for key, total in again.means.totals.items()} == {
        key: own.tolist() for key, own in sums.items()
    }
    again.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_spool_of_another_state_is_refused(tmp_path):
    AuditSpool(tmp_path / "run", "state")
    with pytest.raises(AuditError, match="changed since this audit was interrupted"):
        AuditSpool(tmp_path / "run", "other state")
