from __future__ import annotations

import os
from pathlib import Path

import pytest

from annotations.errors import UnknownSource
from annotations.sources.folder import load_folder
from annotations.sources.listing import Remark, Skipped, SourceImage
from tests.annotations.sources.pictures import write_dicom, write_picture


def test_pictures_come_recursively_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b/2.png", "a.jpg", "b/1.tif", "c.PNG"):
        write_picture(tmp_path / name)
    write_dicom(tmp_path / "b" / "1.2.840.7")

    names = [item.name for item in load_folder(tmp_path) if isinstance(item, SourceImage)]

    assert names == ["a.jpg", "c.PNG", "b/1.2.840.7", "b/1.tif", "b/2.png"]


def test_other_files_are_counted_and_hidden_pictures_are_named(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    write_picture(tmp_path / "._a.png")
    for name in ("notes.txt", "more.txt", "x.csv", ".DS_Store", "README", "DICOMDIR"):
        (tmp_path / name).write_text("x", encoding="utf-8")

    items = list(load_folder(tmp_path))

    skipped = [item for item in items if isinstance(item, Skipped)]
    remarks = [item.text for item in items if isinstance(item, Remark)]
    assert [entry.where for entry in skipped] == ["._a.png"]
    assert remarks == ["6 other files left alone (2 no suffix, 2 .txt, 1 hidden, 1 .csv)"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may read every folder")
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    write_picture(tmp_path / "locked" / "b.png")
    (tmp_path / "locked").chmod(0)
    try:
        items = list(load_folder(tmp_path))
    finally:
        (tmp_path / "locked").chmod(0o700)

    assert [item.name for item in items if isinstance(item, SourceImage)] == ["a.png"]
    assert [(item.where, item.reason) for item in items if isinstance(item, Skipped)] == [
        ("locked", "folder cannot be read: Permission denied; check its rights")
    ]


def test_a_workspace_inside_the_folder_is_not_imported(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    write_picture(tmp_path / "work" / "images" / "b.png")
    (tmp_path / "work" / "workspace.toml").write_text("format = 1\n", encoding="utf-8")

    names = [item.name for item in load_folder(tmp_path) if isinstance(item, SourceImage)]

    assert names == ["a.png"]


def test_one_file_is_a_source_too(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.png")

    assert list(load_folder(path)) == [SourceImage(path=path, name="a.png", where="a.png")]


def test_copies_of_nih_pictures_keep_their_patient(tmp_path: Path) -> None:
    write_picture(tmp_path / "00000150_002.png")
    write_picture(tmp_path / "other_00000150_002.png")

    patients = [item.patient for item in load_folder(tmp_path) if isinstance(item, SourceImage)]

    assert patients == ["nih:00000150", None]


def test_a_date_in_a_file_name_is_no_nih_patient(tmp_path: Path) -> None:
    write_picture(tmp_path / "20240131_001.png")
    write_picture(tmp_path / "20240131_002.png")

    patients = [item.patient for item in load_folder(tmp_path) if isinstance(item, SourceImage)]

    assert patients == [None, None]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")

    with pytest.raises(UnknownSource, match=r"no radiograph in .*; expected PNG"):
        list(load_folder(tmp_path))
