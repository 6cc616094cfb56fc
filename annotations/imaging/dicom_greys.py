"""What a DICOM header says about greys: modality step, windows, VOI tables, padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from annotations.errors import UnreadableImage
from annotations.imaging.radiograph import LookupTable, Pixels, VoiFunction, Window

FUNCTIONS: Final[tuple[VoiFunction, ...]] = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
# Beyond these a header is damaged, and double precision would overflow.
LEAST_SCALE: Final = 1e-9
MOST_SCALE: Final = 1e9
MAX_TEXT: Final = 64


class Values:
    """Pixels that are never negative, and how modality values follow from them.

    Attributes:
        pixels: Shape (H, W).
        bits: Every pixel is below ``2**bits``.
        scale: Modality value per pixel unit; above 0.
        offset: Modality value of pixel 0.
        padding: The pixel value of the file's padding, where it has one.
    """

    def __init__(self, pixels: NDArray[Any], bits: int, scale: float, offset: float) -> None:
        self.pixels: Pixels
        self.pixels = pixels.astype(np.uint8) if bits <= 8 else pixels.astype(np.uint16)
        self.bits = bits
        self.scale = scale
        self.offset = offset
        self.padding: int | None = None

    @classmethod
    def of(cls, header: Dataset, stored: NDArray[Any]) -> Values:
        """Modality table, or slope and intercept, then the sign.

        Raises:
            UnreadableImage: If the slope or the intercept is no usable number, or the values
                need more than 16 bits.
        """
        if header.get("ModalityLUTSequence"):
            table = _Table.of(header.ModalityLUTSequence[0], header)
            first = table.first_for(is_signed=bool(header.get("PixelRepresentation", 0)))
            return cls._shifted(table.at(stored.astype(np.int64) - first), 1.0, 0.0, bits=1)
        slope, intercept = _rescale(header)
        bits = 1 if header.get("PixelRepresentation", 0) else min(int(header.BitsStored), 16)
        if slope < 0:
            # Turned over, so that a higher pixel always means a higher value.
            top = max(int(stored.max()), 2**bits - 1)
            turned = top - stored.astype(np.int64)
            values = cls._shifted(turned, -slope, slope * top + intercept, bits=bits)
        else:
            values = cls._shifted(stored, slope, intercept, bits=bits)
        padding = numbers_of(header.get("PixelPaddingValue"))
        if len(padding) == 1:
            place = round(values.to_pixel(padding[0] * slope + intercept))
            values.padding = place if 0 <= place < 2**values.bits else None
        return values

    @classmethod
    def _shifted(cls, values: NDArray[Any], scale: float, offset: float, *, bits: int) -> Values:
        """From values that may be negative; ``bits`` is the least number of bits to state."""
        shift = max(0, -int(values.min()))
        whole = values.astype(np.int64) + shift if shift else values
        needed = max(int(whole.max()).bit_length(), bits)
        if needed > 16:
            raise UnreadableImage(f"the picture needs {needed} bits per pixel; at most 16 are read")
        return cls(whole, needed, scale, offset - shift * scale)

    def to_pixel(self, value: float) -> float:
        """A modality value in pixel units."""
        return (value - self.offset) / self.scale


def _rescale(header: Dataset) -> tuple[float, float]:
    slopes = numbers_of(header.get("RescaleSlope")) or [1.0]
    intercepts = numbers_of(header.get("RescaleIntercept")) or [0.0]
    slope, intercept = slopes[0], intercepts[0]
    if not LEAST_SCALE <= abs(slope) <= MOST_SCALE or not abs(intercept) <= MOST_SCALE:
        raise UnreadableImage(
            f"the rescale slope {slope:g} and intercept {intercept:g} cannot be meant; correct the"
            " header"
        )
    return slope, intercept


def windows_of(header: Dataset, values: Values) -> list[Window]:
    """The file's windows, in pixel units; those that make no sense are left out."""
    centers = numbers_of(header.get("WindowCenter"))
    widths = numbers_of(header.get("WindowWidth"))
    names = _texts(header.get("WindowCenterWidthExplanation"))
    function = str(header.get("VOILUTFunction", "") or "").strip().upper()
    windows = []
    for index, (center, width) in enumerate(zip(centers, widths, strict=False)):
        name = (names[index] if index < len(names) else "") or f"File {index + 1}"
        window = _window(center, width, name, function, values)
        if abs(window.center) <= MOST_SCALE and 0 < window.width <= MOST_SCALE:
            windows.append(window)
    return windows


