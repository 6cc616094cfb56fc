"""The bones of a phantom. A broken bone is the same bone with a step in its course."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_store.demo.phantom_anatomy import SIDES, SIGN, Thorax
from model_store.demo.phantom_canvas import Field, Frame, ellipse_distance, soft_step

N_RIBS = 10
RIB_STEP = 0.068
RIB_HALF_WIDTH = 0.0125


@dataclass(frozen=True)
class Break:
    """Where a bone is broken.

    Attributes:
        bone: "clavicle" or the rib's number as text.
        side: "right" or "left".
        place: Distance of the break from the midline.
        step: How far the two ends stand apart.
        reach: Length over which each end comes back to the bone's course.
    """

    bone: str
    side: str
    place: float
    step: float
    reach: float


def draw_bones(thorax: Thorax, broken: Break | None) -> Field:
    """Density that ribs, clavicles, scapulae, humeral heads and spine add."""
    frame = thorax.frame
    chest = soft_step(thorax.outer + 0.014 - np.abs(frame.x), 0.008, frame)
    cover = 1 - 0.72 * thorax.mediastinum
    for side in SIDES:
        below = soft_step(frame.y - thorax.domes[side], 0.02, frame) * (frame.x * SIGN[side] > 0)
        cover = cover * (1 - 0.6 * below)
    cage = soft_step(frame.y + 0.40, 0.02, frame)
    bones = 0.115 * _draw_ribs(thorax, broken) * chest * cover * cage
    for side in SIDES:
        bones += _draw_shoulder(thorax, side, broken)
    return np.asarray(bones + _draw_spine(thorax), dtype=np.float32)


def _rib_course(thorax: Thorax, rib: int, across: Field) -> Field:
    """Height of a rib's posterior part at these distances from the midline."""
    build = thorax.build
    start = build.rib_start + RIB_STEP * rib * 1.02
    turn = np.maximum(across - (0.11 + 0.010 * rib), 0)
    bow = build.rib_slope * (4.2 + 0.42 * rib)
    neck = np.maximum(0.11 - across, 0)
    return np.asarray(start - 0.02 + bow * turn**2 + 2.2 * neck**2, dtype=np.float32)


def _front_course(thorax: Thorax, rib: int, across: Field) -> Field:
    """Height of a rib's anterior part: it falls from the side towards the sternum."""
    side = np.float32(0.31 + 0.005 * rib)
    start = float(_rib_course(thorax, rib, np.array(side)))
    fall = np.maximum(side + 0.03 - across, 0)
    return np.asarray(start + 0.01 + 0.66 * fall - 0.85 * fall**2, dtype=np.float32)


def _draw_ribs(thorax: Thorax, broken: Break | None) -> Field:
    """Ribs of both sides, 0 to about 1."""
    frame = thorax.frame
    across = np.abs(frame.x)
    tilt = (frame.x * np.float32(thorax.build.rotation * 1.5)).astype(np.float32)
    inner = soft_step(across - 0.03, 0.01, frame)
    front_end = np.float32(0.42) * soft_step(across - 0.115, 0.02, frame)
    thickness = RIB_HALF_WIDTH * (1 - 0.25 * np.clip((across - 0.25) / 0.1, 0, 1))
    thickness = thickness.astype(np.float32)
    canvas = np.zeros(frame.size, dtype=np.float32)
    for rib in range(N_RIBS):
        course, level = _rib_course(thorax, rib, across) + tilt, inner
        if broken is not None and broken.bone == str(rib):
            moved, gapped = _break_course(course, level, across, broken, frame)
            here = frame.x * SIGN[broken.side] > 0
            course, level = np.where(here, moved, course), np.where(here, gapped, level)
        _add_band(canvas, frame, course, level, thickness)
        if 1 <= rib <= 7:
            front = _front_course(thorax, rib, across) + tilt
            _add_band(canvas, frame, front, front_end, thickness * np.float32(1.12))
    return canvas


def _break_course(
    course: Field, level: Field, across: Field, broken: Break, frame: Frame
) -> tuple[Field, Field]:
    """The course with its two ends apart, and the level with the gap and the dense ends."""
    offset = across - broken.place
    near = np.clip(1 - np.abs(offset) / broken.reach, 0, 1)
    course = course + (broken.step * near**1.5 * np.sign(offset)).astype(np.float32)
    gap = soft_step(0.006 - np.abs(offset), 0.003, frame)
    dense = 1 + 1.3 * np.clip(1 - np.abs(offset) / (0.55 * broken.reach), 0, 1)
    return course, np.asarray(level * dense * (1 - 0.9 * gap), dtype=np.float32)


