"""DICOM under the Basic Profile, and stricter: free text is gone too."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from dicomanonymizer.simpledicomanonymizer import (  # type: ignore[import-untyped]
    anonymize_dataset,
    initialize_actions_2024b,
    keep,
    replace_UID,
)
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from annotations.errors import UnreadableImage
from annotations.imaging.dicom import DECODERS, LOSSY_SYNTAXES, read_header

Tag = tuple[int, ...]
Rules = Mapping[Tag, Callable[..., None]]
# (keyword of the kind of thing, original) -> 32 hex digits
Pseudonym = Callable[[str, str], str]

TEXT_VRS: Final = frozenset({"AE", "AS", "LO", "LT", "PN", "SH", "ST", "UC", "UN", "UR", "UT"})
TIME_VRS: Final = frozenset({"DA", "DT", "TM"})
BINARY_VRS: Final = frozenset({"OB", "OW", "OB or OW", "OD", "OF", "OL", "OV"})
KEPT_TEXTS: Final = frozenset(
    {
        "PatientID",
        "DeidentificationMethod",
        "Manufacturer",
        "ManufacturerModelName",
        "CodeValue",
        "CodeMeaning",
        "CodingSchemeDesignator",
        "CodingSchemeVersion",
    }
)
KEPT_BINARIES: Final = frozenset({"PixelData", "LUTData"})
# Required by the standard, but may be empty.
EMPTY_TYPE_2: Final = (
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
)
# What tells who or where it was; none of it may be left anywhere.
IDENTIFYING: Final = (
    "PatientID",
    "PatientName",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientBirthDate",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "AccessionNumber",
    "StudyID",
    "InstitutionName",
    "InstitutionAddress",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "NameOfPhysiciansReadingStudy",
    "OperatorsName",
    "StationName",
    "DeviceSerialNumber",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
)
_LEAST_LETTERS: Final = 4  # shorter ones stand in other words by chance
_NUMBER_VRS: Final = frozenset({"DS", "IS", "US", "SS", "UL", "SL", "FL", "FD", "AT"})
BASIC_PROFILE: Final = "113100"  # DICOM PS3.16, CID 7050
# DICOM PS3.6: (0012,0063) is of VR LO, 64 characters for each value.
METHOD: Final = (
    "Saliency Audit; DICOM PS3.15 2024b Basic Profile",
    f"dicom-anonymizer {version('dicom-anonymizer')}; free text removed",
)


def pseudonymise_dicom(source: Path, target: Path, pseudonym: Pseudonym, *, patient: str) -> None:
    """Write a copy whose header names nobody; its pixel values are the same.

    Compressed pictures are written uncompressed, as comments may hide in a compressed stream.

    Args:
        source: A file that this program reads.
        target: A file that does not exist yet.
        pseudonym: What stands for a UID.
        patient: What stands for the patient; "" where nobody knows who it was.

    Raises:
        UnreadableImage: If the file is not read, or if a name were left in the copy.

    Source:
        DICOM PS3.15 Annex E, Basic Application Level Confidentiality Profile.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's quote the values that it dislikes
        header = _without_names(read_header(source), pseudonym, patient=patient)
        with target.open("xb") as file:
            header.save_as(file, enforce_file_format=True)


def _without_names(header: Dataset, pseudonym: Pseudonym, *, patient: str) -> Dataset:
    names = identifying_texts(header)
    _decompress(header)
    _replace_uids(header, pseudonym)
    for item in (*_items(header), header):
        anonymize_dataset(item, dict(_kept_uids()), True, _rules)
        _clean(item, names)
    _mark(header, patient)
    _check_clean(header, names)
    header.file_meta = _file_meta(header)
    header.preamble = bytes(128)
    return header


def identifying_texts(header: Dataset) -> frozenset[str]:
    """What must not stand anywhere in the copy: names in parts, numbers, UIDs, at any depth."""
    texts: set[str] = set()
    for item in (header, *_items(header)):
        for keyword in IDENTIFYING:
            for value in _values(item.get(keyword)):
                texts.update(_parts(value, is_name=keyword.endswith(("Name", "Names"))))
    return frozenset(text for text in texts if len(text) >= _LEAST_LETTERS)


