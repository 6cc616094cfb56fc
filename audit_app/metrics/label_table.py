"""The tables of a multi-label set, checked once at the door."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatTable = NDArray[np.float64]
BoolTable = NDArray[np.bool_]


def checked_labels(labels: ArrayLike, name: str = "labels") -> BoolTable:
    """Shape (N, K), true where image i has finding k.

    Raises:
        ValueError: If it is no such table of 0 and 1 with at least one row and column.
    """
    table = np.asarray(labels)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"{name} have shape {table.shape}; expected (images, findings), not empty")
    if table.dtype == np.bool_:
        return table
    wrong = table[(table != 0) & (table != 1)]
    if wrong.size:
        raise ValueError(f"{name} hold {wrong.flat[0]!s}; expected 0 or 1: decide uncertain ones")
    return table.astype(np.bool_)


def checked_scores(scores: ArrayLike, name: str = "scores") -> FloatTable:
    """Shape (N, K), finite float64.

    Raises:
        ValueError: If it is no such table with at least one row and column. The message names the
            first value that is not finite.
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"{name} have shape {table.shape}; expected (images, columns), not empty")
    finite = np.isfinite(table)
    if not finite.all():
        row, column = (int(index) for index in np.argwhere(~finite)[0])
        raise ValueError(
            f"{name} hold {table[row, column]} in row {row}, column {column}; "
            "expected finite numbers"
        )
    return table


def check_same_shape(**tables: BoolTable | FloatTable) -> None:
    """Nothing, when all tables have one shape.

    Raises:
        ValueError: With every table's name and shape.
    """
    if len({table.shape for table in tables.values()}) > 1:
        shapes = ", ".join(f"{name} {table.shape}" for name, table in tables.items())
        raise ValueError(f"the tables differ: {shapes}; give the same images and findings")