def _add_band(canvas: Field, frame: Frame, course: Field, level: Field, half: Field) -> None:
    """A band with bright borders around ``course``, drawn into the canvas."""
    reach = float(half.max()) + 3 * frame.pixel
    step = float(frame.y[1, 0] - frame.y[0, 0])
    top = int((float(course.min()) - reach - float(frame.y[0, 0])) / step)
    bottom = int((float(course.max()) + reach - float(frame.y[0, 0])) / step) + 2
    part = slice(min(max(top, 0), frame.size[0]), max(min(bottom, frame.size[0]), 0))
    away = np.abs(frame.y[part] - course)
    border = np.float32(0.72) + np.float32(0.28) * (away / half) ** 2
    band = soft_step(half - away, 0.0028, frame) * border * level
    np.maximum(canvas[part], band, out=canvas[part])


def clavicle_course(thorax: Thorax, side: str, across: Field) -> Field:
    """Height of the clavicle's axis at these distances from the midline."""
    tilt = thorax.build.clavicle_tilt[side]
    wave = 0.007 * np.sin((across - 0.03) / 0.35 * 2 * np.pi)
    rise = (0.20 + tilt) * (across - 0.03)
    return np.asarray(-0.325 - rise + wave, dtype=np.float32)


def _draw_shoulder(thorax: Thorax, side: str, broken: Break | None) -> Field:
    frame = thorax.frame
    shoulder: Field = np.zeros(frame.size, dtype=np.float32)
    across = frame.x * np.float32(SIGN[side])
    level: Field = soft_step(across - 0.035, 0.012, frame) * soft_step(0.385 - across, 0.012, frame)
    course = clavicle_course(thorax, side, across)
    if broken is not None and (broken.bone, broken.side) == ("clavicle", side):
        course, level = _break_course(course, level, across, broken, frame)
    half: Field = (0.0135 + 0.007 * np.clip(0.09 - across, 0, 0.06) / 0.06).astype(np.float32)
    _add_band(shoulder, frame, course, level, half)
    shoulder *= 0.14
    head = soft_step(
        ellipse_distance(frame, (SIGN[side] * 0.485, -0.33), (0.062, 0.058)), 0.008, frame
    )
    shaft: Field = soft_step(0.035 - np.abs(across - 0.505 - 0.10 * (frame.y + 0.3)), 0.008, frame)
    shaft = shaft * soft_step(frame.y + 0.33, 0.02, frame)
    shoulder += 0.13 * np.maximum(head, shaft)
    # The scapula: a blade with a brighter medial border, drawn clear of the lung's middle.
    border = 0.355 + 0.22 * (frame.y + 0.02) + 0.5 * (frame.y + 0.15) ** 2
    blade: Field = soft_step(across - border, 0.006, frame) * soft_step(0.47 - across, 0.05, frame)
    blade = (
        blade
        * soft_step(frame.y + 0.33, 0.05, frame)
        * soft_step(0.02 - frame.y - 0.9 * (across - border), 0.01, frame)
    )
    rim = soft_step(0.006 - np.abs(across - border - 0.004), 0.004, frame)
    shoulder += blade * (0.045 + 0.035 * rim)
    return shoulder


def _draw_spine(thorax: Thorax) -> Field:
    """Vertebrae seen through the mediastinum: bodies, disc spaces, pedicles, spinous processes."""
    frame = thorax.frame
    x = frame.x - np.float32(thorax.build.rotation * 0.5)
    step = (0.046 + 0.012 * np.clip(frame.y + 0.3, 0, 1)).astype(np.float32)
    phase = frame.y / step
    phase = phase - np.floor(phase)
    body = soft_step(0.034 - np.abs(x), 0.010, frame)
    disc = soft_step(0.10 - np.abs(phase - 0.5), 0.06, frame)
    process = np.exp(-((x / 0.006) ** 2) - ((phase - 0.05) / 0.16) ** 2)
    pedicle = np.exp(-(((np.abs(x) - 0.022) / 0.005) ** 2) - ((phase - 0.2) / 0.10) ** 2)
    spine = body * (0.030 - 0.022 * disc) + 0.03 * process + 0.024 * pedicle
    return np.asarray(spine * soft_step(0.62 - frame.y, 0.1, frame), dtype=np.float32)
