from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from annotations.errors import UnreadableImage
from annotations.imaging import load_radiograph, pixel_sha256
from annotations.pseudonyms.dicom import keyed_uid, pseudonymise_dicom

# Everything here names somebody or some place; none of it may be found in the copy's bytes.
SECRETS = {
    "PatientName": "Musterfrau^Erika^Ingeborg",
    "PatientID": "PAT-4711",
    "PatientBirthDate": "19570319",
    "PatientSex": "F",
    "PatientAge": "068Y",
    "PatientAddress": "Lindenallee 12, Musterstadt",
    "OtherPatientIDs": "OLD-0815",
    "AccessionNumber": "ACC99887",
    "StudyID": "STUDY-31",
    "StudyDate": "20250314",
    "SeriesDate": "20250315",
    "AcquisitionDateTime": "20250316101112",
    "StudyTime": "101112",
    "InstitutionName": "Klinikum Musterstadt",
    "InstitutionAddress": "Klinikweg 1",
    "StationName": "RAUM-5-DX",
    "DeviceSerialNumber": "SN-123456",
    "ReferringPhysicianName": "Hausarzt^Otto",
    "OperatorsName": "Radtke^Paula",
    "RequestingPhysician": "Oberarzt^Hans",
    "StudyDescription": "Thorax bei Frau Musterfrau",
    "SeriesDescription": "pa liegend, Raum-5-DX",
    "ImageComments": "Erika hustet",
    "ProtocolName": "Thorax Erika",
    "BodyPartExamined": "CHEST",
}
PUBLIC = {"BodyPartExamined"}
UIDS = {
    "StudyInstanceUID": "1.2.276.0.7230010.3.1.2.1",
    "SeriesInstanceUID": "1.2.276.0.7230010.3.1.3.2",
    "SOPInstanceUID": "1.2.276.0.7230010.3.1.4.3",
    "FrameOfReferenceUID": "1.2.276.0.7230010.3.1.5.4",
}
PIXELS = np.arange(40 * 32, dtype=np.uint16).reshape(40, 32)


def pseudonym(*parts: str) -> str:
    return hashlib.md5("|".join(parts).encode(), usedforsecurity=False).hexdigest()


def identified() -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = UIDS["SOPInstanceUID"]
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.SourceApplicationEntityTitle = "RAUM-5-DX"
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"Erika Musterfrau".ljust(128, b"\0"))
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.Modality = "DX"
    dataset.ViewPosition = "PA"
    dataset.Manufacturer = "Acme"
    dataset.PixelSpacing = [0.14, 0.15]
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset.SamplesPerPixel, dataset.BitsAllocated = 1, 16
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
    dataset.Rows, dataset.Columns = PIXELS.shape
    dataset.PixelData = PIXELS.tobytes()
    for keyword, value in {**SECRETS, **UIDS}.items():
        setattr(dataset, keyword, value)
    _hide(dataset)
    return dataset


def _hide(dataset: Dataset) -> None:
    """Names in sequences, in private groups, in an overlay, in text that no profile knows."""
    request = Dataset()
    request.ScheduledProcedureStepDescription = "Thorax Erika"
    request.AccessionNumber = "ACC99887"
    dataset.RequestAttributesSequence = [request]
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator = "51185008", "SCT"
    region.CodeMeaning = "Chest"
    region.PatientName = "Musterfrau^Erika^Ingeborg"
    region.add_new(0x00111001, "LO", "Musterfrau")
    region.add_new(0x00110010, "LO", "ACME INNER")
    dataset.AnatomicRegionSequence = [region]
    block = dataset.private_block(0x0019, "ACME", create=True)
    block.add_new(0x01, "LO", "Musterfrau, Erika")
    block.add_new(0x02, "OB", b"Erika Musterfrau")
    dataset.add_new(0x60003000, "OB", b"Erika Musterfrau")
    dataset.add_new(0xFFFCFFFC, "OB", b"Erika Musterfrau")
    dataset.WindowCenter, dataset.WindowWidth = 600, 1200
    dataset.WindowCenterWidthExplanation = "wie bei Musterfrau"


