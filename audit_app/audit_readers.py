"""Readers among themselves on the audited images: the human ceiling, and repeats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from annotations.cases import FIRST, REPEAT
from annotations.records import CommittedReading, ImageRecord
from annotations.regions import Box, outline_mask
from annotations.store import Store
from audit_app.audit_plan import AuditChoices, AuditPlan, patient_of
from audit_app.evaluation import Row, outlines_of
from audit_app.metrics.kappa import cohen_kappa, fleiss_kappa
from audit_app.metrics.mean_draws import draw_means
from audit_app.metrics.reference import build_reference
from audit_app.metrics.region_agreement import (
    MarkedRegions,
    RegionPair,
    pairwise_region_agreement,
)
from audit_app.reader_lines import ALL_FINDINGS, blank_line, kappa_line, value_cells
from audit_app.reports.summary import MACRO, POOLED, bounds, by_way, way_of

ONE_READER: Final = "n/a: no audited image was read by two readers"
NO_REPEAT: Final = "n/a: no audited image was read twice by one reader"
NO_MARK: Final = "n/a: no two readings of an image mark this"
# Larger pictures are shrunk to this for comparing readers; the error is below a pixel of it.
LONGEST_EDGE: Final = 1024


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two readings of one image that mark one finding, or of which one does."""

    finding: str
    patient: str
    image_id: str
    pair: RegionPair

    @property
    def pointing(self) -> float:
        """Mean of both directions; a reader who marked nothing points nowhere."""
        said = (self.pair.first_in_second, self.pair.second_in_first)
        return float(np.mean([0.0 if one is None else one for one in said]))


@dataclass(frozen=True, slots=True)
class Readings:
    """The readings of one image that are compared, by who made them."""

    image: ImageRecord
    by_name: Mapping[str, CommittedReading]

    @property
    def patient(self) -> str:
        """Of the image."""
        return patient_of(self.image.patient_hash, self.image.image_id)


def reader_rows(store: Store, choices: AuditChoices, plan: AuditPlan, run_id: str) -> list[Row]:
    """The lines of readers.csv that need no map: inter- and intra-reader agreement.

    Args:
        store: Of the workspace.
        choices: Of the audit; the same rule decides which commits are compared.
        plan: Of the audit: its images and findings.
        run_id: Of the rows.
    """
    images = {one.image.image_id: one.image for one in plan.images if one.cases}
    readings = _readings(store, choices, list(images), FIRST)
    inter = _group(readings, images)
    lines = [*_agreement("inter", inter, plan.findings, choices)]
    by_reader = _repeats(readings, _readings(store, choices, list(images), REPEAT), images)
    for reader, groups in by_reader.items():
        lines += [
            {**line, "first": reader, "second": ""}
            for line in _agreement("intra", groups, plan.findings, choices)
        ]
    if not by_reader:
        lines.append(blank_line("intra: presence kappa (Cohen)", ALL_FINDINGS, NO_REPEAT))
    return [{"run_id": run_id, **line} for line in lines]


def human_ceiling(lines: Sequence[Row]) -> dict[str, Row]:
    """By finding, ``human_hit``, ``human_iou`` and ``human_pairs`` of summary.csv.

    Args:
        lines: Of readers.csv.
    """
    wanted = {
        "inter: pointing where both marked": "human_hit",
        "inter: IoU where both marked": "human_iou",
    }
    ceiling: dict[str, Row] = {}
    for line in lines:
        name = wanted.get(str(line["measure"]))
        if name and not line["first"] and line["value"] is not None:
            facts = ceiling.setdefault(str(line["finding"]), {})
            facts |= {name: line["value"], "human_pairs": line["n"]}
    return ceiling


