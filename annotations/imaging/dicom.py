"""DICOM projection radiographs: what is refused, what is kept, and nothing that names a patient."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
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
from annotations.imaging.dicom_greys import (
    Values,
    numbers_of,
    text_of,
    voi_tables_of,
    windows_of,
)
from annotations.imaging.dicom_shrinking import ShrunkValues, shrunken_values
from annotations.imaging.magic import MAGIC, PREAMBLE_BYTES
from annotations.imaging.radiograph import Identity, Radiograph
from annotations.imaging.raster import MAX_PIXELS
from annotations.imaging.shrinking import Shrunk, Size

PLAIN_SYNTAXES: Final = frozenset(
    {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless}
)
LOSSY_SYNTAXES: Final = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless})
SYNTAXES: Final = (
    PLAIN_SYNTAXES
    | LOSSY_SYNTAXES
    | {JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, JPEG2000}
)
# GDCM, which pydicom would take first, ends the whole process on some damaged files.
DECODERS: Final = {
    JPEGBaseline8Bit: "pillow",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    JPEG2000Lossless: "pylibjpeg",
    JPEG2000: "pylibjpeg",
}
# What a refusal may quote.
OTHER_MODALITIES: Final = frozenset(
    {
        "BMD",
        "CT",
        "DOC",
        "ECG",
        "ES",
        "IO",
        "KO",
        "MG",
        "MR",
        "NM",
        "OCT",
        "OP",
        "PR",
        "PT",
        "PX",
        "RF",
        "RG",
        "RTDOSE",
        "RTIMAGE",
        "RTPLAN",
        "RTSTRUCT",
        "SEG",
        "SM",
        "SR",
        "US",
        "XA",
        "XC",
    }
)
PHOTOMETRICS: Final = frozenset(
    {
        "MONOCHROME1",
        "MONOCHROME2",
        "RGB",
        "PALETTE COLOR",
        "YBR_FULL",
        "YBR_FULL_422",
        "YBR_PARTIAL_420",
        "YBR_ICT",
        "YBR_RCT",
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
MIN_SIDE: Final = 16
# Old archives leave out preamble and magic word: a data set then begins with one of these groups.
FIRST_GROUPS: Final = (b"\x02\x00", b"\x08\x00")

# pydicom quotes header values that it dislikes, such as a malformed patient ID.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def load_dicom(path: Path) -> Radiograph:
    """The radiograph in a DICOM file, with or without preamble.

    Raises:
        UnreadableImage: If it is no single grey projection radiograph, too large, damaged, or
            compressed in a way that is not read. The message quotes no header value that could
            name a patient.
    """
    return load_shrunk_dicom(path, None).radiograph


def load_shrunk_dicom(path: Path, least: Size | None) -> Shrunk:
    """The same, but JPEG and JPEG 2000 may be decoded at a part of their size.

    Args:
        path: The file.
        least: (H, W) below which the picture must not be shrunk; None: not at all.

    Raises:
        UnreadableImage: As ``load_dicom``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _shrunk(read_header(path), least)
    except (UnreadableImage, OSError):
        raise
    except RecursionError:
        raise UnreadableImage("the DICOM file nests its sequences without end") from None
    except MemoryError:
        raise UnreadableImage("the DICOM file needs more memory than is allowed") from None
    except Exception as error:  # noqa: BLE001 - one file; the decoders raise anything on damage
        raise UnreadableImage(
            f"the DICOM file is damaged or cut off ({type(error).__name__}); copy it again from"
            " its source"
        ) from None


def read_header(path: Path) -> Dataset:
    """The whole data set of a file that may be read, its picture not decoded.

    Raises:
        UnreadableImage: If its encoding or kind is refused; damage raises whatever pydicom raises.
    """
    has_meta = _check_syntax(path)
    header = pydicom.dcmread(path, force=True)
    if not has_meta:
        _name_syntax(header)
    check_kind(header)
    return header


def check_kind(header: Dataset) -> None:
    """Nothing, when this header describes a single grey projection radiograph of bounded size.

    Raises:
        UnreadableImage: With the reason otherwise.
    """
    modality = str(header.get("Modality", "") or "").strip().upper()
    if modality not in PROJECTION_MODALITIES:
        raise UnreadableImage(
            f"modality {_known(modality, OTHER_MODALITIES)} is no projection radiograph; CR and DX"
            " are read, and OT or SC that look like one"
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
            f"the picture is {_known(photometric, PHOTOMETRICS)} with {samples} samples per pixel;"
            " a radiograph is MONOCHROME1 or MONOCHROME2 with one"
        )
    if min(rows, columns) < MIN_SIDE:
        raise UnreadableImage(f"the picture has {columns} x {rows} pixels; that is no radiograph")
    _check_bits(header)


def _known(term: str, terms: frozenset[str]) -> str:
    """The term when it is one of the standard's; a damaged field may hold the patient's name."""
    return term if term in terms else "(none that is known)"


