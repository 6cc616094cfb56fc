from __future__ import annotations

from pathlib import Path

import pytest

from annotations.exports.committed import Names
from annotations.exports.exporter import unfinished_file, unfinished_folder


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("Dr. A", "Dr._A"), ("../../etc", "etc"), ("a/b\\c:d", "a_b_c_d"), ("...", "unnamed"),
        ("", "unnamed"), ("Müller", "Müller"), ("x" * 300, "x" * 80), (".hidden.", "hidden"),
    ],
)  # fmt: skip
def test_a_name_is_safe_as_one_part_of_a_path(wanted: str, name: str) -> None:
    assert Names().of("key", wanted) == name


def test_names_differ_also_where_case_does_not_count_and_stay_for_their_key() -> None:
    names = Names()
    given = [names.of(key, wanted) for key, wanted in (("1", "a"), ("2", "A"), ("3", "a"))]

    assert given == ["a", "A-2", "a-3"]
    assert names.of("2", "other") == "A-2"


def test_a_file_that_fails_halfway_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "readings.csv"
    path.write_text("old", encoding="utf-8")

    def fail() -> None:
        with unfinished_file(path) as unfinished:
            unfinished.write_text("half", encoding="utf-8")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_fails_halfway_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with unfinished_folder(tmp_path / "out") as folder:
            (folder / "one.txt").write_text("half", encoding="utf-8")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert list(tmp_path.iterdir()) == []
