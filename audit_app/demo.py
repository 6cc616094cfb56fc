"""The demo workspace: synthetic radiographs, one synthetic reader, two small models."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from annotations.findings import NO_FINDING, STUDY_FINDINGS
from annotations.image_entries import describe_image
from annotations.imaging import file_sha256, load_radiograph
from annotations.records import ImageRecord, Region
from annotations.regions import Box
from annotations.store import Store
from annotations.store.images import SYNTHETIC
from annotations.workspace import Workspace, create_workspace
from audit_app.errors import AuditError
from audit_app.models import add_model
from model_store.demo.phantoms import Phantom, demo_set

Report = Callable[[int, int, str], bool]

N_IMAGES: Final = 60
N_READ: Final = 15
READER: Final = "Synthetic reader"
OWNER: Final = "demo"
LABELS: Final = "phantom"
MODELS: Final = ("demo-cnn", "demo-vit")
# Written last: a folder without it was never finished.
DEMO_FILE: Final = "workspace.toml"
FINDINGS: Final = tuple(
    name
    for name in STUDY_FINDINGS
    if name
    in {
        "Cardiomegaly",
        "Lung Lesion",
        "Consolidation",
        "Atelectasis",
        "Pneumothorax",
        "Pleural Effusion",
        "Fracture",
        "Support Devices",
        NO_FINDING,
    }
)


def demo_folder() -> Path:
    """Where the demo of this user lies."""
    import platformdirs

    return Path(platformdirs.user_data_dir("saliency-audit", appauthor=False)) / "demo"


def create_demo(root: Path, *, progress: Report, n_images: int = N_IMAGES) -> None:
    """Make the demo workspace at ``root``, all of it or nothing.

    Raises:
        AuditError: If something stands at ``root`` already.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise AuditError(f"{root} is not empty; give a new folder, or open it with 'launch.py ui'")
    root.parent.mkdir(parents=True, exist_ok=True)
    # Built beside its place and moved there in one step: a killed first run leaves no half demo.
    building = Path(tempfile.mkdtemp(prefix=".making-demo-", dir=root.parent))
    try:
        fill_demo(building / "demo", progress=progress, n_images=n_images)
        if root.exists():
            root.rmdir()
        (building / "demo").replace(root)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def fill_demo(root: Path, *, progress: Report, n_images: int = N_IMAGES) -> Workspace:
    """Pictures, labels, readings and models in a new workspace at ``root``."""
    workspace = create_workspace(
        root, name="Demo: synthetic radiographs", findings=FINDINGS, synthetic=True
    )
    with Store.open(workspace) as store:
        store.readers.ensure(READER, "synthetic")
        for number, phantom in enumerate(demo_set(n_images)):
            image = add_phantom(workspace, store, phantom, number)
            if number < N_READ:
                read_phantom(store, image, phantom)
            progress(number + 1, n_images, "drawing synthetic radiographs")
        for name in MODELS:
            add_model(workspace, store, name)
            # The worker runs them behind the first page, so that the demo shows results at once.
            store.jobs.submit("audit", {"model": name}, OWNER)
    return workspace


def add_phantom(workspace: Workspace, store: Store, phantom: Phantom, number: int) -> ImageRecord:
    """Write one phantom as 16-bit PNG and put it into the store with its labels."""
    workspace.images.mkdir(mode=0o700, exist_ok=True)
    path = workspace.images / f"phantom-{number + 1:03d}.png"
    Image.fromarray(phantom.pixels.astype(np.uint16)).save(path)
    entry = describe_image(path, load_radiograph(path), source="demo", sha256=file_sha256(path))
    image, _ = store.images.add(
        replace(
            entry,
            origin=f"demo:{path.name}",
            name=f"Phantom {number + 1:03d}",
            view="PA",
            patient_hash=workspace.patient_hash("demo", str(number)),
            study_hash=workspace.patient_hash("demo", str(number), "study"),
            flags=(SYNTHETIC,),
            history=phantom.history,
            report=phantom.report,
        )
    )
    found = set(phantom.findings) or {NO_FINDING}
    store.labels.set(image.image_id, LABELS, {name: name in found for name in FINDINGS})
    return image


def read_phantom(store: Store, image: ImageRecord, phantom: Phantom) -> None:
    """What the synthetic reader says: every box that was drawn, exactly."""
    regions = [
        Region(
            # Named by image, finding and place, so that making the demo twice gives the same ids.
            region_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{phantom.seed}/{finding}/{corners}")),
            finding=finding,
            certainty="definite",
            box=Box(*corners),
        )
        for finding, boxes in phantom.boxes.items()
        for corners in boxes
    ]
    store.readings.import_committed(image.image_id, READER, "synthetic", regions, not regions)
