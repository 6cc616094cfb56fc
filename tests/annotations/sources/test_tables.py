from __future__ import annotations

import csv
import math
import random
from pathlib import Path

import pytest

from annotations.errors import UnknownSource
from annotations.sources.listing import Skipped
from annotations.sources.tables import Row, RowError, read_table


def rows_of(path: Path, required: tuple[str, ...] = ("a", "b")) -> list[Row | Skipped]:
    return list(read_table(path, required))


def values_of(path: Path) -> list[tuple[str, str]]:
    return [(row.text("a"), row.text("b")) for row in rows_of(path) if isinstance(row, Row)]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("a,b\n1,x\n", "utf-8"),
        ("a,b\r\n1,x\r\n", "utf-8-sig"),
        ("a;b\r\n1;x\r\n", "utf-8"),
        ("a\tb\n1\tx", "utf-8"),
        ("B , A\nx,1\n", "utf-8"),
        ("a,b,,\n1,x,,\n", "utf-8"),
        ('"a","b"\n"1","x"\n', "utf-8"),
        ("a,b\n1,x\n", "utf-16"),
        ("a,b\n\n1,x\n,,\n", "utf-8"),
        ("a,b\r1,x\r", "utf-8"),
    ],
)
def test_a_table_is_read_however_it_was_saved(tmp_path: Path, content: str, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode(encoding))

    assert [value for value in values_of(path) if any(value)] == [("1", "x")]


def test_quoted_cells_keep_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'a,b\n"1,5","he said ""no""\nand left"\n2,y\n')

    rows = [row for row in rows_of(path) if isinstance(row, Row)]

    assert rows[0].raw("a") == "1,5"
    assert rows[0].raw("b") == 'he said "no"\nand left'
    assert (rows[1].number, rows[1].text("a")) == (3, "2")


def test_random_cells_come_back_as_the_csv_module_wrote_them(tmp_path: Path) -> None:
    chooser = random.Random(1)
    alphabet = 'ab,;"\n\r\t \u2028\x0b\x0cé='
    expected = [
        ["".join(chooser.choices(alphabet, k=chooser.randint(1, 12))) + "x" for _ in range(3)]
        for _ in range(300)
    ]
    path = tmp_path / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "c"])
        writer.writerows(expected)

    rows = list(read_table(path, ("a", "b", "c")))

    found = [[row.raw(name) for name in "abc"] for row in rows if isinstance(row, Row)]
    assert found == expected


def test_rows_with_a_wrong_number_of_columns_are_skipped_by_number(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,x\n2\n3,y,z\n4,w\n", encoding="utf-8")

    skipped = [row for row in rows_of(path) if isinstance(row, Skipped)]

    assert values_of(path) == [("1", "x"), ("4", "w")]
    assert [entry.where for entry in skipped] == ["t.csv, row 3", "t.csv, row 4"]
    assert skipped[0].reason == "1 columns; expected 2"


def test_a_quotation_mark_that_is_never_closed_costs_its_own_row_only(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    lines = ["a,b", '1,"x', *(f"{number},y" for number in range(2, 1000))]
    path.write_text("\n".join(lines), encoding="utf-8")

    assert [row.where for row in rows_of(path) if isinstance(row, Skipped)] == ["t.csv, row 2"]
    assert len(values_of(path)) == 998


def test_bytes_that_are_no_utf8_cost_their_own_row_only(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n1,x\n2,\xe9\xff\n3,y\n")

    skipped = [row for row in rows_of(path) if isinstance(row, Skipped)]

    assert values_of(path) == [("1", "x"), ("3", "y")]
    assert skipped[0].where == "t.csv, row 3"
    assert "UTF-8" in skipped[0].reason


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b"a,c\n1,2\n", "has no column b; its header is 'a,c', expected a, b"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "not a text file"),
        ("a,b,é\n".encode("latin-1"), "not UTF-8"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_with_a_sentence(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)

    with pytest.raises(UnknownSource, match=sentence):
        rows_of(path)


def test_decimal_commas_are_read_where_semicolons_separate(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b\n1,25;2\n", encoding="utf-8")

    row = rows_of(path)[0]

    assert isinstance(row, Row)
    assert row.numbers_in(["a", "b"]) == [1.25, 2.0]


@pytest.mark.parametrize("cell", ["nan", "inf", "-inf", "", "x", "1.2.3", "1e999"])
def test_a_cell_that_is_no_finite_number_is_refused_and_quoted(cell: str) -> None:
    row = Row(2, "t.csv", {"a": cell})

    with pytest.raises(RowError) as refused:
        row.number_in("a")

    assert str(refused.value) == f"column 'a' holds '{cell}'; expected a number"
    assert math.isfinite(Row(2, "t.csv", {"a": " -1.5e2 "}).number_in("a"))


def test_a_nul_in_a_cell_is_text_as_any_other(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes('a,b\n1,"x\0\ny é"\n'.encode())

    assert values_of(path) == [("1", "x\0\ny é")]


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04\x14\0\x06\0a,b\n", b"a,b\n1,\0\xff\n", "a,b\n".encode("utf-16-le")]
)
def test_a_file_with_nuls_that_is_no_utf8_text_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)

    with pytest.raises(UnknownSource, match="not a text file"):
        rows_of(path)
