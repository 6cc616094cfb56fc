from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydicom.fileset import FileSet

from annotations.errors import UnknownSource
from annotations.sources.dicom import load_dicom
from annotations.sources.listing import Remark, Skipped, SourceImage
from tests.annotations.sources.pictures import write_dicom, write_picture


def names_of(source: Path) -> list[str]:
    return [item.name for item in load_dicom(source) if isinstance(item, SourceImage)]


def test_series_of_one_study_stay_together_in_their_order(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", study="1.1", series=(2, "1.1.2"), instance=2)
    write_dicom(tmp_path / "b.dcm", study="2.2", series=(1, "2.2.1"))
    write_dicom(tmp_path / "c.dcm", study="1.1", series=(2, "1.1.2"), instance=1)
    write_dicom(tmp_path / "d.dcm", study="1.1", series=(1, "1.1.1"), instance=10)
    write_dicom(tmp_path / "e.dcm", study="1.1", series=(1, "1.1.1"), instance=9)

    assert names_of(tmp_path) == ["e.dcm", "d.dcm", "c.dcm", "a.dcm", "b.dcm"]


def test_files_without_suffix_are_known_by_their_magic_bytes(tmp_path: Path) -> None:
    write_dicom(tmp_path / "IM0001")
    write_picture(tmp_path / "x.png")
    (tmp_path / "LOG").write_text("x" * 200, encoding="utf-8")

    items = list(load_dicom(tmp_path))

    assert [item.name for item in items if isinstance(item, SourceImage)] == ["IM0001"]
    assert [item.text for item in items if isinstance(item, Remark)] == [
        "1 other file left alone (1 no suffix)",
        "1 picture that is no DICOM left alone; use 'folder' for such files",
    ]


def test_a_broken_file_is_left_to_the_decoder_which_says_why(tmp_path: Path) -> None:
    write_dicom(tmp_path / "b.dcm")
    (tmp_path / "a.dcm").write_bytes(b"no DICOM at all")

    assert names_of(tmp_path) == ["a.dcm", "b.dcm"]


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """A DICOMDIR of three files, written by pydicom, in the order c, a, b by instance."""
    files = FileSet()
    for number, name in ((1, "c"), (2, "a"), (3, "b")):
        files.add(write_dicom(tmp_path / "in" / f"{name}.dcm", instance=number))
    files.write(tmp_path / "media")
    # pydicom leaves this to the garbage collector, which warns.
    files._stage["t"].cleanup()
    return tmp_path / "media"


def test_a_dicomdir_lists_its_files_in_order(media: Path) -> None:
    items = list(load_dicom(media / "DICOMDIR"))

    assert len(items) == 3
    assert all(isinstance(item, SourceImage) and item.path.is_file() for item in items)
    assert [item.where.rsplit("/", 1)[-1] for item in items if isinstance(item, SourceImage)] == [
        "IM000000",
        "IM000001",
        "IM000002",
    ]


def test_a_file_that_the_dicomdir_lists_and_that_is_gone_is_named(media: Path) -> None:
    gone = sorted(media.rglob("IM000001"))[0]
    gone.unlink()
    write_dicom(media / "EXTRA", study="9.9")

    from_file = list(load_dicom(media / "DICOMDIR"))
    from_folder = list(load_dicom(media))

    for items in (from_file, from_folder):
        skipped = [item for item in items if isinstance(item, Skipped)]
        assert len(skipped) == 1
        assert "IM000001 is absent" in skipped[0].reason
    assert len(names_of(media / "DICOMDIR")) == 2
    assert len(names_of(media)) == 3


def test_a_dicomdir_cannot_name_files_outside_its_folder(media: Path) -> None:
    listing = media / "DICOMDIR"
    listing.write_bytes(listing.read_bytes().replace(b"IM000002", b"..      "))

    skipped = [item for item in load_dicom(listing) if isinstance(item, Skipped)]

    assert [entry.reason for entry in skipped] == [
        "file PT000000/ST000000/SE000000/.. is absent or outside the DICOMDIR's folder"
    ]
    assert len(names_of(listing)) == 2


def test_a_damaged_dicomdir_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 500)

    with pytest.raises(UnknownSource, match="no readable DICOMDIR"):
        list(load_dicom(tmp_path / "DICOMDIR"))


def test_a_damaged_dicomdir_does_not_stop_the_import_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 500)
    write_dicom(tmp_path / "a.dcm")

    items = list(load_dicom(tmp_path))

    assert [item.name for item in items if isinstance(item, SourceImage)] == ["a.dcm"]
    skipped = [item for item in items if isinstance(item, Skipped)]
    assert [entry.where for entry in skipped] == ["DICOMDIR"]
    assert "no readable DICOMDIR" in skipped[0].reason


def test_the_refusal_of_a_dicomdir_quotes_nothing_of_it(media: Path) -> None:
    listing = media / "DICOMDIR"
    content = listing.read_bytes()
    assert content.count(b"IMAGE ") == 3
    # A type that no reader of DICOM knows: pydicom's error would quote the record.
    listing.write_bytes(content.replace(b"\x04\x00\x30\x14CS", b"\x04\x00\x30\x14ZZ"))

    with pytest.raises(UnknownSource) as refused:
        list(load_dicom(listing))

    assert re.search(r"no readable DICOMDIR \(\w+\); give the folder", str(refused.value))


@pytest.mark.real_data
def test_the_shared_dicom_files_are_all_listed(shared_data: Path) -> None:
    assert len(names_of(shared_data / "dicom")) == 10
