"""Do readers agree that a finding is there? Kappa for two readers and for more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

NOTHING_IN_COMMON: Final = "n/a: no image was read by two readers"


@dataclass(frozen=True, slots=True)
class Kappa:
    """Agreement beyond chance, never without the two numbers that it hangs on.

    Attributes:
        kappa: 1 is perfect, 0 is what chance gives at this prevalence; None where undefined.
        observed: Observed agreement, a share; None when nothing was read by two readers.
        expected: Agreement by chance at this prevalence; None when nothing was read by two.
        prevalence: Share of the statements used that say "present".
        n_images: Images with at least two statements; only these are used.
        note: Why kappa is n/a; "" when it is a number.
    """

    kappa: float | None
    observed: float | None
    expected: float | None
    prevalence: float | None
    n_images: int
    note: str


def cohen_kappa(first: ArrayLike, second: ArrayLike) -> Kappa:
    """Agreement of two readers on the presence of one finding.

    Args:
        first: Shape (n,), 1 where the first reader says present, 0 absent, NaN nothing.
        second: Shape (n,), the same of the second reader for the same images.

    Raises:
        ValueError: If the shapes differ or a value is not 0, 1 or NaN.

    Source:
        Cohen 1960.
    """
    one, other = (_checked_presence(said, n_axes=1) for said in (first, second))
    if one.shape != other.shape:
        raise ValueError(
            f"{len(one)} statements of one reader, {len(other)} of the other; pair them"
        )
    both = ~np.isnan(one) & ~np.isnan(other)
    if not both.any():
        return Kappa(None, None, None, None, 0, NOTHING_IN_COMMON)
    one, other = one[both], other[both]
    share_one, share_other = float(one.mean()), float(other.mean())
    observed = float(np.mean(one == other))
    expected = share_one * share_other + (1 - share_one) * (1 - share_other)
    return _kappa(observed, expected, (share_one + share_other) / 2, len(one))


def fleiss_kappa(presence: ArrayLike) -> Kappa:
    """Agreement of several readers on the presence of one finding.

    Args:
        presence: Shape (n, readers), 1 present, 0 absent, NaN where that reader did not read that
            image. The number of statements may differ between images.

    Raises:
        ValueError: If the shape is another one or a value is not 0, 1 or NaN.

    Source:
        Fleiss 1971; with unequal numbers of statements Fleiss, Levin & Paik 2003, chapter 18,
        which is the same number where they are equal. Readers are taken as interchangeable.
    """
    said = _checked_presence(presence, n_axes=2)
    n_said = np.count_nonzero(~np.isnan(said), axis=1)
    n_present = np.nansum(said, axis=1)[n_said >= 2]
    n_said = n_said[n_said >= 2]
    if len(n_said) == 0:
        return Kappa(None, None, None, None, 0, NOTHING_IN_COMMON)
    prevalence = float(n_present.sum() / n_said.sum())
    # The variance within images; with m statements each, two of them differ by twice this.
    within = (n_present * (n_said - n_present) / n_said).sum() / (n_said - 1).sum()
    expected = 1 - 2 * prevalence * (1 - prevalence)
    return _kappa(1 - 2 * float(within), expected, prevalence, len(n_said))


def _kappa(observed: float, expected: float, prevalence: float, n_images: int) -> Kappa:
    if prevalence in (0.0, 1.0):
        word = "present" if prevalence else "absent"
        note = f"n/a: everybody always says {word}, so chance alone explains every agreement"
        return Kappa(None, observed, expected, prevalence, n_images, note)
    kappa = (observed - expected) / (1 - expected)
    return Kappa(kappa, observed, expected, prevalence, n_images, "")


def _checked_presence(presence: ArrayLike, *, n_axes: int) -> FloatArray:
    said = np.asarray(presence, dtype=np.float64)
    if said.ndim != n_axes:
        expected = "(n,)" if n_axes == 1 else "(n, readers)"
        raise ValueError(f"the statements have shape {said.shape}; expected {expected}")
    bad = said[~(np.isnan(said) | (said == 0) | (said == 1))]
    if bad.size:
        raise ValueError(
            f"a statement is {float(bad[0])}; expected 1 (present), 0 (absent) or NaN (not read)"
        )
    return said
