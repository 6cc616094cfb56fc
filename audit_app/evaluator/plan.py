"""Which pictures an evaluation works on, with their labels and parts, and what was left out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotations.records import ImageRecord
from annotations.sources.iu_xray_labels import LABEL_SOURCE
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.errors import AuditError
from audit_app.evaluator.choices import EvaluationChoices
from audit_app.evaluator.iu_xray import missing_pictures
from audit_app.evaluator.labels import LabelledImage, LabelSet, load_labels
from audit_app.evaluator.result import FORMAT
from audit_app.evaluator.splits import PARTS, Split, make_split
from model_store.prompts import KEYS

# Of an entry, what neither embeddings nor trained heads depend on.
ASKED_LATER: Final = frozenset({"layer", "prompt_history", *KEYS.values()})


@dataclass(frozen=True, eq=False)
class EvaluationPlan:
    """What is evaluated on what. Rows of all arrays are ``images``, in this order.

    Attributes:
        choices: As asked.
        findings: K names.
        images: N pictures with a label and a part.
        patients: N keyed hashes.
        labels: Shape (N, K), 0 or 1.
        parts: N words: train, validation or test.
        radiologist: Ids of the study's 15, as far as they are here.
        label_source: In words.
        split_rule: In words.
        missing: Pictures that labels name and the workspace or the disk does not hold.
        left_out: Rows and pictures that take no part, with the reason.
        remarks: Sentences for every output.
        labels_sha256: Of a table of labels; "" for the workspace's own.
    """

    choices: EvaluationChoices
    findings: tuple[str, ...]
    images: tuple[ImageRecord, ...]
    patients: tuple[str, ...]
    labels: NDArray[np.uint8]
    parts: tuple[str, ...]
    radiologist: frozenset[str]
    label_source: str
    split_rule: str
    missing: tuple[str, ...]
    left_out: tuple[str, ...]
    remarks: tuple[str, ...]
    labels_sha256: str

    def rows(self, *parts: str) -> NDArray[np.intp]:
        """The rows of these parts, in order."""
        return np.flatnonzero([part in parts for part in self.parts])

    @property
    def image_ids(self) -> list[str]:
        """Of all rows."""
        return [image.image_id for image in self.images]

    def distribution(self) -> list[dict[str, object]]:
        """For each finding, how many pictures of each part have it."""
        return [
            {
                "finding": finding,
                **{part: int(self.labels[self.rows(part), column].sum()) for part in PARTS},
                "all": int(self.labels[:, column].sum()),
            }
            for column, finding in enumerate(self.findings)
        ]

    def without(self, unreadable: Mapping[str, str]) -> EvaluationPlan:
        """The plan without these pictures.

        Args:
            unreadable: Image id to the reason.

        Raises:
            AuditError: If a part has no picture left.
        """
        if not unreadable:
            return self
        kept = [row for row, one in enumerate(self.images) if one.image_id not in unreadable]
        reasons = [
            f"{one.image_id}: {unreadable[one.image_id]}"
            for one in self.images
            if one.image_id in unreadable
        ]
        return _checked(
            replace(
                self,
                images=tuple(self.images[row] for row in kept),
                patients=tuple(self.patients[row] for row in kept),
                labels=self.labels[kept],
                parts=tuple(self.parts[row] for row in kept),
                radiologist=self.radiologist - set(unreadable),
                left_out=(*self.left_out, *reasons),
                remarks=(*self.remarks, f"{len(reasons)} pictures cannot be read and are left out"),
            )
        )

    def fingerprint(self, entry: Mapping[str, object], precision: str) -> str:
        """Changes when choices, model entry, pictures, labels or split do.

        So it does with the precision in which the pictures were encoded: an entry may leave that
        to the machine, and scores must not stand beside embeddings that they do not come from.
        Presets, modes, prompts and the owner are no part of it: what one evaluation trained,
        another one on the same pictures and labels may use.
        """
        free = {
            "presets",
            "modes",
            "owner",
            "device",
            "labels",
            "replicates",
            "permutations",
            "null_draws",
        }
        choices = {key: value for key, value in self.choices.to_dict().items() if key not in free}
        described = [
            FORMAT,
            choices,
            {key: value for key, value in entry.items() if key not in ASKED_LATER}
            | {"precision": precision},
            self.findings,
            self.label_source,
            [[one.image_id, one.sha256] for one in self.images],
            self.patients,
            self.labels.tolist(),
            self.parts,
        ]
        text = json.dumps(described, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def plan_evaluation(
    workspace: Workspace, store: Store, choices: EvaluationChoices
) -> EvaluationPlan:
    """The pictures, labels and parts that the choices make.

    Raises:
        AuditError: If there are no labels, a patient crosses the split, or a part stays empty.
        UnknownRecord: If the model is not one of the workspace.
    """
    store.models.get(choices.model)
    labels = load_labels(workspace, store, choices)
    split = make_split(store, labels, choices)
    used, absent = _present(labels, split)
    missing, said = _missing(store, labels, absent)
    findings = labels.findings
    values = np.array(
        [[name in one.positive for name in findings] for one in used], dtype=np.uint8
    ).reshape(len(used), len(findings))
    plan = EvaluationPlan(
        choices=choices,
        findings=findings,
        images=tuple(one.image for one in used),
        patients=tuple(one.patient for one in used),
        labels=values,
        parts=tuple(split.parts[one.image.image_id] for one in used),
        radiologist=split.radiologist & {one.image.image_id for one in used},
        label_source=labels.name,
        split_rule=split.rule,
        missing=missing,
        left_out=labels.left_out,
        remarks=(*labels.remarks, *_remarks(labels, split), *said),
        labels_sha256=labels.sha256,
    )
    return _checked(plan)


def _present(labels: LabelSet, split: Split) -> tuple[list[LabelledImage], list[str]]:
    """The pictures of the split whose file is there, and the ids of the others.

    No names, here and elsewhere in what a report shows: file names may name patients.
    """
    used, absent = [], []
    for one in labels.images:
        if one.image.image_id not in split.parts:
            continue
        if Path(one.image.path).is_file():
            used.append(one)
        else:
            absent.append(one.image.image_id)
    return used, absent


def _missing(
    store: Store, labels: LabelSet, absent: list[str]
) -> tuple[tuple[str, ...], list[str]]:
    said = []
    listed = [*labels.missing]
    if labels.missing:
        said.append(f"{len(labels.missing)} rows of {labels.name} name a picture that is not here")
    if labels.name == LABEL_SOURCE:
        published, sentence = missing_pictures(store.images.all())
        listed += published
        said.append(sentence)
    if absent:
        listed += absent
        said.append(f"the files of {len(absent)} imported pictures are missing")
    return tuple(listed), said


def _remarks(labels: LabelSet, split: Split) -> list[str]:
    outside = len(labels.images) - len(split.parts)
    said = [f"{len(labels.left_out)} rows of labels are left out"] if labels.left_out else []
    if outside:
        said.append(f"{outside} labelled pictures stand in no part of the split")
    return said


def _checked(plan: EvaluationPlan) -> EvaluationPlan:
    """The plan, with sentences about findings that cannot be measured.

    Raises:
        AuditError: If a part has no picture any more, or nothing is positive in training.
    """
    counts = Counter(plan.parts)
    empty = [part for part in PARTS if not counts[part]]
    if empty:
        raise AuditError(
            f"no picture file of {' and '.join(empty)} is there ({len(plan.missing)} pictures are "
            f"missing, for instance {', '.join(plan.missing[:3])}); put them back or import more"
        )
    if not plan.labels[plan.rows("train")].any():
        raise AuditError(
            f"none of the {counts['train']} training pictures has any finding; check the labels "
            f"({plan.label_source})"
        )
    return plan


def findings_without_positives(plan: EvaluationPlan) -> dict[str, tuple[str, ...]]:
    """For each part, the findings that none of its pictures has."""
    without = {}
    for part in PARTS:
        counts = zip(plan.findings, plan.labels[plan.rows(part)].sum(axis=0), strict=True)
        without[part] = tuple(name for name, count in counts if not count)
    return without
