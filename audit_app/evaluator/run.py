"""A whole evaluation: choices to a folder of outputs. Finished stages are never done twice."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.errors import AuditError
from audit_app.evaluator.answering import (
    FLATTEN,
    MEASURE,
    WRITE,
    Answering,
    stage_names,
    start_answering,
)
from audit_app.evaluator.answers import tower_of
from audit_app.evaluator.choices import EvaluationChoices
from audit_app.evaluator.explain_fifteen import explain_fifteen, write_figure
from audit_app.evaluator.explorer import layout_key, layout_stage, write_layout
from audit_app.evaluator.fifteen import read_fifteen, write_fifteen
from audit_app.evaluator.measures import Measured, Reference, distance_difference, measure
from audit_app.evaluator.modelling import CHECKED_PICTURES, EvaluatedModel
from audit_app.evaluator.nulls import null_rows
from audit_app.evaluator.outputs import Evaluated, write_provenance, write_tables
from audit_app.evaluator.page import write_page
from audit_app.evaluator.plan import EvaluationPlan, plan_evaluation
from audit_app.evaluator.progress import Watch, Watcher
from audit_app.evaluator.result import (
    FIGURE_OF_15,
    LAYOUT,
    MAPS_OF_15,
    REPORT,
    EvaluationResult,
    load_result,
)
from audit_app.evaluator.stages import Stage
from audit_app.models import head_file, load_entry
from audit_app.replacing import replacing
from audit_app.reports.agreement import prepare_folder
from model_store.entries import ModelEntry

if TYPE_CHECKING:
    from model_store.runtime import ModelRuntime


def run_evaluation(
    workspace: Workspace,
    store: Store,
    runtime: ModelRuntime,
    choices: EvaluationChoices,
    *,
    out: Path,
    watcher: Watcher | None = None,
) -> EvaluationResult:
    """Evaluate a model in its modes and write all files into ``out``.

    Each stage is kept in the workspace when it is done: the same choices on the same pictures,
    labels and model go on from there after a kill, to the same tables.

    Args:
        workspace: Where caches and trained heads lie.
        store: Of the workspace.
        runtime: Gives the model.
        choices: What is evaluated.
        out: Folder; made when absent, files of the same names are replaced.
        watcher: Who is told how it goes on, and may ask to stop.

    Raises:
        Cancelled: On request; finished stages are kept.
        AuditError: If labels, split, pictures or disk do not allow it.
        ModelError: If the model cannot be used or a training fails.
    """
    entry = load_entry(store, choices.model)
    choices = replace(choices, modes=modes_of(entry, choices.modes))
    plan = plan_evaluation(workspace, store, choices)
    check_outputs(entry, plan)
    prepare_folder(out)
    model = EvaluatedModel(workspace, store, runtime, choices.model)
    watch = Watch(watcher or Watcher(), stage_names(choices.modes))
    answering = start_answering(workspace, model, plan, watch)
    answering.answer_all(choices.modes, choices.presets)
    flat = flatten(answering)
    looked = explain_fifteen(answering)
    done = conclude(workspace, entry, answering)
    answering.watch.begin(WRITE)
    write_tables(out, done, watch.pauses(0, 1, "writing predictions"))
    test_ids = [done.plan.images[row].image_id for row in done.plan.rows("test")]
    write_layout(out / LAYOUT, test_ids, flat)
    write_fifteen(out / MAPS_OF_15, looked)
    shown = write_figure(out / FIGURE_OF_15, store, read_fifteen(out / MAPS_OF_15))
    write_page(out / REPORT, done, shown)
    installed = install_heads(workspace, choices, answering.heads)
    write_provenance(out, replace(done, installed=tuple(installed)))
    return load_result(out)


def modes_of(entry: ModelEntry, modes: tuple[str, ...]) -> tuple[str, ...]:
    """The chosen modes as this entry has them; a classifier's own outputs stand for zero-shot.

    Raises:
        AuditError: If the model has no such mode.
    """
    own = entry.modes[0]
    chosen = tuple(dict.fromkeys(own if mode in ("zs", "cls") else mode for mode in modes))
    unknown = [mode for mode in chosen if mode not in entry.modes]
    if unknown:
        raise AuditError(
            f"model '{entry.name}' has no mode {', '.join(unknown)}; it has "
            f"{', '.join(entry.modes)}"
        )
    return chosen


def check_outputs(entry: ModelEntry, plan: EvaluationPlan) -> None:
    """Nothing, unless a classifier is asked for findings that it has no output for.

    Raises:
        AuditError: With the findings.
    """
    lacking = [name for name in plan.findings if name not in entry.outputs]
    if "cls" in plan.choices.modes and lacking:
        raise AuditError(
            f"model '{entry.name}' has no own output for {', '.join(lacking)}; evaluate it with "
            "--modes lp,ft, or with labels of its own outputs"
        )


def flatten(answering: Answering) -> Stage:
    """The test embeddings of all towers in two dimensions."""
    answering.watch.begin(FLATTEN)
    towers = {tower_of(mode): one.embeddings for (_, mode), one in answering.answers.items()}
    seed = answering.plan.choices.seed
    name = f"layout-{layout_key(towers)}"
    pause = answering.watch.pauses(0, 1, "placing pictures")
    stage = answering.stages.do(name, lambda: layout_stage(towers, seed, pause))
    answering.watch.check()
    return stage


def conclude(workspace: Workspace, entry: ModelEntry, answering: Answering) -> Evaluated:
    """All numbers of finished answers."""
    plan = answering.plan
    watch = answering.watch
    watch.begin(MEASURE)
    reference = reference_of(plan)
    answered = answering.answers
    n_steps = len(answered) + 1  # the grey rows are the last one
    measured: dict[tuple[str, str], Measured] = {}
    for done, (key, answers) in enumerate(answered.items()):
        pause = watch.pauses(done, n_steps, f"measuring {key[1]} ({key[0]})")
        measured[key] = measure(answers, reference, pause)
    nulls = null_rows(
        answered.values(),
        reference,
        draws=plan.choices.null_draws,
        pause=watch.pauses(len(answered), n_steps, "measuring what chance gives"),
    )
    watch.check()
    return Evaluated(
        plan=plan,
        entry=entry.to_dict(),
        workspace=workspace.settings,
        answers=answering.answers,
        measured=measured,
        nulls=nulls,
        distance_check=check_distances(answering, measured),
        made_by=answering.made_by,
        weights={
            key: {
                "file": path.relative_to(workspace.models).as_posix(),
                "sha256": str(answering.made_by[f"{key[0]} {key[1]}"]["head_sha256"]),
            }
            for key, path in answering.heads.items()
        },
    )


def reference_of(plan: EvaluationPlan) -> Reference:
    """What answers are held against."""
    test = plan.rows("test")
    return Reference(
        findings=plan.findings,
        labels=plan.labels[test],
        validation_labels=plan.labels[plan.rows("validation")],
        patients=[plan.patients[row] for row in test],
        replicates=plan.choices.replicates,
        permutations=plan.choices.permutations,
        seed=plan.choices.seed,
    )


def check_distances(
    answering: Answering, measured: Mapping[tuple[str, str], Measured]
) -> dict[str, object] | None:
    """What was found about the distances of zero-shot and probe, which share a tower."""
    preset = answering.plan.choices.presets[0]
    pair = [(preset, "zs"), (preset, "lp")]
    if not all(key in measured for key in pair):
        return None
    model, plan = answering.model, answering.plan
    frames = model.sample_frames(plan)[:CHECKED_PICTURES]
    return {
        "relative_difference": distance_difference(*(measured[key].row for key in pair)),
        **model.compare_towers(plan.findings, frames, answering.heads[preset, "lp"]),
    }


def install_heads(
    workspace: Workspace,
    choices: EvaluationChoices,
    heads: Mapping[tuple[str, str], Path],
) -> list[str]:
    """The modes whose heads the workspace lacked; it uses these from now on, stored once."""
    installed = []
    for (_, mode), path in heads.items():
        target = head_file(workspace, choices.model, mode)
        if target.exists():
            continue
        try:
            os.link(path, target)
        except FileExistsError:  # another evaluation came first
            continue
        except OSError:  # a file system without hard links
            with replacing(target) as file, path.open("rb") as own:
                shutil.copyfileobj(own, file)
        installed.append(mode)
    return installed
