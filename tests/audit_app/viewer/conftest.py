"""A small workspace with films of every kind, and the viewer's routes over it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from annotations.records import ImageRecord
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.services import Services
from audit_app.settings import Settings
from audit_app.viewer.routes import build_routes
from tests.browser.films import make_workspace

NAMES = ["film-a.png", "film-b.png", "film-8bit.png", "film-mono1.dcm"]


@dataclass(frozen=True)
class Place:
    """Everything that a test needs."""

    workspace: Workspace
    services: Services
    records: dict[str, ImageRecord]
    client: TestClient

    @property
    def store(self) -> Store:
        return self.services.store

    def id_of(self, name: str) -> str:
        return self.records[name].image_id


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    workspace, records = make_workspace(tmp_path, NAMES)
    with Store.open(workspace) as store:
        services = Services(workspace, store, Settings(open_browser=False))
        app = Starlette(routes=build_routes(services))
        # What Gradio's application has; session.py is tested with the real one.
        app.cookie_id = "test"  # type: ignore[attr-defined]
        app.tokens = {"token-anna": "anna", "token-olga": "olga"}  # type: ignore[attr-defined]
        with TestClient(app) as client:
            yield Place(workspace, services, records, client)
