"""The findings of the phantoms: each one changes the density and so has an exact place.

A drawer takes the density before and gives the density after; what differs by more than
``VISIBLE`` is the finding, and the tight bound of that is its box.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model_store.demo.phantom_anatomy import SIDES, SIGN, Thorax
from model_store.demo.phantom_bones import Break
from model_store.demo.phantom_canvas import Field, Frame, ellipse_distance, smooth_noise, soft_step
from model_store.demo.phantom_style import Style

# A change of density under this share of the full range counts as not drawn.
VISIBLE: Final = 0.015
FLUID: Final = 0.66

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Place:
    """Where a finding is, in words for the report.

    Attributes:
        side: "right", "left" or "" where a side says nothing.
        zone: "upper", "middle", "lower" or "".
        detail: What else the report says, for example the device.
    """

    side: str = ""
    zone: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Task:
    """What a drawer is given: the patient, the density so far, its own dice, the style."""

    thorax: Thorax
    density: Field
    rng: np.random.Generator
    style: Style

    @property
    def frame(self) -> Frame:
        """The patient's frame."""
        return self.thorax.frame


Drawer = Callable[[Task], tuple[Field, Place]]


def tight_box(mask: NDArray[np.bool_]) -> Box:
    """The half-open pixel box around what is True.

    Raises:
        ValueError: If nothing is.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise ValueError(
            f"nothing was drawn on a picture of {mask.shape[0]} x {mask.shape[1]} (h x w); "
            "give a picture of at least 64 x 64 pixels"
        )
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def changed_box(before: Field, after: Field) -> Box:
    """The tight box of what one finding changed."""
    return tight_box(np.abs(after - before) > VISIBLE)


def draw_heart_growth(rng: np.random.Generator) -> float:
    """How much larger than normal an enlarged heart is."""
    return float(rng.uniform(1.30, 1.58))


def draw_break(rng: np.random.Generator) -> tuple[Break, Place]:
    """A broken rib or clavicle."""
    side = str(rng.choice(SIDES))
    if rng.random() < 0.4:
        broken = Break("clavicle", side, rng.uniform(0.15, 0.25), rng.uniform(0.017, 0.026), 0.065)
        return broken, Place(side, "", "clavicle")
    rib = int(rng.integers(2, 7))
    broken = Break(str(rib), side, rng.uniform(0.15, 0.25), rng.uniform(0.013, 0.019), 0.055)
    return broken, Place(side, "", f"posterior {ORDINALS[rib]} rib")


ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def _choose_side(rng: np.random.Generator) -> str:
    return str(SIDES[int(rng.random() < 0.5)])


def _zone(y: float) -> str:
    return "upper" if y < -0.18 else "middle" if y < 0.03 else "lower"


def _point_in_lung(task: Task, side: str, highest: float, lowest: float) -> tuple[float, float]:
    """A point well inside one lung and clear of a normal heart; depends on the dice alone."""
    for _ in range(40):
        y = task.rng.uniform(highest, lowest)
        wall = 0.20 + 0.10 * np.clip((y + 0.38) / 0.3, 0, 1)
        across = task.rng.uniform(0.09, wall)
        behind_heart = side == "left" and across < 0.20 and y > 0.02
        if not behind_heart and y < 0.17 + 2.0 * min(0.0, 0.16 - across) ** 2:
            return float(SIGN[side] * across), float(y)
    return float(SIGN[side] * 0.21), float(np.clip(-0.1, highest, lowest))


def draw_lesion(task: Task) -> tuple[Field, Place]:
    """A nodule or mass with a slightly lobed edge."""
    rng, frame = task.rng, task.frame
    side = _choose_side(rng)
    x, y = _point_in_lung(task, side, -0.32, 0.14)
    radius = task.style.lesion_size * (0.021 + 0.034 * rng.random() ** 1.5)
    lobes = rng.uniform(0, 2 * np.pi, 2)
    dx, dy = frame.x - x, frame.y - y
    around = np.arctan2(dy, dx)
    edge = radius * (
        1 + 0.09 * np.sin(3 * around + lobes[0]) + 0.06 * np.sin(5 * around + lobes[1])
    )
    away = np.sqrt(dx**2 + dy**2)
    ball = soft_step((edge - away).astype(np.float32), 0.006, frame)
    ball = ball * np.sqrt(np.clip(1.15 - (away / edge) ** 2 * 0.5, 0, None))
    added = 0.20 * task.style.conspicuity * ball * task.thorax.lungs[side]
    kind = "nodule" if radius < 0.038 else "mass"
    return task.density + added.astype(np.float32), Place(side, _zone(y), kind)


def draw_consolidation(task: Task) -> tuple[Field, Place]:
    """A patch of filled air spaces with a ragged edge."""
    rng, frame, style = task.rng, task.frame, task.style
    side = _choose_side(rng)
    x, y = _point_in_lung(task, side, -0.24, 0.15)
    axes = style.lesion_size * rng.uniform(0.065, 0.11), style.lesion_size * rng.uniform(0.06, 0.10)
    distance = ellipse_distance(frame, (x, y), axes, rng.uniform(-0.6, 0.6))
    ragged = distance / np.float32(min(axes)) + 0.22 * smooth_noise(rng, 26, frame)
    patch = soft_step((ragged * 0.1).astype(np.float32), 0.022, frame)
    patchy = np.clip(1 + 0.22 * smooth_noise(rng, 48, frame), 0.5, 1.4)
    room = task.thorax.lungs[side] * (1 - 0.8 * task.thorax.heart)
    added = 0.21 * style.conspicuity * patch * patchy * room
    return task.density + added.astype(np.float32), Place(side, _zone(y))


def draw_atelectasis(task: Task) -> tuple[Field, Place]:
    """One to three plates of collapsed lung above the diaphragm."""
    rng, frame = task.rng, task.frame
    side = _choose_side(rng)
    middle, base = rng.uniform(0.15, 0.23), rng.uniform(0.07, 0.165)
    across = frame.x * np.float32(SIGN[side])
    added = np.zeros(frame.size, dtype=np.float32)
    for plate in range(int(rng.integers(1, 4))):
        half_length, half = rng.uniform(0.065, 0.105), rng.uniform(0.0055, 0.0085)
        slope, offset = rng.uniform(-0.22, 0.30), rng.uniform(-0.02, 0.02)
        course = base - 0.036 * plate + slope * (across - middle) - 0.8 * (across - middle) ** 2
        band = soft_step((half - np.abs(frame.y - course)).astype(np.float32), 0.004, frame)
        ends = soft_step(half_length - np.abs(across - middle - offset), 0.015, frame)
        # Bands thinner than a pixel keep their area.
        thin = min(1.0, (2 * half) / (2 * half + 0.3 * frame.pixel))
        added = np.maximum(added, band * ends * np.float32(thin))
    added = (
        0.19
        * task.style.conspicuity
        * added
        * task.thorax.lungs[side]
        * (1 - 0.7 * task.thorax.heart)
    )
    return task.density + added.astype(np.float32), Place(side, "lower")


def draw_pneumothorax(task: Task) -> tuple[Field, Place]:
    """Air around a lung that came off the wall: no vessels there, and a fine pleural line."""
    rng, frame, style = task.rng, task.frame, task.style
    side = _choose_side(rng)
    lung = task.thorax.lungs[side]
    depth = style.lesion_size * rng.uniform(0.055, 0.105)
    lowest = rng.uniform(0.02, 0.24)
    across = frame.x * np.float32(SIGN[side])
    wall = task.thorax.outer - across
    apex = 0.85 * (frame.y + 0.412)
    # A smooth minimum: the air runs round the apex without a corner.
    from_wall = -0.02 * np.logaddexp(-wall / 0.02, -apex / 0.02)
    rim = depth * np.clip((lowest - frame.y) / 0.22, 0, 1) ** 0.6
    present = soft_step((rim - 0.008).astype(np.float32), 0.004, frame)
    air = soft_step((rim - from_wall).astype(np.float32), 0.003, frame) * lung * present
    line = np.exp(-(((rim - from_wall) / max(0.0030, 0.45 * frame.pixel)) ** 2)) * present
    emptied = task.thorax.build.lung_density - 0.105 * style.conspicuity
    density = task.density + air * 0.92 * (emptied - task.density)
    thin = min(1.0, 0.0030 / (0.45 * frame.pixel))
    density = density + 0.10 * thin * style.conspicuity * line * lung
    return density.astype(np.float32), Place(side)


def draw_effusion(task: Task) -> tuple[Field, Place]:
    """Fluid over the base of one lung, higher along the wall."""
    rng, frame = task.rng, task.frame
    side = _choose_side(rng)
    level, rise = rng.uniform(0.05, 0.185), rng.uniform(0.05, 0.10)
    across = frame.x * np.float32(SIGN[side])
    surface = level - rise * np.clip((across - 0.14) / 0.17, 0, 1.3) ** 2
    surface = surface - 0.25 * rise * np.clip((0.14 - across) / 0.09, 0, 1) ** 2
    fluid = soft_step((frame.y - surface).astype(np.float32), 0.014, frame)
    # Doubled, so that the soft edges of lung and fluid leave no dark seam between them.
    room = np.minimum(2 * task.thorax.lungs[side], 1)
    fluid = fluid * room * (1 - 0.85 * task.thorax.mediastinum)
    filled = FLUID - (1 - min(task.style.conspicuity, 1)) * 0.4
    density = task.density + fluid * np.maximum(filled - task.density, 0)
    size = "large" if level < 0.09 else "moderate" if level < 0.14 else "small"
    return density.astype(np.float32), Place(side, "", size)


# Drawn in this order before the bones; the enlarged heart, the broken bone and the devices have
# their own places in the drawing of a phantom.
LUNG_DRAWERS: Final[Mapping[str, Drawer]] = MappingProxyType(
    {
        "Pneumothorax": draw_pneumothorax,
        "Lung Lesion": draw_lesion,
        "Consolidation": draw_consolidation,
        "Atelectasis": draw_atelectasis,
        "Pleural Effusion": draw_effusion,
    }
)
