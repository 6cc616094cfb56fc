"""A labelled workspace without a model, for everything that asks none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from annotations.store import Store
from annotations.workspace import Workspace
from tests.audit_app.evaluator.labelled_set import make_labelled_set


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_labelled_set(tmp_path, 24)


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    with Store.open(workspace) as opened:
        yield opened


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Where the pictures of the workspace lie."""
    return tmp_path / "films"
