from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import FileDataset
from pydicom.pixels import apply_modality_lut
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from annotations.imaging import Radiograph, load_radiograph
from tests.annotations.imaging.handmade import (
    INSTANCE,
    PATIENT_ID,
    PATIENT_NAME,
    SERIES,
    STUDY,
    dicom,
    noise,
    ramp,
    table,
    write,
)

PLAIN = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def loaded(tmp_path: Path, header: FileDataset) -> Radiograph:
    return load_radiograph(write(tmp_path / "film.dcm", header))


def modality_values(radiograph: Radiograph) -> NDArray[np.float64]:
    return radiograph.pixels * radiograph.value_scale + radiograph.value_offset


@pytest.mark.parametrize("syntax", PLAIN)
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_unsigned_pixels_come_out_as_they_were_put_in(
    tmp_path: Path, syntax: UID, bits: int
) -> None:
    pixels = noise(bits)
    radiograph = loaded(tmp_path, dicom(pixels, bits=bits, syntax=syntax))
    np.testing.assert_array_equal(radiograph.pixels, pixels)
    assert radiograph.pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert radiograph.bits == bits
    assert (radiograph.value_scale, radiograph.value_offset) == (1.0, 0.0)


def test_the_bits_are_those_of_the_header_even_when_no_pixel_needs_them(tmp_path: Path) -> None:
    assert loaded(tmp_path, dicom(ramp(0, 100), bits=12)).bits == 12


@pytest.mark.parametrize("syntax", PLAIN)
def test_signed_pixels_are_shifted_and_their_values_kept(tmp_path: Path, syntax: UID) -> None:
    stored = ramp(-1500, 2600, dtype=np.int16)
    radiograph = loaded(tmp_path, dicom(stored, syntax=syntax))
    assert radiograph.pixels.dtype == np.uint16
    np.testing.assert_array_equal(radiograph.pixels, stored.astype(int) + 1500)
    np.testing.assert_array_equal(modality_values(radiograph), stored)
    assert radiograph.value_offset == -1500
    assert radiograph.bits == 13  # 4100 needs 13 bits


def test_signed_pixels_without_a_negative_value_are_not_shifted(tmp_path: Path) -> None:
    radiograph = loaded(tmp_path, dicom(ramp(5, 900, dtype=np.int16)))
    assert radiograph.value_offset == 0
    assert radiograph.pixels.min() == 5


def test_the_whole_signed_range_fits(tmp_path: Path) -> None:
    stored = ramp(-32768, 32767, dtype=np.int16)
    radiograph = loaded(tmp_path, dicom(stored))
    assert (radiograph.pixels.min(), radiograph.pixels.max()) == (0, 65535)
    np.testing.assert_array_equal(modality_values(radiograph), stored)


def test_twelve_signed_bits_in_sixteen_keep_their_sign(tmp_path: Path) -> None:
    # Values of 12 bits in two's complement, the upper 4 bits left at 0.
    values = ramp(-2000, 2000, dtype=np.int16)
    stored = (values.astype(np.uint16) & 0x0FFF).astype(np.int16)
    header = dicom(stored, bits=12)
    np.testing.assert_array_equal(modality_values(loaded(tmp_path, header)), values)


def test_what_stands_in_the_unused_bits_does_not_count(tmp_path: Path) -> None:
    pixels = noise(12)
    rubbish = (pixels | 0x8000).astype(np.uint16)
    radiograph = loaded(tmp_path, dicom(rubbish, bits=12))
    np.testing.assert_array_equal(radiograph.pixels, pixels)
    assert radiograph.bits == 12


