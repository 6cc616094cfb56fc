"""The columns of definitions.md, section 3, written a second time as plain loops: the oracle.

Nothing is shared with the product. Slow on purpose; meant for small grids.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from skimage.filters import threshold_otsu
from sklearn.metrics import roc_auc_score

Box = tuple[float, float, float, float]
CURVE = [0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40, 0.45, 0.50,
         0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95]  # fmt: skip


def naive_mask(boxes: Sequence[Box], height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), dtype=bool)
    for i in range(height):
        for j in range(width):
            for x_min, y_min, x_max, y_max in boxes:
                if x_min <= j + 0.5 < x_max and y_min <= i + 0.5 < y_max:
                    mask[i, j] = True
    return mask


def naive_iou(predicted: np.ndarray, mask: np.ndarray) -> float:
    both = either = 0
    for p, b in zip(predicted.ravel().tolist(), mask.ravel().tolist(), strict=True):
        both += p and b
        either += p or b
    return both / either


def naive_hit(values: np.ndarray, mask: np.ndarray) -> float:
    maxima = [tuple(index) for index in np.argwhere(values == values.max())]
    return sum(bool(mask[index]) for index in maxima) / len(maxima)


def naive_distance(
    pixel: tuple[int, int], mask: np.ndarray, pixel_size: tuple[float, float] = (1.0, 1.0)
) -> float:
    return min(
        math.hypot((pixel[0] - i) * pixel_size[0], (pixel[1] - j) * pixel_size[1])
        for i, j in np.argwhere(mask)
    )


def naive_shifts(predicted: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Mean IoU over all circular shifts and the share that is at least the observed."""
    height, width = mask.shape
    ious = [
        np.logical_and(predicted, rolled).sum() / np.logical_or(predicted, rolled).sum()
        for a in range(height)
        for b in range(width)
        for rolled in [np.roll(mask, (a, b), axis=(0, 1))]
    ]
    return math.fsum(ious) / len(ious), sum(one >= ious[0] for one in ious) / len(ious)


def naive_columns(
    saliency: np.ndarray,
    boxes: Sequence[Box],
    *,
    threshold: float = 0.5,
    pixel_size: tuple[float, float] = (1.0, 1.0),
    diagonal: float | None = None,
) -> dict[str, object]:
    """Every column for a map that is not constant and boxes that cover a pixel."""
    h = saliency.astype(float)
    height, width = h.shape
    mask = naive_mask(boxes, height, width)
    n = (h - h.min()) / (h.max() - h.min())
    radius = 15 / 224 * min(height, width)
    maxima = [(int(i), int(j)) for i, j in np.argwhere(h == h.max())]
    near = [naive_distance(pixel, mask) <= radius + 1e-9 for pixel in maxima]
    positive = [max(value, 0.0) for value in h.ravel().tolist()]
    inside = [v for v, b in zip(positive, mask.ravel().tolist(), strict=True) if b]
    null_iou, p = naive_shifts(n > threshold, mask)
    distance = naive_distance(maxima[0], mask, pixel_size)
    diagonal = math.hypot(height, width) if diagonal is None else diagonal
    return {
        "status": "ok",
        "n_boxes": len(boxes),
        "tolerance_radius": radius,
        "hit": naive_hit(h, mask),
        "hit_tolerance": sum(near) / len(near),
        "iou": naive_iou(n > threshold, mask),
        "iou_curve": tuple(naive_iou(n > t, mask) for t in CURVE),
        "iou_otsu": naive_iou(n > threshold_otsu(n, nbins=256), mask),
        "energy_in_box": math.fsum(inside) / math.fsum(positive) if any(positive) else 0.0,
        "pixel_auroc": None if mask.all() else roc_auc_score(mask.ravel(), h.ravel()),
        "peak_distance": distance,
        "peak_distance_share": distance / diagonal,
        "chance_hit": mask.sum() / mask.size,
        "centre_hit": float(mask[height // 2, width // 2]),
        "shift_null_iou": null_iou,
        "shift_p": p,
        "box_area_fraction": mask.sum() / mask.size,
    }
