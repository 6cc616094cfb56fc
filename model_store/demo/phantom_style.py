"""How a set of phantoms looks, and how often each finding is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Range = tuple[float, float]

# The order is that of the study's list, which the heads keep; "No Finding" comes last there.
DEMO_FINDINGS: Final[tuple[str, ...]] = (
    "Cardiomegaly",
    "Lung Lesion",
    "Consolidation",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Fracture",
    "Support Devices",
)
NO_FINDING: Final = "No Finding"


@dataclass(frozen=True)
class Style:
    """One imaginary hospital: its patients, its machine and its case mix.

    Attributes:
        name: For messages and reports.
        prevalence: The chance of each finding, in the order of ``DEMO_FINDINGS``.
        conspicuity: Factor on the contrast of what is drawn as a finding.
        lesion_size: Factor on the size of lesions, consolidations and pneumothoraces.
        lung_density: Density of the aerated lung, 0 to 1.
        bone: Factor on the contrast of ribs, clavicles and scapulae.
        vessels: Factor on the contrast of the lung's vessels.
        body_scale: Size of the thorax, least and greatest.
        shift: Greatest displacement of the patient, in units of the shorter edge.
        gamma: Tone curve, least and greatest; over 1 darkens the lungs.
        gain: Contrast, least and greatest.
        veil: Scattered radiation added everywhere, least and greatest.
        noise: Standard deviation of the noise at the scale of 1/100 of the shorter edge.
        collimated: Chance of a black frame left by the collimator.
        marker: The letter beside the patient, "L" or "R".
        portable: Chance of the line ``portable`` and of a rotated thorax.
    """

    name: str
    prevalence: tuple[float, ...]
    conspicuity: float
    lesion_size: float
    lung_density: Range
    bone: float
    vessels: float
    body_scale: Range
    shift: float
    gamma: Range
    gain: Range
    veil: Range
    noise: Range
    collimated: float
    marker: str
    portable: float

    def __post_init__(self) -> None:
        """Refuse a table of chances that does not fit the findings."""
        if len(self.prevalence) != len(DEMO_FINDINGS):
            raise ValueError(
                f"style '{self.name}' gives {len(self.prevalence)} chances; expected one for each "
                f"of {', '.join(DEMO_FINDINGS)}"
            )
        if not all(0 <= chance <= 1 for chance in self.prevalence):
            raise ValueError(
                f"style '{self.name}' has a chance outside 0 to 1 in {self.prevalence}"
            )


# What the image-text models saw: a clean machine, plain findings, many of them.
TRAINING_STYLE: Final = Style(
    name="training",
    prevalence=(0.14, 0.22, 0.16, 0.22, 0.20, 0.14, 0.26, 0.12),
    conspicuity=1.2,
    lesion_size=1.1,
    lung_density=(0.20, 0.27),
    bone=0.8,
    vessels=0.8,
    body_scale=(0.92, 1.02),
    shift=0.025,
    gamma=(0.85, 1.1),
    gain=(0.95, 1.05),
    veil=(0.0, 0.04),
    noise=(0.005, 0.012),
    collimated=0.0,
    marker="R",
    portable=0.1,
)

# The demo's hospital: portable films with more noise and scatter, fainter findings, more devices.
DEMO_STYLE: Final = Style(
    name="demo",
    prevalence=(0.22, 0.15, 0.18, 0.16, 0.13, 0.24, 0.13, 0.30),
    conspicuity=0.85,
    lesion_size=1.0,
    lung_density=(0.25, 0.36),
    bone=1.55,
    vessels=1.7,
    body_scale=(1.02, 1.14),
    shift=0.02,
    gamma=(1.6, 2.3),
    gain=(0.85, 1.0),
    veil=(0.05, 0.12),
    noise=(0.013, 0.024),
    collimated=0.35,
    marker="L",
    portable=0.45,
)
