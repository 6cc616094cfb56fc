"""Does a predicted probability happen as often as it says? Reliability curve and its error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

DEFAULT_BINS: Final = 10


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One point of the curve.

    Attributes:
        low: The bin holds probabilities above this; the first bin 0 as well.
        high: And up to this.
        count: How many there are.
        mean_probability: Of these; None in an empty bin.
        observed: Share of these that are positive; None in an empty bin.
    """

    low: float
    high: float
    count: int
    mean_probability: float | None
    observed: float | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """A reliability curve.

    Attributes:
        bins: Equally wide, from 0 to 1.
        ece: Expected calibration error: the mean over predictions of their bin's distance between
            mean probability and observed share.
    """

    bins: tuple[ReliabilityBin, ...]
    ece: float


def reliability_curve(
    labels: ArrayLike, probabilities: ArrayLike, *, n_bins: int = DEFAULT_BINS
) -> Reliability:
    """How often what is predicted with some probability is there.

    A zero-shot similarity is no probability and has no such curve before it was mapped to one.

    Args:
        labels: Shape (n,), 0 or 1.
        probabilities: Shape (n,), from 0 to 1: of one finding, or of several one after the other.
        n_bins: Number of equally wide bins.

    Raises:
        ValueError: If the shapes differ, nothing was given, or a value is out of range.

    Source:
        Guo et al. 2017, bins closed above, for each finding as a question of its own.
    """
    truth, given = _checked(labels, probabilities)
    if n_bins < 1:
        raise ValueError(f"n_bins is {n_bins}; expected at least 1")
    edges = np.linspace(0, 1, n_bins + 1)
    places = np.searchsorted(edges[1:-1], given, side="left")
    counts = np.bincount(places, minlength=n_bins)
    sums = np.bincount(places, weights=given, minlength=n_bins)
    positives = np.bincount(places, weights=truth, minlength=n_bins)
    bins = tuple(
        ReliabilityBin(
            low=float(edges[place]),
            high=float(edges[place + 1]),
            count=int(count),
            mean_probability=float(sums[place] / count) if count else None,
            observed=float(positives[place] / count) if count else None,
        )
        for place, count in enumerate(counts)
    )
    return Reliability(bins, float(np.abs(sums - positives).sum() / len(given)))


def probabilities_of(logits: ArrayLike) -> FloatArray:
    """The logistic function of a probe's or fine-tuned head's logits, same shape.

    Args:
        logits: Any shape, finite.
    """
    # Here, because scipy's special functions take time to load and the first page needs none.
    from scipy.special import expit

    probabilities: FloatArray = expit(np.asarray(logits, dtype=np.float64))
    return probabilities


def _checked(labels: ArrayLike, probabilities: ArrayLike) -> tuple[FloatArray, FloatArray]:
    truth = np.asarray(labels, dtype=np.float64)
    given = np.asarray(probabilities, dtype=np.float64)
    if given.ndim != 1 or len(given) == 0 or truth.shape != given.shape:
        raise ValueError(
            f"labels have shape {truth.shape}, probabilities {given.shape}; "
            "expected (n,) of both with n >= 1"
        )
    wrong = truth[(truth != 0) & (truth != 1)]
    if wrong.size:
        raise ValueError(f"a label is {float(wrong[0])}; expected 0 or 1")
    outside = given[~((given >= 0) & (given <= 1))]
    if outside.size:
        raise ValueError(
            f"a probability is {float(outside[0])}; expected 0 to 1: "
            "map logits with probabilities_of before"
        )
    return truth, given