def _window(center: float, width: float, name: str, function: str, values: Values) -> Window:
    """The window in pixel units."""
    known: VoiFunction = next((one for one in FUNCTIONS if one == function), "LINEAR")
    if known == "LINEAR" and width > 0:
        # The half and the whole unit in LINEAR's formula are modality units here, pixels there.
        middle, span = values.to_pixel(center - 0.5), max(width - 1, 0.0) / values.scale
        return Window(middle + 0.5, span + 1, name, known)
    return Window(values.to_pixel(center), width / values.scale, name, known)


def voi_tables_of(header: Dataset, values: Values) -> list[LookupTable]:
    """The file's VOI tables, written out for every pixel value."""
    tables = []
    pixel_values = np.arange(2**values.bits) * values.scale + values.offset
    for index, item in enumerate(header.get("VOILUTSequence") or []):
        table = _Table.of(item, header)
        places = np.rint(pixel_values).astype(np.int64)
        shown = table.at(places - table.first_for(is_signed=values.offset < 0))
        name = text_of(item.get("LUTExplanation")) or f"File table {index + 1}"
        tables.append(LookupTable(0, shown, table.bits, name))
    return tables


@dataclass(frozen=True, slots=True)
class _Table:
    """One look-up table as the file has it (PS3.3 C.11.1.1 and C.11.2.1.1)."""

    entries: NDArray[np.uint16]
    first: int
    bits: int

    @classmethod
    def of(cls, item: Dataset, header: Dataset) -> _Table:
        count, first, bits = (int(one) for one in item.LUTDescriptor)
        _, is_little = header.original_encoding
        entries = _entries(item.get("LUTData"), count % 65536 or 65536, is_little=bool(is_little))
        if entries.size == 0 or not 1 <= bits <= 16:
            raise UnreadableImage(
                f"a look-up table has {entries.size} entries of {bits} bits; expected 1 to 65536"
                " of 1 to 16 bits; correct the header"
            )
        return cls(entries, first, bits)

    def first_for(self, *, is_signed: bool) -> int:
        """The value of the first entry, which is signed when the values are."""
        return self.first - 65536 if is_signed and self.first > 32767 else self.first

    def at(self, places: NDArray[np.int64]) -> NDArray[np.uint16]:
        """The entries at these places; what lies before or behind takes the first or the last."""
        return self.entries[np.clip(places, 0, self.entries.size - 1)]


def _entries(data: Any, count: int, *, is_little: bool) -> NDArray[np.uint16]:
    """A table's entries, whether they are stored as numbers, words or packed bytes."""
    if data is None:
        return np.empty(0, np.uint16)
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data)).astype(np.uint16)[:count]
    if len(data) >= 2 * count:
        words = np.frombuffer(data[: 2 * count], dtype="<u2" if is_little else ">u2")
        return words.astype(np.uint16)
    return np.frombuffer(data, dtype=np.uint8).astype(np.uint16)[:count]


def numbers_of(value: Any) -> list[float]:
    """One or several numbers of a header field; [] where they are none."""
    if value is None or value == "":
        return []
    several = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    try:
        return [float(one) for one in several]
    except (TypeError, ValueError):
        return []


def text_of(value: Any) -> str:
    """A header field as one short line; "" where it is none.

    A damaged length makes a field swallow those after it, the patient's name among them. It then
    holds the tags of these fields, which are no printable text, and is left out as a whole.
    """
    parts = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
    text = "" if value is None else "\\".join(str(part) for part in parts).strip(" \0\t\r\n")
    return text[:MAX_TEXT] if text.isprintable() else ""


def _texts(value: Any) -> list[str]:
    if value is None or isinstance(value, str):
        return [text_of(value)]
    return [text_of(one) for one in value]