def _check_bits(header: Dataset) -> None:
    """Values that do not begin at bit 0 would be cut without a word, and deep JPEG not decoded."""
    syntax = header.file_meta.TransferSyntaxUID
    stored, high = int(header.BitsStored), int(header.get("HighBit", header.BitsStored - 1))
    if high != stored - 1 and syntax in PLAIN_SYNTAXES:
        raise UnreadableImage(
            f"the values of {stored} bits end at bit {high}; expected bit {stored - 1}; convert the"
            " file"
        )
    if stored > 8 and syntax == JPEGExtended12Bit:
        raise UnreadableImage(
            f"JPEG Extended of {stored} bits is not read, only of 8; convert the file"
        )


def _check_syntax(path: Path) -> bool:
    """Whether there is a file meta; read alone, as a deflated megabyte may unfold to gigabytes."""
    with path.open("rb") as file:
        head = file.read(PREAMBLE_BYTES + len(MAGIC))
        has_magic = head[PREAMBLE_BYTES:] == MAGIC
        if not has_magic:
            if not head.startswith(FIRST_GROUPS):
                raise UnreadableImage(
                    f"the name ends in {path.suffix[:16]!r}, but the file is no DICOM file; give it"
                    " the name of what it is"
                )
            file.seek(0)
        # The very call that pydicom makes, so that both see the same transfer syntax ...
        meta = read_dataset(
            file, is_implicit_VR=False, is_little_endian=True, stop_when=_is_past_meta
        )
        # ... and nothing that pydicom would read in a second way.
        if not has_magic and not list(meta):
            return False
        list(meta)
    syntax = UID(str(meta.get("TransferSyntaxUID", "")))
    if syntax == DeflatedExplicitVRLittleEndian:
        raise UnreadableImage(
            "the file is Deflated, which may unfold to any size; convert it to Explicit VR Little"
            " Endian"
        )
    if syntax not in SYNTAXES:
        name = syntax.name if syntax.is_valid and syntax else "none"
        raise UnreadableImage(f"the transfer syntax {name[:64]} is not read; convert the file")
    return True


def _is_past_meta(tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG001 - pydicom's
    return tag.group != 2


def _name_syntax(header: Dataset) -> None:
    """Without a file meta the data set itself shows how it is encoded."""
    is_implicit, _ = header.original_encoding
    header.file_meta.TransferSyntaxUID = (
        ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
    )


def _shrunk(header: Dataset, least: Size | None) -> Shrunk:
    part = None if least is None else _part_of(header, least)
    if part is not None:
        size = (int(header.Rows), int(header.Columns))
        return Shrunk(_radiograph(header, part.values), size, part.box)
    header.pixel_array_options(decoding_plugin=DECODERS.get(header.file_meta.TransferSyntaxUID, ""))
    return Shrunk.whole(_radiograph(header, np.asarray(header.pixel_array)))


def _part_of(header: Dataset, least: Size) -> ShrunkValues | None:
    try:
        return shrunken_values(header, least)
    except (OSError, ValueError, SyntaxError):
        # What Pillow cannot shrink is decoded whole; if it is damaged, that says so.
        return None


def _radiograph(header: Dataset, stored: NDArray[Any]) -> Radiograph:
    if stored.ndim != 2:
        raise UnreadableImage(f"the picture decodes to shape {stored.shape}; expected (H, W)")
    values = Values.of(header, stored)
    return Radiograph(
        pixels=values.pixels,
        photometric=header.PhotometricInterpretation,
        bits=values.bits,
        value_scale=values.scale,
        value_offset=values.offset,
        windows=tuple(windows_of(header, values)),
        voi_luts=tuple(voi_tables_of(header, values)),
        spacing_mm=_spacing(header),
        view=text_of(header.get("ViewPosition")).upper()[:16],
        modality=text_of(header.get("Modality")).upper(),
        facts=_facts(header),
        flags=tuple(_flags(header, values.pixels)),
        identity=_identity(header),
        padding=values.padding,
    )


def _spacing(header: Dataset) -> tuple[float, float] | None:
    for name in ("PixelSpacing", "ImagerPixelSpacing"):
        numbers = numbers_of(header.get(name))
        if len(numbers) == 2 and all(0.001 < one < 10 for one in numbers):
            return (numbers[0], numbers[1])
    return None


def _facts(header: Dataset) -> dict[str, str]:
    facts = {name: text_of(header.get(name)) for name in ALLOWED_FACTS}
    return {name: fact for name, fact in facts.items() if fact}


def _flags(header: Dataset, pixels: NDArray[Any]) -> list[str]:
    object_class = str(header.get("SOPClassUID", ""))
    is_lossy = str(header.get("LossyImageCompression", "")).strip() == "01"
    flags = {
        "burned_in_annotation": text_of(header.get("BurnedInAnnotation")).upper() == "YES",
        "secondary_capture": f"{object_class}.".startswith(f"{SECONDARY_CAPTURE}."),
        "lossy": is_lossy or header.file_meta.TransferSyntaxUID in LOSSY_SYNTAXES,
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
