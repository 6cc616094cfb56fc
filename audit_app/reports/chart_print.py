"""Charts for the report: SVG and PNG on white, drawn without display or network."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from audit_app.reports.charts import (
    CHEST,
    PRINT_COLOURS,
    PRINT_GREYS,
    Axis,
    Chart,
    Series,
    short_label,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN: Final = 7.6
HEIGHT_IN: Final = 3.6
ROW_IN: Final = 0.34
PNG_DPI: Final = 150
GRID: Final = "#dddddd"
CHEST_FILL: Final = "#eef1f5"
MARKS: Final = ("|", "x", "+", "D")


@dataclass(frozen=True, slots=True)
class Drawing:
    """One chart, drawn: ``svg`` as an element for a page, ``png`` as a file."""

    svg: str
    png: bytes


def draw_print(chart: Chart) -> Drawing:
    """The chart on white; the same bytes from the same chart, with no date in them."""
    with _drawn(chart) as figure:
        png = _saved(figure, format="png", dpi=PNG_DPI, metadata={"Software": None})
        # Everything stands in its place now; finding the places again takes as long as drawing.
        figure.set_layout_engine("none")
        svg = _saved(figure, format="svg", metadata={"Date": None, "Creator": None})
    return Drawing(svg[svg.index(b"<svg") :].decode("utf-8"), png)


def _saved(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, **options)
    return buffer.getvalue()


@contextmanager
def _drawn(chart: Chart) -> Iterator[Figure]:
    # Here, because matplotlib takes time to load and only a finished audit needs it. Its Figure
    # alone, without pyplot, needs no display and keeps nothing behind.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        # The same file from the same numbers: no random ids in it.
        "svg.hashsalt": "saliency-audit",
        "svg.fonttype": "path",
        "font.size": 9,
        "font.family": "DejaVu Sans",
    }
    with rc_context(settings):
        figure = Figure(figsize=_size(chart), layout="constrained")
        fields = figure.subplots(1, max(1, len(chart.panels)), sharey=True, squeeze=False)[0]
        for axes, panel in zip(fields, chart.panels, strict=False):
            if chart.is_chest:
                _draw_chest(axes)
            for series in panel.series:
                _draw_series(axes, series)
            axes.set_title(_plain(short_label(panel.title)), fontsize=9)
        for place, axes in enumerate(fields):
            _dress(axes, chart, is_first=place == 0)
        _add_legend(figure, fields[0])
        yield figure


def _size(chart: Chart) -> tuple[float, float]:
    return WIDTH_IN, max(HEIGHT_IN, 1.3 + chart.rows * ROW_IN)


def _draw_series(axes: Axes, series: Series) -> None:
    palette = PRINT_GREYS if series.is_reference else PRINT_COLOURS
    colour = palette[series.colour % len(palette)]
    name = _plain(short_label(series.name))
    if series.kind == "line":
        axes.plot(series.x, series.y, marker="o", markersize=3, color=colour, label=name)
    elif series.kind == "tick":
        mark = MARKS[series.colour % len(MARKS)]
        axes.plot(
            series.x, series.y, mark, markersize=9 if mark == "|" else 6, color=colour, label=name,
            markerfacecolor="none", markeredgewidth=1.6,
        )  # fmt: skip
    elif series.kind == "dots":
        face = "none" if series.is_hollow else colour
        # As a picture inside the drawing: thousands of dots would make a heavy file.
        axes.scatter(
            series.x, series.y, s=9, facecolors=face, edgecolors=colour, linewidths=0.8,
            alpha=0.6, label=name, rasterized=len(series.x) > 300,
        )  # fmt: skip
    else:
        _draw_points(axes, series, colour, name)


def _draw_points(axes: Axes, series: Series, colour: str, name: str) -> None:
    lines = zip(series.x, series.y, series.low, series.high, strict=True)
    label: str | None = name
    for x, y, low, high in lines:
        if low is not None and high is not None:
            axes.plot([low, high], [y, y], color=colour, linewidth=1.4)
        face = "white" if low is None else colour
        axes.plot([x], [y], "o", color=colour, markerfacecolor=face, markersize=5, label=label)
        label = None


def _draw_chest(axes: Axes) -> None:
    for outline in CHEST:
        axes.fill(*zip(*outline, strict=True), facecolor=CHEST_FILL, edgecolor="#9aa3af", zorder=0)


def _dress(axes: Axes, chart: Chart, *, is_first: bool) -> None:
    if chart.x.is_log:
        axes.set_xscale("log")
    axes.set_xlim(*chart.x.bounds)
    axes.set_ylim(*chart.y.bounds)
    axes.set_xlabel(chart.x.title)
    if is_first:
        axes.set_ylabel(chart.y.title)
        _name_places(axes, chart.y)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if chart.is_chest:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_aspect("equal")
    else:
        axes.grid(True, color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)


def _name_places(axes: Axes, axis: Axis) -> None:
    if axis.ticks:
        axes.set_yticks(
            [place for place, _ in axis.ticks],
            [_plain(short_label(name)) for _, name in axis.ticks],
        )


def _add_legend(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    if handles:
        columns = min(len(handles), 4)
        figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)


def _plain(text: str) -> str:
    """The text without what matplotlib would read as a formula, or hide from the legend."""
    return text.replace("$", r"\$").replace("_", " " if text.startswith("_") else "_")
