"""From density to a stored picture: blur, scatter, tone, noise, collimator, marker, 12 bits."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from model_store.demo.phantom_canvas import Field, Frame, draw_curves, smooth_noise, soft_step
from model_store.demo.phantom_style import Style

FULL_SCALE: Final = 4095
BLUR: Final = 0.0011
NOISE_CELLS: Final = 160
# White noise of a detector element; smaller pictures average it away.
FINE_NOISE_PIXELS: Final = 768

_LETTERS: Final = {
    "L": [[(0.0, 0.0), (0.0, 1.0)], [(0.0, 1.0), (0.6, 1.0)]],
    "R": [
        [(0.0, 0.0), (0.0, 1.0)],
        [(0.0, 0.0), (0.5, 0.08)],
        [(0.5, 0.08), (0.6, 0.26)],
        [(0.6, 0.26), (0.5, 0.45)],
        [(0.5, 0.45), (0.0, 0.5)],
        [(0.25, 0.5), (0.62, 1.0)],
    ],
}


def acquire(
    density: Field, frame: Frame, rng: np.random.Generator, style: Style
) -> NDArray[np.uint16]:
    """Shape (H, W): the stored values 0 to 4095, bright where the patient is dense.

    Every step but the blur works on each pixel alone, so a finding stays where it was drawn.
    """
    gamma, gain = rng.uniform(*style.gamma), rng.uniform(*style.gain)
    veil, noise = rng.uniform(*style.veil), rng.uniform(*style.noise)
    sigma_px = BLUR / frame.pixel
    if sigma_px > 0.3:
        density = gaussian_filter(density, sigma_px, truncate=3)
    value = np.clip(density * (1 - veil) + 0.5 * veil, 0, 1) ** np.float32(gamma) * gain
    grain = smooth_noise(rng, NOISE_CELLS, frame) * np.float32(noise)
    fine = noise * 1.6 * min(1.0, min(frame.size) / FINE_NOISE_PIXELS)
    draw_collimator = rng.random() < style.collimated
    edges, corner = rng.uniform(0.012, 0.045, 4), rng.uniform(-0.008, 0.008, 2)
    grain += rng.standard_normal(frame.size, dtype=np.float32) * np.float32(fine)
    # Quantum noise: the relative error falls with the number of photons.
    value = value + grain * np.sqrt(np.clip(value, 0.05, 1))
    value = np.maximum(value, _draw_marker(frame, style, corner))
    if draw_collimator:
        value = value * _draw_collimator(frame, edges)
    return np.asarray(np.clip(value * FULL_SCALE * 0.93 + 60, 0, FULL_SCALE), dtype=np.uint16)


def _draw_marker(frame: Frame, style: Style, jitter: NDArray[np.float64]) -> Field:
    """The lead letter beside the patient's own side."""
    half_height = 0.5 * frame.size[0] * frame.pixel
    left = (0.40 if style.marker == "L" else -0.44) + jitter[0]
    top = -half_height + 0.055 + jitter[1]
    strokes = np.array(_LETTERS[style.marker]) * 0.042 + [left, top]
    letter = draw_curves(strokes, np.ones(strokes.shape[:2]), 0.0032, frame)
    return np.asarray(np.clip(1.4 * letter, 0, 1), dtype=np.float32)


def _draw_collimator(frame: Frame, edges: NDArray[np.float64]) -> Field:
    """1 inside the field, almost 0 behind the four blades."""
    half_height, half_width = (0.5 * length * frame.pixel for length in frame.size)
    across = soft_step(frame.x + np.float32(half_width - edges[0]), 0.003, frame) * soft_step(
        np.float32(half_width - edges[1]) - frame.x, 0.003, frame
    )
    down = soft_step(frame.y + np.float32(half_height - edges[2]), 0.003, frame) * soft_step(
        np.float32(half_height - edges[3]) - frame.y, 0.003, frame
    )
    return np.asarray(0.03 + 0.97 * across * down, dtype=np.float32)
