"""A real workspace of small pictures, and a real if tiny model: brightness seen by each mode.

The model's maps follow from the picture alone, so a test can ask it again and recompute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from annotations.records import Edit, ImageRecord, NewImage, Region
from annotations.regions import Box
from annotations.store import Store
from annotations.workspace import Workspace, create_workspace
from model_store.errors import MissingHead
from model_store.preprocessing import FrameGeometry, frame_geometry

FINDINGS = ("Cardiomegaly", "Pneumothorax", "Fracture", "No Finding")
GRID = (12, 12)
Boxes = Mapping[str, Sequence[tuple[int, int, int, int]]]


@dataclass(frozen=True, eq=False)
class TinyExplanation:
    maps: np.ndarray
    scores: np.ndarray
    findings: tuple[str, ...]
    geometry: FrameGeometry
    provenance: dict[str, object]


@dataclass
class TinyModel:
    """Block means of the picture, turned by mode and finding; counts its questions."""

    preprocessing: str = "crop"
    known: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    spoiled_at: float | None = None  # pictures of this mean brightness give a NaN in the map
    asked: list[tuple[str, str, float]] = field(default_factory=list)

    def supported(self, model: str, mode: str, findings: Sequence[str]) -> tuple[str, ...]:
        assert model in ("tiny", "other")
        known = self.known.get(mode, tuple(findings))
        return tuple(finding for finding in findings if finding in known)

    def explain(
        self, model: str, mode: str, method: str, picture: np.ndarray, findings: Sequence[str]
    ) -> TinyExplanation:
        if mode in self.missing:
            raise MissingHead(f"model '{model}' has no {mode} weights; train it first")
        self.asked.append((mode, method, float(picture.mean())))
        return self._answer(mode, picture, findings)

    def explain_random(
        self,
        model: str,
        mode: str,
        method: str,
        picture: np.ndarray,
        findings: Sequence[str],
        *,
        seed: int,
    ) -> TinyExplanation:
        """Maps of noise that the seed and the picture decide."""
        assert (model, method) == ("tiny", "gradcam")
        told = self._answer(mode, picture, findings)
        rng = np.random.default_rng([seed, int(picture.sum())])
        maps = rng.random(told.maps.shape).astype(np.float32)
        weights = {"weights_sha256": f"random:{seed}"}
        return replace(told, maps=maps, provenance=told.provenance | weights)

    def frame(self, model: str, picture: np.ndarray) -> tuple[np.ndarray, FrameGeometry]:
        """The middle of the picture, one pixel of it for each of the grid."""
        assert model == "tiny"
        geometry = frame_geometry(self.preprocessing, picture.shape, GRID)
        x = (np.arange(GRID[1]) + 0.5 + geometry.offset_x) / geometry.scale_x
        y = (np.arange(GRID[0]) + 0.5 + geometry.offset_y) / geometry.scale_y
        columns, rows = (
            np.clip(at.astype(int), 0, edge - 1)
            for at, edge in ((x, picture.shape[1]), (y, picture.shape[0]))
        )
        return picture[np.ix_(rows, columns)], geometry

    def frame_scores(
        self, model: str, mode: str, frames: np.ndarray, findings: Sequence[str]
    ) -> np.ndarray:
        """Brightness in the top rows for the first finding, one row further down for each next."""
        assert model == "tiny"
        turn = {"zs": 0, "lp": 3, "ft": 7}[mode]
        told = [frames[:, (turn + k) % GRID[0]].mean(axis=1) for k, _ in enumerate(findings)]
        return np.stack(told, axis=1).astype(np.float32)

    def _answer(self, mode: str, picture: np.ndarray, findings: Sequence[str]) -> TinyExplanation:
        rows = np.array_split(np.arange(picture.shape[0]), GRID[0])
        columns = np.array_split(np.arange(picture.shape[1]), GRID[1])
        blocks = np.array([[picture[np.ix_(r, c)].mean() for c in columns] for r in rows])
        turn = {"zs": 0, "lp": 3, "ft": 7}[mode]
        maps = [
            np.maximum(np.roll(blocks, (turn, 5 * k), (0, 1)) - blocks.mean(), 0)
            for k, _ in enumerate(findings)
        ]
        if "Fracture" in findings and mode == "lp":
            maps[list(findings).index("Fracture")] = np.zeros(GRID)  # no evidence
        if picture.mean() == self.spoiled_at:
            maps[0][3, 4] = np.nan
        return TinyExplanation(
            maps=np.array(maps, dtype=np.float32),
            scores=np.array([one.sum() for one in maps], dtype=np.float32),
            findings=tuple(findings),
            geometry=frame_geometry(self.preprocessing, picture.shape, GRID),
            provenance={
                "weights_sha256": f"{mode}-weights",
                "config_sha256": "config",
                "preprocessing": {"kind": self.preprocessing},
                "layer": "blocks",
                "source": "local-dir:/home/somebody/tiny",
                "versions": {"tiny": "1"},
            },
        )


@dataclass(frozen=True)
class Study:
    workspace: Workspace
    store: Store
    folder: Path

    def add_image(self, name: str, patient: str, size: tuple[int, int] = (40, 30)) -> ImageRecord:
        """A new picture of noise with a bright place, in a file named after the patient."""
        seed = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
        rng = np.random.default_rng(seed)
        pixels = rng.integers(0, 120, size).astype(np.uint8)
        top, left = (int(rng.integers(0, edge - 8)) for edge in size)
        pixels[top : top + 8, left : left + 8] += 100
        path = self.folder / f"{name}.png"
        Image.fromarray(pixels).save(path)
        content = path.read_bytes()
        record, _ = self.store.images.add(
            NewImage(
                path=str(path),
                origin=str(path),
                name=f"{name} of {patient}",
                source="folder",
                sha256=hashlib.sha256(content).hexdigest(),
                pixel_sha256=hashlib.sha256(pixels.tobytes()).hexdigest(),
                height=size[0],
                width=size[1],
                bits=8,
                photometric="MONOCHROME2",
                modality="CR",
                view="PA",
                spacing_mm=None,
                patient_hash=self.workspace.patient_hash(patient),
                study_hash=self.workspace.patient_hash(patient, name),
            )
        )
        return record

    def read(self, image: ImageRecord, reader: str, boxes: Boxes) -> None:
        """A committed reading; no boxes stands for No Finding."""
        regions = [
            Region("", finding, "definite", Box(*corners))  # the store gives it an id
            for finding, many in boxes.items()
            for corners in many
        ]
        self.store.readings.import_committed(
            image.image_id, reader, "imported", regions, not regions
        )


def make_study(root: Path) -> Study:
    """An empty workspace with one model entry."""
    workspace = create_workspace(root / "workspace", name="Small study", findings=FINDINGS)
    store = Store.open(workspace)
    store.models.save("tiny", {"name": "tiny", "location": "local-dir:/home/somebody/tiny"})
    folder = root / "pictures"
    folder.mkdir()
    return Study(workspace, store, folder)


def make_read_study(root: Path) -> Study:
    """Twelve patients, two readers, a second model, and one reading revised after its map."""
    study = make_study(root)
    study.store.models.save("other", {"name": "other", "location": "local-dir:/home/a/other"})
    rng = np.random.default_rng(9)
    for number in range(12):
        image = study.add_image(f"picture {number}", f"patient {number}")
        x, y = (int(one) for one in rng.integers(0, 12, 2))
        heart = (x, y + 6, x + 10, y + 18)
        study.read(image, "R1", {"Cardiomegaly": [heart], "Fracture": [(4, 10, 12, 20)]})
        study.read(image, "R2", {"Cardiomegaly": [(x + 2, y + 7, x + 12, y + 19)]})
    image = study.store.images.all()[0]
    study.store.readers.ensure("R3")
    revise(study, image, (8, 10, 18, 22), (2, 8, 24, 30))
    return study


def revise(study: Study, image: ImageRecord, first: tuple[int, ...], then: tuple[int, ...]) -> None:
    """A reading of R3 that is committed, shown its map and committed again."""
    readings = study.store.readings
    regions = [Region("r", "Cardiomegaly", "probable", Box(*corners)) for corners in (first, then)]
    made = readings.apply(Edit("page", 1, image.image_id, 0, "put", regions[0]), "R3")
    readings.commit(image.image_id, "R3", base_version=made.version)
    readings.reveal(image.image_id, "R3")
    opened = readings.reopen(image.image_id, "R3")
    edit = Edit("page", 2, image.image_id, opened.version, "put", regions[1])
    again = readings.apply(edit, "R3")
    readings.commit(image.image_id, "R3", base_version=again.version)
