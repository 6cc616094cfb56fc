"""What a structured report says of the picture that it is about, and nothing else of the patient.

The report must name study, series and picture by their UIDs, or nobody could find what its regions
lie on. Everything else that the Patient and Study modules require is empty (type 2 allows that),
but for the patient's ID, which is the workspace's keyed hash.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pydicom
from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.uid import UID

from annotations.imaging.files import DICOM_SUFFIXES, file_sha256
from annotations.imaging.magic import is_dicom
from annotations.records import ImageRecord

UIDS: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
# Single-frame pictures: a region then needs no frame number.
SOP_CLASSES: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography
        "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray, for presentation
        "1.2.840.10008.5.1.4.1.1.1.1.1",  # Digital X-Ray, for processing
        "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture
    }
)
EMPTY: Final = (
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
METHOD: Final = "Patient ID is a keyed hash; UIDs kept; all else left out"


def read_source(image: ImageRecord) -> Dataset | str:
    """Which DICOM object the picture is, or the reason why no report can be about it.

    The reason names no file: it is counted, and file names may name patients.
    """
    path = Path(image.path)
    try:
        if not is_dicom(path) and path.suffix.lower() not in DICOM_SUFFIXES:
            return "no DICOM file"
        if file_sha256(path) != image.sha256:
            return "file changed since its import"
        uids = _read_uids(path)
    except OSError as error:
        return f"file cannot be read: {error.strerror or type(error).__name__}"
    if not all(UID(uid, validation_mode=IGNORE).is_valid for uid in uids.values()):
        return "file without valid UIDs of picture, series and study"
    if uids["SOPClassUID"] not in SOP_CLASSES:
        return "file of another kind than CR, DX and Secondary Capture"
    return _without_patient(uids, image)


def _read_uids(path: Path) -> dict[str, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the import decoded this very file
        header = pydicom.dcmread(
            path, force=True, stop_before_pixels=True, specific_tags=list(UIDS)
        )
        return {name: str(header.get(name, "")) for name in UIDS}


def _without_patient(uids: Mapping[str, str], image: ImageRecord) -> Dataset:
    source = Dataset()
    for name, uid in uids.items():
        setattr(source, name, uid)
    for name in EMPTY:
        setattr(source, name, "")
    source.PatientID = image.patient_hash
    source.PatientIdentityRemoved = "YES"
    source.DeidentificationMethod = METHOD
    return source
