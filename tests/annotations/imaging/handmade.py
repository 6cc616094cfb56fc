"""Small radiograph files written by hand, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

PATIENT_NAME = "Findling^Zacharias"
PATIENT_ID = "ID-98765-SECRET"
STUDY, SERIES, INSTANCE = "1.2.826.0.1.77", "1.2.826.0.1.77.1", "1.2.826.0.1.77.1.1"


def ramp(
    low: int, high: int, *, size: tuple[int, int] = (32, 48), dtype: Any = np.uint16
) -> NDArray[Any]:
    """Whole numbers that rise evenly from low to high, row by row, over a picture of (H, W)."""
    values = np.linspace(low, high, size[0] * size[1]).round()
    return values.reshape(size).astype(dtype)


def noise(bits: int, *, size: tuple[int, int] = (32, 48), seed: int = 0) -> NDArray[Any]:
    """Random values of this many bits, the lowest and the highest among them."""
    dtype = np.uint8 if bits <= 8 else np.uint16
    values = np.random.default_rng(seed).integers(0, 2**bits, size, dtype=dtype)
    values[0, 0], values[0, 1] = 0, 2**bits - 1
    return values


def dicom(
    pixels: NDArray[Any], *, bits: int | None = None, syntax: UID = ExplicitVRLittleEndian
) -> FileDataset:
    """An unwritten chest DX with these values; its patient has a name that must not get out."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = INSTANCE
    meta.TransferSyntaxUID = syntax
    header = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    header.SOPClassUID = meta.MediaStorageSOPClassUID
    header.PatientName, header.PatientID = PATIENT_NAME, PATIENT_ID
    header.StudyInstanceUID, header.SeriesInstanceUID = STUDY, SERIES
    header.SOPInstanceUID = INSTANCE
    header.Modality, header.ViewPosition = "DX", "PA"
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    set_pixels(header, pixels, bits=bits)
    return header


def set_pixels(header: FileDataset, pixels: NDArray[Any], *, bits: int | None = None) -> None:
    """Put these values and what describes them into the header."""
    allocated = 8 * pixels.dtype.itemsize
    stored = bits if bits is not None else allocated
    header.Rows, header.Columns = pixels.shape
    header.BitsAllocated, header.BitsStored, header.HighBit = allocated, stored, stored - 1
    header.PixelRepresentation = 1 if pixels.dtype.kind == "i" else 0
    order = ">" if header.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else "<"
    header.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    header["PixelData"].VR = "OB" if allocated == 8 else "OW"


def write(path: Path, header: FileDataset) -> Path:
    """The file with this header."""
    syntax = header.file_meta.TransferSyntaxUID
    pydicom.dcmwrite(
        path,
        header,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        enforce_file_format=True,
    )
    return path


def write_bare(path: Path, header: FileDataset, *, implicit: bool) -> Path:
    """The data set alone: no preamble, no magic word, no file meta."""
    bare = Dataset()
    bare.update(header)
    bare.save_as(path, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    return path


def table(first: int, entries: list[int], *, bits: int, vr: str = "US") -> Sequence:
    """A modality or VOI table sequence of one item."""
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [len(entries), first, bits])
    item.ModalityLUTType = "US"
    item.add_new("LUTData", "OW", np.asarray(entries, dtype="<u2").tobytes())
    return Sequence([item])


def write_lossless_jpeg(
    path: Path, pixels: NDArray[Any], *, bits: int, process: str = "JPEGLosslessProcess14_1"
) -> Path:
    """A DICOM file in lossless JPEG, which GDCM alone can write here."""
    plain = write(path.with_name(f"plain-{path.name}"), dicom(pixels, bits=bits))
    reader, writer = gdcm.ImageReader(), gdcm.ImageWriter()
    reader.SetFileName(str(plain))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, process)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID.is_encapsulated
    return path
