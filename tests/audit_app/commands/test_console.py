"""What the commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit_app.commands.console import opened, with_names
from audit_app.errors import AuditError
from tests.browser.films import make_workspace


def test_the_terminal_names_the_pictures_of_which_an_error_gives_the_id(tmp_path: Path) -> None:
    workspace, (image, _) = films(tmp_path)
    expected = rf"1 of 2 failed: {image} \('film-00\.png'\): it is missing"
    with pytest.raises(AuditError, match=expected), opened(workspace):
        raise AuditError(f"1 of 2 failed: {image}: it is missing")
    with opened(workspace) as (_, store):
        no_picture = "f" * 32
        assert with_names(store, f"hash {no_picture}") == f"hash {no_picture}"


def films(folder: Path) -> tuple[Path, list[str]]:
    workspace, records = make_workspace(folder, ["film-00.png", "film-01.png"])
    return workspace.root, [one.image_id for one in records.values()]