def with_ceiling(summary: Sequence[Row], lines: Sequence[Row]) -> list[Row]:
    """The lines of summary.csv with the human ceiling beside the model's numbers.

    The macro's is the mean over the findings that its own number is a mean of, where two readers
    marked each of them.

    Args:
        summary: Lines without it.
        lines: Of readers.csv.
    """
    ceiling = human_ceiling(lines)
    macro = {
        way: _mean_ceiling(
            [
                ceiling.get(str(line["finding"]), {})
                for line in group
                if line["finding"] not in (MACRO, POOLED) and line["hit"] is not None
            ]
        )
        for way, group in by_way(summary).items()
    }
    found = []
    for line in summary:
        if line["finding"] == MACRO:
            facts = macro[way_of(line)]
        else:
            name = ALL_FINDINGS if line["finding"] == POOLED else str(line["finding"])
            facts = ceiling.get(name, {})
        found.append(line | facts)
    return found


def _mean_ceiling(facts: Sequence[Row]) -> Row:
    """The mean over findings of what each of them has; {} where one has nothing."""
    means: Row = {}
    for name in ("human_hit", "human_iou"):
        values = [value for one in facts if isinstance(value := one.get(name), int | float)]
        if values and len(values) == len(facts):
            means[name] = math.fsum(values) / len(values)
    pairs = [value for one in facts if isinstance(value := one.get("human_pairs"), int)]
    return means | ({"human_pairs": sum(pairs)} if means else {})


def _readings(
    store: Store, choices: AuditChoices, image_ids: list[str], occasion: int
) -> list[CommittedReading]:
    # Readers are compared as they read alone, whatever the maps are compared with.
    readers = choices.readers if choices.reference == "readers" else None
    found = store.readings.committed(
        latest=choices.latest,
        blinded_only=not choices.latest,
        readers=None if readers is None else list(readers),
        image_ids=image_ids,
        occasions=(occasion,),
    )
    # Who had seen another reading agrees with it for another reason.
    return [one for one in found if one.independent]


def _group(
    readings: Sequence[CommittedReading], images: Mapping[str, ImageRecord]
) -> list[Readings]:
    groups: dict[str, dict[str, CommittedReading]] = {}
    for one in readings:
        groups.setdefault(one.image_id, {})[one.reader] = one
    return [Readings(images[image_id], group) for image_id, group in groups.items()]


def _repeats(
    first: Sequence[CommittedReading],
    again: Sequence[CommittedReading],
    images: Mapping[str, ImageRecord],
) -> dict[str, list[Readings]]:
    """By reader, the images that they read twice."""
    before = {(one.image_id, one.reader): one for one in first}
    found: dict[str, list[Readings]] = {}
    for one in again:
        earlier = before.get((one.image_id, one.reader))
        if earlier is not None:
            pair = Readings(images[one.image_id], {"first": earlier, "again": one})
            found.setdefault(one.reader, []).append(pair)
    return found


def _agreement(
    kind: str, groups: Sequence[Readings], findings: Sequence[str], choices: AuditChoices
) -> list[Row]:
    """Presence and place, per finding and over all, per pair of names and over all pairs."""
    draws = {"replicates": choices.replicates, "seed": choices.seed}
    names = sorted({name for group in groups for name in group.by_name})
    if not any(len(group.by_name) > 1 for group in groups):
        return [blank_line(f"{kind}: presence kappa (Cohen)", ALL_FINDINGS, ONE_READER)]
    pairs = [row for group in groups for row in _pair_rows(group, findings)]
    lines: list[Row] = []
    for finding in findings:
        lines += _presence_lines(kind, groups, finding, names)
    marked = [name for name in findings if any(row.finding == name for row in pairs)]
    for finding in [*marked, ALL_FINDINGS]:
        rows = [row for row in pairs if finding in (row.finding, ALL_FINDINGS)]
        lines += _place_lines(kind, finding, rows, names, draws)
    return lines


