"""Made-up films with known values, and a workspace that holds them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from annotations.image_entries import describe_image
from annotations.imaging import file_sha256, load_radiograph
from annotations.records import ImageRecord
from annotations.store import Store
from annotations.workspace import Workspace, create_workspace

FINDINGS = (
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Consolidation",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Fracture",
    "Support Devices",
    "Mass",
    "<img src=x onerror=window.harmed=1>",
    "No Finding",
)


def film(height: int, width: int, top: int, seed: int = 0) -> NDArray[np.uint16]:
    """A chest of sorts: two dark lungs in a bright body, with noise; values 0..top."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    body = 0.75 * np.exp(-(((x - 0.5) / 0.55) ** 4))
    lungs = sum(
        0.55 * np.exp(-((((x - centre) / 0.13) ** 2 + ((y - 0.48) / 0.3) ** 2) ** 2))
        for centre in (0.3, 0.7)
    )
    heart = 0.2 * np.exp(-(((x - 0.56) / 0.12) ** 2 + ((y - 0.66) / 0.13) ** 2))
    ribs = 0.05 * np.sin(40 * y + 6 * (x - 0.5) ** 2) * (np.abs(x - 0.5) < 0.4)
    noise = np.random.default_rng(seed).normal(0, 0.012, (height, width))
    share = np.clip(body - lungs + heart + ribs + noise + 0.1, 0, 1)
    return np.asarray(np.rint(share * top), dtype=np.uint16)


def write_png16(path: Path, pixels: NDArray[np.uint16]) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def write_png8(path: Path, pixels: NDArray[np.uint16]) -> Path:
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def write_dicom(path: Path, pixels: NDArray[np.uint16], *, spacing_mm: float = 0.25) -> Path:
    """A MONOCHROME1 DX of 12 bits with two windows; high values are air."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PatientID, dataset.PatientName = "P-1", "Secret^Name"
    dataset.Modality, dataset.ViewPosition = "DX", "PA"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME1"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", "0", "US"
    dataset.WindowCenter, dataset.WindowWidth = ["2000", "1200"], ["3200", "1500"]
    dataset.WindowCenterWidthExplanation = ["NORMAL", "HARDER"]
    dataset.PixelSpacing = [spacing_mm, spacing_mm]
    dataset.PixelData = pixels.astype("<u2").tobytes()
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def add_image(
    store: Store,
    path: Path,
    *,
    name: str = "",
    history: str = "",
    report: str = "",
    source: str = "folder",
) -> ImageRecord:
    """The stored record of a file, as an import makes it."""
    entry = describe_image(path, load_radiograph(path), source=source, sha256=file_sha256(path))
    record, _ = store.images.add(
        replace(
            entry,
            name=name or entry.name,
            patient_hash=path.stem,
            study_hash=path.stem,
            history=history,
            report=report,
        )
    )
    return record


def make_workspace(folder: Path, names: list[str]) -> tuple[Workspace, dict[str, ImageRecord]]:
    """A workspace with one film for each name: 16-bit PNG, or what the suffix says."""
    workspace = create_workspace(
        folder / "workspace", name="films", findings=FINDINGS, synthetic=True
    )
    files = folder / "films"
    files.mkdir()
    records = {}
    with Store.open(workspace) as store:
        for index, name in enumerate(names):
            path = files / name
            if path.suffix == ".dcm":
                write_dicom(path, 4095 - film(700, 560, 4000, index))
            elif path.stem.endswith("8bit"):
                write_png8(path, film(480, 640, 255, index))
            else:
                write_png16(path, film(600, 500, 60000, index))
            history = "Cough for two weeks. <b>Smoker</b>." if index == 0 else ""
            report = "IMPRESSION: <b>Edema</b>." if index == 0 else ""
            records[name] = add_image(store, path, history=history, report=report)
    return workspace, records
