"""What an audit is asked to do, and which cases that makes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Final

from annotations.findings import check_finding
from annotations.records import CommittedReading, ImageRecord
from annotations.store import Store
from audit_app.audit_references import REFERENCES, Revision, chosen_readings
from audit_app.errors import AuditError
from audit_app.evaluation import Case
from audit_app.metrics.bootstrap import DEFAULT_REPLICATES
from audit_app.metrics.localisation import HEADLINE_THRESHOLD
from audit_app.metrics.reliance import FILLS
from audit_app.region_scores import GRIDS, GridName

# The controls of an audit, each with a sentence for the page.
CONTROLS: Final[dict[str, str]] = {
    "randomcam": "RandomCAM: the layer's activations under random weights, blind to the finding.",
    "random-weights": "The same architecture with random weights: it has learnt nothing.",
    "wrong-finding": "The model's own map of another finding, which nobody marked on the picture.",
}
MODES: Final = ("zs", "cls", "lp", "ft")
THREE_MODES: Final = ("zs", "lp", "ft")
DEFAULT_SEED: Final = 42
# The inpainted picture keeps nothing of the region; audit_app.metrics.reliance.FILLS has others.
DEFAULT_FILL: Final = "inpaint"


@dataclass(frozen=True, slots=True)
class AuditChoices:
    """What is audited, and how.

    Attributes:
        model: Name of a model entry of the workspace.
        modes: Of ``MODES``; a mode that a model's kind cannot have is skipped for that model.
        methods: Names of saliency methods.
        findings: None: all findings of the workspace, those that imports added included.
        readers: None: all readers.
        latest: False: each reading's first blinded commit. True: its last commit, blinded or not;
            the column ``blinded`` says which.
        threshold: Of the headline IoU.
        replicates: Of the bootstrap.
        seed: Of the bootstrap, the random weights and every random choice of a control.
        owner: Who asked for it.
        origin: What began it, a job or the folder of a command: an unfinished run is taken up again
            by the same one only. Kept in the store, written to no file.
        further_models: Names of models that are audited on the same rows.
        reference: Of ``REFERENCES``: what maps are compared with.
        grid: Of ``GRIDS``: where they are compared.
        controls: Of ``CONTROLS``; none leaves them out, and the report says so.
        reliance: How regions are filled in for the reliance test, of ``FILLS``; "" leaves it out.
        report: Whether report.html, report.pdf and the charts are drawn; the tables always are.
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
    further_models: tuple[str, ...] = ()
    reference: str = "readers"
    grid: GridName = "model"
    controls: tuple[str, ...] = tuple(CONTROLS)
    reliance: str = DEFAULT_FILL
    report: bool = True

    def __post_init__(self) -> None:
        """Refuse what no audit can be made of."""
        self._check_names()
        self._check_numbers()

    @property
    def models(self) -> tuple[str, ...]:
        """All models that are audited."""
        return (self.model, *self.further_models)

    def _check_names(self) -> None:
        unknown = [mode for mode in self.modes if mode not in MODES]
        if unknown or not self.modes:
            raise AuditError(f"modes are {list(self.modes)}; choose one or more of {list(MODES)}")
        if not self.methods:
            raise AuditError("no saliency method given; choose at least one, for instance gradcam")
        for name in ("models", "modes", "methods", "findings", "readers", "controls"):
            given = getattr(self, name) or ()
            if len(set(given)) != len(given):
                raise AuditError(f"{name} are {list(given)}; give each of them once")
        _check_known("control", self.controls, CONTROLS)
        _check_known("reference", (self.reference,), REFERENCES)
        _check_known("grid", (self.grid,), GRIDS)
        _check_known("fill for the reliance test", (self.reliance,), ("", *FILLS))

    def _check_numbers(self) -> None:
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
            AuditError: If a name is unknown, or a value is out of range or of another kind.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown or "model" not in values:
            raise AuditError(
                f"choices of an audit hold {sorted(values)}; expected model and any of "
                f"{', '.join(sorted(known - {'model'}))}"
            )
        given = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        try:
            return cls(**given)  # type: ignore[arg-type] # JSON; the names were checked above
        except TypeError as error:
            raise AuditError(
                f"choices of an audit hold a value of another kind ({error}); restore them from a "
                "copy, or choose again"
            ) from None