def _presence_lines(
    kind: str, groups: Sequence[Readings], finding: str, names: Sequence[str]
) -> list[Row]:
    """Cohen's kappa of each pair, and Fleiss' of more than two readers."""
    if not any(_says(one, finding) for group in groups for one in group.by_name.values()):
        return []
    said = np.array(
        [
            [
                float(_says(group.by_name[name], finding)) if name in group.by_name else math.nan
                for name in names
            ]
            for group in groups
        ]
    )
    lines = []
    for (column, first), (other, second) in combinations(enumerate(names), 2):
        kappa = cohen_kappa(said[:, column], said[:, other])
        line = kappa_line(f"{kind}: presence kappa (Cohen)", finding, kappa)
        lines.append(line | {"first": first, "second": second})
    if len(names) > 2:
        fleiss = fleiss_kappa(said)
        lines.append(kappa_line(f"{kind}: presence kappa (Fleiss)", finding, fleiss))
    return lines


def _place_lines(
    kind: str,
    finding: str,
    rows: Sequence[PairRow],
    names: Sequence[str],
    draws: Mapping[str, int],
) -> list[Row]:
    """IoU and pointing where both marked, and where at least one did."""
    lines: list[Row] = []
    whose: list[tuple[str, str]] = [("", "")]
    if len(names) > 2:
        whose += list(combinations(names, 2))
    for first, second in whose:
        own = [one for one in rows if {one.pair.first, one.pair.second} == {first, second}]
        part = own if first else list(rows)
        both = [one for one in part if one.pair.both_marked]
        for words, chosen in (("both marked", both), ("one marked", part)):
            for measure, values in (
                ("IoU", [one.pair.iou for one in chosen]),
                ("pointing", [one.pointing for one in chosen]),
            ):
                line = _mean(f"{kind}: {measure} where {words}", finding, chosen, values, draws)
                lines.append(line | {"first": first, "second": second})
    return lines


def _pair_rows(group: Readings, findings: Sequence[str]) -> list[PairRow]:
    if len(group.by_name) < 2:
        return []
    rows = []
    for finding in findings:
        if any(_says(one, finding) for one in group.by_name.values()):
            marked = {
                name: _marked(one, finding, group.image.size) for name, one in group.by_name.items()
            }
            rows += [
                PairRow(finding, group.patient, group.image.image_id, pair)
                for pair in pairwise_region_agreement(marked)
            ]
    return rows


def _says(reading: CommittedReading, finding: str) -> bool:
    return any(region.finding == finding for region in reading.regions)


def _marked(reading: CommittedReading, finding: str, size: tuple[int, int]) -> MarkedRegions:
    """What a reading marks, on the picture's grid or a smaller one of the same form."""
    scale = min(1.0, LONGEST_EDGE / max(size))
    shape = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    down, across = shape[0] / size[0], shape[1] / size[1]
    regions = [region for region in reading.regions if region.finding == finding]
    boxes = [
        (x_min * across, y_min * down, x_max * across, y_max * down)
        for x_min, y_min, x_max, y_max in (region.box.corners for region in regions)
    ]
    outlines = outlines_of(reading, finding)
    if all(isinstance(one, Box) for one in outlines):
        return MarkedRegions(build_reference(boxes, shape).mask, tuple(boxes))
    mask = np.zeros(shape, dtype=np.bool_)
    for outline, box in zip(outlines, boxes, strict=True):
        if isinstance(outline, Box):
            mask |= build_reference([box], shape).mask
        else:
            mask |= outline_mask([outline.mapped(across, down, 0.0, 0.0)], shape)
    return MarkedRegions(mask, tuple(boxes))


def _mean(
    measure: str,
    finding: str,
    rows: Sequence[PairRow],
    values: Sequence[float],
    draws: Mapping[str, int],
) -> Row:
    line = blank_line(measure, finding, NO_MARK)
    if not rows:
        return line
    patients = [row.patient for row in rows]
    interval = draw_means(np.array(values)[:, None], patients, groups=None, **draws).interval(0)
    return line | {
        "n_images": len({row.image_id for row in rows}),
        "n_patients": len(set(patients)),
        "n": len(rows),
        "note": interval.note,
        **value_cells(bounds("value", interval)),
    }
