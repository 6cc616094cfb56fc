"""The report's table: colours, grey row, published row; figures that are plain SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from audit_app.evaluator.figures import (
    AXIS,
    COLOURS,
    Axes,
    Curve,
    bar_figure,
    histogram_figure,
    line_figure,
)
from audit_app.evaluator.published import COLUMNS, PUBLISHED
from audit_app.reports.html_parts import best_and_worst, merged, number

ROWS = [PUBLISHED[mode] for mode in ("zs", "ft", "lp")]
# As the published table is coloured: best and worst of zero-shot 0, fine-tune 1, linear probe 2.
COLOURED = {
    "inter": ({2}, {1}),
    "intra": ({1}, {0, 2}),
    "ratio": ({1}, {0}),
    "f1": ({1}, {0}),
    "exact_match": ({2}, {0}),
    "lrap": ({1}, {0}),
    "coverage_error": ({1}, {0}),
    "minutes": ({2}, {1}),
}


@pytest.mark.parametrize("column", COLUMNS)
def test_the_published_table_gets_its_own_colours(column: str) -> None:
    rows = [dict(row) for row in ROWS]
    _, better = COLUMNS[column]
    assert best_and_worst(rows, column, more_is_better=better) == COLOURED[column]


def test_equal_or_single_values_get_no_colour() -> None:
    nothing = (set(), set())
    assert best_and_worst([{"f1": 0.5}, {"f1": 0.5}], "f1", more_is_better=True) == nothing
    assert best_and_worst([{"f1": 0.5}, {"f1": None}], "f1", more_is_better=True) == nothing
    assert best_and_worst([{"f1": None}], "f1", more_is_better=True) == nothing


def test_published_ratios_are_those_of_the_study() -> None:
    assert PUBLISHED["zs"]["ratio"] == 1.506
    assert PUBLISHED["ft"]["ratio"] == 1.784
    assert PUBLISHED["zs"]["minutes"] is None
    for row in PUBLISHED.values():
        ratio = (row["inter"] or 0) / (row["intra"] or 1)
        assert row["ratio"] == pytest.approx(ratio, abs=0.0015)


def test_a_number_that_is_not_defined_is_not_zero() -> None:
    assert number(None) == "n/a"
    assert number("1") == "n/a"
    assert number(0.12345) == "0.123"


@pytest.mark.parametrize(
    "svg",
    [
        line_figure([Curve("a <b>", [(0, 0.5), (1, 0.25)])], Axes("x & y", "loss")),
        line_figure([Curve("flat", [(1, 2.0)])], Axes("epoch", "loss")),
        histogram_figure({"zero-shot": [1, 5, 0]}, Axes("findings", "pictures")),
        histogram_figure({}, Axes("findings", "pictures")),
        bar_figure([("No Finding", [3, 2, 1]), ("A & B", [0, 0, 0])], ("train", "val", "test")),
        bar_figure([], ()),
    ],
)
def test_figures_are_well_formed_and_stay_inside(svg: str) -> None:
    root = ET.fromstring(svg)
    assert root.tag == "svg"
    width, height = (float(root.get(name, "")) for name in ("width", "height"))
    for part in root.iter("rect"):
        assert 0 <= float(part.get("x", "")) <= width
        assert float(part.get("width", "")) >= 0
        assert 0 <= float(part.get("y", "")) + float(part.get("height", "")) <= height


def test_bars_are_as_long_as_their_counts() -> None:
    root = ET.fromstring(bar_figure([("a", [4, 0]), ("b", [1, 1])], ("train", "test")))
    lengths = [float(part.get("width", "")) for part in root.iter("rect")][:4]
    assert lengths == [420.0, 0.0, 105.0, 105.0]


def test_ticks_are_round_numbers_within_the_figure() -> None:
    drawn = line_figure([Curve("loss", [(1, 0.984), (3, 1.027)])], Axes("epoch", "loss"))
    said = re.findall(r'text-anchor="end">([^<]+)<', drawn)
    assert said == ["0.99", "1", "1.01", "1.02"]


def test_a_mode_has_the_colour_that_it_is_given_and_what_is_dashed_is_grey() -> None:
    points = [(0.0, 0.0), (1.0, 1.0)]
    drawn = line_figure(
        [Curve("fine-tune", points, colour=2), Curve("ideal", points, is_dashed=True)],
        Axes("x", "y"),
    )
    root = ET.fromstring(drawn)
    strokes = [part.get("stroke") for part in root.iter("polyline")]
    legend = [part.get("fill") for part in root.iter("rect")]
    assert strokes == legend == [COLOURS[2], AXIS]


def test_a_name_too_long_for_its_place_beside_a_bar_is_cut_and_kept_whole_as_its_title() -> None:
    name = "Enlarged pulmonary artery & mediastinal shift"
    (text,) = list(ET.fromstring(bar_figure([(name, [1])], ("test",))).iter("text"))[:1]
    (title,) = text.iter("title")
    assert title.text == name
    assert title.tail == "Enlarged pulmonary artery &…"


def test_lines_that_differ_in_their_name_alone_are_one() -> None:
    lines = [("zero-shot", "1.0", "n/a"), ("linear probe", "1.0", "n/a"), ("fine-tune", "2", "n/a")]
    assert merged(lines, "by chance: ") == [
        ("by chance: zero-shot, linear probe", "1.0", "n/a"),
        ("by chance: fine-tune", "2", "n/a"),
    ]
