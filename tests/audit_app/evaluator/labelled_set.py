"""A workspace of small pictures with labels, and the demo's small model: everything is real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from annotations.imaging import file_sha256, load_radiograph, pixel_sha256
from annotations.records import ImageRecord, NewImage
from annotations.store import Store
from annotations.workspace import Workspace, create_workspace
from audit_app.models import add_model

FINDINGS = ("Cardiomegaly", "Pneumothorax", "Fracture", "No Finding")
MODEL = "demo-cnn"
SOURCE = "by hand"


def labels_of(number: int) -> dict[str, bool]:
    """Every third picture has the first finding, every fourth the second, none the third."""
    found = {"Cardiomegaly": number % 3 == 0, "Pneumothorax": number % 4 == 0, "Fracture": False}
    return found | {"No Finding": not any(found.values())}


def draw(number: int) -> np.ndarray:
    """Noise; each finding is a bright square in its own corner."""
    pixels = np.random.default_rng(number).integers(0, 90, (96, 96)).astype(np.uint8)
    found = labels_of(number)
    pixels[8:40, 8:40] += 150 * found["Cardiomegaly"]
    pixels[56:88, 56:88] += 150 * found["Pneumothorax"]
    return pixels


def add_picture(
    workspace: Workspace, store: Store, folder: Path, number: int, patient: str
) -> ImageRecord:
    """A picture in the store, with labels."""
    path = folder / f"film-{number:03d}.png"
    Image.fromarray(draw(number)).save(path)
    radiograph = load_radiograph(path)
    image, _ = store.images.add(
        NewImage(
            path=str(path),
            origin=str(path),
            name=f"film-{number:03d}",
            source="folder",
            sha256=file_sha256(path),
            pixel_sha256=pixel_sha256(radiograph),
            height=96,
            width=96,
            bits=8,
            photometric="MONOCHROME2",
            modality="CR",
            view="PA",
            spacing_mm=None,
            patient_hash=workspace.patient_hash("patient", patient) if patient else "",
            study_hash="",
        )
    )
    store.labels.set(image.image_id, SOURCE, labels_of(number))
    return image


def make_labelled_set(root: Path, n_pictures: int = 40, *, model: bool = True) -> Workspace:
    """A workspace whose pictures come in pairs of one patient."""
    folder = root / "films"
    folder.mkdir(parents=True)
    workspace = create_workspace(root / "workspace", name="Films", findings=FINDINGS)
    with Store.open(workspace) as store:
        for number in range(n_pictures):
            add_picture(workspace, store, folder, number, f"patient {number // 2}")
        if model:
            add_model(workspace, store, MODEL)
    return workspace
