"""DICOM projection radiographs: values by the modality step, greys' tables, and nothing personal."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels import apply_modality_lut
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from annotations.errors import UnreadableImage
from annotations.imaging.radiograph import Identity, LookupTable, Radiograph, VoiFunction, Window
from annotations.imaging.raster import MAX_PIXELS

SYNTAXES: Final = frozenset(
    {
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        JPEGBaseline8Bit,
        JPEGExtended12Bit,
        JPEGLossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEGLSNearLossless,
        JPEG2000Lossless,
        JPEG2000,
        RLELossless,
    }
)
PROJECTION_MODALITIES: Final = frozenset({"CR", "DX", "OT", "SC", ""})
SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
# Header fields that may be kept: none of them says who the patient is.
ALLOWED_FACTS: Final = (
    "Modality",
    "Rows",
    "Columns",
    "BitsStored",
    "PhotometricInterpretation",
    "ViewPosition",
    "Manufacturer",
    "ManufacturerModelName",
    "PresentationIntentType",
    "LossyImageCompression",
)
FUNCTIONS: Final[tuple[VoiFunction, ...]] = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
MIN_SIDE: Final = 16


def load_dicom(path: Path) -> Radiograph:
    """The radiograph in a DICOM file.

    Raises:
        UnreadableImage: If it is no single grey projection radiograph, too large, damaged, or
            compressed in a way that is not read. The message quotes no header value that could
            name a patient.
    """
    _check_syntax(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path)
            check_kind(header)
            return _radiograph(header)
    except (UnreadableImage, FileNotFoundError):
        raise
    except RecursionError:
        raise UnreadableImage("the DICOM file nests its sequences without end") from None
    except MemoryError:
        raise UnreadableImage("the DICOM file needs more memory than is allowed") from None
    except Exception as error:  # noqa: BLE001 - one file; the decoders raise anything on damage
        raise UnreadableImage(
            f"the DICOM file is damaged or cut off ({type(error).__name__})"
        ) from None


def is_dicom(path: Path) -> bool:
    """Whether the file has DICOM's magic word behind its preamble."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def check_kind(header: Dataset) -> None:
    """Nothing, when this header describes a single grey projection radiograph of bounded size.

    Raises:
        UnreadableImage: With the reason otherwise.
    """
    modality = str(header.get("Modality", "")).strip().upper()
    if modality not in PROJECTION_MODALITIES:
        raise UnreadableImage(
            f"modality {modality[:16]!r} is no projection radiograph; CR and DX are read, and OT or"
            " SC that look like one"
        )
    if "PixelData" not in header:
        raise UnreadableImage("the DICOM file holds no picture")
    rows, columns = int(header.get("Rows", 0)), int(header.get("Columns", 0))
    frames = int(header.get("NumberOfFrames", 1) or 1)
    samples = int(header.get("SamplesPerPixel", 1))
    if rows * columns * max(frames, 1) * max(samples, 1) > MAX_PIXELS:
        raise UnreadableImage(
            f"the picture has {columns} x {rows} pixels in {frames} frames; at most"
            f" {MAX_PIXELS // 1_000_000} million are read"
        )
    if frames > 1:
        raise UnreadableImage(f"the file holds {frames} frames; a radiograph is a single one")
    photometric = str(header.get("PhotometricInterpretation", ""))
    if samples != 1 or photometric not in {"MONOCHROME1", "MONOCHROME2"}:
        raise UnreadableImage(
            f"the picture is {photometric[:20] or 'of unknown kind'} with {samples} samples per"
            " pixel; a radiograph is MONOCHROME1 or MONOCHROME2"
        )
    if min(rows, columns) < MIN_SIDE:
        raise UnreadableImage(f"the picture has {columns} x {rows} pixels; that is no radiograph")


