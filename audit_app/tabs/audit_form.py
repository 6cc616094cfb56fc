"""What an audit is asked to do: the upper part of the Audit tab."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from annotations.records import Job
from audit_app.audit_plan import (
    CONTROLS,
    DEFAULT_SEED,
    AuditChoices,
)
from audit_app.audit_references import REFERENCES
from audit_app.comparison import MODES
from audit_app.errors import AuditError
from audit_app.jobs import submit_job
from audit_app.metrics.localisation import HEADLINE_THRESHOLD
from audit_app.metrics.reliance import FILLS
from audit_app.models import load_entry, ready_modes
from audit_app.region_scores import GRIDS
from audit_app.reports.first_line import CONTROL_WORDS
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.tabs.jobs import model_names
from model_store.saliency import SALIENCY_METHODS

KIND: Final = "audit"
DEFAULT_METHOD: Final = "gradcam"
FIRST, LAST = "first blinded commit", "last commit"
WITHOUT: Final = "left out"


@dataclass(frozen=True, slots=True)
class AuditForm:
    """The components in which an audit is chosen."""

    model: gr.Dropdown
    modes: gr.CheckboxGroup
    further_models: gr.Dropdown
    methods: gr.Dropdown
    findings: gr.Dropdown
    readers: gr.Dropdown
    reference: gr.Dropdown
    commits: gr.Dropdown
    grid: gr.Dropdown
    threshold: gr.Number
    seed: gr.Number
    controls: gr.CheckboxGroup
    reliance: gr.Dropdown

    @property
    def fields(self) -> list[gr.components.Component]:
        """In the order of ``AuditValues``."""
        return [
            self.model, self.modes, self.further_models, self.methods, self.findings,
            self.readers, self.reference, self.commits, self.grid, self.threshold, self.seed,
            self.controls, self.reliance,
        ]  # fmt: skip

    @property
    def filled(self) -> list[gr.components.Component]:
        """In the order of ``fill_form``."""
        return [self.model, self.modes, self.further_models, self.findings, self.readers]


@dataclass(frozen=True, slots=True)
class AuditValues:
    """What the fields hold, in the order of ``AuditForm.fields``."""

    model: str | None
    modes: Sequence[str]
    further_models: Sequence[str] | None
    methods: Sequence[str] | None
    findings: Sequence[str] | None
    readers: Sequence[str] | None
    reference: str
    commits: str
    grid: str
    threshold: float | None
    seed: float | None
    controls: Sequence[str]
    reliance: str

    def params(self) -> dict[str, object]:
        """Parameters of a job.

        Raises:
            AuditError: If something was not chosen, or is out of range.
        """
        if not self.model:
            raise AuditError("no model was chosen; add one in the tab Data & models")
        if not self.modes:
            raise AuditError("no mode was chosen; tick at least one")
        if self.threshold is None or self.seed is None or self.seed != int(self.seed):
            raise AuditError(
                f"threshold is {self.threshold}, seed {self.seed}; give a number from 0 to 1 and "
                "a whole number"
            )
        params: dict[str, object] = {
            "model": self.model,
            "modes": [mode for mode in MODES if mode in self.modes],
            "further_models": [name for name in self.further_models or () if name != self.model],
            "methods": list(self.methods or ()),
            "findings": list(self.findings) if self.findings else None,
            "readers": list(self.readers) if self.readers else None,
            "reference": self.reference,
            "latest": self.commits == LAST,
            "grid": self.grid,
            "threshold": float(self.threshold),
            "seed": int(self.seed),
            "controls": [name for name in CONTROLS if name in self.controls],
            "reliance": "" if self.reliance == WITHOUT else self.reliance,
        }
        AuditChoices.from_dict(params)
        return params


def build_model_fields() -> tuple[gr.Dropdown, gr.CheckboxGroup]:
    """Model and modes: all that has to be chosen."""
    model = gr.Dropdown([], label="Model", elem_id="audit-model", min_width=180)
    modes = gr.CheckboxGroup(
        [(words, mode) for mode, words in MODES.items()],
        label="Modes", scale=3, min_width=420, elem_id="audit-modes",
    )  # fmt: skip
    return model, modes


def build_form(model: gr.Dropdown, modes: gr.CheckboxGroup) -> AuditForm:
    """The whole form; what is rarely changed is folded away."""
    with gr.Accordion("More choices", open=False, elem_id="audit-details"):
        with gr.Row():
            further = _several("Further models, same rows", "audit-further-models")
            methods = gr.Dropdown(
                [(method.title, name) for name, method in SALIENCY_METHODS.items()],
                value=[DEFAULT_METHOD], multiselect=True, label="Methods", elem_id="audit-methods",
            )  # fmt: skip
            findings = _several("Findings (none: all)", "audit-findings")
            readers = _several("Readers (none: all)", "audit-readers")
        with gr.Row():
            reference = _one(REFERENCES, "Compared with", "audit-reference")
            commits = _one((FIRST, LAST), "Readings", "audit-commits")
            grid = _one(GRIDS, "Grid", "audit-grid")
            threshold = gr.Number(
                HEADLINE_THRESHOLD, label="IoU above", minimum=0, maximum=1, step=0.05,
                elem_id="audit-threshold", min_width=90,
            )  # fmt: skip
            seed = gr.Number(
                DEFAULT_SEED, label="Seed", precision=0, elem_id="audit-seed", min_width=90
            )
        with gr.Row():
            controls = gr.CheckboxGroup(
                [(CONTROL_WORDS[name].capitalize(), name) for name in CONTROLS],
                value=list(CONTROLS), label="Controls", elem_id="audit-controls", scale=3,
                info=" ".join(CONTROLS.values()),
            )  # fmt: skip
            reliance = _one((*FILLS, WITHOUT), "Reliance test fills regions by", "audit-reliance")
    return AuditForm(
        model, modes, further, methods, findings, readers, reference, commits, grid, threshold,
        seed, controls, reliance,
    )  # fmt: skip


def _several(label: str, elem_id: str) -> gr.Dropdown:
    return gr.Dropdown([], value=[], multiselect=True, label=label, elem_id=elem_id, min_width=200)


def _one(choices: Iterable[str], label: str, elem_id: str) -> gr.Dropdown:
    """One of a few; the first is the default."""
    names = list(choices)
    return gr.Dropdown(names, value=names[0], label=label, elem_id=elem_id, min_width=150)


def fill_form(services: Services) -> list[Any]:
    """Updates of the fields whose choices the workspace decides."""
    models, first = model_names(services)
    readings = services.store.readings.committed(latest=True, blinded_only=False)
    readers = list(dict.fromkeys(one.reader for one in readings))
    return [
        gr.Dropdown(choices=models, value=first),
        mode_choices(services, first),
        gr.Dropdown(choices=models, value=[]),
        gr.Dropdown(choices=list(services.store.findings()), value=[]),
        gr.Dropdown(choices=readers, value=[]),
    ]


def mode_choices(services: Services, model: str | None) -> Any:
    """The modes of a model, those that are ready ticked."""
    if not model:
        return gr.CheckboxGroup(choices=[], value=[])
    entry = load_entry(services.store, model)
    ready = ready_modes(services.workspace, entry)
    choices = [
        (MODES[mode] if mode in ready else f"{MODES[mode]} (not trained)", mode)
        for mode in entry.modes
    ]
    return gr.CheckboxGroup(choices=choices, value=ready)


def begin_audit(services: Services, visitor: Visitor, values: AuditValues) -> Job:
    """Put an audit into the queue.

    Raises:
        AuditError: If something was not chosen, or is out of range.
    """
    return submit_job(services.workspace, services.store, KIND, values.params(), owner=visitor.name)
