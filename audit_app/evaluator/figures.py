"""Small figures as inline SVG: bars, curves, histograms. No library, no script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

COLOURS: Final = ("#1f5fa8", "#c2571a", "#3a7d44", "#7a4fa0")
AXIS: Final = "#666666"
LONGEST_NAME: Final = 28
LEFT, TOP, BOTTOM, RIGHT = 54, 14, 34, 12
ROUND_STEPS: Final = (1, 2, 2.5, 5, 10)
FINEST: Final = 0.7  # a step may be so much finer than asked for


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a figure; points need not be sorted.

    ``colour``: a place in ``COLOURS``; None: the next one. What is dashed is grey.
    """

    name: str
    points: Sequence[tuple[float, float]]
    is_dashed: bool = False
    colour: int | None = None


@dataclass(frozen=True, slots=True)
class Axes:
    """What is plotted over what, and within which bounds (None: what the data need).

    ``whole_x``: x counts something, so its ticks are whole numbers.
    """

    x: str
    y: str
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    size: tuple[int, int] = (360, 230)
    whole_x: bool = False


def line_figure(curves: Sequence[Curve], axes: Axes) -> str:
    """Curves with a legend."""
    frame = _Frame(
        axes,
        _range([x for one in curves for x, _ in one.points], axes.x_range),
        _range([y for one in curves for _, y in one.points], axes.y_range),
    )
    parts = frame.axes(x_ticks=_whole_ticks(frame.x_range) if axes.whole_x else None)
    colours = [_colour(number, curve) for number, curve in enumerate(curves)]
    for colour, curve in zip(colours, curves, strict=True):
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in curve.points)
        dash = ' stroke-dasharray="4 3"' if curve.is_dashed else ""
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>'
        )
        parts += [
            f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="2.2" fill="{colour}"/>'
            for x, y in (() if curve.is_dashed else curve.points)
        ]
    return frame.svg(parts, [one.name for one in curves], colours)


def _colour(number: int, curve: Curve) -> str:
    if curve.is_dashed:
        return AXIS
    return COLOURS[(number if curve.colour is None else curve.colour) % len(COLOURS)]


def histogram_figure(counts: Mapping[str, Sequence[int]], axes: Axes) -> str:
    """Bars beside each other for each whole number from 0, one colour per name."""
    length = max((len(values) for values in counts.values()), default=1)
    highest = max((max(values, default=0) for values in counts.values()), default=1)
    frame = _Frame(axes, (-0.5, length - 0.5), (0.0, float(max(highest, 1))))
    parts = frame.axes(x_ticks=[float(number) for number in range(length)])
    width = 0.8 / max(len(counts), 1)
    for number, values in enumerate(counts.values()):
        colour = COLOURS[number % len(COLOURS)]
        for position, count in enumerate(values):
            left = frame.x(position - 0.4 + number * width)
            right = frame.x(position - 0.4 + (number + 1) * width)
            top, bottom = frame.y(count), frame.y(0)
            parts.append(
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
                f'height="{bottom - top:.1f}" fill="{colour}"><title>{count}</title></rect>'
            )
    return frame.svg(parts, list(counts))


def bar_figure(rows: Sequence[tuple[str, Sequence[int]]], series: Sequence[str]) -> str:
    """One horizontal stacked bar per row, with its total behind it."""
    name_width, height, width = 180, 18, 420
    total = max((sum(values) for _, values in rows), default=1) or 1
    parts = []
    for number, (name, values) in enumerate(rows):
        y = TOP + number * height
        parts.append(
            f'<text x="{name_width - 6}" y="{y + 12}" text-anchor="end">{_shortened(name)}</text>'
        )
        x = float(name_width)
        for colour, value in zip(COLOURS, values, strict=False):
            length = value / total * width
            parts.append(
                f'<rect x="{x:.1f}" y="{y + 2}" width="{length:.1f}" height="{height - 5}" '
                f'fill="{colour}"><title>{value}</title></rect>'
            )
            x += length
        parts.append(f'<text x="{x + 4:.1f}" y="{y + 12}">{sum(values)}</text>')
    tall = TOP + len(rows) * height + 26
    parts += _legend(series, (name_width, tall - 10))
    return _svg(parts, name_width + width + 60, tall)


