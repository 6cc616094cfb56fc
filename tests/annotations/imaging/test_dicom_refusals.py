from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGExtended12Bit

from annotations.errors import UnreadableImage
from annotations.imaging import load_radiograph
from tests.annotations.imaging.handmade import (
    INSTANCE,
    PATIENT_ID,
    PATIENT_NAME,
    STUDY,
    dicom,
    noise,
    ramp,
    table,
    write,
)


def refusal(path: Path) -> str:
    """Why the file is refused; the reason names no patient."""
    with pytest.raises(UnreadableImage) as caught:
        load_radiograph(path)
    reason = str(caught.value)
    for secret in (PATIENT_ID, PATIENT_NAME, "Findling", "FINDLI", STUDY, INSTANCE):
        assert secret.upper() not in reason.upper()
    return reason


def refusal_of(tmp_path: Path, header: FileDataset) -> str:
    return refusal(write(tmp_path / "film.dcm", header))


def test_deflated_files_are_refused_by_name_and_never_unfolded(tmp_path: Path) -> None:
    # 500 MB of zeros in half a megabyte: unfolding would be felt.
    header = dicom(noise(8), syntax=DeflatedExplicitVRLittleEndian)
    path = tmp_path / "film.dcm"
    header.save_as(path, enforce_file_format=True)
    content = path.read_bytes()
    squeezed = zlib.compressobj(wbits=-15)
    bomb = b"".join(squeezed.compress(bytes(1 << 20)) for _ in range(500)) + squeezed.flush()
    meta_end = content.index(b"1.2.840.10008.1.2.1.99") + 22
    path.write_bytes(content[:meta_end] + bomb)
    assert "the file is Deflated, which may unfold to any size; convert it" in refusal(path)


def test_deflated_without_preamble_is_refused_too(tmp_path: Path) -> None:
    header = dicom(noise(8), syntax=DeflatedExplicitVRLittleEndian)
    header.save_as(tmp_path / "film.dcm", enforce_file_format=True)
    content = (tmp_path / "film.dcm").read_bytes()
    (tmp_path / "film.dcm").write_bytes(content[132:])
    assert "Deflated" in refusal(tmp_path / "film.dcm")


def test_a_meta_that_can_be_read_in_two_ways_is_refused(tmp_path: Path) -> None:
    # pydicom reads a meta group again as implicit when its first element has no valid VR; a
    # Deflated syntax could hide in the second reading.
    path = write(tmp_path / "film.dcm", dicom(noise(8)))
    content = bytearray(path.read_bytes())
    assert content[136:138] == b"UL"
    content[136:138] = b"ZZ"
    path.write_bytes(bytes(content))
    refusal(path)


def test_unknown_transfer_syntaxes_are_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "film.dcm", dicom(noise(8)))
    content = path.read_bytes()
    mpeg = b"1.2.840.10008.1.2.4.100\0"
    plain = b"1.2.840.10008.1.2.1\0"
    start = content.index(plain) - 2
    path.write_bytes(
        content[:start] + len(mpeg).to_bytes(2, "little") + mpeg + content[start + 2 + len(plain) :]
    )
    assert "transfer syntax MPEG2" in refusal(path)


def test_twelve_bit_jpeg_is_refused_for_what_it_is(tmp_path: Path) -> None:
    header = dicom(noise(12), bits=12)
    header.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    header["PixelData"].is_undefined_length = True
    header.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    assert "JPEG Extended of 12 bits is not read" in refusal_of(tmp_path, header)


def test_size_is_checked_before_anything_is_decoded(tmp_path: Path) -> None:
    header = dicom(noise(16))
    header.Rows, header.Columns = 60_000, 60_000
    assert "60000 x 60000 pixels in 1 frames; at most 64 million" in refusal_of(tmp_path, header)


def test_frames_count_into_the_size(tmp_path: Path) -> None:
    header = dicom(noise(16, size=(512, 512)))
    header.NumberOfFrames = 100_000
    assert "100000 frames; at most 64 million" in refusal_of(tmp_path, header)


def test_several_frames_are_refused(tmp_path: Path) -> None:
    header = dicom(noise(8))
    header.NumberOfFrames = 2
    header.PixelData = header.PixelData * 2
    assert "holds 2 frames; a radiograph is a single one" in refusal_of(tmp_path, header)


def test_colour_is_refused(tmp_path: Path) -> None:
    header = dicom(noise(8))
    header.SamplesPerPixel, header.PhotometricInterpretation = 3, "RGB"
    header.PlanarConfiguration = 0
    header.PixelData = header.PixelData * 3
    assert "the picture is RGB with 3 samples per pixel" in refusal_of(tmp_path, header)


