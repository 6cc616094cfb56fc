"""The support devices of the phantoms: pacemakers, lines and tubes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from model_store.demo.phantom_anatomy import SIGN
from model_store.demo.phantom_canvas import Field, Frame, draw_curves, soft_step
from model_store.demo.phantom_findings import Place, Task

METAL: Final = 0.97


def _course(corners: list[tuple[float, float]], n: int = 40) -> NDArray[np.float64]:
    """A smooth way through these corners, shape (n, 2)."""
    place = np.array(corners)
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(place, axis=0).T))])
    t = np.linspace(0, along[-1], n)
    return np.stack([PchipInterpolator(along, place[:, axis])(t) for axis in (0, 1)], axis=1)


def _on_frame(course: NDArray[np.float64], frame: Frame) -> NDArray[np.float64]:
    """The same way in units whose origin is the picture's centre, as curves are drawn."""
    origin_x, step_x = frame.x[0, 0], frame.x[0, 1] - frame.x[0, 0]
    origin_y, step_y = frame.y[0, 0], frame.y[1, 0] - frame.y[0, 0]
    column = (course[:, 0] - origin_x) / step_x + 0.5 - frame.size[1] / 2
    row = (course[:, 1] - origin_y) / step_y + 0.5 - frame.size[0] / 2
    return np.stack([column, row], axis=1) * frame.pixel


def _tube(corners: list[tuple[float, float]], sigma: float, frame: Frame) -> Field:
    """0 to 1: a tube with a flat middle along these corners."""
    course = _on_frame(_course(corners), frame)[None]
    return np.asarray(
        np.clip(1.5 * draw_curves(course, np.ones(course.shape[:2]), sigma, frame), 0, 1),
        dtype=np.float32,
    )


def draw_pacemaker(task: Task) -> tuple[Field, Place]:
    """A generator below the left clavicle with a lead to the heart."""
    rng, frame = task.rng, task.frame
    x, y = 0.285 + rng.normal(0, 0.012), -0.245 + rng.normal(0, 0.012)
    angle = rng.normal(0.2, 0.2)
    cos, sin = np.cos(angle), np.sin(angle)
    across, down = frame.x - x, frame.y - y
    u, v = across * cos + down * sin, down * cos - across * sin
    inside = 0.052 - (np.abs(u / 0.94) ** 4 + np.abs(v / 0.80) ** 4) ** 0.25
    can = soft_step(inside.astype(np.float32), 0.003, frame)
    battery = soft_step(
        (0.026 - np.maximum(np.abs(u + 0.012), np.abs(v - 0.004))).astype(np.float32), 0.003, frame
    )
    header = soft_step(
        (0.016 - np.maximum(np.abs(u) / 2.2, np.abs(v + 0.048))).astype(np.float32), 0.003, frame
    )
    body = np.maximum(can * (0.80 + 0.20 * battery), 0.55 * header)
    lead = _tube(
        [
            (x - 0.02, y - 0.045),
            (0.20, -0.335),
            (0.08, -0.30),
            (-0.035, -0.20),
            (-0.045, -0.02),
            (-0.02, 0.12),
            (0.06, 0.175 + rng.normal(0, 0.01)),
            (0.115, 0.19),
        ],
        0.0030,
        frame,
    )
    metal = np.maximum(body, 0.62 * lead)
    density = task.density + metal * (METAL - task.density)
    return density.astype(np.float32), Place("left", "", "pacemaker")


def draw_central_line(task: Task) -> tuple[Field, Place]:
    """A central venous line from the neck to the superior vena cava."""
    rng = task.rng
    side = "right" if rng.random() < 0.7 else "left"
    sign, tip = SIGN[side], rng.uniform(-0.10, 0.0)
    if side == "right":
        corners = [
            (sign * 0.11, -0.48),
            (sign * 0.075, -0.40),
            (sign * 0.052, -0.30),
            (sign * 0.045, -0.18),
            (sign * 0.043, tip),
        ]
    else:
        corners = [
            (0.12, -0.48),
            (0.085, -0.40),
            (0.045, -0.30),
            (-0.01, -0.235),
            (-0.038, -0.17),
            (-0.043, tip),
        ]
    line = _tube(corners, 0.0036, task.frame)
    return _brighten(task, 0.26 * line), Place(side, "", "central venous line")


def draw_tracheal_tube(task: Task) -> tuple[Field, Place]:
    """A tracheal tube above the carina."""
    tip = task.rng.uniform(-0.27, -0.20)
    lean = task.rng.normal(0, 0.006)
    corners = [(0.004 + lean, -0.50), (0.006, -0.40), (0.004, tip)]
    tube = 0.45 * _tube(corners, 0.0075, task.frame)
    stripe = _tube([(x + 0.006, y) for x, y in corners], 0.0028, task.frame)
    return _brighten(task, 0.26 * np.maximum(tube, stripe)), Place("", "", "tracheal tube")


def draw_gastric_tube(task: Task) -> tuple[Field, Place]:
    """A feeding tube down the oesophagus into the stomach."""
    rng = task.rng
    bow, end = rng.normal(0.014, 0.006), rng.uniform(0.10, 0.15)
    corners = [
        (0.0, -0.50),
        (0.008, -0.35),
        (bow, -0.10),
        (bow + 0.006, 0.10),
        (0.03, 0.24),
        (0.075, 0.315),
        (end, 0.345),
    ]
    return _brighten(task, 0.27 * _tube(corners, 0.0042, task.frame)), Place("", "", "gastric tube")


def draw_chest_tube(task: Task) -> tuple[Field, Place]:
    """A drain from the side wall towards the apex."""
    rng = task.rng
    side = "right" if rng.random() < 0.5 else "left"
    sign, entry = SIGN[side], rng.uniform(0.06, 0.15)
    corners = [
        (sign * 0.43, entry + 0.03),
        (sign * 0.345, entry),
        (sign * 0.27, entry - 0.10),
        (sign * 0.215, entry - 0.24),
        (sign * 0.17, -0.29 + rng.normal(0, 0.015)),
    ]
    tube = _tube(corners, 0.0055, task.frame)
    return _brighten(task, 0.24 * tube), Place(side, "", "chest tube")


def _brighten(task: Task, added: Field) -> Field:
    """The density under a device that lets some radiation through."""
    return np.asarray(
        np.minimum(task.density + added, np.maximum(task.density, METAL)), dtype=np.float32
    )


DEVICES: Final[Mapping[str, Callable[[Task], tuple[Field, Place]]]] = MappingProxyType(
    {
        "pacemaker": draw_pacemaker,
        "central venous line": draw_central_line,
        "tracheal tube": draw_tracheal_tube,
        "gastric tube": draw_gastric_tube,
        "chest tube": draw_chest_tube,
    }
)


def choose_devices(rng: np.random.Generator) -> tuple[str, ...]:
    """One device, or two that are seen together."""
    names = list(DEVICES)
    first = names[int(rng.choice(len(names), p=(0.36, 0.22, 0.14, 0.12, 0.16)))]
    if first == "tracheal tube" and rng.random() < 0.6:
        return (first, "gastric tube")
    if first == "central venous line" and rng.random() < 0.25:
        return (first, "chest tube")
    return (first,)
