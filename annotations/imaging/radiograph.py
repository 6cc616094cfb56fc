"""One radiograph in memory: raw values, how to show them, what the header may tell."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
Photometric = Literal["MONOCHROME1", "MONOCHROME2"]
VoiFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]


@dataclass(frozen=True, slots=True)
class Window:
    """A window in units of ``Radiograph.pixels``, by the formulas of DICOM PS3.3 C.11.2.1."""

    center: float
    width: float
    name: str
    function: VoiFunction = "LINEAR"


@dataclass(frozen=True, eq=False)
class LookupTable:
    """A VOI look-up table, one entry for each value that a pixel may have.

    Attributes:
        first: The pixel value of the first entry; lower values take it too.
        values: Shape (n,); higher pixel values take the last.
        bits: Of the entries: white is ``2**bits - 1``.
        name: Of the preset.
    """

    first: int
    values: NDArray[np.uint16]
    bits: int
    name: str


@dataclass(frozen=True, slots=True)
class Identity:
    """What identifies the patient; shown nowhere, stored only as keyed hashes."""

    patient_id: str = field(default="", repr=False)
    study_uid: str = field(default="", repr=False)
    series_uid: str = field(default="", repr=False)
    instance_uid: str = field(default="", repr=False)


@dataclass(frozen=True, eq=False)
class Radiograph:
    """A radiograph of one plane.

    Attributes:
        pixels: Shape (H, W); raw values after modality table, slope and sign, never below 0.
        photometric: MONOCHROME1 is inverted for display, after the VOI step.
        bits: Every pixel is below ``2**bits``.
        value_scale: Modality value per pixel unit; above 0.
        value_offset: Modality value of pixel 0.
        windows: Of the file.
        voi_luts: Of the file.
        spacing_mm: (row, column), where the file has it.
        view: PA, AP, LATERAL ...; "" when unknown.
        modality: CR, DX ...; "" for PNG, JPEG and TIFF.
        facts: Allow-listed header fields.
        flags: ``burned_in_annotation``, ``secondary_capture``, ``lossy``, ``constant``.
        identity: Of patient, study, series and instance.
        padding: The pixel value that stands for "no picture here", where the file names one.
    """

    pixels: Pixels
    photometric: Photometric
    bits: int
    value_scale: float = 1.0
    value_offset: float = 0.0
    windows: tuple[Window, ...] = ()
    voi_luts: tuple[LookupTable, ...] = ()
    spacing_mm: tuple[float, float] | None = None
    view: str = ""
    modality: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    identity: Identity = field(default_factory=Identity, repr=False)
    padding: int | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return (self.pixels.shape[0], self.pixels.shape[1])

    @cached_property
    def histogram(self) -> NDArray[np.intp]:
        """How many pixels have each value, shape (2**bits,); counted once."""
        return np.bincount(self.pixels.ravel(), minlength=2**self.bits)


def pixel_sha256(radiograph: Radiograph) -> str:
    """SHA-256 of the raw values in C order, little endian."""
    pixels = radiograph.pixels
    return hashlib.sha256(
        np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<")).tobytes()
    ).hexdigest()