def test_palette_colour_is_refused(tmp_path: Path) -> None:
    header = dicom(noise(8))
    header.PhotometricInterpretation = "PALETTE COLOR"
    assert "the picture is PALETTE COLOR" in refusal_of(tmp_path, header)


@pytest.mark.parametrize("modality", ["MR", "CT", "MG", "US", "PT"])
def test_other_modalities_are_refused_by_name(tmp_path: Path, modality: str) -> None:
    header = dicom(noise(12), bits=12)
    header.Modality = modality
    assert f"modality {modality} is no projection radiograph" in refusal_of(tmp_path, header)


@pytest.mark.parametrize("modality", ["CR", "DX", "OT", "SC", None])
def test_projection_modalities_are_read(tmp_path: Path, modality: str | None) -> None:
    header = dicom(noise(12), bits=12)
    header.Modality = modality
    path = write(tmp_path / "film.dcm", header)
    assert load_radiograph(path).modality == (modality or "")


@pytest.mark.parametrize("field", ["Modality", "PhotometricInterpretation"])
def test_a_field_that_holds_the_patients_name_is_not_quoted(tmp_path: Path, field: str) -> None:
    header = dicom(noise(12), bits=12)
    setattr(header, field, PATIENT_NAME[:16].upper().replace("^", " "))
    assert "(none that is known)" in refusal_of(tmp_path, header)


def test_a_file_without_a_picture_is_refused(tmp_path: Path) -> None:
    header = dicom(noise(8))
    del header.PixelData
    assert "holds no picture" in refusal_of(tmp_path, header)


def test_a_stamp_is_no_radiograph(tmp_path: Path) -> None:
    assert "8 x 15 pixels; that is no radiograph" in refusal_of(
        tmp_path, dicom(ramp(0, 255, size=(15, 8)))
    )


def test_values_in_the_upper_bits_are_refused_rather_than_cut(tmp_path: Path) -> None:
    header = dicom((noise(12) << 4).astype(np.uint16), bits=12)
    header.HighBit = 15
    assert "values of 12 bits end at bit 15; expected bit 11" in refusal_of(tmp_path, header)


@pytest.mark.parametrize(("slope", "intercept"), [("0", "0"), ("1e300", "0"), ("1", "1e300")])
def test_a_rescale_step_that_cannot_be_meant_is_refused(
    tmp_path: Path, slope: str, intercept: str
) -> None:
    header = dicom(noise(12), bits=12)
    header.RescaleSlope, header.RescaleIntercept = slope, intercept
    assert "cannot be meant" in refusal_of(tmp_path, header)


@pytest.mark.parametrize("name", ["ModalityLUTSequence", "VOILUTSequence"])
def test_a_table_without_entries_is_refused(tmp_path: Path, name: str) -> None:
    header = dicom(noise(12), bits=12)
    setattr(header, name, table(0, [], bits=16))
    assert "a look-up table has 0 entries of 16 bits" in refusal_of(tmp_path, header)


def test_values_of_more_than_sixteen_bits_are_refused(tmp_path: Path) -> None:
    pixels = ramp(0, 100_000, dtype=np.uint32)
    assert "needs 17 bits per pixel; at most 16" in refusal_of(tmp_path, dicom(pixels, bits=17))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, share: float) -> None:
    path = write(tmp_path / "film.dcm", dicom(noise(12, size=(100, 100)), bits=12))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert len(refusal(path)) > 20


def test_sequences_nested_without_end_are_refused(tmp_path: Path) -> None:
    header = dicom(noise(8))
    path = write(tmp_path / "film.dcm", header)
    # (0040,A730) of undefined length, then an item of undefined length, 5000 deep.
    level = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    content = path.read_bytes()
    place = content.index(b"\xe0\x7f\x10\x00")
    path.write_bytes(content[:place] + level * 5000 + content[place:])
    assert "nests its sequences without end" in refusal(path)


def test_a_handful_of_nested_sequences_is_no_reason(tmp_path: Path) -> None:
    inner = Dataset()
    for _ in range(8):
        outer = Dataset()
        outer.ContentSequence = Sequence([inner])
        inner = outer
    header = dicom(noise(8))
    header.ContentSequence = Sequence([inner])
    assert load_radiograph(write(tmp_path / "film.dcm", header)).size == (32, 48)


def test_a_dicom_header_of_rubbish_is_refused(tmp_path: Path) -> None:
    rubbish = np.random.default_rng(0).bytes(4000)
    (tmp_path / "film.dcm").write_bytes(bytes(128) + b"DICM" + rubbish)
    assert len(refusal(tmp_path / "film.dcm")) > 20
