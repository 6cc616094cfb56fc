"""The report stays hidden until the reading is committed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from annotations.image_entries import describe_image
from annotations.imaging import file_sha256, load_radiograph
from annotations.records import Edit, NewImage
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.settings import Settings
from audit_app.viewer.routes import build_routes
from audit_app.viewer.state import REPORT_LATER, case_value

READER = Visitor("local reader", "reader")


def new_image(path: Path) -> NewImage:
    entry = describe_image(path, load_radiograph(path), source="folder", sha256=file_sha256(path))
    return replace(entry, history="Cough.", report="IMPRESSION: Edema.")


def test_the_report_is_shown_after_the_commit_and_the_history_from_the_start(
    tmp_path: Path,
) -> None:
    path = tmp_path / "one.png"
    Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)).save(path)
    workspace = create_workspace(tmp_path / "w", name="w")
    with Store.open(workspace) as store:
        services = Services(workspace, store, Settings())
        image, _ = store.images.add(new_image(path))
        before = case_value(services, READER, image.image_id)["meta"]["texts"]
        assert (before["history"], before["report"]) == ("Cough.", REPORT_LATER)
        assert "Edema" not in str(before)
        edit = Edit("page", 1, image.image_id, 0, "no_finding", no_finding=True)
        store.readings.apply(edit, "local reader")
        routes = Starlette(routes=build_routes(services))
        routes.cookie_id, routes.tokens = "test", {}  # type: ignore[attr-defined]
        with TestClient(routes) as page:
            reading = f"/audit/readings/{image.image_id}"
            assert "Edema" not in page.get(reading).text
            answer = page.post(f"{reading}/commit", json={"base_version": 1}).json()
        assert answer["texts"]["report"] == "IMPRESSION: Edema."
        after = case_value(services, READER, image.image_id)["meta"]["texts"]
        assert after["report"] == "IMPRESSION: Edema."


def test_an_image_without_report_promises_none(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)).save(path)
    workspace = create_workspace(tmp_path / "w", name="w")
    with Store.open(workspace) as store:
        services = Services(workspace, store, Settings())
        image, _ = store.images.add(replace(new_image(path), report=""))
        assert case_value(services, READER, image.image_id)["meta"]["texts"]["report"] == ""
