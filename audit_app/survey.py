"""A survey: every saliency method at every layer of a model, against the committed readings.

Nobody can choose a layer by habit: the same method may point into the boxes at one layer and beside
them at the next. A survey shows all of them. It changes no default.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from annotations.records import ImageRecord, Job
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.audit_images import load_picture
from audit_app.audit_plan import PlannedImage
from audit_app.errors import AuditError
from audit_app.evaluation import Explained, Row, Setting, agreement_row, invalid_row
from audit_app.reports.summary import pool, summarise
from audit_app.reports.survey import describe_plan, describe_survey, write_survey
from audit_app.survey_folder import Survey, SurveyCell, SurveyFolder
from audit_app.survey_plan import SurveyChoices, SurveyPlan, plan_survey
from model_store.errors import UnsuitableLayer
from model_store.saliency import find_method
from model_store.saliency.methods import LayerChoice

if TYPE_CHECKING:
    from model_store.runtime import ModelRuntime

Progress = Callable[[int, int, str], bool]
Picture = NDArray[np.uint8]
KEPT_PICTURES_BYTES: Final = 512 * 1024**2
RUN_ID: Final = "survey"


class LayerExplainer(Protocol):
    """What turns a picture into maps at a layer: see ``model_store.runtime.ModelRuntime``."""

    def supported(self, model: str, mode: str, findings: Sequence[str], /) -> tuple[str, ...]:
        """Those of the findings that this mode can be asked for."""

    def layers(self, model: str, /) -> tuple[LayerChoice, ...]:
        """The model's layers, from the input on."""

    def explain(
        self,
        model: str,
        mode: str,
        method: str,
        picture: Picture,
        findings: Sequence[str],
        /,
        *,
        layer: str,
    ) -> Explained:
        """Scores and maps of these findings, in one mode, by one method, at one layer."""


@dataclass(frozen=True, slots=True)
class SurveyResult:
    """What came out, as far as it was carried on.

    Attributes:
        survey: All finished cells.
        folder: Where survey.csv, survey.json and survey.svg lie.
        is_cancelled: Whether it was stopped on request.
    """

    survey: Survey
    folder: Path
    is_cancelled: bool

    def lines(self) -> list[str]:
        """Sentences for the command line and the page."""
        return describe_survey(self.survey)


@dataclass
class _Pictures:
    """The display pictures of a survey: the first are kept, the others read again for each cell."""

    kept: dict[str, Picture | str] = field(default_factory=dict)
    n_bytes: int = 0

    def get(self, image: ImageRecord) -> Picture | str:
        """The picture, or the reason why there is none."""
        if image.image_id in self.kept:
            return self.kept[image.image_id]
        picture = load_picture(image)
        size = 0 if isinstance(picture, str) else picture.nbytes
        if self.n_bytes + size <= KEPT_PICTURES_BYTES:
            self.kept[image.image_id] = picture
            self.n_bytes += size
        return picture


@dataclass(frozen=True, slots=True)
class _Work:
    """A survey that is under way."""

    plan: SurveyPlan
    runtime: LayerExplainer
    findings: tuple[str, ...]
    pictures: _Pictures
    progress: Progress


def run_survey(
    workspace: Workspace,
    store: Store,
    runtime: LayerExplainer,
    choices: SurveyChoices,
    *,
    out: Path,
    progress: Progress | None = None,
) -> SurveyResult:
    """Compare the maps of every method at every layer with the committed regions.

    Each finished cell is kept in ``out`` at once. The same survey asked for again with the same
    folder goes on where it was stopped, also after a kill.

    Args:
        workspace: Where the trained modes lie.
        store: Of this workspace.
        runtime: Gives the maps.
        choices: What is surveyed.
        out: Folder for survey.csv, survey.json, survey.svg and the cells.
        progress: Told (done, total, message) after each picture; true asks to stop. What is
            finished by then is written.

    Raises:
        AuditError: If there is nothing to compare with, or ``out`` holds another survey.
        ModelError: If the model or the mode cannot be used.
    """
    plan = plan_survey(workspace, store, runtime.layers(choices.model), choices)
    findings = runtime.supported(choices.model, choices.mode, plan.audit.findings)
    if not findings:
        raise AuditError(
            f"mode {choices.mode} of model '{choices.model}' knows none of the findings of the "
            f"committed regions ({', '.join(plan.audit.findings)}); choose another mode"
        )
    folder = SurveyFolder(out)
    folder.begin(plan, describe_plan(plan, workspace.settings))
    work = _Work(plan, runtime, findings, _Pictures(), progress or _go_on)
    is_cancelled = not _survey_cells(work, folder)
    survey = folder.read()
    if survey is None:
        raise AuditError(f"the survey's folder {out} was removed while it ran; start it again")
    folder.conclude(write_survey(out, survey))
    return SurveyResult(survey, out, is_cancelled)


