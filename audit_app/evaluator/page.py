"""``report.html``: the evaluation as one file that needs no network and no program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

from audit_app.evaluator.figures import Axes, Curve, bar_figure, histogram_figure, line_figure
from audit_app.evaluator.measures import Measured, Row
from audit_app.evaluator.nulls import NULL_MEANING
from audit_app.evaluator.outputs import Evaluated, published_rows
from audit_app.evaluator.published import COLUMNS
from audit_app.evaluator.published import SOURCE as PUBLISHED_SOURCE
from audit_app.evaluator.stages import disk_errors
from audit_app.metrics.bootstrap import MIN_CLUSTERS, TOO_FEW
from audit_app.metrics.classification_intervals import RATES
from audit_app.replacing import replacing
from audit_app.reports.html_parts import (
    best_and_worst,
    document,
    figure,
    line,
    mark,
    merged,
    number,
    table,
)

MODE_WORDS: Final = {
    "zs": "zero-shot",
    "cls": "own outputs",
    "lp": "linear probe",
    "ft": "fine-tune",
}
PRESET_WORDS: Final = {
    "study": "Study preset: as in the published table",
    "recommended": "Recommended preset",
}
NO_INFORMATION: Final = "no information: "
# The page leaves out what stands between these: there the figure follows the visitor's rights.
FIFTEEN_MARK: Final = "<!-- the 15 -->"
DIGITS: Final = {"inter": 3, "intra": 3, "minutes": 2, "coverage_error": 2}


def write_page(path: Path, done: Evaluated, fifteen: str = "") -> None:
    """Write the report.

    Args:
        path: Of the file.
        done: What it says.
        fifteen: The figure of the 15 as HTML; "" leaves it out.

    Raises:
        AuditError: If the disk is full.
    """
    with disk_errors(path.parent), replacing(path) as file:
        file.write(page_of(done, fifteen).encode())


def page_of(done: Evaluated, fifteen: str = "") -> str:
    """The report as HTML; see ``write_page``."""
    parts = [
        *_heading(done),
        *(part for preset in done.plan.choices.presets for part in _preset(done, preset)),
        *_distance_check(done),
        *_figures(done),
        f"{FIFTEEN_MARK}{fifteen}{FIFTEEN_MARK}" if fifteen else "",
        *_details(done),
    ]
    return document(f"Three modes of {done.plan.choices.model}", parts)


def _heading(done: Evaluated) -> Iterator[str]:
    plan = done.plan
    counts = ", ".join(f"{len(plan.rows(part)):,} {part}" for part in ("train", "validation"))
    yield f"<h1>Three modes of {escape(plan.choices.model)}</h1>"
    if done.workspace.synthetic:
        yield '<p class="warn">Synthetic pictures: these numbers say nothing about patients.</p>'
    yield (
        f"<p>Workspace {escape(done.workspace.name)}. Labels: <b>{escape(plan.label_source)}</b>. "
        f"Split: {escape(plan.split_rule)}; {counts} and {len(plan.rows('test')):,} test pictures "
        f"of {len(set(plan.patients)):,} patients, none of them in two parts.</p>"
    )
    if plan.remarks:
        yield f"<ul>{''.join(f'<li>{escape(remark)}</li>' for remark in plan.remarks)}</ul>"


def _preset(done: Evaluated, preset: str) -> Iterator[str]:
    measured = {mode: one for (name, mode), one in done.measured.items() if name == preset}
    rows = [one.row for one in measured.values()]
    yield f"<h2>{escape(PRESET_WORDS[preset])}</h2>"
    rule, distances = escape(str(rows[0]["rule"])), escape(_distances(rows[0]))
    yield f"<p>Decision: {rule}. Distances: {distances}.</p>"
    yield _main_table(done, preset, rows)
    yield _beside(rows, _nulls(done, preset))
    yield from _finding_tables(measured)


def _distances(row: Row) -> str:
    said = f"{row['separation']}, un-normalised embeddings of the test pictures"
    if row.get("ratio_p") is not None:
        return f"{said}; 1.0 when labels say nothing"
    return f"{said}; without any structure the ratio is that of the grey rows, not 1"


def _main_table(done: Evaluated, preset: str, rows: Sequence[Row]) -> str:
    marks = {
        column: best_and_worst(rows, column, more_is_better=better)
        for column, (_, better) in COLUMNS.items()
    }
    lines = [
        _line(row, {column: mark(place, marks[column]) for column in COLUMNS}, "")
        for place, row in enumerate(rows)
    ]
    grey = [(MODE_WORDS[str(row["mode"])], *_numbers(row)) for row in _nulls(done, preset)]
    lines += [line(cells, "null") for cells in merged(grey, NO_INFORMATION)]
    lines += [_line(row, {}, "published") for row in published_rows(done)]
    head = "".join(f"<th>{escape(title)}</th>" for title, _ in COLUMNS.values())
    return (
        f"<table><tr><th>Mode</th>{head}</tr>{''.join(lines)}</table>"
        f'<p class="small">Best value of a column blue, worst red. Grey, no information: '
        f"{NULL_MEANING}; mean of {done.plan.choices.null_draws:,} draws. Published: "
        f"{escape(PUBLISHED_SOURCE)}; another set of labels, never mixed into our numbers.</p>"
    )


def _nulls(done: Evaluated, preset: str) -> list[Row]:
    return [row for row in done.nulls if row["preset"] == preset]


def _numbers(row: Row) -> list[str]:
    return [number(row.get(column), DIGITS.get(column, 3)) for column in COLUMNS]


def _line(row: Row, marks: Mapping[str, str], kind: str) -> str:
    name = MODE_WORDS[str(row["mode"])] + (" (published)" if kind == "published" else "")
    cells = [
        f'<td class="{marks.get(column, "")}">{value}</td>'
        for column, value in zip(COLUMNS, _numbers(row), strict=True)
    ]
    return f'<tr class="{kind}"><td>{escape(name)}</td>{"".join(cells)}</tr>'


def _beside(rows: Sequence[Row], nulls: Sequence[Row]) -> str:
    """What the main table has no room for."""
    head = (
        "Mode", "F1, 95\u00a0%", "Exact match, 95\u00a0%", "Ratio, 95\u00a0%", "p",
        "Ratio, unit length", "Predicted per picture", "Labels per picture", "ECE",
        "Seconds per picture",
    )  # fmt: skip
    body, grey = ([_beside_line(row) for row in some] for some in (rows, nulls))
    n_patients = int(str(rows[0]["n_patients"]))
    few = f": {n_patients} test patients, {TOO_FEW}" if n_patients < MIN_CLUSTERS else ""
    return table(head, body, f"Beside the table{few}", grey=merged(grey, NO_INFORMATION))


def _beside_line(row: Row) -> tuple[str, ...]:
    return (
        MODE_WORDS[str(row["mode"])],
        _interval(row, "f1"),
        _interval(row, "exact_match"),
        _interval(row, "ratio"),
        number(row.get("ratio_p")),
        number(row["ratio_l2"]),
        number(row["predictions_per_image"], 2),
        number(row["labels_per_image"], 2),
        number(row["ece"]),
        number(row.get("seconds_per_image"), 4),
    )


def _interval(row: Row, name: str) -> str:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    if low is None or high is None:
        return number(row[name])
    # A narrow column breaks the line before the bracket, never within.
    return f"{number(row[name])} ({number(low)}\u00a0to\u00a0{number(high)})"


def _finding_tables(measured: Mapping[str, Measured]) -> Iterator[str]:
    rates = ("Precision", "Recall", "F1", "AUROC", "AP")
    for mode, one in measured.items():
        for title, name, rows in (
            ("finding", "finding", one.per_finding),
            ("domain", "domain", one.per_domain),
        ):
            body = [
                (
                    str(row[name]),
                    str(row["support"]),
                    str(row["predicted"]),
                    *(_interval(row, rate) for rate in RATES),
                    str(row["note"]),
                )
                for row in rows
            ]
            head = (title.capitalize(), "Support", "Predicted", *rates, "")
            cells = table(head, body)
            yield (
                f'<details class="noted"><summary>{escape(MODE_WORDS[mode])} by {title}, '
                f"with 95 % intervals over patients</summary>{cells}</details>"
            )


def _distance_check(done: Evaluated) -> Iterator[str]:
    check = done.distance_check
    if check is None:
        return
    yield (
        "<p>Zero-shot and linear probe share the encoder: their distances "
        f"{_differ(check['relative_difference'], 'their value')}; "
        f"{check['n_pictures_encoded_again']} pictures encoded again through each mode's own "
        f"network {_differ(check['largest_embedding_difference'], 'the largest number')}.</p>"
    )


def _differ(share: object, of_what: str) -> str:
    return f"differ by {share:.1e} of {of_what}" if share else "are equal"


def _figures(done: Evaluated) -> Iterator[str]:
    yield "<h2>Figures</h2>"
    distribution = [
        (str(row["finding"]), [int(str(row[part])) for part in ("train", "validation", "test")])
        for row in done.plan.distribution()
    ]
    parts = ("train", "validation", "test")
    yield figure(bar_figure(distribution, parts), "Pictures with each finding")
    yield _distribution_table(done)
    shown: list[list[Curve]] = []
    for (preset, mode), answers in done.answers.items():
        curves = _loss_curves(answers.training)
        if curves and curves not in shown:  # both presets share one fine-tune
            shown.append(curves)
            title = f"Loss, {MODE_WORDS[mode]} ({preset})"
            yield figure(line_figure(curves, Axes("epoch", "loss", whole_x=True)), title)
    for preset in done.plan.choices.presets:
        measured = {m: one for (name, m), one in done.measured.items() if name == preset}
        counts = {MODE_WORDS[mode]: one.histogram for mode, one in measured.items()}
        axes = Axes("predicted findings per picture", "pictures")
        yield figure(histogram_figure(counts, axes), f"Predictions per picture ({preset})")
        calibrated = _reliability(measured)
        if calibrated:
            axes = Axes("predicted probability", "observed", (0, 1), (0, 1))
            yield figure(line_figure(calibrated, axes), f"Reliability ({preset})")


def _distribution_table(done: Evaluated) -> str:
    """How many pictures of each part have each finding, as numbers."""
    rows = [
        tuple(f"{value:,}" if isinstance(value, int) else str(value) for value in row.values())
        for row in done.plan.distribution()
    ]
    counted = table(("Finding", "Train", "Validation", "Test", "All"), rows)
    return (
        "<details><summary>Pictures with each finding, as numbers; labels: "
        f"{escape(done.plan.label_source)}</summary>{counted}</details>"
    )


def _loss_curves(training: Mapping[str, object]) -> list[Curve]:
    curves = []
    for name in ("train_losses", "validation_losses"):
        losses = training.get(name)
        if isinstance(losses, list) and len(losses) > 1:
            points = [(float(epoch), float(loss)) for epoch, loss in enumerate(losses, start=1)]
            curves.append(Curve(name.removesuffix("_losses"), points))
    return curves


def _reliability(measured: Mapping[str, Measured]) -> list[Curve]:
    curves = []
    for place, (mode, one) in enumerate(measured.items()):
        bins = one.calibration.get("bins")
        if isinstance(bins, list):
            filled = [each for each in bins if each["count"]]
            points = [(each["mean_probability"], each["observed"]) for each in filled]
            # The colour that the mode has in the histogram beside it.
            curves.append(Curve(MODE_WORDS[mode], points, colour=place))
    return [*curves, Curve("ideal", [(0, 0), (1, 1)], is_dashed=True)] if curves else []


def _details(done: Evaluated) -> Iterator[str]:
    plan = done.plan
    yield "<h2>How it was made</h2>"
    yield f"<p><code>{escape(plan.choices.command())}</code></p>"
    choices = plan.choices
    yield (
        f"<p>Seed {choices.seed}; {choices.replicates:,} bootstrap replicates over patients; "
        f"{choices.permutations:,} permutations; {choices.null_draws:,} draws of the grey rows. "
        "provenance.json holds hashes, versions, prompts and settings.</p>"
    )
    for mode, memory in _memory(done).items():
        yield f"<p>{escape(MODE_WORDS[mode])}: {escape(memory)}.</p>"
    for title, names in (("missing pictures", plan.missing), ("left out", plan.left_out)):
        if names:
            items = "".join(f"<li>{escape(name)}</li>" for name in names)
            yield f"<details><summary>{len(names):,} {title}</summary><ul>{items}</ul></details>"


def _memory(done: Evaluated) -> dict[str, str]:
    """By mode, how its training was fitted into the card's memory where it had to be."""
    told = {mode: one.training.get("memory") for (_, mode), one in done.answers.items()}
    return {mode: memory for mode, memory in told.items() if isinstance(memory, str)}