@pytest.mark.parametrize(
    ("slope", "intercept"),
    [("1", "0"), ("1", "-1024"), ("2", "10"), ("0.5", "3"), ("1.37", "-20.25"), ("1", "0.5")],
)
@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_slope_and_intercept_give_the_values_that_pydicom_gives(
    tmp_path: Path, slope: str, intercept: str, dtype: Any
) -> None:
    stored = ramp(-300 if dtype is np.int16 else 0, 4000, dtype=dtype)
    header = dicom(stored)
    header.RescaleSlope, header.RescaleIntercept = slope, intercept
    radiograph = loaded(tmp_path, header)
    np.testing.assert_allclose(
        modality_values(radiograph), apply_modality_lut(stored, header), rtol=1e-12, atol=1e-9
    )
    # No two stored values fell together.
    assert len(np.unique(radiograph.pixels)) == len(np.unique(stored))


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_a_negative_slope_turns_the_pixels_over_and_keeps_the_values(
    tmp_path: Path, dtype: Any
) -> None:
    stored = ramp(-300 if dtype is np.int16 else 7, 4000, dtype=dtype)
    header = dicom(stored)
    header.RescaleSlope, header.RescaleIntercept = "-1.5", "100"
    radiograph = loaded(tmp_path, header)
    assert radiograph.value_scale == 1.5
    np.testing.assert_allclose(
        modality_values(radiograph), apply_modality_lut(stored, header), rtol=1e-12
    )
    assert (np.diff(radiograph.pixels.ravel().astype(int)) <= 0).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_a_modality_table_gives_the_values_that_pydicom_gives(tmp_path: Path, bits: int) -> None:
    stored = ramp(0, 300)
    entries = np.random.default_rng(3).integers(0, 2**bits, 200).tolist()
    header = dicom(stored)
    header.ModalityLUTSequence = table(50, entries, bits=16)
    radiograph = loaded(tmp_path, header)
    np.testing.assert_array_equal(radiograph.pixels, apply_modality_lut(stored, header))
    assert (radiograph.value_scale, radiograph.value_offset) == (1.0, 0.0)


def test_a_modality_table_of_twelve_bits_is_read_by_hand(tmp_path: Path) -> None:
    # Entry k belongs to the value 100 + k; values before take the first, values behind the last.
    header = dicom(np.array([[0, 99, 100, 101, 102, 103, 500]] * 20, np.uint16).repeat(3, axis=1))
    header.ModalityLUTSequence = table(100, [9, 700, 800, 4000], bits=12)
    row = loaded(tmp_path, header).pixels[0, ::3]
    assert row.tolist() == [9, 9, 9, 700, 800, 4000, 4000]


@pytest.mark.parametrize("vr", ["US", "SS"])
def test_a_modality_table_may_begin_below_zero(tmp_path: Path, vr: str) -> None:
    header = dicom(np.array([[-9, -3, -2, -1, 0, 7]] * 20, np.int16).repeat(3, axis=1))
    first = -2 if vr == "SS" else 65534
    header.ModalityLUTSequence = table(first, [10, 20, 30], bits=16, vr=vr)
    row = loaded(tmp_path, header).pixels[0, ::3]
    assert row.tolist() == [10, 10, 10, 20, 30, 30]


def test_a_modality_table_of_big_endian_words_is_not_swapped(tmp_path: Path) -> None:
    header = dicom(np.array([[0, 1, 2]] * 20, np.uint16).repeat(8, axis=1))
    header.ModalityLUTSequence = table(0, [1, 256, 4097], bits=16)
    header.ModalityLUTSequence[0].LUTData = np.array([1, 256, 4097], dtype=">u2").tobytes()
    header.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    header.PixelData = np.array([[0, 1, 2]] * 20, ">u2").repeat(8, axis=1).tobytes()
    assert loaded(tmp_path, header).pixels[0, ::8].tolist() == [1, 256, 4097]


def test_an_empty_modality_table_leaves_slope_and_intercept_in_force(tmp_path: Path) -> None:
    header = dicom(ramp(0, 4000))
    header.ModalityLUTSequence = []
    header.RescaleSlope, header.RescaleIntercept = "0.5", "1"
    radiograph = loaded(tmp_path, header)
    assert (radiograph.value_scale, radiograph.value_offset) == (0.5, 1.0)


