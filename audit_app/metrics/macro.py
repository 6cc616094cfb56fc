"""The mean over groups (findings) of the means of their rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def macro_mean(values_and_groups: NDArray[np.float64], *, n_groups: int) -> float:
    """Mean over groups of the mean over each group's rows: every group weighs the same.

    As a bootstrap's statistic it is undefined where a resample holds no row of some group: a mean
    over the others would be another quantity, and an interval of it could lie beside the estimate.

    Args:
        values_and_groups: Shape (n, 2): a value, and its group's number from 0 to n_groups - 1.
        n_groups: How many groups the mean is over.

    Returns:
        NaN when a group has no row.

    Raises:
        ValueError: If there is no group or a group's number is not below ``n_groups``.
    """
    groups = values_and_groups[:, 1].astype(np.intp)
    sizes = np.bincount(groups, minlength=n_groups)
    if n_groups < 1 or len(sizes) > n_groups:
        raise ValueError(f"n_groups is {n_groups}, the highest group {len(sizes) - 1}; count again")
    if not sizes.all():
        return math.nan
    sums = np.bincount(groups, weights=values_and_groups[:, 0], minlength=n_groups)
    return float(np.mean(sums / sizes))
