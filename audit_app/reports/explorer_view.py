"""The embedding explorer as the page shows it: one map per mode, and the numbers beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from audit_app.comparison import MODES
from audit_app.errors import AuditError
from audit_app.evaluator.explorer import PCA, Layout
from audit_app.evaluator.explorer_groups import (
    OUTCOMES,
    OUTCOMES_OF_ALL,
    Groups,
    Table,
    group_pictures,
)
from audit_app.evaluator.result import EvaluationResult, PredictionTable
from audit_app.reports.html_parts import merged, number, table
from audit_app.viewer.state import COLOURS

if TYPE_CHECKING:
    import plotly.graph_objects as go  # type: ignore[import-untyped] # it ships no types

# Okabe-Ito as in the reading panel; after its eight colours the marks change, too.
SYMBOLS: Final = ("circle", "diamond", "square", "cross")
QUIET: Final = "#7d8a97"
QUIET_NAMES: Final = ("No Finding", "normal", "none", "no positive label")
RIGHT_AND_WRONG: Final = (
    ("#2fd3a0", "circle"), ("#ff8a5b", "x"), ("#d99ac5", "triangle-up"), (QUIET, "circle-open"),
)  # fmt: skip
BOTH_WRONG: Final = ("#f0e442", "square")
GROUND: Final = "rgba(0,0,0,0)"
TEXT: Final = "#d9e0e6"
LINE: Final = "#303840"
HEIGHT_PX: Final = 496
UNUSED_TOOLS: Final = ["select2d", "lasso2d", "autoScale2d"]
# Above this the browser draws with the graphics card.
MOST_SVG_POINTS: Final = 1500
NOTHING: Final = "none"


@dataclass(frozen=True, slots=True)
class ExplorerChoices:
    """What the explorer shows.

    Attributes:
        projection: A name of ``PROJECTIONS``.
        colouring: A key of ``COLOURINGS``.
        finding: One of the evaluation's, or None: all.
        preset: Whose decisions count as predicted.
    """

    projection: str = PCA
    colouring: str = "finding"
    finding: str | None = None
    preset: str = "study"


def explorer_figure(
    result: EvaluationResult, layout: Layout, choices: ExplorerChoices
) -> go.Figure:
    """A map of the test embeddings for each mode, on common axes.

    The data of each point are its image's id, its labels and what the mode predicts.

    Raises:
        AuditError: If the projection was not made, or a choice is unknown.
    """
    from plotly.subplots import make_subplots  # type: ignore[import-untyped] # it ships no types

    places = _places(layout, choices.projection)
    titles = [_title(result, layout, choices.projection, mode) for mode in result.modes]
    figure = make_subplots(
        rows=1, cols=len(result.modes), subplot_titles=titles, horizontal_spacing=0.02,
        shared_xaxes="all", shared_yaxes="all",
    )  # fmt: skip
    named: set[str] = set()
    for column, mode in enumerate(result.modes, start=1):
        told = _in_order(result.predictions(choices.preset, mode).of("test"), layout.image_ids)
        groups = group_pictures(
            choices.colouring, choices.finding, result.findings, told.labels, told.predictions
        )
        for trace in _traces(groups, places[result.table["embeddings"][mode]], told, result):
            trace.showlegend = trace.name not in named
            named.add(trace.name)
            figure.add_trace(trace, row=1, col=column)
    _dress(figure, len(result.modes))
    return figure


def separation_table(result: EvaluationResult) -> str:
    """Class separation of each mode, in the whole embedding space, as an HTML table."""
    head = ("Mode", "Formula", "Inter", "Intra", "Ratio", "95 %", "p", "Ratio, unit length")
    body, nulls = (
        [_separation_cells(row) for row in rows] for rows in (result.rows, result.table["nulls"])
    )
    cells = table(head, body, grey=merged(nulls, "no information: "))
    return (
        f'<div class="evaluation explorer-separation">{cells}'
        "<p class='small'>Distances between un-normalised embeddings in all their "
        "dimensions, not between points of the map. Grey: labels shuffled among the "
        "pictures.</p></div>"
    )


def explorer_note(layout: Layout) -> str:
    """What must be known about the map, in a sentence or two."""
    shown, n_test = int(layout.facts["n_shown"]), int(layout.facts["n_test"])
    said = f"{shown:,} test pictures"
    if shown < n_test:
        said = f"{shown:,} of {n_test:,} test pictures, chosen at random"
    reasons = "".join(f" {reason}." for reason in layout.reasons.values())
    return (
        f"{said}. Point at one to see it, click to open its case. Labels are shown here: read a "
        f"picture first if you want to read it blinded.{reasons}"
    )


def _places(layout: Layout, projection: str) -> Mapping[str, NDArray[np.float32]]:
    found = layout.places.get(projection)
    if found is None:
        reason = layout.reasons.get(projection, f"it has {', '.join(layout.places)}")
        raise AuditError(f"this evaluation has no map by {projection}: {reason}")
    return found


def _title(result: EvaluationResult, layout: Layout, projection: str, mode: str) -> str:
    title = MODES.get(mode, mode)
    if projection != PCA:
        return title
    shares = layout.facts["shares"][result.table["embeddings"][mode]]
    return f"{title}<br><sub>{sum(shares):.0%} of its variance on these axes</sub>"


def _in_order(table: PredictionTable, image_ids: Sequence[str]) -> PredictionTable:
    """The rows of these pictures, in this order."""
    place = {image_id: row for row, image_id in enumerate(table.image_ids)}
    missing = [one for one in image_ids if one not in place]
    if missing:
        raise AuditError(
            f"{len(missing)} pictures of the map have no predictions; its files belong to "
            "different evaluations: evaluate again"
        )
    rows = [place[one] for one in image_ids]
    return PredictionTable(
        image_ids=tuple(image_ids),
        patients=tuple(table.patients[row] for row in rows),
        parts=tuple(table.parts[row] for row in rows),
        scores=table.scores[rows],
        labels=table.labels[rows],
        predictions=table.predictions[rows],
    )


def _traces(
    groups: Groups,
    places: NDArray[np.float32],
    told: PredictionTable,
    result: EvaluationResult,
) -> Iterator[Any]:
    """One trace per group that has pictures, the largest first so that rare ones lie on top."""
    import plotly.graph_objects as go

    kind = go.Scatter if len(places) <= MOST_SVG_POINTS else go.Scattergl
    sizes = {group: len(groups.members(group)) for group in range(len(groups.names))}
    for group in sorted(sizes, key=lambda one: -sizes[one]):
        rows = groups.members(group)
        if not len(rows):
            continue
        colour, symbol = _mark(groups.names, group)
        name = groups.names[group]
        yield kind(
            x=places[rows, 0].tolist(),
            y=places[rows, 1].tolist(),
            customdata=[_told(told, row, result.findings) for row in rows],
            mode="markers",
            name=name,
            legendgroup=name,
            legendrank=group + 1,
            hoverinfo="none",
            marker={"color": colour, "symbol": symbol, "size": 8, "opacity": 0.85},
        )


def _mark(names: Sequence[str], group: int) -> tuple[str, str]:
    """Colour and mark of a group."""
    if tuple(names) == OUTCOMES:
        return RIGHT_AND_WRONG[group]
    if tuple(names) == OUTCOMES_OF_ALL:
        return (*RIGHT_AND_WRONG[:3], BOTH_WRONG)[group]
    if names[group] in QUIET_NAMES or names[group].startswith("no "):
        return QUIET, "circle-open"
    return COLOURS[group % len(COLOURS)], SYMBOLS[group // len(COLOURS) % len(SYMBOLS)]


def _told(told: PredictionTable, row: int, findings: Sequence[str]) -> list[str]:
    tables = (told.labels, told.predictions)
    return [told.image_ids[row], *(_names(table[row], findings) for table in tables)]


def _names(values: Table, findings: Sequence[str]) -> str:
    return ", ".join(name for name, has in zip(findings, values, strict=True) if has) or NOTHING


def _dress(figure: go.Figure, n_modes: int) -> None:
    """Dark ground, common ranges, one legend below."""
    figure.update_layout(
        template=None,
        height=HEIGHT_PX,
        margin={"l": 8, "r": 8, "t": 70, "b": 8},
        paper_bgcolor=GROUND,
        plot_bgcolor=GROUND,
        font={"color": TEXT, "size": 13, "family": "system-ui, sans-serif"},
        legend={"orientation": "h", "y": -0.04, "yanchor": "top", "x": 0, "itemsizing": "constant"},
        dragmode="pan",
        hovermode="closest",
        modebar={"bgcolor": GROUND, "color": QUIET, "activecolor": TEXT, "remove": UNUSED_TOOLS},
    )
    axis = {"showticklabels": False, "ticks": "", "zeroline": False, "gridcolor": LINE,
            "linecolor": LINE, "mirror": True, "showline": True}  # fmt: skip
    figure.update_xaxes(matches="x", **axis)
    figure.update_yaxes(matches="y", **axis)
    for column in range(1, n_modes + 1):
        figure.update_yaxes(scaleanchor=f"x{'' if column == 1 else column}", col=column)


def _separation_cells(row: Mapping[str, Any]) -> list[str]:
    low, high = row.get("ratio_low"), row.get("ratio_high")
    interval = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    return [
        MODES.get(row["mode"], row["mode"]),
        str(row["separation"]),
        *(number(row.get(name)) for name in ("inter", "intra", "ratio")),
        interval or "n/a",
        number(row.get("ratio_p")),
        number(row.get("ratio_l2")),
    ]
