"""Pieces of the reports that are HTML files: their look, numbers, tables, best and worst."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from typing import Final

STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:76em;padding:0 1em;color:#1b1b1b;
overflow-wrap:break-word}
table{display:block;overflow-x:auto;border-collapse:collapse;margin:.6em 0 1.4em}
th,td{padding:.25em .7em;text-align:right;max-width:18em;overflow-wrap:break-word}
td:last-child{max-width:none;min-width:5em;overflow-wrap:anywhere}
h1,h2,p,li,summary{overflow-wrap:anywhere}
th{border-bottom:1px solid #888;font-weight:600}td:first-child,th:first-child{text-align:left}
td:first-child{min-width:7.5em;overflow-wrap:anywhere}
.noted td:last-child{text-align:left;min-width:12em}
caption{text-align:left;font-weight:600;padding:.3em 0}tr.null td{color:#595959;background:#f1f1f1}
tr.published td{color:#444;border-top:1px dashed #aaa;font-style:italic}
td.best{color:#0b4fb3;font-weight:700}td.worst{color:#b3150b;font-weight:700}
.warn{background:#fff3cd;padding:.5em .8em}svg text{font:11px system-ui,sans-serif;fill:#333}
figure{display:inline-block;margin:.5em 1.4em .5em 0;vertical-align:top}.small{color:#555}
.fifteen{overflow-x:auto}.fifteen img{display:block}
@media print{body{font-size:11px;max-width:none;margin:0}table{display:table}
th,td{padding:.25em .4em}
tr,figure,svg,img{break-inside:avoid}h1,h2,summary,caption{break-after:avoid}
details::details-content{content-visibility:visible;block-size:auto}
.fifteen img{max-width:100%}tr.null td,.warn{print-color-adjust:exact}}
"""


def number(value: object, digits: int = 3) -> str:
    """The number with so many digits, never "-0"; n/a where nothing is defined."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "n/a"
    return f"{value:z.{digits}f}"


def best_and_worst(
    rows: Sequence[Mapping[str, object]], column: str, *, more_is_better: bool
) -> tuple[set[int], set[int]]:
    """Which rows hold the best and which the worst value; none where there is no difference."""
    values = {
        place: float(value)
        for place, row in enumerate(rows)
        if isinstance(value := row.get(column), int | float)
    }
    low, high = (chosen(values.values(), default=0.0) for chosen in (min, max))
    if low == high:
        return set(), set()
    lowest = {place for place, value in values.items() if value == low}
    highest = {place for place, value in values.items() if value == high}
    return (highest, lowest) if more_is_better else (lowest, highest)


def mark(place: int, best_worst: tuple[Collection[int], Collection[int]]) -> str:
    """The class of a cell: "best", "worst" or ""."""
    best, worst = best_worst
    return "best" if place in best else "worst" if place in worst else ""


def table(
    head: Sequence[str],
    body: Sequence[Sequence[str]],
    caption: str = "",
    *,
    grey: Sequence[Sequence[str]] = (),
) -> str:
    """A table of plain texts, each escaped; grey lines stand below the others."""
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    lines = "".join([*(line(cells) for cells in body), *(line(cells, "null") for cells in grey)])
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{said}<tr>{titles}</tr>{lines}</table>"


def line(cells: Sequence[str], kind: str = "") -> str:
    """One line of a table of plain texts, each escaped."""
    look = f' class="{kind}"' if kind else ""
    return f"<tr{look}>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def merged(lines: Iterable[Sequence[str]], before: str) -> list[tuple[str, ...]]:
    """Lines that differ in their first cell alone as one, which names them all.

    Args:
        lines: Plain texts.
        before: What stands before the names.
    """
    names: dict[tuple[str, ...], list[str]] = {}
    for name, *cells in lines:
        names.setdefault(tuple(cells), []).append(name)
    return [(f"{before}{', '.join(found)}", *cells) for cells, found in names.items()]


def figure(svg: str, title: str) -> str:
    """A drawing with its title, which is escaped."""
    return f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>"


def document(title: str, parts: Sequence[str], *, style: str = STYLE) -> str:
    """A whole page that needs no other file.

    Args:
        title: Plain text.
        parts: HTML.
        style: CSS.
    """
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        f"</title><style>{style}</style></head><body>{''.join(parts)}</body></html>\n"
    )
