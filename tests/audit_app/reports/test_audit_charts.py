"""The charts hold the numbers of the rows, and are drawn for the page and for paper."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from audit_app.evaluation import IOU_COLUMNS, Row
from audit_app.reports.audit_charts import CHARTS, audit_charts
from audit_app.reports.audit_part import Shown, shown_part
from audit_app.reports.chart_plotly import draw_plotly
from audit_app.reports.chart_print import draw_print
from audit_app.reports.charts import Chart
from audit_app.tabs.audit_rows import numbered
from tests.audit_app.reports.made_audit import FINDINGS, HEIGHT, WIDTH, made_audit, made_rows


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    made = made_rows()
    made[0] |= {"status": "not_visible", "hit": None, "iou": None, "peak_x_px": None}
    return made


@pytest.fixture(scope="module")
def shown(rows: list[Row]) -> Shown:
    audit = made_audit(rows)
    return shown_part(audit.rows, audit.summary, model="tiny", method="gradcam")


@pytest.fixture(scope="module")
def charts(shown: Shown) -> dict[str, Chart]:
    return {chart.name: chart for chart in audit_charts(shown)}


def scored(rows: list[Row], mode: str) -> list[Row]:
    return [row for row in rows if row["mode"] == mode and row["status"] == "ok"]


def test_hit_rates_stand_at_their_finding_beside_chance(
    rows: list[Row], charts: dict[str, Chart]
) -> None:
    chart = charts["hit_rate"]
    names = {name: place for place, name in chart.y.ticks}
    by_name = {one.name: one for one in chart.panels[0].series}
    probe = by_name["Linear probe"]
    place = min(range(len(probe.y)), key=lambda i: abs(probe.y[i] - names[FINDINGS[0]]))
    hits = [float(str(r["hit"])) for r in scored(rows, "lp") if r["finding"] == FINDINGS[0]]
    assert probe.x[place] == pytest.approx(sum(hits) / len(hits))
    low, high = probe.low[place], probe.high[place]
    assert low is not None
    assert high is not None
    assert low <= probe.x[place] <= high
    assert set(by_name["chance"].x) == {0.125}
    assert set(by_name["picture's centre"].x) == {0.0}


def test_the_curve_is_the_mean_over_scored_maps_at_each_threshold(
    rows: list[Row], charts: dict[str, Chart]
) -> None:
    (zero_shot, _) = charts["iou_threshold"].panels[0].series
    expected = [np.mean([row[name] for row in scored(rows, "zs")]) for name in IOU_COLUMNS]  # type: ignore[call-overload]
    assert zero_shot.y == pytest.approx(expected)
    assert zero_shot.x[0] == 0.05


def test_groups_of_regions_hold_equally_many_maps_from_small_to_large(
    rows: list[Row], charts: dict[str, Chart]
) -> None:
    line = next(s for s in charts["iou_size"].panels[0].series if s.name == "Linear probe")
    ordered = sorted(scored(rows, "lp"), key=lambda row: float(str(row["box_area_fraction"])))
    groups = np.array_split(
        [float(str(row["iou"])) for row in ordered], 4 if len(ordered) < 15 else 5
    )
    assert line.y == pytest.approx([group.mean() for group in groups])
    assert list(line.x) == sorted(line.x)


def test_peaks_lie_in_shares_of_the_picture_and_hits_apart_from_misses(
    rows: list[Row], charts: dict[str, Chart]
) -> None:
    panel = charts["peak_position"].panels[0]
    hits, misses = panel.series
    own = scored(rows, "zs")
    assert len(hits.x) + len(misses.x) == len(own)
    assert len(misses.x) == sum(row["hit"] == 0 for row in own)
    first = next(row for row in own if row["hit"] == 1)
    assert hits.x[0] == float(str(first["peak_x_px"])) / WIDTH
    assert hits.y[0] == float(str(first["peak_y_px"])) / HEIGHT
    assert panel.title == f"Zero-shot: {len(misses.x)} of {len(own)} miss"


def test_scores_are_compared_by_their_order_within_a_mode(
    rows: list[Row], charts: dict[str, Chart]
) -> None:
    line = charts["score"].panels[0].series[0]
    ordered = sorted(scored(rows, "zs"), key=lambda row: float(str(row["score"])))
    groups = np.array_split([float(str(row["hit"])) for row in ordered], 5)
    assert line.y == pytest.approx([group.mean() for group in groups])


@pytest.mark.parametrize("number", range(len(CHARTS)))
def test_each_chart_is_a_page_figure_a_png_and_a_drawing_without_outside_links(
    shown: Shown, number: int
) -> None:
    chart = CHARTS[number](shown)
    figure = draw_plotly(chart)
    drawn_points = sum(len(trace.x) for trace in figure.data)
    assert drawn_points == sum(len(one.x) for panel in chart.panels for one in panel.series)
    drawing = draw_print(chart)
    assert ET.fromstring(drawing.svg).tag.endswith("svg")
    assert 'href="http' not in drawing.svg
    with Image.open(io.BytesIO(drawing.png)) as picture:
        assert picture.width > 1000
        assert np.asarray(picture.convert("L")).std() > 5


def test_a_mode_without_a_scored_row_leaves_charts_that_can_be_drawn() -> None:
    rows = made_rows(3)
    for row in rows:
        row |= {"status": "no_reference", "hit": None, "iou": None, "energy_in_box": None}
        row |= {"chance_hit": None, "prior_hit": None, "centre_hit": None, "shift_null_iou": None}
    audit = made_audit(rows, control_hit_rate=None)
    shown = shown_part(audit.rows, audit.summary, model="tiny", method="gradcam")
    for chart in audit_charts(shown):
        assert draw_plotly(chart) is not None
        assert draw_print(chart).png.startswith(b"\x89PNG")


def test_texts_of_readers_and_findings_are_no_markup_and_no_formula(rows: list[Row]) -> None:
    named = [dict(row) for row in rows]
    for row in named:
        row["finding"] = "<b>$x$</b>" if row["finding"] == FINDINGS[0] else row["finding"]
    audit = made_audit(named)
    shown = shown_part(audit.rows, audit.summary, model="tiny", method="gradcam")
    figure = draw_plotly(CHARTS[0](shown))
    assert "<b>" not in figure.to_json().encode().decode("unicode_escape")
    assert draw_print(CHARTS[0](shown)).png.startswith(b"\x89PNG")


def test_the_pages_dots_hold_the_numbers_of_their_rows_and_nothing_else(rows: list[Row]) -> None:
    audit = made_audit(rows)
    shown = shown_part(numbered(audit.rows), audit.summary, model="tiny", method="gradcam")
    charts = {chart.name: chart for chart in audit_charts(shown)}
    for name, column in (("iou_size", "iou"), ("peak_position", "peak_x_px")):
        figure = draw_plotly(charts[name])
        told = [(n, x, y) for one in figure.data if one.customdata is not None
                for n, x, y in zip(one.customdata, one.x, one.y, strict=True)]  # fmt: skip
        assert sorted(number for number, *_ in told) == list(range(2, len(rows) + 1))
        for number, x, y in told:
            value = y if column == "iou" else x * WIDTH
            assert value == pytest.approx(rows[number - 1][column])
        note = figure.layout.title.subtitle.text.replace("<br>", " ")
        assert note.endswith(" Click a dot to see its maps.")
    for name in ("hit_rate", "iou_threshold", "score"):
        figure = draw_plotly(charts[name])
        assert all(one.customdata is None for one in figure.data)
        assert "Click" not in figure.layout.title.subtitle.text


def test_a_report_opens_no_case(charts: dict[str, Chart]) -> None:
    assert all(not one.rows for c in charts.values() for panel in c.panels for one in panel.series)
