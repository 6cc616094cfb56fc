"""What a survey is asked to do: one model, one mode, every method at every layer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Final

from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.audit_plan import DEFAULT_SEED, AuditChoices, AuditPlan, plan_audit
from audit_app.errors import AuditError
from audit_app.metrics.bootstrap import DEFAULT_REPLICATES
from audit_app.metrics.localisation import HEADLINE_THRESHOLD
from audit_app.models import head_sha256
from model_store.saliency import SALIENCY_METHODS, find_method
from model_store.saliency.methods import LayerChoice

# Maps that owe nothing to the model's weights: they show what a method scores by luck.
CONTROLS: Final = frozenset({"randomcam"})


@dataclass(frozen=True, slots=True)
class SurveyChoices:
    """What is surveyed, and how.

    Attributes:
        model: Name of a model entry of the workspace.
        mode: One of the model's modes.
        methods: Names of saliency methods; by default all, in the order of the table.
        layers: Paths; None: every layer of the model.
        readers: None: all readers.
        latest: False: each reading's first blinded commit. True: its last commit.
        threshold: Of the headline IoU.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.
        owner: Who asked for it.
    """

    model: str
    mode: str = "zs"
    methods: tuple[str, ...] = tuple(SALIENCY_METHODS)
    layers: tuple[str, ...] | None = None
    readers: tuple[str, ...] | None = None
    latest: bool = False
    threshold: float = HEADLINE_THRESHOLD
    replicates: int = DEFAULT_REPLICATES
    seed: int = DEFAULT_SEED
    owner: str = "local reader"

    def __post_init__(self) -> None:
        """Refuse what no survey can be made of; the rest is checked as for an audit."""
        for method in self.methods:
            find_method(method)
        if self.layers is not None and not self.layers:
            raise AuditError("no layer given; name at least one, or leave 'layers' out for all")
        self.as_audit()

    def as_audit(self) -> AuditChoices:
        """The audit whose cases the survey looks at."""
        return AuditChoices(
            model=self.model,
            modes=(self.mode,),
            methods=self.methods,
            readers=self.readers,
            latest=self.latest,
            threshold=self.threshold,
            replicates=self.replicates,
            seed=self.seed,
            owner=self.owner,
        )

    def to_dict(self) -> dict[str, object]:
        """As JSON types."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> SurveyChoices:
        """The choices that ``to_dict`` wrote, or some of them.

        Raises:
            AuditError: If a name is unknown, or a value is out of range.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown or not values.get("model"):
            raise AuditError(
                f"choices of a survey hold {sorted(values)}; expected model and any of "
                f"{', '.join(sorted(known - {'model'}))}"
            )
        given = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**given)  # type: ignore[arg-type] # JSON; the names were checked above


@dataclass(frozen=True, slots=True)
class SurveyPlan:
    """Everything that decides a survey's numbers.

    Attributes:
        choices: As asked.
        audit: The cases.
        layers: From the input on.
        entry: The model's entry.
        head_sha256: Of the mode's trained weights; "" for a mode without any.
    """

    choices: SurveyChoices
    audit: AuditPlan
    layers: tuple[LayerChoice, ...]
    entry: Mapping[str, object]
    head_sha256: str

    @property
    def cells(self) -> tuple[tuple[str, LayerChoice], ...]:
        """Each method at each layer, method by method."""
        return tuple((method, layer) for method in self.choices.methods for layer in self.layers)

    @property
    def fingerprint(self) -> str:
        """Changes when the choices, a reading, an image or the model does; not with who asks."""
        asked = replace(self.choices.as_audit(), owner="")
        described = [
            self.audit.fingerprint(asked, self.entry, [self.head_sha256]),
            [layer.path for layer in self.layers],
        ]
        return hashlib.sha256(json.dumps(described).encode()).hexdigest()


def plan_survey(
    workspace: Workspace, store: Store, layers: tuple[LayerChoice, ...], choices: SurveyChoices
) -> SurveyPlan:
    """The cells and cases that these choices make.

    Args:
        workspace: Holds the mode's trained weights.
        store: Of this workspace.
        layers: Every layer of the model, as the runtime lists them.
        choices: What is surveyed.

    Raises:
        AuditError: If there is nothing to compare with, or a chosen layer is not one of these.
        UnknownRecord: If the model is not one of the workspace.
    """
    return SurveyPlan(
        choices=choices,
        audit=plan_audit(store, choices.as_audit()),
        layers=_chosen(layers, choices),
        entry=store.models.get(choices.model),
        head_sha256=head_sha256(workspace, choices.model, choices.mode),
    )


def _chosen(layers: tuple[LayerChoice, ...], choices: SurveyChoices) -> tuple[LayerChoice, ...]:
    if choices.layers is None:
        return layers
    known = [layer.path for layer in layers]
    unknown = [path for path in choices.layers if path not in known]
    if unknown:
        raise AuditError(
            f"model '{choices.model}' has no layer {unknown[0]!r}; known: {', '.join(known)}"
        )
    return tuple(layer for layer in layers if layer.path in choices.layers)
