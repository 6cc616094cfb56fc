"""Charts for the page: interactive, dark as the reading room."""

from __future__ import annotations

import math
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

from audit_app.reports.charts import (
    CHEST,
    DARK_COLOURS,
    DARK_GREYS,
    Axis,
    Chart,
    Series,
    short_label,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure  # type: ignore[import-untyped]

INK: Final = "#e5e7eb"
QUIET: Final = "#94a3b8"
GRID: Final = "rgba(148,163,184,0.18)"
CHEST_FILL: Final = "rgba(148,163,184,0.14)"
HEIGHT: Final = 420
CHEST_HEIGHT: Final = 540
CLICK: Final = " Click a dot to see its maps."
NOTE_WIDTH: Final = 170
ROW_HEIGHT: Final = 34
SYMBOLS: Final = ("line-ns", "x-thin", "cross-thin", "diamond-open")


def draw_plotly(chart: Chart) -> Figure:
    """The chart as an interactive figure; all texts are made harmless by Plotly's own escaping."""
    # Here, because Plotly takes a second to load and the first page needs none.
    from plotly.subplots import make_subplots  # type: ignore[import-untyped]

    figure = make_subplots(
        rows=1,
        cols=max(1, len(chart.panels)),
        shared_yaxes=True,
        subplot_titles=[plain(short_label(panel.title)) for panel in chart.panels] or None,
        horizontal_spacing=0.04,
    )
    named: set[str] = set()
    for column, panel in enumerate(chart.panels, start=1):
        for series in panel.series:
            trace = _trace(series, is_new=series.name not in named)
            figure.add_trace(trace, row=1, col=column)
            named.add(series.name)
    for column in range(1, len(chart.panels) + 1):
        figure.update_xaxes(**_axis(chart.x), row=1, col=column)
        figure.update_yaxes(**_axis(chart.y) if column == 1 else {}, row=1, col=column)
    if chart.is_chest:
        _draw_chest(figure, chart)
    _lay_out(figure, chart)
    return figure


def plain(text: str) -> str:
    """The text without what Plotly would read as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _trace(series: Series, *, is_new: bool) -> Any:
    from plotly.graph_objects import Scatter

    palette = DARK_GREYS if series.is_reference else DARK_COLOURS
    colour = palette[series.colour % len(palette)]
    return Scatter(
        x=list(series.x),
        y=list(series.y),
        name=plain(short_label(series.name)),
        legendgroup=series.name,
        showlegend=is_new,
        mode="lines+markers" if series.kind == "line" else "markers",
        marker=_marker(series, colour),
        line={"color": colour, "width": 2.5},
        error_x=_interval(series, colour),
        text=[plain(text) for text in series.texts] or None,
        customdata=list(series.rows) or None,
        hovertemplate="%{text}<extra></extra>" if series.texts else None,
    )


def _marker(series: Series, colour: str) -> dict[str, Any]:
    if series.kind == "tick":
        symbol = SYMBOLS[series.colour % len(SYMBOLS)]
        return {"symbol": symbol, "size": 13, "color": colour, "line": _edge(2, colour)}
    if series.kind == "dots":
        symbol = "circle-open" if series.is_hollow else "circle"
        return {"symbol": symbol, "size": 6, "color": colour, "opacity": 0.6}
    hollow = [low is None for low in series.low] or [False] * len(series.x)
    symbols = ["circle-open" if empty else "circle" for empty in hollow]
    return {"symbol": symbols, "size": 9, "color": colour, "line": _edge(2, colour)}


def _edge(width: int, colour: str) -> dict[str, Any]:
    return {"width": width, "color": colour}


def _interval(series: Series, colour: str) -> dict[str, Any] | None:
    if not any(low is not None for low in series.low):
        return None
    above = _lengths(series, series.high, 1)
    below = _lengths(series, series.low, -1)
    return {
        "type": "data", "symmetric": False, "array": above, "arrayminus": below,
        "color": colour, "thickness": 1.6, "width": 4,
    }  # fmt: skip


def _lengths(series: Series, ends: tuple[float | None, ...], sign: int) -> list[float]:
    return [0.0 if end is None else sign * (end - x) for x, end in zip(series.x, ends, strict=True)]


def _axis(axis: Axis) -> dict[str, Any]:
    low, high = axis.bounds
    shown: dict[str, Any] = {
        "title": plain(axis.title),
        "range": [math.log10(low), math.log10(high)] if axis.is_log else [low, high],
        "type": "log" if axis.is_log else "linear",
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": QUIET,
    }
    if axis.ticks:
        shown |= {
            "tickmode": "array",
            "tickvals": [place for place, _ in axis.ticks],
            "ticktext": [plain(short_label(name)) for _, name in axis.ticks],
            "automargin": True,
        }
    return shown


def _draw_chest(figure: Figure, chart: Chart) -> None:
    for column in range(1, len(chart.panels) + 1):
        for outline in CHEST:
            path = "M" + " L".join(f"{x},{y}" for x, y in outline) + " Z"
            figure.add_shape(
                type="path", path=path, fillcolor=CHEST_FILL, line={"color": QUIET, "width": 1},
                layer="below", row=1, col=column,
            )  # fmt: skip
    figure.update_xaxes(showgrid=False, showticklabels=False, constrain="domain", matches="x")
    figure.update_yaxes(showgrid=False, showticklabels=False)
    for column in range(1, len(chart.panels) + 1):
        figure.update_yaxes(scaleanchor=f"x{column if column > 1 else ''}", row=1, col=column)


def _lay_out(figure: Figure, chart: Chart) -> None:
    height = max(CHEST_HEIGHT if chart.is_chest else HEIGHT, 190 + chart.rows * ROW_HEIGHT)
    has_rows = any(series.rows for panel in chart.panels for series in panel.series)
    note = chart.note + (CLICK if has_rows else "")
    note = "<br>".join(plain(line) for line in wrap(note, NOTE_WIDTH))
    has_titles = any(panel.title for panel in chart.panels)
    figure.update_layout(
        template="plotly_dark",
        title={
            "text": plain(chart.title), "x": 0.01, "y": 0.98, "yanchor": "top",
            "font": {"size": 15},
            "subtitle": {"text": note, "font": {"size": 12, "color": QUIET}},
        },
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 13, "family": "system-ui, sans-serif"},
        height=height,
        margin={"l": 60, "r": 20, "t": 105 if has_titles else 80, "b": 70},
        legend={"orientation": "h", "yref": "container", "y": 0.01, "yanchor": "bottom", "x": 0},
        hoverlabel={"bgcolor": "#0f172a", "font": {"color": INK}},
        dragmode="pan",
        modebar={"remove": ["select2d", "lasso2d", "autoScale2d"]},
    )  # fmt: skip
