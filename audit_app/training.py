"""Training a probe or a fine-tune on the labels of a workspace."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotations.findings import NO_FINDING
from annotations.imaging import load_radiograph
from annotations.imaging.display import display_picture
from annotations.records import ImageRecord
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.audit_plan import patient_of
from audit_app.encoding import encode_images
from audit_app.errors import AuditError
from audit_app.models import make_runtime
from model_store.training import TrainingSet, TrainingSettings, find_preset

Report = Callable[[int, int, str], bool]
Labels = dict[str, dict[str, bool]]
VALIDATION_SHARE = 0.15
READINGS = "committed readings"


@dataclass(frozen=True, slots=True)
class TrainingChoices:
    """What is trained, on which labels, and how.

    Attributes:
        model: Name of an entry.
        mode: ``lp`` or ``ft``.
        labels: A label source; None means the only one there is.
        preset: Of the settings; see ``model_store.training.PRESETS``.
        changes: Settings that differ from the preset, each ``name=value``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
    """

    model: str
    mode: str
    labels: str | None = None
    preset: str = "study"
    changes: tuple[str, ...] = ()
    device: str = "auto"

    @property
    def settings(self) -> TrainingSettings:
        """The preset with its changes.

        Raises:
            TrainingFailed: If the mode, the preset or a change is unknown or does not fit.
        """
        return find_preset(self.mode, self.preset).changed(self.changes)


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What was trained and where it lies."""

    choices: TrainingChoices
    source: str
    n_train: int
    n_validation: int
    path: Path

    def lines(self) -> list[str]:
        """Sentences for the command line and the page."""
        return [
            f"Trained {self.choices.mode} of {self.choices.model} on {self.n_train} images,"
            f" validated on {self.n_validation} (labels: {self.source}).",
            f"Saved {self.path.name} in {self.path.parent.name}.",
        ]


def label_source(store: Store, wanted: str | None) -> str:
    """The label source to train on.

    Raises:
        AuditError: If the wanted one is not there, or there are several and none was named.
    """
    sources = store.labels.sources()
    if wanted == READINGS:
        return READINGS
    if wanted is not None:
        if wanted in sources:
            return wanted
        raise AuditError(f"no labels named '{wanted}'; there are: {', '.join(sources) or 'none'}")
    if len(sources) == 1:
        return sources[0]
    if not sources:
        return READINGS
    raise AuditError(f"several label sources: {', '.join(sources)}; choose one with --labels")


def labels_of(store: Store, source: str) -> Labels:
    """Labels by image: those of the source, or what the committed readings marked."""
    if source != READINGS:
        return store.labels.all(source)
    marked: Labels = {}
    for reading in store.readings.committed(latest=True, blinded_only=False):
        values = marked.setdefault(reading.image_id, {})
        values.update({region.finding: True for region in reading.regions})
        if reading.no_finding:
            values[NO_FINDING] = True
    return marked


def labelled_images(store: Store, source: str) -> tuple[list[ImageRecord], Labels]:
    """The images that have labels of this source, and their labels.

    Raises:
        AuditError: If there is none.
    """
    labels = labels_of(store, source)
    images = [image for image in store.images.all() if image.image_id in labels]
    if not images:
        raise AuditError(
            f"no image of this workspace has labels ({source}); import a set with labels, or commit"
            " readings first"
        )
    return images, labels


def training_set(store: Store, source: str, seed: int) -> TrainingSet:
    """The labelled pictures, with the source's own split or one by patient.

    Raises:
        AuditError: If no image has a label, or one side of the split is empty.
    """
    images, labels = labelled_images(store, source)
    findings = store.findings()
    train, validation = split_indices(
        images, {} if source == READINGS else store.labels.splits(source), seed
    )
    if not train or not validation:
        n_patients = len({patient_of(image.patient_hash, image.image_id) for image in images})
        raise AuditError(
            f"{len(images)} labelled images of {n_patients} patients cannot be split into training"
            " and validation; label more patients"
        )

    def picture(index: int) -> NDArray[np.uint8]:
        return display_picture(load_radiograph(Path(images[index].path)))

    values = np.array(
        [[labels[image.image_id].get(name, False) for name in findings] for image in images],
        dtype=np.float32,
    )
    return TrainingSet(picture, values, findings, train, validation)


def split_indices(
    images: list[ImageRecord], stored: Mapping[str, str], seed: int
) -> tuple[list[int], list[int]]:
    """Training and validation indices: the source's split where it has one, else by patient."""
    if stored:
        train = [i for i, one in enumerate(images) if stored.get(one.image_id) == "train"]
        held = [i for i, one in enumerate(images) if stored.get(one.image_id) == "validation"]
        return train, held
    patient_of_image = [patient_of(one.patient_hash, one.image_id) for one in images]
    patients = sorted(set(patient_of_image))
    random.Random(seed).shuffle(patients)
    n_held = max(1, round(VALIDATION_SHARE * len(patients)))
    held_patients = set(patients[:n_held])
    held = [i for i, patient in enumerate(patient_of_image) if patient in held_patients]
    train = [i for i, patient in enumerate(patient_of_image) if patient not in held_patients]
    return train, held


def train_mode(
    workspace: Workspace, store: Store, choices: TrainingChoices, *, progress: Report
) -> TrainingResult:
    """Train one mode of one model and save its head in the workspace.

    Raises:
        AuditError: If the labels do not suffice.
        ModelError: If the mode or a setting is unknown, the model cannot be loaded, or the
            training fails.
    """
    settings = choices.settings
    source = label_source(store, choices.labels)
    data = training_set(store, source, settings.seed)
    runtime = make_runtime(workspace, store, choices.device)
    embeddings = None
    if choices.mode == "lp":
        precision = runtime.encoder(choices.model).precision
        settings = settings.changed([f"precision={precision}"])
        images, _ = labelled_images(store, source)
        used = sorted({*data.train, *data.validation})
        encoded = encode_images(
            workspace,
            store,
            runtime,
            choices.model,
            [images[index].image_id for index in used],
            progress=progress,
        )
        embeddings = spread(encoded, used, len(images))
    path = runtime.train(
        choices.model,
        choices.mode,
        data,
        settings=settings,
        progress=progress,
        embeddings=embeddings,
    )
    return TrainingResult(choices, source, len(data.train), len(data.validation), path)


def spread(values: NDArray[np.float32], rows: Sequence[int], n_rows: int) -> NDArray[np.float32]:
    """The values (N, D) at these of ``n_rows`` rows; the other rows hold no number."""
    table = np.full((n_rows, values.shape[1]), np.nan, dtype=np.float32)
    table[list(rows)] = values
    return table
