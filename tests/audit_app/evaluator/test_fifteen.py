"""The 15 pictures: which they are, the maps that are kept of them, and the figure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from annotations.records import Region
from annotations.regions import Box
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.errors import AuditError
from audit_app.evaluator.choices import EvaluationChoices
from audit_app.evaluator.fifteen import (
    CELLS,
    FifteenMaps,
    choose_fifteen,
    fifteen_key,
    fifteen_stage,
    read_fifteen,
    write_fifteen,
)
from audit_app.evaluator.fifteen_pictures import UNREAD, figure_pictures, lock_unread
from audit_app.evaluator.figure_fifteen import (
    BETWEEN,
    GAP,
    HEAD,
    LABELLED,
    NAME_WIDTH,
    READERS,
    TILE,
    FigurePicture,
    MarkedBox,
    cut_figure,
    draw_fifteen,
    encode_figure,
)
from audit_app.evaluator.heat_tile import OUTSIDE, Fit, lay_heat, shrink
from audit_app.evaluator.plan import EvaluationPlan, plan_evaluation
from audit_app.evaluator.progress import Cancelled
from model_store.errors import UnsuitableLayer
from model_store.explanation import Explanation
from model_store.preprocessing import FrameGeometry
from tests.audit_app.evaluator.labelled_set import MODEL

BLOCK = 3 * (TILE + GAP) - GAP
LEFT = BLOCK + NAME_WIDTH


@pytest.fixture
def plan(workspace: Workspace, store: Store) -> EvaluationPlan:
    return plan_evaluation(workspace, store, EvaluationChoices(MODEL))


def explained(maps: NDArray[np.float32]) -> Explanation:
    """What a model says of a picture of 96 x 96 that it sees on a grid of 48 x 48."""
    return Explanation(
        maps=maps,
        scores=np.zeros(len(maps), np.float32),
        findings=tuple(f"F{place}" for place in range(len(maps))),
        geometry=FrameGeometry((96, 96), (48, 48), 0.5, 0.5, 0, 0),
        provenance={"layer": "block 4"},
    )


def small_maps(**changes: object) -> FifteenMaps:
    """Two pictures, two findings, two modes of which one gives no map."""
    maps = np.zeros((2, 2, CELLS, CELLS), np.uint8)
    maps[0, 0, :, CELLS // 2 :] = 255
    made = FifteenMaps(
        image_ids=("a", "b"),
        findings=("Cardiomegaly", "Fracture"),
        labels=np.array([[1, 0], [0, 0]], np.uint8),
        windows=np.array([[0, 0, 96, 96]] * 2, np.float32),
        maps={"zs": maps},
        facts={"modes": ["zs", "lp"], "reasons": {"lp": "its layer gives no map"},
               "rule": "the study's 15", "project": "radiologist15"},
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type] # fields by name


def film(**changes: object) -> FigurePicture:
    return FigurePicture(np.full((96, 96), 100, np.uint8), **changes)  # type: ignore[arg-type] # fields by name


def pixel(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    value = image.getpixel((x, y))
    assert isinstance(value, tuple)
    return tuple(int(one) for one in value)


def test_pictures_are_drawn_from_the_test_part_as_the_study_drew_its_own(
    plan: EvaluationPlan,
) -> None:
    wide = replace(plan, parts=("test",) * 20 + plan.parts[20:])
    n_test = wide.parts.count("test")
    rows, rule, project = choose_fifteen(wide)
    # What pandas' sample is documented to be: numpy's choice without replacement.
    oracle = np.random.RandomState(42).choice(n_test, 15, replace=False)
    assert rows == tuple(int(row) for row in wide.rows("test")[oracle])
    assert (rule, project) == ("15 test pictures, drawn as the study drew its 15 (seed 42)", "")


def test_the_studys_own_pictures_come_first_and_missing_ones_are_said(plan: EvaluationPlan) -> None:
    marked = frozenset(one.image_id for one in plan.images[3:7])
    rows, rule, project = choose_fifteen(replace(plan, radiologist=marked))
    assert rows == (3, 4, 5, 6)
    assert rule == "the 4 of the study's 15 that are here"
    assert project == "radiologist15"


def test_maps_are_kept_small_stretched_and_with_the_reason_of_a_mode_without_any(
    plan: EvaluationPlan, tmp_path: Path
) -> None:
    ramp = np.tile(np.arange(48, dtype=np.float32), (48, 1))
    n_findings = len(plan.findings)

    def explain(mode: str, pictures: object) -> list[Explanation]:
        if mode == "lp":
            raise UnsuitableLayer("the layer gives no map")
        assert isinstance(pictures, list)
        maps = np.stack([7 + 2 * ramp, *[np.zeros((48, 48), np.float32)] * (n_findings - 1)])
        return [explained(maps) for _ in pictures]

    stage = fifteen_stage(plan, ("zs", "lp"), explain)
    write_fifteen(tmp_path / "maps.npz", stage)
    maps = read_fifteen(tmp_path / "maps.npz")
    rows, _, _ = choose_fifteen(plan)
    assert maps.image_ids == tuple(plan.images[row].image_id for row in rows)
    assert maps.labels.tolist() == plan.labels[list(rows)].tolist()
    assert maps.modes == ("zs", "lp")
    assert list(maps.maps) == ["zs"]
    assert maps.facts["reasons"] == {"lp": "the layer gives no map"}
    assert maps.windows.tolist() == [[0, 0, 96, 96]] * len(rows)
    line = maps.maps["zs"][0, 0, 10]
    assert line.dtype == np.uint8
    assert (line[0], line[-1]) == (0, 255)
    assert np.abs(np.diff(line.astype(int)) - 255 / CELLS).max() < 3
    assert not maps.maps["zs"][:, 1:].any()


def test_maps_can_be_stopped_before_each_mode(plan: EvaluationPlan) -> None:
    asked: list[str] = []

    def explain(*given: object) -> list[Explanation]:
        asked.append(str(given[0]))
        raise UnsuitableLayer("the layer gives no map")

    def stop(said: str) -> None:
        if said == "1 of 2 modes":
            raise Cancelled(said)

    with pytest.raises(Cancelled, match="1 of 2 modes"):
        fifteen_stage(plan, ("zs", "lp"), explain, stop)
    assert asked == ["zs"]


def test_a_damaged_file_of_maps_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "maps_of_15.npz").write_bytes(b"PK no archive")
    with pytest.raises(AuditError, match=r"maps_of_15.npz cannot be read .*; evaluate again"):
        read_fifteen(tmp_path / "maps_of_15.npz")


def test_the_stage_is_another_one_for_other_weights_pictures_or_modes() -> None:
    keys = {
        fifteen_key(["a"], ["zs"], {"head": "1"}),
        fifteen_key(["a"], ["zs"], {"head": "2"}),
        fifteen_key(["b"], ["zs"], {"head": "1"}),
        fifteen_key(["a"], ["zs", "lp"], {"head": "1"}),
    }
    assert len(keys) == 4
    assert fifteen_key(["a"], ["zs"], {"head": "1"}) in keys


def test_a_wide_picture_lies_in_the_middle_of_its_tile() -> None:
    fit = Fit(height=50, width=200, edge=100)
    assert fit.size == (25, 100)
    assert fit.offset == (37, 0)
    assert fit.place((0, 0, 200, 50)) == (0, 37, 100, 62)
    tile, _ = shrink(np.full((50, 200), 80, np.uint8), 100)
    assert tile[36:63, 50, 0].tolist() == [0, *[80] * 25, 0]


def test_heat_lies_over_what_the_model_saw_and_the_rest_is_dark() -> None:
    tile, fit = shrink(np.full((100, 100), 200, np.uint8), 100)
    values = np.zeros((10, 10), np.uint8)
    values[:, 5:] = 255
    laid = lay_heat(tile, fit, values, (20, 0, 80, 100))
    assert (laid[:, :20] == round(200 * OUTSIDE)).all()
    assert (laid[:, 80:] == round(200 * OUTSIDE)).all()
    assert (laid[50, 22] == 200).all()  # the lowest value is clear
    # 60 % of inferno's lightest colour (252, 255, 164) over 40 % of the film's grey.
    assert np.abs(laid[50, 78].astype(int) - [231, 233, 178]).max() <= 1


def test_the_figure_has_a_row_per_mode_a_column_per_finding_and_every_box_in_its_place() -> None:
    box = MarkedBox("mira", "Fracture", Box(24, 24, 72, 72))
    pictures = {"a": film(boxes=(box,), readers=("mira",)), "b": film(locked="not yet")}
    drawn = draw_fifteen(small_maps(), pictures)
    assert drawn.size == (LEFT + 2 * (TILE + GAP), HEAD + 2 * (BLOCK + BETWEEN))
    first, second = LEFT, LEFT + TILE + GAP
    # 96 pixels of film in 96 of the tile; the box is that of the second finding alone.
    assert pixel(drawn, second + 24, HEAD + 24) == READERS[0]
    assert pixel(drawn, second + 71, HEAD + 71) == READERS[0]
    assert pixel(drawn, second + 72, HEAD + 72) == (100, 100, 100)
    assert pixel(drawn, first + 24, HEAD + 24) == (100, 100, 100)
    # In the large picture it stands too, enlarged by BLOCK / 96.
    assert pixel(drawn, round(72 * BLOCK / 96) - 1, HEAD + BLOCK // 2) == READERS[0]
    # The first finding's map is hot on its right half, and its label says yes.
    assert pixel(drawn, first + 90, HEAD + 50)[0] > 180
    assert pixel(drawn, first - 1, HEAD + 50) == LABELLED
    assert pixel(drawn, second - 1, HEAD + 50) != LABELLED
    # The locked picture shows itself, and no tile.
    below = HEAD + BLOCK + BETWEEN
    assert pixel(drawn, 50, below + 50) == (100, 100, 100)
    assert pixel(drawn, second + 50, below + 20) == pixel(drawn, LEFT - 50, below + 5)


def test_a_locked_picture_tells_neither_maps_nor_labels() -> None:
    labelled = small_maps()
    plain = small_maps(labels=np.zeros((2, 2), np.uint8), maps={})
    locked = {"a": film(locked="read it first"), "b": film(locked="read it first")}
    assert draw_fifteen(labelled, locked).tobytes() == draw_fifteen(plain, locked).tobytes()


def test_a_picture_whose_file_is_gone_leaves_no_row_and_none_at_all_is_said() -> None:
    drawn = draw_fifteen(small_maps(), {"b": film()})
    assert drawn.height == HEAD + BLOCK + BETWEEN
    with pytest.raises(AuditError, match="none of the 15 pictures can be drawn"):
        draw_fifteen(small_maps(), {})


def test_the_figure_is_cut_between_its_pictures() -> None:
    drawn = draw_fifteen(small_maps(), {"a": film(), "b": film()})
    first, second = cut_figure(drawn, 2)
    assert (first.height, second.height) == (HEAD + BLOCK + BETWEEN, BLOCK + BETWEEN)
    assert pixel(second, 50, 0) == pixel(drawn, 50, HEAD + BLOCK + BETWEEN) == (100, 100, 100)
    assert pixel(first, 50, first.height - 1) != (100, 100, 100)


def test_the_figure_is_a_png_or_a_jpeg_as_asked() -> None:
    drawn = draw_fifteen(small_maps(), {"a": film(), "b": film()})
    png, jpeg = encode_figure(drawn, "PNG"), encode_figure(drawn, "JPEG")
    assert png.startswith(b"\x89PNG")
    assert jpeg.startswith(b"\xff\xd8")


def test_pictures_nobody_has_read_are_locked_in_the_report(store: Store) -> None:
    first, second, third = store.images.all()[:3]
    region = Region("", "Fracture", "definite", Box(1, 2, 30, 40))
    store.readings.import_committed(first.image_id, "mira", "imported", [region], False)
    store.readings.import_committed(second.image_id, "mira", "imported", [], True)
    Path(third.path).unlink()
    maps = small_maps(
        image_ids=tuple(one.image_id for one in store.images.all()[:4]),
    )
    pictures, missing = figure_pictures(store, maps)
    assert missing == [third.image_id]
    assert pictures[first.image_id].boxes == (MarkedBox("mira", "Fracture", Box(1, 2, 30, 40)),)
    locked = lock_unread(pictures)
    assert [one.locked for one in locked.values()] == ["", "", UNREAD]
    for image in store.images.all():
        Path(image.path).unlink(missing_ok=True)
    with pytest.raises(AuditError, match="put their files back"):
        figure_pictures(store, maps)
