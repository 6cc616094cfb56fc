"""Who learns, who chooses thresholds, who is tested; and that no patient does two of these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotations.sources.iu_xray_labels import RADIOLOGIST_SUBSET
from annotations.store import Store
from audit_app.errors import AuditError
from audit_app.evaluator.choices import STUDY_SPLIT, EvaluationChoices, is_file_name
from audit_app.evaluator.label_file import read_split_file
from audit_app.evaluator.labels import ImageFinder, LabelledImage, LabelSet

PARTS: Final = ("train", "validation", "test")
TEST_SHARE: Final = 0.3  # of which one half is for validation
STUDY_SEED: Final = 42
MIN_PATIENTS: Final = 10


@dataclass(frozen=True, slots=True)
class Split:
    """The part of each picture that takes part.

    Attributes:
        parts: Image id to train, validation or test.
        rule: How it was made, in words.
        radiologist: Ids of the study's 15 pictures, as far as they are here.
    """

    parts: Mapping[str, str]
    rule: str
    radiologist: frozenset[str] = frozenset()


def make_split(store: Store, labels: LabelSet, choices: EvaluationChoices) -> Split:
    """The split that the choices ask for, checked.

    Raises:
        AuditError: If a patient stands in two parts, a part stays empty, or the choice is unknown.
    """
    split = _split(store, labels, choices)
    check_patients(labels.images, split.parts)
    counts = Counter(split.parts.values())
    empty = [part for part in PARTS if not counts[part]]
    if empty:
        raise AuditError(
            f"the split ({split.rule}) leaves no picture for {' and '.join(empty)}: "
            f"{len(split.parts)} labelled pictures of "
            f"{len({one.patient for one in labels.images})} patients; label more patients, or "
            "give another split"
        )
    return split


def check_patients(images: Sequence[LabelledImage], parts: Mapping[str, str]) -> None:
    """Nothing, unless a patient has pictures in two parts.

    Raises:
        AuditError: With ids of pictures as examples; never with a patient's or a file's name.
    """
    by_patient: dict[str, dict[str, str]] = {}
    for one in images:
        part = parts.get(one.image.image_id)
        if part is not None:
            by_patient.setdefault(one.patient, {}).setdefault(part, one.image.image_id)
    crossing = [places for places in by_patient.values() if len(places) > 1]
    if crossing:
        example = ", ".join(f"{one} in {part}" for part, one in crossing[0].items())
        raise AuditError(
            f"{len(crossing)} of {len(by_patient)} patients have pictures in more than one part of "
            f"the split (for instance {example}): what is tested would have been learnt from; "
            "give a split by patient, or a seed to make one"
        )


def split_by_patient(patients: Sequence[str], seed: int) -> dict[str, str]:
    """Part of each patient: 70 % train, the rest in equal parts validation and test.

    The study's rule (two calls of scikit-learn's ``train_test_split``), over patients.

    Args:
        patients: May repeat; the order in which they first appear counts.
        seed: Of both calls.

    Raises:
        AuditError: Below ten patients.
    """
    distinct = list(dict.fromkeys(patients))
    if len(distinct) < MIN_PATIENTS:
        raise AuditError(
            f"{len(distinct)} patients cannot be split into {', '.join(PARTS)}; label at least "
            f"{MIN_PATIENTS} patients, or give a split of your own"
        )
    # scikit-learn takes a second to import; the page reads this module too.
    from sklearn.model_selection import train_test_split

    train, rest = train_test_split(distinct, test_size=TEST_SHARE, random_state=seed, shuffle=True)
    validation, test = train_test_split(rest, test_size=0.5, random_state=seed, shuffle=True)
    return (
        dict.fromkeys(train, "train")
        | dict.fromkeys(validation, "validation")
        | dict.fromkeys(test, "test")
    )


def _split(store: Store, labels: LabelSet, choices: EvaluationChoices) -> Split:
    wanted = choices.split
    if wanted is not None and is_file_name(wanted):
        return _split_of_file(store, labels, Path(wanted))
    if wanted is not None and wanted != STUDY_SPLIT:
        return _split_of_seed(labels, wanted)
    own = {one.image.image_id: one.part for one in labels.images if one.part}
    if wanted is None and own:
        return Split(own, f"column 'split' of {labels.name}")
    stored = _stored_split(store, labels)
    if stored is not None:
        return stored
    return _split_by_patient(
        labels, STUDY_SEED, "the study's rule (70/15/15, seed 42) over the patients here"
    )


def _stored_split(store: Store, labels: LabelSet) -> Split | None:
    """The split that came with the import of the labels, or of the same pictures."""
    ids = {one.image.image_id for one in labels.images}
    sources = [name for name in store.labels.sources() if name != RADIOLOGIST_SUBSET]
    for source in sorted(sources, key=lambda name: (name != labels.name, name)):
        parts = {
            image_id: str(part)
            for image_id, part in store.labels.splits(source).items()
            if image_id in ids
        }
        if parts:
            marked = frozenset(store.labels.splits(RADIOLOGIST_SUBSET)) & ids
            return Split(parts, f"imported with '{source}'", marked)
    return None


def _split_of_file(store: Store, labels: LabelSet, path: Path) -> Split:
    finder = ImageFinder(store, path.parent)
    ids = {one.image.image_id for one in labels.images}
    parts: dict[str, str] = {}
    for name, part in read_split_file(path):
        image = finder.find(name)
        if image is None or image.image_id not in ids or not part:
            continue
        if parts.setdefault(image.image_id, part) != part:
            raise AuditError(
                f"{path.name} puts picture {image.image_id} into {parts[image.image_id]} and into "
                f"{part}; "
                "give each picture one part"
            )
    if not parts:
        raise AuditError(
            f"no row of {path.name} names a labelled picture of this workspace; expected the "
            "columns path and split, paths or file names as they were imported"
        )
    return Split(parts, f"file {path.name}")


def _split_of_seed(labels: LabelSet, text: str) -> Split:
    if not text.isdecimal():
        raise AuditError(
            f"split is '{text}'; expected 'study', a CSV with path and split, or a whole number "
            "as seed"
        )
    seed = int(text)
    return _split_by_patient(labels, seed, f"by patient at random (70/15/15, seed {seed})")


def _split_by_patient(labels: LabelSet, seed: int, rule: str) -> Split:
    part_of = split_by_patient([one.patient for one in labels.images], seed)
    return Split({one.image.image_id: part_of[one.patient] for one in labels.images}, rule)