def survey_folder(workspace: Workspace, job_id: int) -> Path:
    """Where a survey that was started from the page lies."""
    return workspace.exports / f"survey-{job_id}"


def run_survey_job(
    workspace: Workspace, store: Store, runtime: ModelRuntime, job: Job, report: Progress
) -> dict[str, object]:
    """Run, or go on with, the survey of a job; what it says in the end."""
    choices = SurveyChoices.from_dict({**job.params, "owner": job.owner})
    out = survey_folder(workspace, job.job_id)
    result = run_survey(workspace, store, runtime, choices, out=out, progress=report)
    return {"lines": result.lines()}


def _survey_cells(work: _Work, folder: SurveyFolder) -> bool:
    """False when it was cancelled; cells that are finished stay finished."""
    known = folder.read()
    finished = known.cells if known is not None else {}
    n_images = len(work.plan.audit.images)
    total, done = n_images * len(work.plan.cells), 0
    for method, layer in work.plan.cells:
        if (method, layer.path) not in finished:
            cell = _survey_cell(work, method, layer, (done, total))
            if cell is None:
                return False
            folder.keep(work.plan.layers.index(layer), cell)
        done += n_images
    work.progress(done, total, "every cell is finished")
    return True


def _survey_cell(
    work: _Work, method: str, layer: LayerChoice, at: tuple[int, int]
) -> SurveyCell | None:
    """The cell, or None when it was cancelled in between."""
    choices = work.plan.choices
    message = f"{find_method(method).title}, {layer.title}"
    setting = Setting(RUN_ID, choices.model, choices.mode, method, choices.threshold)
    made_by: dict[str, object] = {}
    rows: list[Row] = []
    start = time.monotonic()
    for number, planned in enumerate(work.plan.audit.images):
        if work.progress(at[0] + number, at[1], message):
            return None
        try:
            rows += _rows(work, planned, setting, layer, made_by)
        except UnsuitableLayer as error:
            seconds = time.monotonic() - start
            return SurveyCell(method, layer.path, "refused", str(error), seconds)
    seconds = time.monotonic() - start
    draws = {"replicates": choices.replicates, "seed": choices.seed}
    lines = [*summarise(rows, **draws), pool(rows, **draws)]
    return SurveyCell(method, layer.path, "done", "", seconds, tuple(lines), made_by)


def _rows(
    work: _Work,
    planned: PlannedImage,
    setting: Setting,
    layer: LayerChoice,
    made_by: dict[str, object],
) -> Iterator[Row]:
    """The rows of one picture in one cell."""
    picture = work.pictures.get(planned.image)
    if isinstance(picture, str):
        yield from (invalid_row(case, setting, picture) for case in planned.cases)
        return
    try:
        explained = work.runtime.explain(
            setting.model,
            setting.mode,
            setting.method,
            picture,
            work.findings,
            layer=layer.path,
        )
    except ValueError as error:
        # A picture that this model cannot take, for instance far too narrow for its crop.
        yield from (invalid_row(case, setting, str(error)) for case in planned.cases)
        return
    if not made_by:
        made_by.update(explained.provenance)
    yield from (agreement_row(case, setting, explained) for case in planned.cases)


def _go_on(done: int, total: int, message: str) -> bool:
    del done, total, message
    return False
