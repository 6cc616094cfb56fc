"""An evaluation on the page: how far it is, and its report once it is finished."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from annotations.records import Job
from audit_app.comparison import MODES
from audit_app.errors import AuditError
from audit_app.evaluator.figures import Axes, Curve, line_figure
from audit_app.evaluator.page import FIFTEEN_MARK
from audit_app.evaluator.progress import EvaluationProgress
from audit_app.evaluator.result import REPORT, EvaluationResult

BODY: Final = ("<body>", "</body>")
SPEED: Final = "Speed"
LEFT: Final = "Left of this stage"
PACE: Final = (SPEED, LEFT)  # of one that runs
LOSS_SIZE: Final = (420, 190)


def draw_progress(now: EvaluationProgress, *, is_running: bool = True) -> str:
    """One moment of an evaluation as HTML: bar, stage, epoch, speed, time left, loss curve."""
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd data-fact='{escape(name)}'>{escape(value)}</dd>"
        for name, value in _facts(now)
        if is_running or name not in PACE
    )
    return (
        f'<div class="evaluation evaluation-progress"><div>{_bar(now)}<dl>{facts}</dl></div>'
        f"{_losses(now)}</div>"
    )


def draw_result(result: EvaluationResult) -> str:
    """The report as HTML for the page.

    It is the file's own text: what is read here and what is handed on cannot differ. Only the
    figure of the 15 is left out, which the page shows to whoever may see it.

    Raises:
        AuditError: If the report is not one that an evaluation wrote.
    """
    text = (result.folder / REPORT).read_text(encoding="utf-8")
    _, begin, rest = text.partition(BODY[0])
    body, end, _ = rest.rpartition(BODY[1])
    if not (begin and end):
        raise AuditError(f"{REPORT} of {result.folder.name} is cut off; run the evaluation again")
    before, _, rest = body.partition(FIFTEEN_MARK)
    _, _, after = rest.partition(FIFTEEN_MARK)
    return f'<div class="evaluation">{before}{after}</div>'


def evaluation_label(job: Job) -> str:
    """When, which model, modes and presets, how it stands."""
    when = job.created_at[:16].replace("T", " ")
    modes = ", ".join(MODES.get(mode, mode) for mode in _names(job, "modes"))
    presets = " and ".join(_names(job, "presets"))
    return f"{when} | {job.params.get('model')} | {modes} | {presets} | {job.status}"


def _names(job: Job, parameter: str) -> list[str]:
    values = job.params.get(parameter)
    return [str(value) for value in values] if isinstance(values, list) else []


def duration(seconds: float) -> str:
    """Seconds in words that are short enough to be read at a glance."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _facts(now: EvaluationProgress) -> Iterator[tuple[str, str]]:
    yield "Stage", f"{now.stage} ({now.number} of {now.n_stages})"
    if now.epoch and now.epochs:
        yield "Epoch", f"{now.epoch} of {now.epochs}"
    if now.train_losses:
        yield "Loss", f"{now.train_losses[-1]:.4f} train"
    if now.validation_losses:
        yield "Validation loss", f"{now.validation_losses[-1]:.4f}"
    if now.total:
        yield "Step", f"{now.done:,} of {now.total:,}"
    if now.images_per_s:
        yield SPEED, f"{now.images_per_s:.1f} images/s"
    if now.eta_s is not None:
        yield LEFT, f"about {duration(now.eta_s)}"
    yield "Finished", ", ".join(now.finished_stages) or "no stage yet"


def _bar(now: EvaluationProgress) -> str:
    # Without a value it moves by itself: the stage has begun, its length is not known yet.
    value = f' value="{now.done / now.total:.4f}"' if now.total else ""
    return f'<progress max="1"{value} aria-label="{escape(now.stage)}"></progress>'


def _losses(now: EvaluationProgress) -> str:
    losses = {"train": now.train_losses, "validation": now.validation_losses}
    curves = [
        Curve(name, [(float(epoch), loss) for epoch, loss in enumerate(values, start=1)])
        for name, values in losses.items()
        if values
    ]
    if not curves:
        return ""
    figure = line_figure(curves, Axes("epoch", "loss", size=LOSS_SIZE, whole_x=True))
    return f"<figure><figcaption>Loss, {escape(now.stage)}</figcaption>{figure}</figure>"
