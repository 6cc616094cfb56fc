from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from highdicom.sr import ComprehensiveSR, srread
from pydicom.dataset import Dataset

from annotations.errors import ExportRefused
from annotations.exports import export_readings
from annotations.exports.sr_codes import CERTAINTY_CODES, finding_code, uid_of
from annotations.exports.sr_report import person_name
from annotations.findings import STUDY_FINDINGS
from annotations.importing import import_source
from annotations.records import CERTAINTIES, Region
from annotations.regions import Box
from annotations.store import Store
from annotations.workspace import create_workspace
from tests.annotations.exports.study import POLYGON, Study, region
from tests.annotations.sources.pictures import write_dicom

NAMES = ["chest-B_1-v1.dcm", "chest-Dr._A-v1.dcm", "chest-Dr._A-v2.dcm"]


@pytest.fixture(scope="module")
def folder(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sr") / "reports"
    exported = export_readings(study.store, "dicom-sr", out)
    assert (exported.count, exported.noun) == (3, "reports")
    assert exported.remarks == ("1 read picture left out: no DICOM file",)
    return out


def items(dataset: Dataset) -> Iterator[Dataset]:
    """Every content item below this one."""
    for item in dataset.get("ContentSequence", []):
        yield item
        yield from items(item)


def values(path: Path, code: str) -> list[Dataset]:
    """The content items whose concept has this code value."""
    dataset = pydicom.dcmread(path)
    return [
        item for item in items(dataset)
        if "ConceptNameCodeSequence" in item and item.ConceptNameCodeSequence[0].CodeValue == code
    ]  # fmt: skip


def test_each_version_on_a_dicom_picture_is_one_report_of_template_1500(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        assert dataset.SOPClassUID == pydicom.uid.ComprehensiveSRStorage
        assert dataset.Modality == "SR"
        assert dataset.ContentTemplateSequence[0].TemplateIdentifier == "1500"
        assert (dataset.CompletionFlag, dataset.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
        assert isinstance(srread(path), ComprehensiveSR)


def test_a_box_is_a_closed_polyline_at_its_half_open_corners(folder: Path) -> None:
    (scoord,) = values(folder / "chest-Dr._A-v1.dcm", "111030")

    assert scoord.ValueType == "SCOORD"
    assert scoord.GraphicType == "POLYLINE"
    # Columns 0-30 and rows 2-23: from the upper left of the first to the lower right of the last.
    assert list(scoord.GraphicData) == [0, 2, 31, 2, 31, 24, 0, 24, 0, 2]


def test_a_polygon_of_two_rings_is_two_groups_of_one_tracking_identifier(folder: Path) -> None:
    report = srread(folder / "chest-Dr._A-v2.dcm").content
    groups = report.get_planar_roi_measurement_groups(
        finding_type=hd.sr.CodedConcept("LUNG-LESION", "99SALIENCY", "Lung Lesion")
    )

    rings = [group.roi.value for group in groups]
    assert len({group.tracking_uid for group in groups}) == 1
    assert {group.tracking_identifier for group in groups} == {"r2"}
    for ring, expected in zip(rings, POLYGON.rings, strict=True):
        assert np.allclose(ring, [*expected, expected[0]])


def test_an_ellipse_begins_with_its_longer_axis(study: Study, tmp_path: Path) -> None:
    from annotations.exports.sr_report import build_report
    from annotations.exports.sr_source import read_source

    (reading,) = study.store.readings.of_image(study.png.image_id)
    source = read_source(study.dicom)
    assert isinstance(source, Dataset)
    path = tmp_path / "ellipse.dcm"
    build_report(source, reading, []).save_as(path, enforce_file_format=True)

    ellipse, box = values(path, "111030")
    assert ellipse.GraphicType == "ELLIPSE"
    assert list(ellipse.GraphicData) == [2, 10, 12, 10, 7, 13, 7, 7]
    assert box.GraphicType == "POLYLINE"


def test_finding_and_certainty_are_coded(folder: Path) -> None:
    (finding,) = values(folder / "chest-Dr._A-v1.dcm", "121071")
    (certainty,) = values(folder / "chest-Dr._A-v1.dcm", "408729009")
    code, sure = finding.ConceptCodeSequence[0], certainty.ConceptCodeSequence[0]

    assert (code.CodeValue, code.CodingSchemeDesignator) == ("19242006", "SCT")
    assert (sure.CodeValue, sure.CodeMeaning) == ("410592001", "Probably present")


def test_no_finding_is_a_group_of_the_picture_without_a_region(folder: Path) -> None:
    path = folder / "chest-B_1-v1.dcm"

    assert values(path, "111030") == []
    (finding,) = values(path, "121071")
    assert finding.ConceptCodeSequence[0].CodeMeaning == "No Finding"
    (picture,) = values(path, "121112")
    assert picture.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.1.1"


def test_the_observer_is_the_reader(folder: Path) -> None:
    path = folder / "chest-B_1-v1.dcm"
    (kind,), (name,), (login,) = (values(path, one) for one in ("121005", "121008", "128774"))

    assert kind.ConceptCodeSequence[0].CodeMeaning == "Person"
    assert str(name.PersonName) == "B 1^"
    assert login.TextValue == "B=1"
    contexts = srread(path).content.get_observer_contexts()
    assert [one.observer_identifying_attributes.login_name for one in contexts] == ["B=1"]


def test_a_synthetic_reader_is_a_device(tmp_path: Path) -> None:
    write_dicom(tmp_path / "source" / "a.dcm")
    workspace = create_workspace(tmp_path / "ward", name="ward", synthetic=True)
    with Store.open(workspace) as store:
        import_source(workspace, store, tmp_path / "source", "dicom")
        image = store.images.all()[0]
        store.readings.import_committed(image.image_id, "phantom", "synthetic", [region()], False)
        export_readings(store, "dicom-sr", tmp_path / "sr")

    (kind,), (name,) = (values(tmp_path / "sr" / "a-phantom-v1.dcm", one)
                        for one in ("121005", "121013"))  # fmt: skip
    assert kind.ConceptCodeSequence[0].CodeMeaning == "Device"
    assert name.TextValue == "phantom"


def test_a_second_version_names_the_first_and_the_picture_as_evidence(folder: Path) -> None:
    first, second = (pydicom.dcmread(folder / f"chest-Dr._A-v{n}.dcm") for n in (1, 2))

    predecessor = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID == predecessor.SeriesInstanceUID
    assert predecessor.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert "PredecessorDocumentsSequence" not in first
    evidence = first.CurrentRequestedProcedureEvidenceSequence[0]
    series = evidence.ReferencedSeriesSequence[0]
    assert (evidence.StudyInstanceUID, series.SeriesInstanceUID) == ("1.2.3", "1.2.3.1")
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.1.1"


def test_nothing_of_the_patient_is_in_it_but_the_keyed_hash(folder: Path, study: Study) -> None:
    original = pydicom.dcmread(study.dicom.path)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        assert dataset.PatientID == study.dicom.patient_hash != original.PatientID
        assert dataset.PatientIdentityRemoved == "YES"
        for name in (
            "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
            "StudyDate", "StudyTime", "ReferringPhysicianName",
        ):  # fmt: skip
            assert not dataset[name].value, name
        written = path.read_bytes()
        # Neither the header's texts nor the reader's free note.
        for text in (b"Test^Person", b"P1", b"20250101", b"Mrs X", b"chest.dcm"):
            assert text not in written


def test_a_second_export_is_the_same_to_the_byte(
    folder: Path, study: Study, tmp_path: Path
) -> None:
    export_readings(study.store, "dicom-sr", tmp_path / "again")

    for name in NAMES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_a_workspace_without_dicom_pictures_is_told_so(tmp_path: Path) -> None:
    empty = create_workspace(tmp_path / "empty", name="empty")
    with Store.open(empty) as store, pytest.raises(ExportRefused, match="nothing is committed yet"):
        export_readings(store, "dicom-sr", tmp_path / "sr")
    assert not (tmp_path / "sr").exists()
    assert not (tmp_path / "sr.part").exists()


def test_a_file_that_changed_since_its_import_gets_no_report(tmp_path: Path) -> None:
    picture = write_dicom(tmp_path / "source" / "a.dcm")
    workspace = create_workspace(tmp_path / "ward", name="ward")
    with Store.open(workspace) as store:
        import_source(workspace, store, tmp_path / "source", "dicom")
        image = store.images.all()[0]
        store.readings.import_committed(image.image_id, "A", "imported", [region()], False)
        write_dicom(picture, instance=2)
        with pytest.raises(ExportRefused, match="1 read picture left out: file changed since"):
            export_readings(store, "dicom-sr", tmp_path / "sr")


def test_every_finding_and_certainty_has_a_code_of_its_own_that_fits() -> None:
    findings = [*STUDY_FINDINGS, "Mira's own finding", "ILD", "x" * 100]
    codes = [finding_code(finding) for finding in findings]
    codes += [CERTAINTY_CODES[certainty] for certainty in CERTAINTIES]

    assert len({(code.scheme, code.value) for code in codes}) == len(codes)
    assert all(len(code.value) <= 16 and 0 < len(code.meaning) <= 64 for code in codes)
    # As pydicom's own dictionary of the standard has them.
    known = pydicom.sr.codedict.codes
    for name, finding in (
        ("PleuralEffusion", "Pleural Effusion"), ("Pneumothorax", "Pneumothorax"),
        ("PulmonaryEdema", "Edema"),
    ):  # fmt: skip
        assert getattr(known.SCT, name).value == finding_code(finding).value
    assert known.DCM.Opacity.value == finding_code("Lung Opacity").value


def test_uids_are_valid_and_follow_from_their_parts() -> None:
    uid = uid_of("report", "r", 1)

    assert pydicom.uid.UID(uid).is_valid
    assert uid == uid_of("report", "r", 1) != uid_of("report", "r", 2)


@pytest.mark.parametrize(
    ("reader", "name"),
    [("Müller", "Müller^"), ("a\\b^c=d", "a b c d^"), ("x" * 99, "x" * 63 + "^"), ("\n", "^")],
)
def test_a_readers_name_becomes_a_valid_person_name(reader: str, name: str) -> None:
    assert person_name(reader) == name


@pytest.mark.real_data
def test_real_dicom_pictures_get_reports_with_their_own_uids(
    shared_data: Path, tmp_path: Path
) -> None:
    workspace = create_workspace(tmp_path / "ward", name="ward")
    with Store.open(workspace) as store:
        import_source(workspace, store, shared_data / "dicom", "dicom")
        for image in store.images.all():
            mark = Region("r1", "Edema", "possible", Box(0, 0, image.width, image.height))
            store.readings.import_committed(image.image_id, "A", "imported", [mark], False)
        images = {Path(image.name).stem: image for image in store.images.all()}
        exported = export_readings(store, "dicom-sr", tmp_path / "sr")

    assert exported.count >= 5
    # One of these files counts its UIDs with a leading zero, which DICOM forbids.
    assert "left out: file without valid UIDs of picture, series and study" in "".join(
        exported.remarks
    )
    for path in (tmp_path / "sr").iterdir():
        image = images[path.name.removesuffix("-A-v1.dcm")]
        original = pydicom.dcmread(image.path, force=True, stop_before_pixels=True)
        (scoord,) = values(path, "111030")
        picture = scoord.ContentSequence[0].ReferencedSOPSequence[0]
        assert picture.ReferencedSOPInstanceUID == original.SOPInstanceUID
        assert pydicom.dcmread(path).StudyInstanceUID == original.StudyInstanceUID
        assert list(scoord.GraphicData)[4:6] == [image.width, image.height]
        name = str(original.get("PatientName", ""))
        assert not name or name.encode() not in path.read_bytes()
