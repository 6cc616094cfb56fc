"""An audit that is under way: what it works with, and how its work is cut into tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audit_app.audit_plan import AuditChoices, AuditPlan, PlannedImage
from audit_app.audit_spool import AuditSpool
from audit_app.controls import RANDOM_WEIGHTS
from audit_app.evaluation import Explained, Setting
from model_store.preprocessing import FrameGeometry

Progress = Callable[[int, int, str], bool]
Picture = NDArray[np.uint8]


class Explainer(Protocol):
    """What turns a picture into scores and maps: see ``model_store.runtime.ModelRuntime``."""

    def supported(self, model: str, mode: str, findings: Sequence[str], /) -> tuple[str, ...]:
        """Those of the findings that this mode can be asked for."""

    def explain(
        self, model: str, mode: str, method: str, picture: Picture, findings: Sequence[str], /
    ) -> Explained:
        """Scores and maps of these findings, in one mode, by one method."""

    def explain_random(
        self,
        model: str,
        mode: str,
        method: str,
        picture: Picture,
        findings: Sequence[str],
        /,
        *,
        seed: int,
    ) -> Explained:
        """The same of the architecture with random weights."""

    def frame(self, model: str, picture: Picture, /) -> tuple[Picture, FrameGeometry]:
        """The picture on the model's grid, and the way back."""

    def frame_scores(
        self, model: str, mode: str, frames: Picture, findings: Sequence[str], /
    ) -> NDArray[np.float32]:
        """Scores (B, K) of pictures (B, h, w) on the model's grid."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One network over all images; networks are big, so one at a time."""

    model: str
    is_random: bool = False


@dataclass(frozen=True, slots=True)
class AuditWork:
    """Everything that the numbers of an audit follow from.

    Attributes:
        runtime: Gives the maps.
        choices: What is audited.
        plan: What the choices made of the readings.
        askable: Findings by model and mode; the modes that a model has.
        run_id: Of the rows.
        spool: Where finished tasks are kept.
    """

    runtime: Explainer
    choices: AuditChoices
    plan: AuditPlan
    askable: Mapping[tuple[str, str], tuple[str, ...]]
    run_id: str
    spool: AuditSpool

    @property
    def passes(self) -> tuple[Pass, ...]:
        """The models themselves, then those with random weights."""
        own = tuple(Pass(model) for model in self.choices.models)
        if RANDOM_WEIGHTS not in self.choices.controls:
            return own
        return own + tuple(Pass(model, is_random=True) for model in self.choices.models)

    def modes_of(self, model: str) -> list[str]:
        """The modes that are audited of this model."""
        return [mode for name, mode in self.askable if name == model]

    def setting(self, model: str, mode: str, method: str) -> Setting:
        """Of the rows of one model, mode and method."""
        choices = self.choices
        return Setting(self.run_id, model, mode, method, choices.threshold, choices.grid)

    def settings(self, model: str) -> Iterator[Setting]:
        """Each mode and method of one model."""
        for mode in self.modes_of(model):
            for method in self.choices.methods:
                yield self.setting(model, mode, method)

    def tasks(self) -> Iterator[tuple[int, Pass, tuple[PlannedImage, ...]]]:
        """Each patient in each pass, numbered."""
        for number, each in enumerate(self.passes):
            for place, patient in enumerate(self.plan.patients):
                yield number * len(self.plan.patients) + place, each, patient
