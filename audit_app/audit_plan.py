"""What an audit is asked to do, and which cases that makes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final

from annotations.findings import check_finding
from annotations.records import CommittedReading, ImageRecord
from annotations.store import Store
from audit_app.errors import AuditError
from audit_app.evaluation import Case
from audit_app.metrics.bootstrap import DEFAULT_REPLICATES
from audit_app.metrics.localisation import HEADLINE_THRESHOLD

MODES: Final = ("zs", "cls", "lp", "ft")
THREE_MODES: Final = ("zs", "lp", "ft")
DEFAULT_SEED: Final = 42


@dataclass(frozen=True, slots=True)
class AuditChoices:
    """What is audited, and how.

    Attributes:
        model: Name of a model entry of the workspace.
        modes: Of ``MODES``.
        methods: Names of saliency methods.
        findings: None: all findings of the workspace, those that imports added included.
        readers: None: all readers.
        latest: False: each reading's first blinded commit. True: its last commit, blinded or not;
            the column ``blinded`` says which.
        threshold: Of the headline IoU.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.
        owner: Who asked for it.
        origin: What began it, a job or the folder of a command: an unfinished run is taken up again
            by the same one only. Kept in the store, written to no file.
    """

    model: str
    modes: tuple[str, ...] = THREE_MODES
    methods: tuple[str, ...] = ("gradcam",)
    findings: tuple[str, ...] | None = None
    readers: tuple[str, ...] | None = None
    latest: bool = False
    threshold: float = HEADLINE_THRESHOLD
    replicates: int = DEFAULT_REPLICATES
    seed: int = DEFAULT_SEED
    owner: str = "local reader"
    origin: str = ""

    def __post_init__(self) -> None:
        """Refuse what no audit can be made of."""
        unknown = [mode for mode in self.modes if mode not in MODES]
        if unknown or not self.modes:
            raise AuditError(f"modes are {list(self.modes)}; choose one or more of {list(MODES)}")
        if not self.methods:
            raise AuditError("no saliency method given; choose at least one, for instance gradcam")
        for name in ("modes", "methods", "findings", "readers"):
            given = getattr(self, name) or ()
            if len(set(given)) != len(given):
                raise AuditError(f"{name} are {list(given)}; give each of them once")
        if not 0 <= self.threshold <= 1:
            raise AuditError(f"threshold is {self.threshold}; expected a number from 0 to 1")
        if self.replicates < 1:
            raise AuditError(f"replicates is {self.replicates}; expected at least 1")

    def to_dict(self) -> dict[str, object]:
        """As JSON types."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    def described(self) -> dict[str, object]:
        """What decides the numbers, and who asked; the origin may name a folder."""
        return {name: value for name, value in self.to_dict().items() if name != "origin"}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> AuditChoices:
        """The choices that ``to_dict`` wrote.

        Raises:
            AuditError: If a name is unknown, or a value is out of range.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown or "model" not in values:
            raise AuditError(
                f"choices of an audit hold {sorted(values)}; expected model and any of "
                f"{', '.join(sorted(known - {'model'}))}"
            )
        given = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**given)  # type: ignore[arg-type] # JSON; the names were checked above


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One image and everything on it that is scored."""

    image: ImageRecord
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """The cases of an audit, grouped by patient in the order of the images.

    Attributes:
        patients: Each a tuple of planned images.
        findings: What the model is asked for.
        n_readings: Committed readings that were looked at.
        n_no_finding: Of these, readings that say No Finding; they have no regions and no rows.
        n_other_findings: Of these, readings with regions of other findings only; no rows either.
    """

    patients: tuple[tuple[PlannedImage, ...], ...]
    findings: tuple[str, ...]
    n_readings: int
    n_no_finding: int
    n_other_findings: int

    @property
    def images(self) -> tuple[PlannedImage, ...]:
        """All planned images."""
        return tuple(one for patient in self.patients for one in patient)

    @property
    def marked_findings(self) -> frozenset[str]:
        """The findings that at least one case has."""
        return frozenset(case.finding for one in self.images for case in one.cases)

    def fingerprint(self, choices: AuditChoices, entry: Mapping[str, object]) -> str:
        """Changes when the choices, the model entry, an image or a reading does."""
        cases = [
            [one.image.image_id, one.image.sha256, case.reading.content_sha256, case.finding]
            for one in self.images
            for case in one.cases
        ]
        described = [choices.described(), entry, self.findings, cases]
        text = json.dumps(described, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def plan_audit(store: Store, choices: AuditChoices) -> AuditPlan:
    """The cases that these choices make of the committed readings.

    Raises:
        AuditError: If there is none, saying what there is instead.
        UnknownFinding: If a chosen finding is not one of the workspace.
        UnknownRecord: If the model is not one of the workspace.
    """
    store.models.get(choices.model)
    known = store.findings()
    findings = known if choices.findings is None else choices.findings
    findings = tuple(check_finding(finding, known) for finding in findings)
    readings = store.readings.committed(
        latest=choices.latest,
        blinded_only=not choices.latest,
        readers=None if choices.readers is None else list(choices.readers),
    )
    cases_of: dict[str, list[Case]] = {}
    n_other = 0
    images = {image.image_id: image for image in store.images.all()}
    for reading in readings:
        cases = _cases(images[reading.image_id], reading, findings)
        cases_of.setdefault(reading.image_id, []).extend(cases)
        n_other += bool(reading.regions) and not cases
    plan = AuditPlan(
        patients=_by_patient(images, cases_of),
        findings=findings,
        n_readings=len(readings),
        n_no_finding=sum(reading.no_finding for reading in readings),
        n_other_findings=n_other,
    )
    if not plan.patients:
        raise AuditError(
            f"nothing to audit: {plan.n_readings} committed readings match, {plan.n_no_finding} of "
            f"them say No Finding and {plan.n_other_findings} mark other findings; commit a "
            "reading with a region, or choose other findings or readers"
        )
    return plan


def patient_of(patient_hash: str, image_id: str) -> str:
    """The patient's hash; an image without one counts as a patient of its own."""
    return patient_hash or f"image {image_id}"


def _cases(image: ImageRecord, reading: CommittedReading, chosen: tuple[str, ...]) -> list[Case]:
    """One case per chosen finding that the reading marks."""
    marked = dict.fromkeys(region.finding for region in reading.regions)
    return [Case(image, reading, name) for name in marked if name in chosen]


def _by_patient(
    images: Mapping[str, ImageRecord], cases_of: Mapping[str, list[Case]]
) -> tuple[tuple[PlannedImage, ...], ...]:
    patients: dict[str, list[PlannedImage]] = {}
    for image_id, image in images.items():
        if cases_of.get(image_id):
            planned = PlannedImage(image, tuple(cases_of[image_id]))
            patients.setdefault(patient_of(image.patient_hash, image_id), []).append(planned)
    return tuple(tuple(planned) for planned in patients.values())
