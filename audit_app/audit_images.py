"""One patient's images in one pass of an audit: rows, controls, what readers changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from annotations.errors import UnreadableImage
from annotations.imaging import file_sha256, load_radiograph
from annotations.imaging.display import display_picture
from annotations.records import ImageRecord
from audit_app.audit_plan import PlannedImage
from audit_app.audit_spool import PatientResult, ScoredCase
from audit_app.audit_work import AuditWork, Pass, Picture
from audit_app.controls import (
    RANDOM_WEIGHTS,
    RANDOMCAM,
    WRONG_FINDING,
    Control,
    control_rows,
    wrong_finding_rows,
)
from audit_app.evaluation import SCORED, Case, Explained, Row, Setting, agreement_row, invalid_row
from audit_app.mean_maps import IntMap, MapKey, add_maps, levels_of
from audit_app.reliance_test import CaseKey, FilledPictures, fill_regions, key_of
from audit_app.reveals import reveal_rows


def load_picture(image: ImageRecord) -> Picture | str:
    """The picture as the reader saw it, or the reason why there is none.

    The reason names no file: file names may name patients, and reasons go into tables.
    """
    path = Path(image.path)
    try:
        if file_sha256(path) != image.sha256:
            return "the image file changed since it was imported; restore it or import it anew"
        return display_picture(load_radiograph(path))
    except FileNotFoundError:
        return "the image file is missing; put it back where it was imported from"
    except OSError as error:
        return f"the image file cannot be read: {error.strerror or type(error).__name__}"
    except UnreadableImage as error:
        reason = str(error).replace(str(path), "the image file")
        return reason.replace(path.name, "the image file")


def explain_patient(
    work: AuditWork, each: Pass, patient: Sequence[PlannedImage], report: Callable[[int], bool]
) -> PatientResult | None:
    """Everything of one patient, or None when it was cancelled in between."""
    found = _Found({}, [], [], [])
    for offset, planned in enumerate(patient):
        if offset and report(offset):
            return None
        picture = load_picture(planned.image)
        if each.is_random:
            _explain_random(work, each, planned, picture, found)
        else:
            _explain_image(work, each, planned, picture, found)
    return PatientResult(
        tuple(found.cases), found.sums, tuple(found.controls), tuple(found.reveals)
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What one patient's images gave so far."""

    sums: dict[MapKey, IntMap]
    cases: list[ScoredCase]
    controls: list[Row]
    reveals: list[Row]


def _explain_image(
    work: AuditWork, each: Pass, planned: PlannedImage, picture: Picture | str, found: _Found
) -> None:
    """All rows of one image under all modes and methods of one model."""
    if isinstance(picture, str):
        for setting in work.settings(each.model):
            found.cases.extend(_invalid(planned.cases, setting, picture))
        return
    reliance = _Reliance(work, each.model, planned, picture)
    for setting in work.settings(each.model):
        explained = _explained(work, setting, picture)
        if isinstance(explained, str):
            found.cases.extend(_invalid(planned.cases, setting, explained))
            continue
        work.spool.note(setting, explained.provenance)
        found.cases.extend(_score(planned.cases, setting, explained, reliance.drops(setting.mode)))
        found.reveals.extend(reveal_rows(planned, setting, explained))
        if WRONG_FINDING in work.choices.controls:
            seed = work.choices.seed
            found.controls.extend(wrong_finding_rows(planned, setting, explained, seed=seed))
        if planned.cases:
            add_maps(found.sums, _usable_maps(work, setting, explained))
    if RANDOMCAM in work.choices.controls and planned.cases:
        found.controls.extend(_randomcam(work, each, planned, picture))


def _randomcam(
    work: AuditWork, each: Pass, planned: PlannedImage, picture: Picture
) -> Iterator[Row]:
    """The control rows of RandomCAM, one map for each mode: it belongs to no method."""
    for mode in work.modes_of(each.model):
        setting = work.setting(each.model, mode, RANDOMCAM)
        explained = _explained(work, setting, picture)
        if not isinstance(explained, str):
            yield from control_rows(planned.cases, setting, Control(RANDOMCAM), explained)


@dataclass
class _Reliance:
    """The reliance test of one image under one model; each mode is asked once."""

    work: AuditWork
    model: str
    planned: PlannedImage
    picture: Picture
    filled: FilledPictures | None = None
    known: dict[str, Mapping[CaseKey, Row]] = field(default_factory=dict)

    def drops(self, mode: str) -> Mapping[CaseKey, Row]:
        """The columns of each case; none when the test is left out."""
        choices = self.work.choices
        if not choices.reliance or not self.planned.cases:
            return {}
        if self.filled is None:
            frame, geometry = self.work.runtime.frame(self.model, self.picture)
            self.filled = fill_regions(
                self.planned, frame, geometry, fill=choices.reliance, seed=choices.seed
            )
        if mode not in self.known:
            findings = self.work.askable[self.model, mode]
            frames = self.filled.frames
            scores = self.work.runtime.frame_scores(self.model, mode, frames, findings)
            self.known[mode] = self.filled.drops(scores, findings)
        return self.known[mode]


def _explain_random(
    work: AuditWork, each: Pass, planned: PlannedImage, picture: Picture | str, found: _Found
) -> None:
    """The control rows of one image with random weights."""
    if isinstance(picture, str) or not planned.cases:
        return
    seed = work.choices.seed
    control = Control(RANDOM_WEIGHTS, f"seed {seed}")
    for setting in work.settings(each.model):
        findings = work.askable[setting.model, setting.mode]
        try:
            explained = work.runtime.explain_random(
                setting.model, setting.mode, setting.method, picture, findings, seed=seed
            )
        except ValueError:
            # The row of the model itself says why this picture cannot be used.
            continue
        found.controls.extend(control_rows(planned.cases, setting, control, explained))


def _explained(work: AuditWork, setting: Setting, picture: Picture) -> Explained | str:
    """The maps, or the reason why there are none."""
    findings = work.askable[setting.model, setting.mode]
    try:
        return work.runtime.explain(setting.model, setting.mode, setting.method, picture, findings)
    except ValueError as error:
        # A picture that this model cannot take, for instance far too narrow for its crop.
        return str(error)


def _score(
    cases: Iterable[Case], setting: Setting, explained: Explained, drops: Mapping[CaseKey, Row]
) -> Iterator[ScoredCase]:
    for case in cases:
        row = agreement_row(case, setting, explained) | drops.get(key_of(case), {})
        yield ScoredCase(row, explained.geometry if row["status"] in SCORED else None)


def _invalid(cases: Iterable[Case], setting: Setting, reason: str) -> Iterator[ScoredCase]:
    for case in cases:
        yield ScoredCase(invalid_row(case, setting, reason), None)


def _usable_maps(
    work: AuditWork, setting: Setting, explained: Explained
) -> Iterator[tuple[MapKey, IntMap]]:
    """The maps of all findings that some row has; a map with a non-finite value is left out."""
    wanted = work.plan.marked_findings
    for finding, saliency in zip(explained.findings, explained.maps, strict=True):
        if finding in wanted and np.isfinite(saliency).all():
            levels = levels_of(saliency)
            key = MapKey(setting.model, setting.mode, setting.method, finding, *levels.shape)
            yield key, levels