def written(dataset: FileDataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    source = written(identified(), tmp_path / "musterfrau.dcm")
    pseudonymise_dicom(source, tmp_path / "copy.dcm", pseudonym, patient="7f00")
    return tmp_path / "copy.dcm"


def elements(dataset: Dataset) -> Iterator[DataElement]:
    for element in dataset:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from elements(item)


def test_no_element_read_back_holds_anything_that_names_the_patient_or_the_place(
    copy: Path,
) -> None:
    header = pydicom.dcmread(copy)
    secrets = {value for key, value in SECRETS.items() if key not in PUBLIC} | set(UIDS.values())
    words = {word for secret in secrets for word in secret.replace("^", " ").split()}
    n_read = 0
    for element in [*elements(header.file_meta), *elements(header)]:
        n_read += 1
        assert not element.tag.is_private, element.tag
        if element.keyword == "PixelData":
            continue
        said = str(element.value)
        assert not [word for word in words if len(word) > 3 and word in said], element
        assert element.VR not in {"PN", "DA", "TM", "DT", "AS"} or said == "", element
    assert n_read > 30
    # Nor anywhere else in the file: the preamble, the padding behind the picture.
    content = copy.read_bytes()
    for word in ("Erika", "Musterfrau", "Musterstadt", "PAT-4711", "RAUM-5", "ACME", "7230010"):
        assert word.encode() not in content
    assert content[:128] == bytes(128)


def test_the_copy_says_what_was_done_and_stays_a_radiograph(copy: Path, tmp_path: Path) -> None:
    header = pydicom.dcmread(copy)
    assert header[0x0012, 0x0062].value == "YES"
    assert "Basic Profile" in header[0x0012, 0x0063].value[0]
    assert "dicom-anonymizer" in header[0x0012, 0x0063].value[1]
    assert all(len(one) <= 64 for one in header[0x0012, 0x0063].value)
    (code,) = header.DeidentificationMethodCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
    assert header.PatientID == "7f00"
    assert header.AnatomicRegionSequence[0].CodeMeaning == "Chest"
    assert (header.BodyPartExamined, header.Manufacturer) == ("CHEST", "Acme")
    original = load_radiograph(tmp_path / "musterfrau.dcm")
    radiograph = load_radiograph(copy)
    assert np.array_equal(radiograph.pixels, PIXELS)
    assert (radiograph.view, radiograph.modality, radiograph.spacing_mm) == (
        "PA",
        "DX",
        (0.14, 0.15),
    )
    assert (radiograph.photometric, radiograph.bits) == (original.photometric, original.bits)
    assert [(one.center, one.width) for one in radiograph.windows] == [(600, 1200)]


def test_uids_are_replaced_by_the_same_ones_in_each_file_and_run(tmp_path: Path) -> None:
    first, second = identified(), identified()
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    copies = []
    for number, dataset in enumerate((first, second, first)):
        source = written(dataset, tmp_path / f"{number}.dcm")
        pseudonymise_dicom(source, tmp_path / f"copy-{number}.dcm", pseudonym, patient="")
        copies.append(pydicom.dcmread(tmp_path / f"copy-{number}.dcm"))
    studies = {str(one.StudyInstanceUID) for one in copies}
    assert studies == {f"2.25.{int(pseudonym('uid', UIDS['StudyInstanceUID']), 16)}"}
    assert copies[0].SOPInstanceUID == copies[2].SOPInstanceUID != copies[1].SOPInstanceUID
    assert copies[0].file_meta.MediaStorageSOPInstanceUID == copies[0].SOPInstanceUID
    assert keyed_uid("1.2.3", lambda *_: "f" * 32).is_valid


def test_a_comment_in_a_compressed_stream_goes_with_the_compression(tmp_path: Path) -> None:
    grey = np.tile(np.arange(64, dtype=np.uint8) * 3, (64, 1))
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG", quality=95, comment=b"Erika Musterfrau")
    dataset = identified()
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.Rows, dataset.Columns = grey.shape
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelData = encapsulate([buffer.getvalue()])
    dataset["PixelData"].VR = "OB"
    source = written(dataset, tmp_path / "jpeg.dcm")
    assert b"Musterfrau" in source.read_bytes()
    pseudonymise_dicom(source, tmp_path / "copy.dcm", pseudonym, patient="")
    assert b"Musterfrau" not in (tmp_path / "copy.dcm").read_bytes()
    before, after = load_radiograph(source), load_radiograph(tmp_path / "copy.dcm")
    assert pixel_sha256(before) == pixel_sha256(after)
    assert "lossy" in before.flags
    assert "lossy" in after.flags


def test_a_kept_field_that_holds_a_name_is_taken_out_and_a_coded_one_stops_the_file(
    tmp_path: Path,
) -> None:
    dataset = identified()
    dataset.Manufacturer = "built for Klinikum Musterstadt"
    pseudonymise_dicom(
        written(dataset, tmp_path / "a.dcm"), tmp_path / "a-copy.dcm", pseudonym, patient=""
    )
    assert "Manufacturer" not in pydicom.dcmread(tmp_path / "a-copy.dcm")
    dataset.BodyPartExamined = "MUSTERFRAU"
    source = written(dataset, tmp_path / "b.dcm")
    with pytest.raises(UnreadableImage, match=r"\(0018,0015\) still says what names") as refused:
        pseudonymise_dicom(source, tmp_path / "b-copy.dcm", pseudonym, patient="")
    assert "MUSTERFRAU" not in str(refused.value)
    assert not (tmp_path / "b-copy.dcm").exists()


@pytest.mark.real_data
def test_real_files_of_every_encoding_keep_their_pixels_and_lose_their_names(
    shared_data: Path, tmp_path: Path
) -> None:
    n_files = 0
    for source in sorted((shared_data / "dicom").glob("chest_*.dcm")):
        copy = tmp_path / source.name
        pseudonymise_dicom(source, copy, pseudonym, patient="7f00")
        assert pixel_sha256(load_radiograph(copy)) == pixel_sha256(load_radiograph(source))
        header = pydicom.dcmread(copy, stop_before_pixels=True)
        assert header.PatientIdentityRemoved == "YES"
        assert str(header.PatientName) == ""
        n_files += 1
    assert n_files >= 5
