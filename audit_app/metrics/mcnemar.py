"""Do two treatments of the same rows hit equally often? McNemar's exact test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class McNemar:
    """The discordant rows and what they say.

    Attributes:
        n_rows: Rows in which both hits are 0 or 1.
        n_tied: Rows left out because a hit is a fraction (tied maxima, some inside the region).
        only_first: Rows that only the first hit.
        only_second: Rows that only the second hit.
        p_value: Two-sided; 1.0 when no row is discordant; None when there is no row.
    """

    n_rows: int
    n_tied: int
    only_first: int
    only_second: int
    p_value: float | None


def mcnemar_exact(first: ArrayLike, second: ArrayLike) -> McNemar:
    """Whether the first hits more or less often than the second, from the discordant rows alone.

    The test takes rows as independent; where patients have several, the paired cluster bootstrap
    does not.

    Args:
        first: Shape (n,), hits of the first treatment, each in [0, 1].
        second: Shape (n,), hits of the second treatment of the same rows.

    Raises:
        ValueError: If the shapes differ or a value is no number from 0 to 1.

    Source:
        McNemar 1947 with the binomial distribution: twice the smaller tail, at most 1.
    """
    hits, others = _checked_hits(first), _checked_hits(second)
    if hits.shape != others.shape:
        raise ValueError(
            f"{len(hits)} hits of the first but {len(others)} of the second; pair them"
        )
    whole = np.isin(hits, (0.0, 1.0)) & np.isin(others, (0.0, 1.0))
    n_rows = int(np.count_nonzero(whole))
    only_first = int(np.count_nonzero(whole & (hits > others)))
    only_second = int(np.count_nonzero(whole & (hits < others)))
    p_value = _two_sided_sign_test(only_first, only_second) if n_rows else None
    return McNemar(n_rows, len(hits) - n_rows, only_first, only_second, p_value)


def _checked_hits(hits: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(hits, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"the hits have shape {values.shape}; expected (n,)")
    bad = values[~((values >= 0) & (values <= 1))]
    if bad.size:
        raise ValueError(f"a hit is {float(bad[0])}; expected numbers from 0 to 1")
    return values


def _two_sided_sign_test(n_one: int, n_other: int) -> float:
    # Here, because scipy's special functions take time to load and the first page needs none.
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(n_one, n_other), n_one + n_other, 0.5)))
