"""Pictures for the reliance test: a region filled in, and an equally large one elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audit_app.metrics.shift_null import shift_overlaps

Mask = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
Picture = NDArray[Any]
Fill = Callable[[Picture, Mask], Picture]

BLUR_SHARE: Final = 0.25
NO_ROOM: Final = "the region fits nowhere else in the visible field"


def blur_region(picture: Picture, region: Mask) -> Picture:
    """The picture with the region blurred beyond its details; the rest is untouched.

    The Gaussian's sigma is a quarter of the square root of the region's area: the mean brightness
    stays, structures smaller than the region go.

    Args:
        picture: Shape (H, W) or (H, W, channels), real and finite.
        region: Shape (H, W), not empty.

    Returns:
        A new array of the picture's shape and type.

    Raises:
        ValueError: If the shapes do not fit, the region is empty or a value is not finite.
    """
    from scipy.ndimage import gaussian_filter

    values = _checked(picture, region)
    sigma = BLUR_SHARE * float(np.sqrt(np.count_nonzero(region)))
    blurred = gaussian_filter(values, sigma=sigma, axes=(0, 1), mode="nearest")
    return _with_region(picture, region, blurred[region])


def inpaint_region(picture: Picture, region: Mask) -> Picture:
    """The picture with the region filled from its border as smoothly as possible.

    Each filled pixel is the mean of its neighbours (Laplace's equation), so nothing of what was in
    the region is left, and no value lies beyond those around it. Meant for the model's input size:
    the time grows faster than the region's area.

    Args:
        picture: Shape (H, W) or (H, W, channels), real and finite.
        region: Shape (H, W), neither empty nor the whole picture.

    Returns:
        A new array of the picture's shape and type.

    Raises:
        ValueError: If the shapes do not fit, the region is empty or everything, or a value is not
            finite.
    """
    values = _checked(picture, region)
    if region.all():
        raise ValueError("the region is the whole picture; nothing is left to fill it from")
    return _with_region(picture, region, _solve_laplace(values, region))


def region_elsewhere(region: Mask, allowed: Mask, *, seed: int) -> Mask | None:
    """The region moved, whole and without turning, to another place where it is allowed to lie.

    Args:
        region: Shape (H, W), not empty.
        allowed: Shape (H, W): the lungs, or what the model sees.
        seed: Chooses among all places that fit, each as likely.

    Returns:
        Shape (H, W), as many pixels as ``region``, inside ``allowed`` and without a pixel in
        common with ``region``; None when there is no such place.

    Raises:
        ValueError: If the shapes differ or the region is empty.
    """
    if region.shape != allowed.shape or region.ndim != 2 or not region.any():
        raise ValueError(
            f"region is {region.shape} with {np.count_nonzero(region)} pixels, allowed "
            f"{allowed.shape}; give one grid (H, W) and a region that is not empty"
        )
    shape = _cropped(region)
    height, width = shape.shape
    in_corner = np.zeros_like(region)
    in_corner[:height, :width] = shape
    overlaps = shift_overlaps(~allowed | region, in_corner)
    # Shifts beyond these would come back in on the other side.
    n_down, n_across = region.shape[0] - height + 1, region.shape[1] - width + 1
    places = np.argwhere(overlaps[:n_down, :n_across] == 0)
    if len(places) == 0:
        return None
    top, left = places[np.random.default_rng(seed).integers(len(places))]
    moved = np.zeros_like(region)
    moved[top : top + height, left : left + width] = shape
    return moved


FILLS: Final[Mapping[str, Fill]] = MappingProxyType(
    {"inpaint": inpaint_region, "blur": blur_region}
)


def _checked(picture: Picture, region: Mask) -> FloatArray:
    if picture.ndim not in (2, 3) or region.shape != picture.shape[:2]:
        raise ValueError(
            f"the picture is {picture.shape}, the region {region.shape}; "
            "expected (H, W) or (H, W, channels) and (H, W)"
        )
    if not region.any():
        raise ValueError("the region is empty; nothing would be filled")
    values = picture.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("the picture holds values that are not finite; expected finite numbers")
    return values


def _with_region(picture: Picture, region: Mask, filling: FloatArray) -> Picture:
    filled = picture.copy()
    is_whole = np.issubdtype(picture.dtype, np.integer)
    filled[region] = np.rint(filling) if is_whole else filling
    return filled


def _cropped(region: Mask) -> Mask:
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    return region[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _solve_laplace(values: FloatArray, region: Mask) -> FloatArray:
    """The values in the region, shape (n,) or (n, channels), each the mean of its neighbours."""
    from scipy.sparse import coo_array, diags_array
    from scipy.sparse.linalg import splu

    n_unknown = int(np.count_nonzero(region))
    number = np.full(region.shape, -1)
    number[region] = np.arange(n_unknown)
    degree = np.zeros(n_unknown)
    known = np.zeros((n_unknown, *values.shape[2:]))
    pairs: list[NDArray[np.intp]] = []
    for here, there in _neighbours():
        unknown = number[here][region[here]]
        other = number[there][region[here]]
        degree[unknown] += 1
        at_border = other < 0
        known[unknown[at_border]] += values[there][region[here]][at_border]
        pairs.append(np.stack([unknown[~at_border], other[~at_border]]))
    rows, columns = np.concatenate(pairs, axis=1)
    links = coo_array((np.ones(len(rows)), (rows, columns)), shape=(n_unknown, n_unknown))
    solved: FloatArray = splu((diags_array(degree) - links).tocsc()).solve(known)
    return solved


def _neighbours() -> tuple[tuple[tuple[slice, slice], tuple[slice, slice]], ...]:
    """For each of the four directions: the pixels that have that neighbour, and the neighbours."""
    every, but_last, but_first = slice(None), slice(None, -1), slice(1, None)
    return (
        ((but_last, every), (but_first, every)),
        ((but_first, every), (but_last, every)),
        ((every, but_last), (every, but_first)),
        ((every, but_first), (every, but_last)),
    )