def _values(value: Any) -> list[str]:
    if value is None:
        return []
    many = value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
    return [str(one) for one in many]


def _parts(value: str, *, is_name: bool) -> list[str]:
    whole = value.strip().casefold()
    if not is_name:
        return [whole]
    return [whole, *whole.replace("^", " ").replace("=", " ").replace(",", " ").split()]


def _items(header: Dataset) -> Iterator[Dataset]:
    """The items of all sequences, the innermost first."""
    for element in header:
        if element.VR == "SQ":
            for item in element.value:
                yield from _items(item)
                yield item


def _decompress(header: Dataset) -> None:
    syntax = header.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        return
    header.decompress(decoding_plugin=DECODERS.get(syntax, ""), generate_instance_uid=False)
    if syntax in LOSSY_SYNTAXES:
        header.LossyImageCompression = "01"


@cache
def _all_rules() -> Rules:
    return dict(initialize_actions_2024b())


def _rules() -> dict[Tag, Callable[..., None]]:
    return dict(_all_rules())


@cache
def _kept_uids() -> Rules:
    """UIDs are replaced here, by keyed ones: the library's are random and differ in each run."""
    return {tag: keep for tag, action in _all_rules().items() if action is replace_UID}


def _replace_uids(header: Dataset, pseudonym: Pseudonym) -> None:
    for item in (header, *_items(header)):
        for tag in _kept_uids():
            element = None if len(tag) > 2 else item.get((tag[0], tag[1]))
            if isinstance(element, DataElement) and element.VR == "UI" and element.value:
                values = [keyed_uid(one, pseudonym) for one in _values(element.value)]
                element.value = values[0] if len(values) == 1 else values


def keyed_uid(uid: str, pseudonym: Pseudonym) -> UID:
    """The UID that stands for this one: the same in each run and each file.

    Source:
        DICOM PS3.5 B.2: UUID derived UIDs below 2.25.
    """
    return UID(f"2.25.{int(pseudonym('uid', uid), 16)}")


def _clean(item: Dataset, names: frozenset[str]) -> None:
    """Take out what the profile leaves and nobody can vouch for: free text, times, attachments."""
    for element in list(item):
        is_text = element.VR in TEXT_VRS and (
            element.keyword not in KEPT_TEXTS or _says(element, names)
        )
        is_binary = element.VR in BINARY_VRS and element.keyword not in KEPT_BINARIES
        is_empty_sequence = element.VR == "SQ" and not element.value
        if is_text or is_binary or is_empty_sequence or element.VR in TIME_VRS:
            del item[element.tag]


def _mark(header: Dataset, patient: str) -> None:
    """Say what was done, as the profile asks."""
    for keyword in EMPTY_TYPE_2:
        setattr(header, keyword, "")
    header.PatientID = patient
    header.PatientIdentityRemoved = "YES"
    header.DeidentificationMethod = list(METHOD)
    code = Dataset()
    code.CodeValue = BASIC_PROFILE
    code.CodingSchemeDesignator = "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    header.DeidentificationMethodCodeSequence = Sequence([code])
    header.LongitudinalTemporalInformationModified = "REMOVED"


def _file_meta(header: Dataset) -> FileMetaDataset:
    """A new one: the old may name the station that sent the file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = header.SOPClassUID
    meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    meta.TransferSyntaxUID = header.file_meta.TransferSyntaxUID
    return meta


def _check_clean(header: Dataset, names: frozenset[str]) -> None:
    """Look through every field once more for what must be gone."""
    for item in (header, *_items(header)):
        for element in item:
            if element.tag.is_private:
                raise UnreadableImage(f"the private field {element.tag} could not be removed")
            if element.keyword != "PixelData" and _says(element, names):
                raise UnreadableImage(
                    f"the header field {element.tag} still says what names the patient or the "
                    "place; the file was left out"
                )


def _says(element: DataElement, names: frozenset[str]) -> bool:
    """Whether the field holds one of these; numbers hold the digits of others by chance."""
    if element.VR in _NUMBER_VRS or element.VR == "SQ":
        return False
    text = " ".join(_values(element.value)).casefold()
    return any(name in text for name in names)
