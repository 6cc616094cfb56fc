"""The rows of an audit that disagree most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from audit_app.evaluation import SCORED

Row = Mapping[str, object]
WORST_SHOWN: Final = 50


def worst_rows(rows: Iterable[Row], *, most: int = WORST_SHOWN) -> list[Row]:
    """The scored rows that disagree most, the worst first.

    Missed regions before hit ones, those on which the model says "present" first, then by the
    least IoU and the farthest maximum.
    """
    return sorted((row for row in rows if row["status"] in SCORED), key=_badness)[:most]


def _badness(row: Row) -> tuple[float, bool, float, float]:
    far = row["peak_distance_share"]
    return (
        _value(row["hit"]),
        row.get("model_positive") is not True,
        _value(row["iou"]),
        -_value(far),
    )


def _value(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
