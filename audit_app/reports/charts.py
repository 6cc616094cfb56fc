"""What a chart shows, apart from how it is drawn: the page and the report draw the same one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

SeriesKind = Literal["points", "line", "tick", "dots"]
Number = float | None

# The same order everywhere: legible on white and on the dark page, and apart for colour-blind eyes.
DARK_COLOURS: Final = ("#60a5fa", "#fbbf24", "#34d399", "#c4b5fd")
PRINT_COLOURS: Final = ("#1f5fa8", "#c2571a", "#2f7d4f", "#7a4fa0")
DARK_GREYS: Final = ("#e5e7eb", "#9ca3af", "#94a3b8", "#f9a8d4")
PRINT_GREYS: Final = ("#222222", "#777777", "#9a9a9a", "#b0407a")


LABEL_LENGTH: Final = 44


def short_label(text: str) -> str:
    """The name as a chart has room for it; tables beside it have it whole."""
    return text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 2].rstrip() + " …"


@dataclass(frozen=True, slots=True)
class Series:
    """Some points of one colour.

    Attributes:
        name: In the legend; series of one name share its entry.
        kind: "points": a mark with its interval; "line": joined; "tick": a short upright stroke,
            for references; "dots": many small points.
        x: Places across.
        y: Places up, as many.
        low: Left ends of intervals along x, for "points" only; None where there is none.
        high: Right ends.
        texts: What stands beside the pointer; empty or as many as points.
        rows: Of each point the number of the row that it stands for; empty where points stand for
            several rows, or nothing shows a single one.
        colour: Number of the colour.
        is_reference: Grey colours: chance, priors, ceilings.
        is_hollow: Drawn as a ring.
    """

    name: str
    kind: SeriesKind
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[Number, ...] = ()
    high: tuple[Number, ...] = ()
    texts: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    colour: int = 0
    is_reference: bool = False
    is_hollow: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its title, its bounds, named places instead of numbers where there are some."""

    title: str
    bounds: tuple[float, float]
    ticks: tuple[tuple[float, str], ...] = ()
    is_log: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One field of a chart."""

    title: str
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """One or more fields side by side on the same axes.

    Attributes:
        name: Of its file, without suffix.
        title: What it shows.
        note: How to read it.
        x: The axis across.
        y: The axis up.
        panels: At least one.
        is_chest: Drawn over a schematic chest; y runs down and both axes go from 0 to 1.
        rows: Height in lines of text, for charts that list something; 0 for the usual height.
    """

    name: str
    title: str
    note: str
    x: Axis
    y: Axis
    panels: tuple[Panel, ...]
    is_chest: bool = False
    rows: int = 0


# A chest in shares of width and height: schematic, so that no patient's picture is in a report.
CHEST: Final[tuple[tuple[tuple[float, float], ...], ...]] = (
    (
        (0.44, 0.17), (0.38, 0.13), (0.31, 0.17), (0.24, 0.29), (0.19, 0.45), (0.16, 0.62),
        (0.16, 0.79), (0.24, 0.73), (0.34, 0.71), (0.42, 0.75), (0.44, 0.6), (0.45, 0.4),
        (0.44, 0.17),
    ),
    (
        (0.56, 0.17), (0.62, 0.13), (0.69, 0.17), (0.76, 0.29), (0.81, 0.45), (0.84, 0.62),
        (0.85, 0.82), (0.77, 0.76), (0.7, 0.75), (0.69, 0.66), (0.64, 0.57), (0.57, 0.48),
        (0.55, 0.34), (0.56, 0.17),
    ),
    (
        (0.45, 0.45), (0.55, 0.43), (0.62, 0.54), (0.69, 0.66), (0.69, 0.75), (0.56, 0.79),
        (0.43, 0.76), (0.41, 0.62), (0.45, 0.45),
    ),
)  # fmt: skip