def _check_syntax(path: Path) -> None:
    """Look at the file meta alone: a deflated megabyte may unfold to gigabytes."""
    try:
        meta = pydicom.filereader.read_file_meta_info(path)
    except (InvalidDicomError, OSError, EOFError, ValueError, LookupError, TypeError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise UnreadableImage("the file has no readable DICOM header") from None
    except RecursionError:
        raise UnreadableImage("the DICOM file nests its sequences without end") from None
    syntax = UID(str(meta.get("TransferSyntaxUID", "")))
    if syntax == DeflatedExplicitVRLittleEndian:
        raise UnreadableImage(
            "the file is Deflated, which may unfold to any size; convert it to Explicit VR Little"
            " Endian"
        )
    if syntax not in SYNTAXES:
        name = syntax.name if syntax.is_valid and syntax else "none"
        raise UnreadableImage(f"the transfer syntax {name} is not read; convert the file")


def _radiograph(header: Dataset) -> Radiograph:
    stored = np.asarray(header.pixel_array)
    if stored.ndim != 2:
        raise UnreadableImage(f"the picture decodes to shape {stored.shape}; expected (H, W)")
    values = _Values.of(header, stored)
    pixels = values.pixels
    return Radiograph(
        pixels=pixels,
        photometric=header.PhotometricInterpretation,
        bits=values.bits,
        value_scale=values.scale,
        value_offset=values.offset,
        windows=tuple(_windows(header, values)),
        voi_luts=tuple(_voi_tables(header, values)),
        spacing_mm=_spacing(header),
        view=str(header.get("ViewPosition", "") or "").strip().upper()[:16],
        modality=str(header.get("Modality", "") or "").strip().upper(),
        facts=_facts(header),
        flags=tuple(_flags(header, pixels)),
        identity=_identity(header),
        padding=_padding(header, values),
    )


class _Values:
    """Pixels that are never negative, and how modality values follow from them."""

    def __init__(self, pixels: NDArray[Any], bits: int, scale: float, offset: float) -> None:
        self.pixels = pixels.astype(np.uint8 if bits <= 8 else np.uint16)
        self.bits = bits
        self.scale = scale
        self.offset = offset

    @classmethod
    def of(cls, header: Dataset, stored: NDArray[Any]) -> _Values:
        """Modality table, or slope and intercept, then the sign."""
        if "ModalityLUTSequence" in header:
            table = np.asarray(apply_modality_lut(stored, header))
            return cls._shifted(table, 1.0, 0.0, least_bits=1)
        slope = float(header.get("RescaleSlope", 1) or 1)
        intercept = float(header.get("RescaleIntercept", 0) or 0)
        least_bits = 1 if header.get("PixelRepresentation", 0) else int(header.BitsStored)
        if slope < 0:
            # Turned over, so that a higher pixel always means a higher value.
            top = int(stored.max())
            return cls._shifted(
                top - stored.astype(np.int64), -slope, slope * top + intercept, least_bits
            )
        return cls._shifted(stored, slope, intercept, least_bits)

    @classmethod
    def _shifted(
        cls, values: NDArray[Any], scale: float, offset: float, least_bits: int
    ) -> _Values:
        whole = values.astype(np.int64)
        shift = max(0, -int(whole.min()))
        whole += shift
        bits = max(int(whole.max()).bit_length(), min(least_bits, 16), 1)
        if bits > 16:
            raise UnreadableImage(f"the picture needs {bits} bits per pixel; at most 16 are read")
        return cls(whole, bits, scale, offset - shift * scale)

    def to_pixel(self, value: float) -> float:
        """A modality value in pixel units."""
        return (value - self.offset) / self.scale


def _windows(header: Dataset, values: _Values) -> list[Window]:
    centers, widths = _numbers(header.get("WindowCenter")), _numbers(header.get("WindowWidth"))
    names = _texts(header.get("WindowCenterWidthExplanation"))
    function = str(header.get("VOILUTFunction", "LINEAR") or "LINEAR").strip().upper()
    if function not in FUNCTIONS:
        function = "LINEAR"
    windows = []
    for index, (center, width) in enumerate(zip(centers, widths, strict=False)):
        if not np.isfinite([center, width]).all() or width <= 0:
            continue
        name = names[index] if index < len(names) else f"File {index + 1}"
        windows.append(_window(center, width, name[:40] or f"File {index + 1}", function, values))
    return windows


def _window(center: float, width: float, name: str, function: str, values: _Values) -> Window:
    """The window in pixel units."""
    if function == "LINEAR" and values.scale != 1.0:
        # LINEAR's half-unit offsets are in modality units; the exact form says the same in pixels.
        exact = max(width - 1, 1e-6) / values.scale
        return Window(values.to_pixel(center - 0.5), exact, name, "LINEAR_EXACT")
    known: VoiFunction = next(one for one in FUNCTIONS if one == function)
    return Window(values.to_pixel(center), width / values.scale, name, known)


def _voi_tables(header: Dataset, values: _Values) -> list[LookupTable]:
    """The file's VOI tables, written out for every pixel value."""
    tables = []
    for index, item in enumerate(header.get("VOILUTSequence", []) or []):
        count, first, bits = (int(one) for one in item.LUTDescriptor)
        count = count or 65536
        entries = _entries(item, count)
        if entries.size == 0 or not 1 <= bits <= 16:
            continue
        if values.offset < 0 and first > 32767:
            first -= 65536  # the descriptor is signed when the values are
        pixel_values = np.arange(2**values.bits) * values.scale + values.offset
        places = np.clip(np.rint(pixel_values).astype(np.int64) - first, 0, entries.size - 1)
        name = str(item.get("LUTExplanation", "") or "")[:40] or f"File table {index + 1}"
        tables.append(LookupTable(0, entries[places], bits, name))
    return tables


def _entries(item: Dataset, count: int) -> NDArray[np.uint16]:
    data = item.LUTData
    if isinstance(data, bytes):
        return np.frombuffer(data, dtype="<u2" if len(data) >= 2 * count else np.uint8).astype(
            np.uint16
        )[:count]
    return np.atleast_1d(np.asarray(data)).astype(np.uint16)[:count]


def _padding(header: Dataset, values: _Values) -> int | None:
    """The padding value in pixel units, where the modality step keeps it one value."""
    raw = header.get("PixelPaddingValue")
    if raw is None or "ModalityLUTSequence" in header:
        return None
    slope = float(header.get("RescaleSlope", 1) or 1)
    intercept = float(header.get("RescaleIntercept", 0) or 0)
    place = round(values.to_pixel(int(raw) * slope + intercept))
    return place if 0 <= place < 2**values.bits else None


def _spacing(header: Dataset) -> tuple[float, float] | None:
    for name in ("PixelSpacing", "ImagerPixelSpacing"):
        numbers = _numbers(header.get(name))
        if len(numbers) == 2 and all(0.001 < one < 10 for one in numbers):
            return (numbers[0], numbers[1])
    return None


def _facts(header: Dataset) -> dict[str, str]:
    return {
        name: str(header.get(name)).strip()[:64]
        for name in ALLOWED_FACTS
        if header.get(name) not in (None, "")
    }


def _flags(header: Dataset, pixels: NDArray[Any]) -> list[str]:
    flags = {
        "burned_in_annotation": str(header.get("BurnedInAnnotation", "")).upper() == "YES",
        "secondary_capture": str(header.get("SOPClassUID", "")) == SECONDARY_CAPTURE,
        "lossy": str(header.get("LossyImageCompression", "")) == "01",
        "constant": int(pixels.min()) == int(pixels.max()),
    }
    return [name for name, is_set in flags.items() if is_set]


def _identity(header: Dataset) -> Identity:
    return Identity(
        patient_id=str(header.get("PatientID", "") or ""),
        study_uid=str(header.get("StudyInstanceUID", "") or ""),
        series_uid=str(header.get("SeriesInstanceUID", "") or ""),
        instance_uid=str(header.get("SOPInstanceUID", "") or ""),
    )


def _numbers(value: Any) -> list[float]:
    """One or several numbers of a header field; [] where they are none."""
    if value is None or value == "":
        return []
    several = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    try:
        return [float(one) for one in several]
    except (TypeError, ValueError):
        return []


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value.strip()]
    return [str(one).strip() for one in value]
