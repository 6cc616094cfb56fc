"""A workspace.toml that somebody else wrote: opened as text or refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotations.errors import WorkspaceError
from annotations.workspace import create_workspace, open_workspace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return create_workspace(tmp_path / "ward", name="ward", findings=("Mass",)).root


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("format = 1\nx = " + "[" * 50_000, id="nested without end"),
        pytest.param("format = 1\n" + "a.b." * 20_000 + "c = 1", id="a key without end"),
        pytest.param("format = 1\nname = 5\n", id="a number as name"),
        pytest.param('format = 1\nname = "x"\nfindings = "Mass"\n', id="a text as list"),
        pytest.param("format = 1e400\n", id="an infinite format"),
        pytest.param("format = true\n", id="a truth as format"),
        pytest.param('format = 1\n"../../etc/passwd" = 1\n', id="a path as setting"),
        pytest.param('[database]\npath = "/etc/passwd"\n', id="another table"),
        pytest.param("\x00\x01\x02", id="control characters"),
    ],
)
def test_a_poisoned_file_is_refused_with_a_sentence(root: Path, content: str) -> None:
    (root / "workspace.toml").write_text(content, encoding="utf-8")
    with pytest.raises(WorkspaceError) as refused:
        open_workspace(root)
    assert "workspace.toml" in str(refused.value)


def test_a_file_without_end_is_refused_unread(root: Path) -> None:
    with (root / "workspace.toml").open("ab") as file:
        file.truncate(3 << 30)  # sparse: takes no space on the disk
    with pytest.raises(WorkspaceError, match=r"workspace\.toml"):
        open_workspace(root)


def test_markup_and_paths_in_the_name_and_findings_stay_text(root: Path) -> None:
    file = root / "workspace.toml"
    text = file.read_text(encoding="utf-8")
    hostile = "<img src=x onerror=alert(1)>/../../etc"
    file.write_text(text.replace('"ward"', f'"{hostile}"').replace('"Mass"', f'"{hostile}"'))
    workspace = open_workspace(root)
    assert workspace.settings.name == hostile
    assert workspace.settings.findings == (hostile,)
    assert sorted(one.parent for one in (workspace.database, workspace.models)) == [root, root]