class _Frame:
    """Data coordinates to places in the figure."""

    def __init__(
        self, axes: Axes, x_range: tuple[float, float], y_range: tuple[float, float]
    ) -> None:
        self.titles = axes
        self.width, self.height = axes.size
        self.x_range, self.y_range = x_range, y_range

    def x(self, value: float) -> float:
        low, high = self.x_range
        return LEFT + (value - low) / (high - low) * (self.width - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return self.height - BOTTOM - (value - low) / (high - low) * (self.height - TOP - BOTTOM)

    def axes(self, x_ticks: Sequence[float] | None = None) -> list[str]:
        bottom, right = self.height - BOTTOM, self.width - RIGHT
        parts = [
            f'<path d="M{LEFT},{TOP}V{bottom}H{right}" fill="none" stroke="{AXIS}"/>',
            f'<text x="{(LEFT + right) / 2}" y="{self.height - 4}" text-anchor="middle">'
            f"{escape(self.titles.x)}</text>",
            f'<text transform="translate(11,{(TOP + bottom) / 2}) rotate(-90)" '
            f'text-anchor="middle">{escape(self.titles.y)}</text>',
        ]
        parts += [
            f'<text x="{self.x(value):.1f}" y="{bottom + 13}" text-anchor="middle">{value:g}</text>'
            for value in (x_ticks if x_ticks is not None else _ticks(self.x_range))
        ]
        for value in _ticks(self.y_range):
            y = self.y(value)
            parts.append(f'<text x="{LEFT - 4}" y="{y + 3:.1f}" text-anchor="end">{value:g}</text>')
            parts.append(f'<path d="M{LEFT},{y:.1f}H{right}" stroke="#dddddd"/>')
        return parts

    def svg(self, parts: list[str], names: Sequence[str], colours: Sequence[str] = COLOURS) -> str:
        legend = _legend(names, (LEFT + 6, self.height + 12), colours)
        return _svg([*parts, *legend], self.width, self.height + 20)


def _svg(parts: Sequence[str], width: int, height: int) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f"{''.join(parts)}</svg>"
    )


def _legend(
    names: Sequence[str], place: tuple[float, float], colours: Sequence[str] = COLOURS
) -> list[str]:
    parts = []
    x, y = place
    for number, name in enumerate(names):
        colour = colours[number % len(colours)]
        parts.append(f'<rect x="{x:.0f}" y="{y - 8}" width="9" height="9" fill="{colour}"/>')
        parts.append(f'<text x="{x + 13:.0f}" y="{y}">{escape(name)}</text>')
        x += 22 + 6.2 * len(name)
    return parts


def _shortened(name: str) -> str:
    """As much of the name as stands beside a bar; all of it where the mouse points at it."""
    if len(name) <= LONGEST_NAME:
        return escape(name)
    return f"<title>{escape(name)}</title>{escape(name[: LONGEST_NAME - 1])}…"


def _range(values: Sequence[float], given: tuple[float, float] | None) -> tuple[float, float]:
    if given is not None:
        return given
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _ticks(bounds: tuple[float, float], count: int = 5) -> list[float]:
    """About so many round numbers within the bounds."""
    low, high = bounds
    rough = (high - low) / (count - 1)
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * one for one in ROUND_STEPS if size * one >= FINEST * rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _whole_ticks(bounds: tuple[float, float], most: int = 10) -> list[float]:
    low, high = round(bounds[0]), round(bounds[1])
    return [float(value) for value in range(low, high + 1, 1 + (high - low) // most)]