def test_windows_keep_their_order_and_their_names(tmp_path: Path) -> None:
    header = dicom(noise(12), bits=12)
    header.WindowCenter, header.WindowWidth = [2000, 1000.5, 300], [4000, 500, 100]
    header.WindowCenterWidthExplanation = ["LUNG", "BONE"]
    header.VOILUTFunction = "SIGMOID"
    windows = loaded(tmp_path, header).windows
    assert [(one.name, one.center, one.width, one.function) for one in windows] == [
        ("LUNG", 2000.0, 4000.0, "SIGMOID"),
        ("BONE", 1000.5, 500.0, "SIGMOID"),
        ("File 3", 300.0, 100.0, "SIGMOID"),
    ]


def test_a_window_is_in_units_of_the_pixels(tmp_path: Path) -> None:
    header = dicom(ramp(-1000, 1000, dtype=np.int16))
    header.WindowCenter, header.WindowWidth = -100, 400
    (window,) = loaded(tmp_path, header).windows
    assert (window.center, window.width, window.function) == (900.0, 400.0, "LINEAR")


@pytest.mark.parametrize(("center", "width"), [(100, 0), (100, -5), ("1e300", 10), (10, "1e300")])
def test_a_window_that_makes_no_sense_is_left_out(
    tmp_path: Path, center: object, width: object
) -> None:
    header = dicom(noise(12), bits=12)
    header.WindowCenter, header.WindowWidth = [center, 7], [width, 8]
    (window,) = loaded(tmp_path, header).windows
    assert (window.center, window.width, window.name) == (7.0, 8.0, "File 2")


@pytest.mark.parametrize(
    ("stored_padding", "slope", "expected"), [(0, "1", 0), (63, "1", 63), (63, "2", 63)]
)
def test_padding_is_given_in_pixels(
    tmp_path: Path, stored_padding: int, slope: str, expected: int
) -> None:
    header = dicom(noise(12), bits=12)
    header.PixelPaddingValue, header.RescaleSlope, header.RescaleIntercept = (
        stored_padding,
        slope,
        "-9",
    )
    assert loaded(tmp_path, header).padding == expected


def test_signed_padding_follows_the_shift_and_the_turn(tmp_path: Path) -> None:
    stored = ramp(-2000, 2000, dtype=np.int16)
    header = dicom(stored)
    header.PixelPaddingValue = -2000
    assert loaded(tmp_path, header).padding == 0
    header.RescaleSlope, header.RescaleIntercept = "-1", "0"
    turned = loaded(tmp_path, header)
    assert turned.padding == int(turned.pixels[0, 0])


def test_padding_outside_the_pixels_is_none(tmp_path: Path) -> None:
    header = dicom(noise(12), bits=12)
    header.PixelPaddingValue = 65535
    assert loaded(tmp_path, header).padding is None


def test_spacing_is_row_then_column_and_calibrated_spacing_goes_first(tmp_path: Path) -> None:
    header = dicom(noise(8))
    header.ImagerPixelSpacing = [0.2, 0.1]
    assert loaded(tmp_path, header).spacing_mm == (0.2, 0.1)
    header.PixelSpacing = [0.15, 0.14]
    assert loaded(tmp_path, header).spacing_mm == (0.15, 0.14)


@pytest.mark.parametrize("spacing", [[0, 0], [-1, 1], [1000, 1000], [0.1], None])
def test_spacing_that_cannot_be_is_none(tmp_path: Path, spacing: list[float] | None) -> None:
    header = dicom(noise(8))
    header.PixelSpacing = spacing
    assert loaded(tmp_path, header).spacing_mm is None


