"""What a table of labels says, cell by cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit_app.errors import AuditError
from audit_app.evaluator.label_file import read_label_file, read_split_file

KNOWN = ("Cardiomegaly", "Edema", "No Finding")


@pytest.fixture
def write(tmp_path: Path):
    def make(text: str) -> Path:
        path = tmp_path / "labels.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return make


def test_ones_are_positive_and_zeros_are_not(write) -> None:
    table = read_label_file(
        write("path,patient,split,Edema,Cardiomegaly\na.png,p1,train,1,0\nb.png,p2,test,0,1.0\n"),
        KNOWN,
        "not positive",
    )
    assert table.findings == ("Cardiomegaly", "Edema")
    assert [(row.path, row.patient, row.part, row.positive) for row in table.rows] == [
        ("a.png", "p1", "train", {"Edema"}),
        ("b.png", "p2", "test", {"Cardiomegaly"}),
    ]
    assert table.remarks == ()
    assert len(table.sha256) == 64


@pytest.mark.parametrize(
    ("rule", "kept", "said"),
    [
        ("not positive", {"a.png": set(), "b.png": {"Edema"}}, "taken as not positive"),
        ("positive", {"a.png": {"Edema", "Cardiomegaly"}, "b.png": {"Edema"}}, "taken as positive"),
        ("leave out", {"b.png": {"Edema"}}, "their images are left out"),
    ],
)
def test_uncertain_values_follow_the_rule_and_it_is_said(write, rule, kept, said) -> None:
    table = read_label_file(write("path,Cardiomegaly,Edema\na.png,2,-1\nb.png,,1\n"), KNOWN, rule)
    assert {row.path: row.positive for row in table.rows} == kept
    assert said in table.remarks[0]
    assert "1 blank values: not mentioned, taken as not positive" in table.remarks
    assert sum(table.n_uncertain.values()) == (1 if rule == "leave out" else 2)


def test_a_row_of_blanks_is_an_image_without_labels(write) -> None:
    table = read_label_file(
        write("path,Edema,Cardiomegaly\na.png,,\nb.png,0,0\n"), KNOWN, "positive"
    )
    assert [row.path for row in table.rows] == ["b.png"]
    assert table.left_out == ("labels.csv, row 2: it has no label at all",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,Edemaa\na.png,1\n", "unknown finding 'edemaa'.*did you mean 'Edema'"),
        ("path,patient\na.png,p\n", "no column of a finding"),
        ("file,Edema\na.png,1\n", "has no column path"),
        ("path,Edema\n", "no row that can be read"),
        ("path,Edema\na.png,3\n", "row 2: column 'edema' holds '3'; expected 1, 0, blank"),
        ("path,Edema\na.png,yes\n", "row 2: column 'edema' holds 'yes'"),
        ("path,split,Edema\na.png,holdout,1\n", "split is 'holdout'; expected train"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_row_and_column(write, text, message) -> None:
    with pytest.raises(AuditError, match=message):
        read_label_file(write(text), KNOWN, "not positive")


def test_a_missing_table_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="does not exist; give a CSV with the columns path"):
        read_label_file(tmp_path / "none.csv", KNOWN, "not positive")


def test_a_table_of_parts_may_use_the_usual_words(write) -> None:
    rows = read_split_file(write("path,split\na.png,Train\nb.png,val\nc.png,TEST\nd.png,\n"))
    assert rows == [("a.png", "train"), ("b.png", "validation"), ("c.png", "test"), ("d.png", "")]
