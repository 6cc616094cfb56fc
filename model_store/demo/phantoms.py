"""Synthetic frontal chest radiographs with exact boxes, a report and a short history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model_store.demo.phantom_acquisition import acquire
from model_store.demo.phantom_anatomy import (
    build_thorax,
    draw_build,
    draw_soft_tissue,
)
from model_store.demo.phantom_bones import draw_bones
from model_store.demo.phantom_canvas import Field, Size, build_frame
from model_store.demo.phantom_devices import DEVICES, choose_devices
from model_store.demo.phantom_findings import (
    LUNG_DRAWERS,
    Box,
    Place,
    Task,
    changed_box,
    draw_break,
    draw_heart_growth,
    tight_box,
)
from model_store.demo.phantom_reports import write_history, write_report
from model_store.demo.phantom_style import DEMO_FINDINGS, DEMO_STYLE, Style
from model_store.demo.phantom_vessels import draw_vessels

DEMO_SIZE: Final[Size] = (900, 768)
DEMO_COUNT: Final = 60
# Seeds of the demo set; training, probe and check sets start elsewhere (see train.py).
DEMO_FIRST_SEED: Final = 1_000
SMALLEST_EDGE: Final = 64

# Each part of a phantom rolls its own dice, so that adding a finding changes nothing else.
_PARTS: Final = ("build", "tissue", "vessels", "acquisition", "choice", "words", *DEMO_FINDINGS)


@dataclass(frozen=True, eq=False)
class Phantom:
    """One synthetic radiograph and all that is known about it.

    Attributes:
        pixels: Shape (H, W), uint16, 0 to 4095, MONOCHROME2.
        findings: In the order of ``DEMO_FINDINGS``; empty for a normal film.
        boxes: For each finding the half-open pixel boxes x_min, y_min, x_max, y_max of what was
            drawn.
        report: Findings and impression in words.
        history: Age, sex and complaint.
        seed: What it was made from.
    """

    pixels: NDArray[np.uint16]
    findings: tuple[str, ...]
    boxes: Mapping[str, tuple[Box, ...]]
    report: str
    history: str
    seed: int


def render_phantom(
    seed: int,
    *,
    size: Size = DEMO_SIZE,
    style: Style = DEMO_STYLE,
    findings: Sequence[str] | None = None,
) -> Phantom:
    """The phantom of this seed; the same patient at every size.

    Args:
        seed: Not negative.
        size: (H, W) in pixels; a square shows the centre crop of a tall picture.
        style: Which hospital.
        findings: What the film shows; None rolls dice with the style's prevalence.

    Raises:
        ValueError: If a finding is unknown, the seed is negative or the picture too small.
    """
    if min(size) < SMALLEST_EDGE:
        raise ValueError(
            f"a phantom of {size[0]} x {size[1]} (h x w) is too small for its findings; "
            f"give edges of at least {SMALLEST_EDGE} pixels"
        )
    if seed < 0:
        raise ValueError(f"seed {seed} is negative; give a whole number from 0")
    shown = choose_findings(seed, style) if findings is None else _check_findings(findings)
    density, boxes, places = _draw_patient(seed, size, style, shown)
    pixels = acquire(density, build_frame(size), _dice(seed, "acquisition"), style)
    words = _dice(seed, "words")
    return Phantom(
        pixels=pixels,
        findings=shown,
        boxes=MappingProxyType(boxes),
        report=write_report(words, places),
        history=write_history(words, shown),
        seed=seed,
    )


def demo_set(count: int = DEMO_COUNT) -> Iterator[Phantom]:
    """The phantoms of the demo workspace, one after the other."""
    for index in range(count):
        yield render_phantom(DEMO_FIRST_SEED + index)


def choose_findings(seed: int, style: Style) -> tuple[str, ...]:
    """What the film of this seed shows in this hospital."""
    chances = _dice(seed, "choice").random(len(DEMO_FINDINGS))
    return tuple(
        name
        for name, roll, chance in zip(DEMO_FINDINGS, chances, style.prevalence, strict=True)
        if roll < chance
    )


def _check_findings(findings: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in findings if name not in DEMO_FINDINGS]
    if unknown:
        raise ValueError(
            f"unknown finding '{unknown[0]}' for a phantom; known: {', '.join(DEMO_FINDINGS)}"
        )
    return tuple(name for name in DEMO_FINDINGS if name in findings)


def _dice(seed: int, part: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, _PARTS.index(part)]))


def _draw_patient(
    seed: int, size: Size, style: Style, shown: tuple[str, ...]
) -> tuple[Field, dict[str, tuple[Box, ...]], dict[str, tuple[Place, ...]]]:
    """Density, boxes and places of one patient."""
    build = draw_build(_dice(seed, "build"), style)
    enlarged = "Cardiomegaly" in shown
    growth = draw_heart_growth(_dice(seed, "Cardiomegaly")) if enlarged else 1.0
    thorax = build_thorax(build_frame(size), build, growth)
    boxes: dict[str, tuple[Box, ...]] = {}
    places: dict[str, tuple[Place, ...]] = {}
    if enlarged:
        boxes["Cardiomegaly"] = (tight_box(thorax.heart > 0.05),)
        places["Cardiomegaly"] = (Place(),)
    density = draw_soft_tissue(thorax, _dice(seed, "tissue"))
    density += draw_vessels(thorax, _dice(seed, "vessels"), style)
    for name, draw in LUNG_DRAWERS.items():
        if name in shown:
            after, place = draw(Task(thorax, density, _dice(seed, name), style))
            boxes[name], places[name] = (changed_box(density, after),), (place,)
            density = after
    # Bone shows less where much else already stops the beam.
    contrast = style.bone * np.clip(1.45 - 1.7 * density, 0.2, 1)
    bones = draw_bones(thorax, None) * contrast
    if "Fracture" in shown:
        broken, place = draw_break(_dice(seed, "Fracture"))
        whole, bones = bones, draw_bones(thorax, broken) * contrast
        boxes["Fracture"], places["Fracture"] = (changed_box(whole, bones),), (place,)
    density = density + bones
    if "Support Devices" in shown:
        rng = _dice(seed, "Support Devices")
        device_boxes: list[Box] = []
        device_places: list[Place] = []
        for device in choose_devices(rng):
            after, place = DEVICES[device](Task(thorax, density, rng, style))
            device_boxes.append(changed_box(density, after))
            device_places.append(place)
            density = after
        boxes["Support Devices"] = tuple(device_boxes)
        places["Support Devices"] = tuple(device_places)
    ordered = [name for name in DEMO_FINDINGS if name in boxes]
    return density, {n: boxes[n] for n in ordered}, {n: places[n] for n in ordered}
