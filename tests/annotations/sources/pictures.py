"""Small real files for the tests of data sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian


def write_picture(path: Path, *, size: tuple[int, int] = (40, 60), seed: int = 0) -> Path:
    """A grey picture of (H, W) with some noise, in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path


def write_dicom(
    path: Path,
    *,
    study: str = "1.2.3",
    series: tuple[int, str] = (1, "1.2.3.1"),
    instance: int = 1,
    patient: str = "P1",
) -> Path:
    """A chest DX of 12 bits with the given place in its study."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = f"{series[1]}.{instance}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    header.SOPClassUID = meta.MediaStorageSOPClassUID
    header.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    header.PatientID = patient
    header.PatientName = "Test^Person"
    header.StudyDate, header.StudyTime, header.StudyID = "20250101", "120000", "S1"
    header.AccessionNumber = "A1"
    header.StudyInstanceUID = study
    header.SeriesInstanceUID = series[1]
    header.SeriesNumber = series[0]
    header.InstanceNumber = instance
    header.Modality = "DX"
    header.ViewPosition = "PA"
    header.Rows, header.Columns = 24, 32
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
    header.PixelRepresentation = 0
    values = np.random.default_rng(instance).integers(0, 4096, (24, 32), dtype=np.uint16)
    header.PixelData = values.tobytes()
    pydicom.dcmwrite(path, header, enforce_file_format=True)
    return path
