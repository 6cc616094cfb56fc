"""CSV as other programs read it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from audit_app.reports.csv_files import csv_cell, write_csv
from audit_app.reports.whole_files import write_whole


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (0.1 + 0.2, "0.30000000000000004"),
        (-0.5, "-0.5"),
        (-3, "-3"),
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-note", "'-note"),
        ("@here", "'@here"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("'=1+1", "''=1+1"),
        ("\nx", "'\nx"),
        ("\uff0b49", "'\uff0b49"),
        ("a=b", "a=b"),
        ("a;=b", "a;'=b"),
        ("two\r\nlines; 5 cm", "two\r\nlines; 5 cm"),
        ("", ""),
    ],
)
def test_a_cell_is_empty_for_none_full_for_numbers_and_harmless_for_text(value: object, cell: str):
    assert csv_cell(value) == cell


def test_the_file_is_read_back_by_csv_and_by_pandas(tmp_path: Path):
    rows = [
        {"name": 'a "quoted", two\nlines', "x": 1 / 3, "none": None},
        {"name": "Größe ⌀", "x": 1e-300, "none": None},
    ]
    path = tmp_path / "table.csv"
    write_csv(path, ("x", "name"), rows)
    with path.open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"x": repr(row["x"]), "name": row["name"]} for row in rows
        ]
    frame = pd.read_csv(path)
    assert frame["x"].tolist() == pytest.approx([1 / 3, 1e-300], rel=1e-15)
    assert path.read_bytes().startswith(b"\xef\xbb\xbfx,name\r\n")
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_earlier_file_and_nothing_half_written(
    tmp_path: Path, small_disk: Callable[[int], None]
):
    path = tmp_path / "table.csv"
    write_csv(path, ("x",), [{"x": 1}])
    write_whole(tmp_path / "page.html", "Größe")
    small_disk(9)
    with pytest.raises(OSError, match="File too large"):
        write_csv(path, ("x",), [{"x": "0123456789"}])
    with pytest.raises(OSError, match="File too large"):
        write_whole(tmp_path / "page.html", "0123456789")
    assert path.read_text(encoding="utf-8-sig").split() == ["x", "1"]
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == "Größe"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_row_without_a_column_leaves_the_earlier_file_as_it_was(tmp_path: Path):
    path = tmp_path / "table.csv"
    write_csv(path, ("x",), [{"x": 1}])
    with pytest.raises(KeyError):
        write_csv(path, ("x",), [{"x": 2}, {"y": 3}])
    assert path.read_text(encoding="utf-8-sig").split() == ["x", "1"]


def test_names_in_other_letters_open_right_in_excel_and_in_pandas(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_csv(path, ("reader", "n"), [{"reader": "Müller-Łukasz", "n": 1}])
    assert path.read_bytes().startswith(b"\xef\xbb\xbfreader,n\r\n")
    table = pd.read_csv(path)
    assert list(table.columns) == ["reader", "n"]
    assert list(table.reader) == ["Müller-Łukasz"]
