"""The labels that an evaluation believes: of the workspace, or of a table on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from annotations.records import ImageRecord
from annotations.sources.iu_xray_labels import LABEL_SOURCE
from annotations.sources.listing import picture_key
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.audit_plan import patient_of
from audit_app.errors import AuditError
from audit_app.evaluator.choices import EvaluationChoices, is_file_name
from audit_app.evaluator.label_file import read_label_file
from audit_app.training import label_source, labelled_images

MESH: Final = "mesh"  # a short word for the labels that IU-Xray's import makes of MeSH terms


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One picture with its labels.

    Attributes:
        image: Of the workspace.
        patient: Keyed hash; an image without a known patient is a patient of its own.
        positive: The findings that it has.
        part: What the table itself says: train, validation, test or "".
    """

    image: ImageRecord
    patient: str
    positive: frozenset[str]
    part: str = ""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """All labelled pictures and everything that must be said about them.

    Attributes:
        name: Of the source, for every output.
        findings: In the order of the workspace; each is labelled in this source.
        images: In the order of the workspace or of the table.
        missing: Rows that name a picture which the workspace does not hold.
        left_out: Rows that were not used, with the reason.
        remarks: Sentences for every output.
        n_uncertain: By finding, how many values the rule for uncertain labels decided.
        sha256: Of the table; "" for a source of the workspace.
    """

    name: str
    findings: tuple[str, ...]
    images: tuple[LabelledImage, ...]
    missing: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    n_uncertain: Mapping[str, int] = field(default_factory=dict)
    sha256: str = ""


def load_labels(workspace: Workspace, store: Store, choices: EvaluationChoices) -> LabelSet:
    """The labels that the choices name.

    Raises:
        AuditError: If the source is unknown or labels nothing, or the table cannot be used.
    """
    named = LABEL_SOURCE if choices.labels == MESH else choices.labels
    if named is not None and is_file_name(named) and named not in store.labels.sources():
        return _labels_of_file(workspace, store, Path(named), choices.uncertain)
    return _labels_of_source(store, named)


def _labels_of_source(store: Store, named: str | None) -> LabelSet:
    source = label_source(store, named)
    images, labels = labelled_images(store, source)
    spoken_of = {finding for values in labels.values() for finding in values}
    findings = tuple(finding for finding in store.findings() if finding in spoken_of)
    labelled = tuple(
        LabelledImage(
            image,
            patient_of(image.patient_hash, image.image_id),
            frozenset(name for name, value in labels[image.image_id].items() if value),
        )
        for image in images
    )
    n_unlabelled = store.images.count() - len(images)
    remarks = (
        (f"{n_unlabelled} images of the workspace have no labels of '{source}' and take no part",)
        if n_unlabelled
        else ()
    )
    return LabelSet(source, findings, labelled, remarks=remarks)


def _labels_of_file(workspace: Workspace, store: Store, path: Path, uncertain: str) -> LabelSet:
    table = read_label_file(path, store.findings(), uncertain)
    finder = ImageFinder(store, path.parent)
    labelled: dict[str, LabelledImage] = {}
    missing, left_out = [], list(table.left_out)
    for row in table.rows:
        image = finder.find(row.path)
        if image is None:
            missing.append(row.where)
        elif image.image_id in labelled:
            left_out.append(f"{row.where}: its picture is labelled by an earlier row already")
        else:
            known = workspace.patient_hash("patient", row.patient) if row.patient else ""
            patient = patient_of(known or image.patient_hash, image.image_id)
            labelled[image.image_id] = LabelledImage(image, patient, row.positive, row.part)
    if not labelled:
        raise AuditError(
            f"none of the {len(table.rows)} rows of {path.name} names a picture of this workspace "
            f"(the first is {table.rows[0].where if table.rows else 'none'}); import the pictures "
            "first, with paths or file names as in the table"
        )
    return LabelSet(
        name=f"file {path.name}",
        findings=table.findings,
        images=tuple(labelled.values()),
        missing=tuple(missing),
        left_out=tuple(left_out),
        remarks=table.remarks,
        n_uncertain=table.n_uncertain,
        sha256=table.sha256,
    )


class ImageFinder:
    """Finds the workspace's image that a table means by a path or a file name."""

    def __init__(self, store: Store, folder: Path) -> None:
        """Index the workspace's images.

        Args:
            store: Of the workspace.
            folder: Of the table; relative paths begin there.
        """
        self._folder = folder.resolve()
        images = store.images.all()
        self._by_place = {str(Path(one.origin)): one for one in images}
        self._by_place |= {str(Path(one.path)): one for one in images}
        self._by_name: dict[str, ImageRecord | None] = {}
        for image in images:
            file = image.origin.rpartition(":")[2].replace("\\", "/").rpartition("/")[2]
            for name in {file, picture_key(file), image.name}:
                # Two pictures of one name: the name alone says nothing.
                self._by_name[name] = None if name in self._by_name else image

    def find(self, path: str) -> ImageRecord | None:
        """The image, or None when none is meant or several may be."""
        place = Path(path) if Path(path).is_absolute() else self._folder / path
        found = self._by_place.get(str(place))
        if found is not None:
            return found
        name = Path(path.replace("\\", "/")).name
        return self._by_name.get(name) or self._by_name.get(picture_key(name))