def test_view_and_modality_are_read(tmp_path: Path) -> None:
    header = dicom(noise(8))
    header.ViewPosition, header.Modality = "LL ", "CR"
    radiograph = loaded(tmp_path, header)
    assert (radiograph.view, radiograph.modality) == ("LL", "CR")
    del header.ViewPosition
    assert loaded(tmp_path, header).view == ""


def test_only_allowed_fields_are_kept(tmp_path: Path) -> None:
    header = dicom(noise(12), bits=12)
    header.Manufacturer, header.ManufacturerModelName = "Maker", "Model 3"
    header.InstitutionName, header.ReferringPhysicianName = "Hospital of X", "Doctor^A"
    header.PatientBirthDate, header.AccessionNumber = "19500101", "ACC1"
    header.StudyDescription, header.ImageComments = "CHEST", "free text"
    radiograph = loaded(tmp_path, header)
    assert dict(radiograph.facts) == {
        "Modality": "DX",
        "Rows": "32",
        "Columns": "48",
        "BitsStored": "12",
        "PhotometricInterpretation": "MONOCHROME2",
        "ViewPosition": "PA",
        "Manufacturer": "Maker",
        "ManufacturerModelName": "Model 3",
    }


def test_a_field_that_swallowed_its_neighbours_is_left_out(tmp_path: Path) -> None:
    header = dicom(noise(12), bits=12)
    header.Manufacturer = "Maker\x10\x00\x10\x00PN\x12\x00" + PATIENT_NAME
    header.WindowCenter, header.WindowWidth = 100, 50
    header.WindowCenterWidthExplanation = "LUNG\x00\x10" + PATIENT_NAME
    radiograph = loaded(tmp_path, header)
    assert "Manufacturer" not in radiograph.facts
    assert radiograph.windows[0].name == "File 1"


def test_identity_is_known_but_never_printed(tmp_path: Path) -> None:
    radiograph = loaded(tmp_path, dicom(noise(8)))
    identity = radiograph.identity
    assert identity.patient_id == PATIENT_ID
    assert (identity.study_uid, identity.series_uid, identity.instance_uid) == (
        STUDY,
        SERIES,
        INSTANCE,
    )
    printed = repr(radiograph) + repr(identity) + str(identity)
    for secret in (PATIENT_ID, STUDY, SERIES, INSTANCE):
        assert secret not in printed


@pytest.mark.parametrize(
    ("field", "value", "flag"),
    [
        ("BurnedInAnnotation", "YES", "burned_in_annotation"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7", "secondary_capture"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7.3", "secondary_capture"),
        ("LossyImageCompression", "01", "lossy"),
    ],
)
def test_what_a_reader_should_know_is_flagged(
    tmp_path: Path, field: str, value: str, flag: str
) -> None:
    header = dicom(noise(8))
    assert loaded(tmp_path, header).flags == ()
    setattr(header, field, value)
    assert loaded(tmp_path, header).flags == (flag,)


def test_other_values_of_these_fields_raise_no_flag(tmp_path: Path) -> None:
    header = dicom(noise(8))
    header.BurnedInAnnotation, header.LossyImageCompression = "NO", "00"
    header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77"
    assert loaded(tmp_path, header).flags == ()


def test_a_constant_picture_is_flagged(tmp_path: Path) -> None:
    assert loaded(tmp_path, dicom(np.full((32, 48), 7, np.uint16))).flags == ("constant",)


def test_nothing_is_logged_or_printed_about_the_patient(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    header = dicom(noise(12), bits=12)
    bad_uid = "1.2.." + PATIENT_ID
    element = DataElement("StudyInstanceUID", "UI", bad_uid, validation_mode=config.IGNORE)
    header.add(element)
    path = write(tmp_path / "film.dcm", header)
    with caplog.at_level(logging.DEBUG):
        assert load_radiograph(path).identity.study_uid == bad_uid
    said = caplog.text + "".join(capfd.readouterr())
    assert PATIENT_ID not in said
    assert PATIENT_NAME not in said
