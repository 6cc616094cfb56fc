"""What readers changed after they had seen a map, and whether towards it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from annotations.regions import Outline
from audit_app.audit_plan import PlannedImage
from audit_app.audit_references import Revision
from audit_app.controls import ShortScore, short_score
from audit_app.evaluation import SCORED, Explained, Row, Setting, outlines_of
from audit_app.metrics.overlap import iou
from audit_app.reader_lines import ALL_FINDINGS, blank_line, places_of, share_line
from audit_app.region_scores import WorkingFrame

NO_REVISION: Final = "n/a: no reading was committed again after its reader had seen a map"
REVEAL_COLUMNS: Final = (
    "run_id",
    "image_id",
    "patient_hash",
    "reader",
    "reading_id",
    "finding",
    "model",
    "mode",
    "method",
    "commit_before",
    "commit_after",
    "change",
    "iou_regions",
    "hit_before",
    "hit_after",
    "iou_before",
    "iou_after",
    "towards",
)


def reveal_rows(planned: PlannedImage, setting: Setting, explained: Explained) -> list[Row]:
    """One row per revised reading and finding that the mode knows.

    ``towards`` says whether the region's IoU with the thresholded map rose; it is empty where the
    region did not change, was taken away, or could not be scored. The maps are those of the audit:
    which of them a reader looked at is not recorded.
    """
    return [
        _row(planned, revision, finding, setting, explained)
        for revision in planned.revisions
        for finding in revision.findings
        if finding in explained.findings
    ]


def _row(
    planned: PlannedImage,
    revision: Revision,
    finding: str,
    setting: Setting,
    explained: Explained,
) -> Row:
    before, after = (outlines_of(one, finding) for one in (revision.before, revision.after))
    frame = WorkingFrame(explained.geometry, setting.grid)
    saliency = explained.maps[list(explained.findings).index(finding)]

    def score(outlines: tuple[Outline, ...]) -> ShortScore:
        if not outlines:
            return ShortScore("no_reference")
        try:
            return short_score(saliency, outlines, frame, threshold=setting.threshold)
        except ValueError:
            return ShortScore("invalid_input")

    first, last = score(before), score(after)
    change = change_of(before, after)
    return {
        "run_id": setting.run_id,
        "image_id": planned.image.image_id,
        "patient_hash": planned.image.patient_hash,
        "reader": revision.before.reader,
        "reading_id": revision.before.reading_id,
        "finding": finding,
        "model": setting.model,
        "mode": setting.mode,
        "method": setting.method,
        "commit_before": revision.before.commit_number,
        "commit_after": revision.after.commit_number,
        "change": change,
        "iou_regions": _iou_regions(before, after, frame),
        "hit_before": first.hit,
        "hit_after": last.hit,
        "iou_before": first.iou,
        "iou_after": last.iou,
        "towards": _towards(change, first, last),
    }


def change_of(before: tuple[Outline, ...], after: tuple[Outline, ...]) -> str:
    """One of: none, moved, added, removed."""
    if not before:
        return "added"
    if not after:
        return "removed"
    return "none" if set(before) == set(after) else "moved"


def _iou_regions(
    before: tuple[Outline, ...], after: tuple[Outline, ...], frame: WorkingFrame
) -> float | None:
    """IoU of the two unions; None where the model's grid shows neither."""
    if not before or not after:
        return 0.0
    first, last = frame.reference(before), frame.reference(after)
    if first.n_pixels + last.n_pixels == 0:
        return None
    return iou(first.mask, last.mask)


def _towards(change: str, first: ShortScore, last: ShortScore) -> bool | None:
    if change == "added" and last.status in SCORED and last.iou is not None:
        return last.iou > 0
    if change != "moved" or first.iou is None or last.iou is None:
        return None
    return last.iou > first.iou


def reveal_lines(
    reveals: Sequence[Row], *, run_id: object, replicates: int, seed: int
) -> list[Row]:
    """The lines of readers.csv about what readers changed after they had seen a map.

    Args:
        reveals: Rows of reveal.csv.
        run_id: Of the rows.
        replicates: Of each bootstrap.
        seed: Of each bootstrap.
    """
    if not reveals:
        return [
            {
                "run_id": run_id,
                **blank_line("reveal: readings seen again", ALL_FINDINGS, NO_REVISION),
            }
        ]
    draws = {"replicates": replicates, "seed": seed}
    once = {(row["reading_id"], row["finding"]): row for row in reveals}
    seen = blank_line("reveal: readings seen again", ALL_FINDINGS, "")
    seen |= {"n": len({row["reading_id"] for row in reveals}), **places_of(list(reveals))}
    changed = [float(row["change"] != "none") for row in once.values()]
    lines = [seen, share_line("reveal: regions changed", list(once.values()), changed, draws)]
    ways = dict.fromkeys((row["model"], row["mode"], row["method"]) for row in reveals)
    for way in ways:
        told = [
            row
            for row in reveals
            if (row["model"], row["mode"], row["method"]) == way and row["towards"] is not None
        ]
        labels = dict(zip(("model", "mode", "method"), way, strict=True))
        for words, wanted in (("towards", True), ("away from", False)):
            shares = [float(row["towards"] is wanted) for row in told]
            line = share_line(f"reveal: moved {words} the map", told, shares, draws)
            lines.append(line | labels)
    return [{"run_id": run_id, **line} for line in lines]
