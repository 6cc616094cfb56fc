"""What makes a lung look like one: vessels that branch from the hilum, and a fine texture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model_store.demo.phantom_anatomy import SIDES, SIGN, Thorax
from model_store.demo.phantom_canvas import Field, draw_curves, smooth_noise
from model_store.demo.phantom_style import Style

Numbers = NDArray[np.floating[Any]]

# Half width in units and density, for trunks, branches and twigs.
CALIBRES: Final = ((0.0050, 0.075), (0.0032, 0.052), (0.0022, 0.042))
TRUNKS_PER_LUNG: Final = 9
CHILDREN: Final = 3
CORNERS: Final = 7


@dataclass(frozen=True, eq=False)
class Stems:
    """Vessels of one calibre before they are drawn, N of them.

    Attributes:
        start: Shape (N, 2).
        angle: Shape (N,): 0 is straight to the side, positive is downwards.
        sign: Shape (N,): which side.
        length: Shape (N,).
    """

    start: Numbers
    angle: Numbers
    sign: Numbers
    length: Numbers


def draw_vessels(thorax: Thorax, rng: np.random.Generator, style: Style) -> Field:
    """Density that the lungs' vessels, hila and fine texture add."""
    frame = thorax.frame
    stems = _grow_trunks(rng)
    canvas = np.zeros(frame.size, dtype=np.float32)
    for sigma, strength in CALIBRES:
        lines, fade = _bend_stems(stems, rng)
        canvas += draw_curves(lines, strength * fade, sigma, frame)
        stems = _grow_children(stems, lines, rng)
    texture = 0.009 * smooth_noise(rng, 44, frame) + 0.007 * smooth_noise(rng, 96, frame)
    for side in SIDES:
        centre = (SIGN[side] * 0.078, -0.03 if side == "right" else -0.05)
        distance = ((frame.x - centre[0]) / 0.035) ** 2 + ((frame.y - centre[1]) / 0.06) ** 2
        canvas += 0.075 * np.exp(-distance)
    return np.asarray((canvas + texture) * thorax.lung * style.vessels, dtype=np.float32)


def _grow_trunks(rng: np.random.Generator) -> Stems:
    n = TRUNKS_PER_LUNG
    starts, angles = [], []
    for side in SIDES:
        angle = np.linspace(-1.25, 1.35, n) + rng.normal(0, 0.10, n)
        hilum = np.array([SIGN[side] * 0.075, -0.045 if side == "right" else -0.065])
        spread = np.array([[0, 0.02]]) * np.sign(angle)[:, None]
        starts.append(hilum + rng.normal(0, 0.012, (n, 2)) + spread)
        angles.append(angle)
    sign = np.repeat([SIGN[side] for side in SIDES], n)
    length = 0.20 + 0.06 * rng.random(len(sign))
    return Stems(np.concatenate(starts), np.concatenate(angles), sign, length)


def _bend_stems(stems: Stems, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
    """Corners (N, corners, 2) of the bent stems, and how much of them is left at each corner."""
    n = len(stems.sign)
    t = np.linspace(0, 1, CORNERS)[None, :]
    heading = stems.angle[:, None] + rng.normal(0, 0.24, (n, 1)) * t**1.5
    way = np.stack([stems.sign[:, None] * np.cos(heading), np.sin(heading)], axis=-1)
    lines = stems.start[:, None, :] + stems.length[:, None, None] * t[..., None] * way
    return lines, (1 - 0.75 * t) * np.ones((n, 1))


def _grow_children(stems: Stems, lines: Numbers, rng: np.random.Generator) -> Stems:
    n = len(stems.sign)
    where = rng.integers(1, CORNERS, (n, CHILDREN))
    start = lines[np.arange(n)[:, None], where].reshape(-1, 2)
    turn = rng.choice([-1, 1], CHILDREN * n) * rng.uniform(0.3, 0.75, CHILDREN * n)
    return Stems(
        start,
        np.repeat(stems.angle, CHILDREN) + turn,
        np.repeat(stems.sign, CHILDREN),
        np.repeat(stems.length, CHILDREN) * 0.55,
    )
