"""The normal thorax of a phantom: its outlines, and the density that they give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.interpolate import PchipInterpolator

from model_store.demo.phantom_canvas import (
    Field,
    Frame,
    draw_curves,
    ellipse_distance,
    smooth_noise,
    soft_step,
)
from model_store.demo.phantom_style import Style

Side = Literal["right", "left"]
SIDES: Final[tuple[Side, Side]] = ("right", "left")
# The patient's right is on the left of the picture.
SIGN: Final = {"right": -1.0, "left": 1.0}

SOFT_TISSUE: Final = 0.59
HEART: Final = 0.635
ABDOMEN: Final = 0.68


def _outline(points: tuple[tuple[float, float], ...]) -> tuple[Field, Field]:
    heights, widths = np.array(points).T
    dense = np.linspace(heights[0], heights[-1], 300)
    return dense.astype(np.float32), PchipInterpolator(heights, widths)(dense).astype(np.float32)


# (height, distance from the midline) in units of the shorter edge, by eye from frontal films.
_OUTER = _outline(
    (
        (-0.415, 0.120),
        (-0.408, 0.148),
        (-0.390, 0.180),
        (-0.350, 0.215),
        (-0.280, 0.252),
        (-0.180, 0.292),
        (-0.060, 0.328),
        (0.080, 0.354),
        (0.220, 0.366),
        (0.45, 0.370),
    )
)
_INNER = _outline(
    (
        (-0.415, 0.112),
        (-0.408, 0.084),
        (-0.390, 0.062),
        (-0.350, 0.048),
        (-0.250, 0.040),
        (-0.100, 0.044),
        (0.100, 0.050),
        (0.45, 0.056),
    )
)
_BODY = _outline(
    (
        (-0.75, 0.115),
        (-0.56, 0.120),
        (-0.50, 0.150),
        (-0.465, 0.235),
        (-0.44, 0.36),
        (-0.41, 0.47),
        (-0.36, 0.56),
        (-0.22, 0.60),
        (-0.10, 0.555),
        (0.0, 0.50),
        (0.2, 0.475),
        (0.45, 0.470),
        (0.75, 0.48),
    )
)
_MEDIASTINUM = {
    "right": _outline(
        (
            (-0.75, 0.05),
            (-0.45, 0.052),
            (-0.30, 0.056),
            (-0.20, 0.062),
            (-0.08, 0.058),
            (0.05, 0.065),
            (0.3, 0.06),
        )
    ),
    "left": _outline(
        (
            (-0.75, 0.05),
            (-0.45, 0.05),
            (-0.30, 0.054),
            (-0.235, 0.084),
            (-0.195, 0.086),
            (-0.14, 0.062),
            (-0.08, 0.078),
            (0.0, 0.075),
            (0.3, 0.06),
        )
    ),
}


@dataclass(frozen=True)
class Build:
    """One patient's measures, drawn once and the same at every size."""

    centre: tuple[float, float]
    scale: float
    width: float
    dome: dict[str, float]
    heart_centre: tuple[float, float]
    heart_axes: tuple[float, float]
    heart_angle: float
    lung_density: float
    rib_slope: float
    rib_start: float
    rotation: float
    clavicle_tilt: dict[str, float]
    bubble: tuple[float, float, float]


def draw_build(rng: np.random.Generator, style: Style) -> Build:
    """One patient of this hospital, with a heart of normal size."""
    scale = rng.uniform(*style.body_scale)
    axes = rng.uniform(0.134, 0.152), rng.uniform(0.094, 0.106)
    dome = rng.normal(0, 0.012)
    rotation = rng.normal(0, 0.012) if rng.random() < style.portable else rng.normal(0, 0.004)
    return Build(
        centre=(rng.uniform(-style.shift, style.shift), 0.015 + rng.uniform(-1, 1) * style.shift),
        scale=scale,
        width=rng.uniform(0.96, 1.04),
        dome={"right": 0.215 + dome, "left": 0.238 + dome + rng.normal(0, 0.006)},
        heart_centre=(0.042 + rng.normal(0, 0.006), 0.132 + rng.normal(0, 0.008)),
        heart_axes=axes,
        heart_angle=0.66 + rng.normal(0, 0.07),
        lung_density=rng.uniform(*style.lung_density),
        rib_slope=0.36 + rng.normal(0, 0.03),
        rib_start=-0.405 + rng.normal(0, 0.008),
        rotation=rotation,
        clavicle_tilt={side: rng.normal(0, 0.03) for side in SIDES},
        bubble=(rng.uniform(0.10, 0.17), rng.uniform(0.30, 0.34), rng.uniform(0.6, 1.2)),
    )


@dataclass(frozen=True)
class Thorax:
    """Outlines on a frame; every distance is in the patient's own units.

    Attributes:
        frame: The pixels, moved and scaled so that the origin is the patient's.
        build: The measures.
        lungs: Shape (H, W) for each side, 0 to 1.
        outer: Shape (H, 1): distance of the chest wall from the midline.
        heart: Shape (H, W), 0 to 1, of the heart that is drawn.
        mediastinum: Shape (H, W), 0 to 1, the heart included.
        domes: Shape (1, W) for each side: height of the diaphragm.
    """

    frame: Frame
    build: Build
    lungs: dict[str, Field]
    outer: Field
    heart: Field
    mediastinum: Field
    domes: dict[str, Field]

    @property
    def lung(self) -> Field:
        """Both lungs as they show, without what the mediastinum covers."""
        return np.asarray(
            (self.lungs["right"] + self.lungs["left"]) * (1 - self.mediastinum), dtype=np.float32
        )

    def visible_lung(self, side: str) -> Field:
        """One lung without what the mediastinum covers."""
        return np.asarray(self.lungs[side] * (1 - self.mediastinum), dtype=np.float32)


