"""A saliency map as the page draws it: bytes over a place in the picture."""

from __future__ import annotations

import base64
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from annotations.records import ImageRecord
from audit_app.region_scores import crop_to_picture
from model_store.preprocessing import FrameGeometry

THRESHOLD: Final = 0.5
THUMBNAIL_CELLS: Final = 56


def heat_layer(
    saliency: NDArray[np.float32], geometry: FrameGeometry, image: ImageRecord
) -> dict[str, Any]:
    """The map over what the model saw of the picture, normalised as it is scored.

    Padding is no part of it, so the drawn contour is that of the scored prediction.

    Args:
        saliency: Shape (h, w), the model's input grid, finite.
        geometry: How the grid lies on the picture.
        image: The picture.
    """
    shown = crop_to_picture(saliency.astype(np.float64), geometry)
    left, top, right, bottom = geometry.input_window
    is_empty = float(shown.max()) <= float(shown.min())
    height, width = shown.shape
    return {
        "width": width,
        "height": height,
        "values_b64": encode(to_bytes(shown)),
        "box": [*to_image(geometry, left, top), *to_image(geometry, right, bottom)],
        "peak": None if is_empty else peak_px(saliency, geometry, image),
        "status": "no_evidence" if is_empty else "ok",
        "threshold": THRESHOLD,
    }


def thumbnail(
    saliency: NDArray[np.float32], geometry: FrameGeometry, image: ImageRecord
) -> dict[str, Any]:
    """The same layer on a coarser grid: means of square blocks of the normalised map."""
    layer = heat_layer(saliency, geometry, image)
    values = to_bytes(crop_to_picture(saliency.astype(np.float64), geometry))
    small = block_means(values, -(-max(values.shape) // THUMBNAIL_CELLS))
    height, width = small.shape
    return {**layer, "width": width, "height": height, "values_b64": encode(small)}


def to_bytes(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The values between their lowest and highest as 0 to 255; all 0 when they are the same.

    Halves go down: exactly what exceeds half of the range becomes 128 or more, as the strict
    threshold of the scored prediction has it.
    """
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    scaled: NDArray[np.uint8] = np.ceil((values - low) / (high - low) * 255 - 0.5).astype(np.uint8)
    return scaled


def block_means(values: NDArray[np.uint8], edge: int) -> NDArray[np.uint8]:
    """Means of blocks of ``edge`` x ``edge``; an incomplete last block repeats the border."""
    if edge <= 1:
        return values
    rows, columns = (-(-extent // edge) * edge - extent for extent in values.shape)
    padded = np.pad(values, ((0, rows), (0, columns)), mode="edge").astype(np.float64)
    height, width = padded.shape
    blocks = padded.reshape(height // edge, edge, width // edge, edge)
    means: NDArray[np.uint8] = np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
    return means


def encode(values: NDArray[np.uint8]) -> str:
    """The bytes, row after row, as base64."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def to_image(geometry: FrameGeometry, x: float, y: float) -> tuple[float, float]:
    """A place on the model's grid in original pixels; outside the picture where it is padding."""
    return (x + geometry.offset_x) / geometry.scale_x, (y + geometry.offset_y) / geometry.scale_y


def peak_px(
    saliency: NDArray[np.float32], geometry: FrameGeometry, image: ImageRecord
) -> list[float]:
    """The first maximum (row-major) of what shows the picture, in original pixels."""
    shown = crop_to_picture(saliency.astype(np.float64), geometry)
    row, column = np.unravel_index(int(np.argmax(shown)), shown.shape)
    left, top, _, _ = geometry.input_window
    x_px, y_px = to_image(geometry, left + int(column) + 0.5, top + int(row) + 0.5)
    return [min(max(x_px, 0.0), float(image.width)), min(max(y_px, 0.0), float(image.height))]
