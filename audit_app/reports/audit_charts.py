"""The charts of an audit, from its rows and summary lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audit_app.comparison.selection import MODES
from audit_app.evaluation import IOU_COLUMNS
from audit_app.metrics.overlap import CURVE_THRESHOLDS
from audit_app.reports.audit_part import Shown
from audit_app.reports.charts import Axis, Chart, Number, Panel, Series
from audit_app.reports.first_line import share

Row = Mapping[str, object]
SHARE_AXIS: Final = (-0.02, 1.02)
MOST_DOTS: Final = 1500
N_BINS: Final = 5
LEAST_IN_BIN: Final = 3
DODGE: Final = 0.18
REFERENCES: Final = (
    ("chance_hit", "chance"),
    ("centre_hit", "picture's centre"),
    ("prior_hit", "mean map of the others"),
    ("human_hit", "another reader"),
)


def audit_charts(shown: Shown) -> tuple[Chart, ...]:
    """All charts, in the order in which they are read."""
    return tuple(chart(shown) for chart in CHARTS)


def hit_chart(shown: Shown) -> Chart:
    """Hit rates with intervals, each finding beside chance and what needs no picture."""
    places = {name: len(shown.findings) - 1 - i for i, name in enumerate(shown.findings)}
    series = [_hits_of_mode(shown, mode, number, places) for number, mode in enumerate(shown.modes)]
    series += [_reference(shown, column, name, places) for column, name in REFERENCES]
    return Chart(
        name="hit_rate",
        title="Hit rate by finding",
        note=(
            "Share of maps whose brightest point lies in the reader's region, with 95 % intervals "
            "over patients; a ring has too few patients for an interval. Strokes: what chance, the "
            "picture's centre, the mean map of other patients and another reader reach."
        ),
        x=Axis("hit rate", SHARE_AXIS),
        y=Axis("", (-0.6, len(places) - 0.4), tuple((y, name) for name, y in places.items())),
        panels=(Panel("", tuple(one for one in series if one.x)),),
        rows=len(places),
    )


def iou_curve_chart(shown: Shown) -> Chart:
    """Mean IoU over the thresholds."""
    series = []
    for number, mode in enumerate(shown.modes):
        rows = shown.scored(mode)
        if rows:
            means = [float(np.mean([_number(row, name) for row in rows])) for name in IOU_COLUMNS]
            texts = tuple(
                f"{MODES.get(mode, mode)}: IoU {mean:.3f} above {threshold:.2f}, {len(rows)} maps"
                for mean, threshold in zip(means, CURVE_THRESHOLDS, strict=True)
            )
            series.append(
                Series(_words(mode), "line", tuple(CURVE_THRESHOLDS), tuple(means), texts=texts,
                       colour=number)
            )  # fmt: skip
    highest = max((max(one.y) for one in series), default=0.0)
    return Chart(
        name="iou_threshold",
        title="IoU over the threshold",
        note=(
            "Mean over all scored maps. The headline's threshold was fixed in advance; the top of "
            "a curve is known only afterwards (oracle) and is no result."
        ),
        x=Axis("threshold of the min-max normalised map", (0.0, 1.0)),
        y=Axis("mean IoU", (0.0, max(0.1, math.ceil(highest * 11) / 10))),
        panels=(Panel("", tuple(series)),),
    )


def size_chart(shown: Shown) -> Chart:
    """IoU against the size of the region."""
    series: list[Series] = []
    for number, mode in enumerate(shown.modes):
        rows = [row for row in shown.scored(mode) if _number(row, "box_area_fraction") > 0]
        if rows:
            areas = np.array([_number(row, "box_area_fraction") for row in rows])
            values = np.array([_number(row, "iou") for row in rows])
            series += _cloud(rows, areas, values, number, mode)
            series.append(_binned(areas, values, number, mode))
    lowest = min((min(one.x) for one in series if one.x), default=0.01)
    return Chart(
        name="iou_size",
        title="IoU against the size of the region",
        note="Dots: maps. Lines: means of groups with equally many maps, from small to large.",
        x=Axis("region's share of the field of view", (lowest / 1.3, 1.0), is_log=True),
        y=Axis("IoU", SHARE_AXIS),
        panels=(Panel("", tuple(series)),),
    )


def peak_chart(shown: Shown) -> Chart:
    """Where the brightest points lie, hits and misses."""
    panels = []
    for number, mode in enumerate(shown.modes):
        rows = [row for row in shown.scored(mode) if row.get("peak_x_px") is not None]
        hits = [row for row in rows if _number(row, "hit") > 0]
        misses = [row for row in rows if _number(row, "hit") == 0]
        title = f"{_words(mode)}: {len(misses)} of {len(rows)} miss"
        panels.append(
            Panel(title, (_peaks("hit", hits, number, True), _peaks("miss", misses, number, False)))
        )
    return Chart(
        name="peak_position",
        title="Where the model looks",
        note=(
            "The brightest point of each map, in shares of the picture's width and height. Full "
            "dots miss the reader's region, rings hit it. The chest is schematic."
        ),
        x=Axis("", (0.0, 1.0)),
        y=Axis("", (1.0, 0.0)),
        panels=tuple(panels),
        is_chest=True,
    )


def score_chart(shown: Shown) -> Chart:
    """Hit rate against the model's score for the finding."""
    series = []
    for number, mode in enumerate(shown.modes):
        rows = [row for row in shown.scored(mode) if row["score"] is not None]
        if rows:
            # Scores of modes have no common unit: what is compared is their order.
            scores = np.array([_number(row, "score") for row in rows])
            order = (np.argsort(np.argsort(scores, kind="stable")) + 0.5) / len(rows)
            hits = np.array([_number(row, "hit") for row in rows])
            series.append(_binned(order, hits, number, mode))
    return Chart(
        name="score",
        title="Hit rate against the model's score",
        note=(
            "Maps in order of the finding's score within their mode, in groups with equally many: "
            "does the model look at the right place where it is sure?"
        ),
        x=Axis("share of maps with a lower score", (0.0, 1.0)),
        y=Axis("hit rate", SHARE_AXIS),
        panels=(Panel("", tuple(series)),),
    )