def _check_known(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        names = ", ".join(repr(name) for name in known)
        raise AuditError(f"unknown {what} {unknown[0]!r}; known: {names}")


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One image and everything on it that is scored.

    Attributes:
        image: Of the store.
        cases: What maps are compared with.
        revisions: Readings that were committed again after their reader had seen a map.
        readings: Of the audit's readers, also those that mark none of the audited findings: what
            is marked on a picture must not depend on the choice of findings.
    """

    image: ImageRecord
    cases: tuple[Case, ...]
    revisions: tuple[Revision, ...]
    readings: tuple[CommittedReading, ...]

    @property
    def marked(self) -> frozenset[str]:
        """The findings that some reading of this plan marks on it."""
        return frozenset(region.finding for one in self.readings for region in one.regions)


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """The cases of an audit, grouped by patient in the order of the images.

    Attributes:
        patients: Each a tuple of planned images.
        findings: What is audited.
        vocabulary: What models are asked for: all findings of the workspace, since a score's rank
            and the wrong finding must not depend on which findings are audited.
        n_readings: Committed readings that were looked at.
        n_no_finding: Of these, readings that say No Finding; they have no regions and no rows.
        n_other_findings: Of these, readings with regions of other findings only; no rows either.
        n_single: Of a consensus: images that one reader alone read; they are left out.
    """

    patients: tuple[tuple[PlannedImage, ...], ...]
    findings: tuple[str, ...]
    vocabulary: tuple[str, ...]
    n_readings: int
    n_no_finding: int
    n_other_findings: int
    n_single: int = 0

    @property
    def images(self) -> tuple[PlannedImage, ...]:
        """All planned images."""
        return tuple(one for patient in self.patients for one in patient)

    @property
    def marked_findings(self) -> frozenset[str]:
        """The findings that at least one case has."""
        return frozenset(case.finding for one in self.images for case in one.cases)

    def fingerprint(
        self, choices: AuditChoices, entries: Mapping[str, object], heads: Sequence[str]
    ) -> str:
        """Changes when the choices, a model, its trained weights, an image or a reading does.

        Args:
            choices: Of the audit.
            entries: The models' entries: weights, prompts, preprocessing, layer.
            heads: SHA-256 of the trained weights of each mode that is audited.
        """
        cases = [
            [one.image.image_id, one.image.sha256, case.reading.content_sha256, case.finding]
            for one in self.images
            for case in one.cases
        ]
        readings = [[each.content_sha256 for each in one.readings] for one in self.images]
        revisions = [
            [revision.before.content_sha256, revision.after.content_sha256]
            for one in self.images
            for revision in one.revisions
        ]
        asked = [choices.described(), entries, heads, self.findings, self.vocabulary]
        described = [*asked, cases, readings, revisions]
        text = json.dumps(described, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def plan_audit(
    store: Store, choices: AuditChoices, *, vocabulary: tuple[str, ...] | None = None
) -> AuditPlan:
    """The cases that these choices make of the committed readings.

    Args:
        store: Of the workspace.
        choices: What is audited.
        vocabulary: None: the workspace's findings. A finished audit's, to plan it once more after
            findings were added.

    Raises:
        AuditError: If there is none, saying what there is instead.
        UnknownFinding: If a chosen finding is not one of the workspace.
        UnknownRecord: If a model is not one of the workspace.
    """
    for model in choices.models:
        store.models.get(model)
    known = store.findings() if vocabulary is None else vocabulary
    findings = known if choices.findings is None else choices.findings
    findings = tuple(check_finding(finding, known) for finding in findings)
    images = {image.image_id: image for image in store.images.all()}
    readers = None if choices.readers is None else list(choices.readers)
    chosen = chosen_readings(
        store, reference=choices.reference, latest=choices.latest, readers=readers
    )
    compared = chosen.compared(images)
    readings_of: dict[str, list[CommittedReading]] = {}
    for reading in compared:
        readings_of.setdefault(reading.image_id, []).append(reading)
    revisions_of = chosen.revisions_of(findings)
    planned = [
        PlannedImage(
            image,
            tuple(_cases(image, readings_of.get(image_id, ()), findings)),
            tuple(revisions_of.get(image_id, ())),
            tuple(readings_of.get(image_id, ())),
        )
        for image_id, image in images.items()
    ]
    plan = AuditPlan(
        patients=_by_patient(planned),
        findings=findings,
        vocabulary=known,
        n_readings=len(chosen.readings),
        n_no_finding=sum(reading.no_finding for reading in chosen.readings),
        n_other_findings=sum(
            bool(one.regions) and not _marked_of(one, findings) for one in compared
        ),
        n_single=chosen.n_single,
    )
    if not plan.marked_findings:
        raise AuditError(_nothing(plan, choices))
    return plan


def _nothing(plan: AuditPlan, choices: AuditChoices) -> str:
    """Why there is nothing to audit, and what to do."""
    told = (
        f"nothing to audit: {plan.n_readings} committed readings match, {plan.n_no_finding} of "
        f"them say No Finding and {plan.n_other_findings} mark other findings; "
    )
    if choices.reference == "consensus":
        return told + (
            f"{plan.n_single} images were read by one reader alone; a consensus needs two who mark "
            "the same place: have a second reader read them, or compare with the readers"
        )
    if choices.reference == "adjudicated":
        return told + "adjudicate readings first, or compare with the readers"
    return told + "commit a reading with a region, or choose other findings or readers"


def patient_of(patient_hash: str, image_id: str) -> str:
    """The patient's hash; an image without one counts as a patient of its own."""
    return patient_hash or f"image {image_id}"


def _marked_of(reading: CommittedReading, findings: tuple[str, ...]) -> list[str]:
    """Those of the findings that the reading marks, in its own order."""
    marked = dict.fromkeys(region.finding for region in reading.regions)
    return [name for name in marked if name in findings]


def _cases(
    image: ImageRecord, readings: Iterable[CommittedReading], findings: tuple[str, ...]
) -> Iterator[Case]:
    """One case per reading and chosen finding that it marks."""
    for reading in readings:
        for name in _marked_of(reading, findings):
            yield Case(image, reading, name)


def _by_patient(planned: Iterable[PlannedImage]) -> tuple[tuple[PlannedImage, ...], ...]:
    """The images with something to score, those of one patient together."""
    patients: dict[str, list[PlannedImage]] = {}
    for one in planned:
        if one.cases or one.revisions:
            patient = patient_of(one.image.patient_hash, one.image.image_id)
            patients.setdefault(patient, []).append(one)
    return tuple(map(tuple, patients.values()))