def patient_frame(frame: Frame, build: Build) -> Frame:
    """The same pixels with the origin and the unit of the patient."""
    x = ((frame.x - build.centre[0]) / (build.scale * build.width)).astype(np.float32)
    y = ((frame.y - build.centre[1]) / build.scale).astype(np.float32)
    return Frame(frame.size, x, y, frame.pixel / build.scale)


def draw_heart(frame: Frame, build: Build, growth: float) -> Field:
    """The heart's shadow, 0 to 1; ``growth`` is 1 for a normal heart."""
    x, y = build.heart_centre
    along, across = build.heart_axes
    centre = x + 0.045 * (growth - 1), y + 0.02 * (growth - 1)
    ventricle = ellipse_distance(
        frame, centre, (along * growth, across * growth), build.heart_angle
    )
    atrium = ellipse_distance(
        frame, (-0.032 - 0.03 * (growth - 1), y + 0.005), (0.052 * growth, 0.095 * growth)
    )
    return soft_step(np.maximum(ventricle, atrium), 0.010, frame)


def build_thorax(frame: Frame, build: Build, heart_growth: float) -> Thorax:
    """The outlines of this patient on these pixels."""
    frame = patient_frame(frame, build)
    outer = np.interp(frame.y, *_OUTER).astype(np.float32)
    inner = np.interp(frame.y, *_INNER).astype(np.float32)
    above = soft_step(frame.y + 0.412, 0.006, frame)
    lungs: dict[str, Field] = {}
    domes: dict[str, Field] = {}
    middle = np.zeros(frame.size, dtype=np.float32)
    for side in SIDES:
        across = frame.x * np.float32(SIGN[side])
        dome = (
            build.dome[side] + 1.6 * (across - 0.16) ** 2 + 3.5 * np.maximum(across - 0.235, 0) ** 2
        ).astype(np.float32)
        domes[side] = dome
        walls = soft_step(outer - across, 0.007, frame) * soft_step(across - inner, 0.008, frame)
        lungs[side] = walls * soft_step(dome - frame.y, 0.006, frame) * above
        edge = np.interp(frame.y, *_MEDIASTINUM[side]).astype(np.float32)
        edge = edge + np.float32(SIGN[side] * build.rotation)
        middle += soft_step(edge - across, 0.010, frame) * (across >= 0)
    heart = draw_heart(frame, build, heart_growth)
    return Thorax(frame, build, lungs, outer, heart, np.maximum(middle, heart), domes)


def draw_soft_tissue(thorax: Thorax, rng: np.random.Generator) -> Field:
    """Density of body, lungs, mediastinum, abdomen and air passages, without bones and vessels."""
    frame, build = thorax.frame, thorax.build
    width = np.interp(frame.y, *_BODY).astype(np.float32)
    across = np.abs(frame.x)
    depth = np.clip(1 - (across / width) ** 2, 0, 1)
    body = soft_step(width - across, 0.010, frame)
    density = body * (0.34 + 0.24 * np.sqrt(depth))
    density += body * 0.008 * smooth_noise(rng, 14, frame)
    below = sum(
        soft_step(frame.y - thorax.domes[side], 0.006, frame) * (frame.x * SIGN[side] >= 0)
        for side in SIDES
    ) * soft_step(thorax.outer + 0.008 + 0.3 * np.maximum(frame.y - 0.27, 0) - across, 0.02, frame)
    liver = ABDOMEN - 0.05 * soft_step(frame.x, 0.10, frame) - 0.05 * np.clip(frame.y - 0.25, 0, 1)
    density += below * (liver - density)
    bubble_x, bubble_y, bubble = build.bubble
    gas = soft_step(
        ellipse_distance(frame, (bubble_x, bubble_y), (0.055, 0.028), 0.15), 0.01, frame
    )
    density -= 0.17 * bubble * gas * below
    lung = np.clip(thorax.lungs["right"] + thorax.lungs["left"], 0, 1)
    thickness = 0.06 * np.clip(frame.y + 0.1, 0, 1) + 0.10 * (across / thorax.outer) ** 4
    density += lung * (build.lung_density + thickness - density)
    middle = thorax.mediastinum * soft_step(0.40 - frame.y, 0.2, frame)
    core = SOFT_TISSUE + 0.05 * soft_step(0.04 - across, 0.05, frame)
    core = core + (HEART - core) * thorax.heart
    density += middle * np.maximum(core - density, 0)
    return np.asarray(density - _draw_airway(frame) * body, dtype=np.float32)


def _draw_airway(frame: Frame) -> Field:
    """Trachea and main bronchi: what they take away."""
    trachea = soft_step(0.015 - np.abs(frame.x - 0.004), 0.008, frame)
    trachea = trachea * soft_step(-0.18 - frame.y, 0.05, frame)
    bronchi = draw_curves(
        np.array(
            [
                [[0.0, -0.17], [-0.035, -0.125], [-0.07, -0.08]],
                [[0.006, -0.17], [0.05, -0.125], [0.09, -0.095]],
            ]
        ),
        np.array([[1.0, 0.8, 0.0], [1.0, 0.8, 0.0]]),
        0.009,
        frame,
    )
    return np.asarray(0.10 * trachea + 0.05 * bronchi, dtype=np.float32)