CHARTS: Final[tuple[Callable[[Shown], Chart], ...]] = (
    hit_chart,
    iou_curve_chart,
    size_chart,
    peak_chart,
    score_chart,
)


def _hits_of_mode(shown: Shown, mode: str, number: int, places: Mapping[str, int]) -> Series:
    lines = [line for line in shown.lines if line["mode"] == mode and line["hit"] is not None]
    shift = (number - (len(shown.modes) - 1) / 2) * DODGE
    return Series(
        name=_words(mode),
        kind="points",
        x=tuple(_number(line, "hit") for line in lines),
        y=tuple(places[str(line["finding"])] - shift for line in lines),
        low=tuple(_optional(line, "hit_low") for line in lines),
        high=tuple(_optional(line, "hit_high") for line in lines),
        texts=tuple(_hit_text(line) for line in lines),
        colour=number,
    )


def _hit_text(line: Row) -> str:
    ends = f"{share(line['hit_low'])} to {share(line['hit_high'])}"
    said = ends if line["hit_low"] is not None else str(line["note"])
    return (
        f"{line['finding']}, {_words(str(line['mode']))}: {share(line['hit'])} ({said}), "
        f"{line['n_scored']} maps, {line['n_patients']} patients"
    )


def _reference(shown: Shown, column: str, name: str, places: Mapping[str, int]) -> Series:
    """One stroke per finding: the mean over modes, which differ only by maps that have no row."""
    means = {}
    for finding in places:
        values = [
            _number(line, column)
            for line in shown.lines
            if line["finding"] == finding and line.get(column) is not None
        ]
        if values:
            means[finding] = float(np.mean(values))
    return Series(
        name=name,
        kind="tick",
        x=tuple(means.values()),
        y=tuple(float(places[finding]) for finding in means),
        texts=tuple(f"{finding}, {name}: {share(mean)}" for finding, mean in means.items()),
        colour=[column for column, _ in REFERENCES].index(column),
        is_reference=True,
    )


def _cloud(
    rows: Sequence[Row], x: NDArray[np.float64], y: NDArray[np.float64], number: int, mode: str
) -> list[Series]:
    """The maps as dots; of very many, equally spaced ones in the order of x."""
    kept = np.argsort(x, kind="stable")
    if len(kept) > MOST_DOTS:
        kept = kept[np.linspace(0, len(kept) - 1, MOST_DOTS).astype(np.intp)]
    texts = tuple(f"{rows[i]['finding']}: IoU {y[i]:.2f}" for i in kept)
    dots = Series(
        f"{_words(mode)}, maps", "dots", tuple(x[kept].tolist()), tuple(y[kept].tolist()),
        texts=texts, rows=_row_numbers([rows[i] for i in kept]), colour=number,
    )  # fmt: skip
    return [dots]


def _binned(x: NDArray[np.float64], y: NDArray[np.float64], number: int, mode: str) -> Series:
    """Means over groups of equal size along x; fewer groups where there are few rows."""
    n_bins = max(1, min(N_BINS, len(x) // LEAST_IN_BIN))
    groups = np.array_split(np.argsort(x, kind="stable"), n_bins)
    means = [float(y[group].mean()) for group in groups]
    return Series(
        name=_words(mode),
        kind="line",
        x=tuple(float(np.median(x[group])) for group in groups),
        y=tuple(means),
        texts=tuple(
            f"{_words(mode)}: {mean:.2f}, {len(group)} maps"
            for mean, group in zip(means, groups, strict=True)
        ),
        colour=number,
    )


def _peaks(name: str, rows: Sequence[Row], number: int, is_hollow: bool) -> Series:
    kept = rows[:: 1 + len(rows) // MOST_DOTS]
    return Series(
        name=name,
        kind="dots",
        x=tuple(_number(row, "peak_x_px") / _number(row, "image_width") for row in kept),
        y=tuple(_number(row, "peak_y_px") / _number(row, "image_height") for row in kept),
        texts=tuple(f"{row['finding']}, {name}" for row in kept),
        rows=_row_numbers(kept),
        colour=number,
        is_hollow=is_hollow,
    )


def _row_numbers(rows: Sequence[Row]) -> tuple[int, ...]:
    """The rows' numbers in their run, where they have some: a report opens no case."""
    return tuple(int(str(row["number"])) for row in rows if "number" in row)


def _words(mode: str) -> str:
    return MODES.get(mode, mode)


def _number(row: Row, name: str) -> float:
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"column {name} holds {value!r} in a scored row; expected a number")
    return float(value)


def _optional(row: Row, name: str) -> Number:
    return None if row[name] is None else _number(row, name)
