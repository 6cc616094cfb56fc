"""A workspace with one picture that is not square, and hands to read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotations.importing import import_source
from annotations.records import Edit, Region
from annotations.regions import Box
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.services import Services
from audit_app.settings import Settings

BOX = Box(40, 60, 80, 100)
FINDINGS = ("Edema", "Fracture", "No Finding")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    folder = tmp_path / "pictures"
    folder.mkdir()
    values = np.random.default_rng(0).integers(0, 256, (200, 120), dtype=np.uint8)
    Image.fromarray(values).save(folder / "one.png")
    workspace = create_workspace(tmp_path / "w", name="w", findings=FINDINGS)
    with Store.open(workspace) as store:
        import_source(workspace, store, folder, "folder")
        yield Services(workspace, store, Settings())


@pytest.fixture
def image_id(services: Services) -> str:
    return services.store.images.all()[0].image_id


@pytest.fixture
def draw(services: Services, image_id: str) -> Callable[[str], int]:
    """Draw one box for a reader; its version comes back."""

    def once(reader: str) -> int:
        region = Region("11111111-1111-4111-8111-111111111111", "Edema", "definite", BOX)
        edit = Edit(f"{reader}-page", 1, image_id, 0, "put", region=region)
        return services.store.readings.apply(edit, reader).version

    return once


@pytest.fixture
def commit(services: Services, image_id: str, draw: Callable[[str], int]) -> Callable[[str], None]:
    """Draw one box for a reader and commit it."""

    def once(reader: str) -> None:
        services.store.readings.commit(image_id, reader, base_version=draw(reader))

    return once
