"""A small study for the Compare tab: readings that are committed, and the two demo models."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Final

from annotations.records import ImageRecord, Region
from annotations.regions import Box
from annotations.store import Store
from annotations.workspace import Workspace, create_workspace
from audit_app.demo import FINDINGS as DEMO_FINDINGS
from audit_app.demo import add_phantom, read_phantom
from audit_app.models import add_model
from model_store.demo.phantoms import demo_set
from tests.browser.films import add_image, film, write_png16

HOSTILE: Final = "<b>Mass</b>"
FINDINGS: Final = (
    "Enlarged Cardiomediastinum",
    *DEMO_FINDINGS[:-1],
    HOSTILE,
    DEMO_FINDINGS[-1],
)
# Wider than high, so that a centre crop hides its sides.
WIDE: Final = "Wide film of Doe, Jane"
WIDE_SIZE: Final = (600, 820)
READER: Final = "Dr. Somebody"
BOX: Final = (180, 150, 340, 420)


def make_study(folder: Path) -> tuple[Workspace, dict[str, ImageRecord]]:
    """A workspace with two phantoms and one wide film, each read and committed."""
    workspace = create_workspace(folder / "workspace", name="compare", findings=FINDINGS)
    records = {}
    with Store.open(workspace) as store:
        store.readers.ensure("Synthetic reader", "synthetic")
        store.readers.ensure(READER, "imported")
        for number, phantom in enumerate(demo_set(2)):
            image = add_phantom(workspace, store, phantom, number)
            read_phantom(store, image, phantom)
            records[image.name] = image
        wide = add_image(
            store, write_png16(folder / "doe-jane.png", film(*WIDE_SIZE, 60000)), name=WIDE
        )
        region = Region(str(uuid.uuid4()), "Cardiomegaly", "definite", Box(*BOX))
        store.readings.import_committed(wide.image_id, READER, "imported", [region], False)
        records[WIDE] = wide
        for name in ("demo-cnn", "demo-vit"):
            add_model(workspace, store, name)
    return workspace, records
