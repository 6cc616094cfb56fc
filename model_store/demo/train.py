"""Make the demo models again: ``python -m model_store.demo.train``.

Renders the phantoms, trains both image-text models, fits probe and fine-tune on the demo's own
hospital, and measures everything on the demo set. Step counts and seeds are fixed, so a rerun
differs by the order of floating-point sums alone; training amplifies that, so what is promised,
and what ``--check`` tests, is each mode's AUROC within ``AUROC_TOLERANCE`` on the check set.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import torch
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text
from torch import nn

from model_store.checkpoints import HeadMetadata, HeadMode, save_head
from model_store.demo.heads import HEAD_FINDINGS, HeadSettings, fine_tune, fit_probe
from model_store.demo.measuring import MODES, load_network, measure_model
from model_store.demo.phantom_canvas import Size
from model_store.demo.phantom_style import DEMO_STYLE, TRAINING_STYLE, Style
from model_store.demo.phantoms import DEMO_COUNT, DEMO_FIRST_SEED, DEMO_SIZE, Phantom, demo_set
from model_store.demo.pretraining import (
    MEAN,
    STD,
    PretrainingSettings,
    Report,
    pretrain,
    write_model_folder,
)
from model_store.demo.training_data import INPUT_SIZE, PhantomSet, render_set
from model_store.files import file_sha256

WEIGHTS: Final = Path(__file__).parent / "weights"
WEIGHTS_NAME: Final = "open_clip_model.safetensors"
FIGURES_NAME: Final = "figures.json"
LARGEST_FILE: Final = 4_000_000
AUROC_TOLERANCE: Final = 0.04

# Disjoint from the demo set's seeds and from each other.
PRETRAINING_SEED: Final = 1_000_000
HEADS_SEED: Final = 2_000_000
CHECK_SEED: Final = 3_000_000
# The demo's films are rendered at half their size for the heads: the models see 96 pixels anyway.
HALF_SIZE: Final[Size] = (DEMO_SIZE[0] // 2, DEMO_SIZE[1] // 2)
N_CHECK: Final = 400


app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class Plan:
    """Everything that decides what comes out.

    Attributes:
        pretraining: For each model.
        heads: For both.
        n_check: Films of the check set.
        n_demo: Films of the demo set.
        threads: Of torch.
        heads_only: Keep the image-text models that are there.
    """

    pretraining: dict[str, PretrainingSettings]
    heads: HeadSettings
    n_check: int = N_CHECK
    n_demo: int = DEMO_COUNT
    threads: int = 2
    heads_only: bool = False


FULL_PLAN: Final = Plan(
    pretraining={
        "demo-cnn": PretrainingSettings(steps=900),
        "demo-vit": PretrainingSettings(steps=800),
    },
    heads=HeadSettings(),
)


def quick_plan() -> Plan:
    """The same steps on a handful of films: it shows that everything runs, not that it learns."""
    short = PretrainingSettings(n_pictures=16, steps=3, batch=8)
    return Plan(
        pretraining=dict.fromkeys(FULL_PLAN.pretraining, short),
        heads=replace(FULL_PLAN.heads, n_pictures=16, epochs=1),
        n_check=24,
        n_demo=2,
    )


@dataclass(frozen=True, eq=False)
class Sets:
    """The rendered films; without those for image-text training, only the heads are made again."""

    pretraining: PhantomSet | None
    heads: PhantomSet
    check: PhantomSet
    demo: tuple[Phantom, ...]


def train_all(out: Path, plan: Plan, console: Console) -> dict[str, Any]:
    """The measured figures; models, heads and ``figures.json`` are written to ``out``."""
    torch.set_num_threads(plan.threads)
    with _progress(console) as progress:
        sets = _render_sets(plan, progress)
        figures = {
            name: _train_model(out / name, name, plan, sets, progress) for name in plan.pretraining
        }
    return _write_figures(out / FIGURES_NAME, plan, figures)


def _write_figures(path: Path, plan: Plan, models: dict[str, Any]) -> dict[str, Any]:
    """The content of the figures file; models that were not made now keep their figures."""
    kept = _read_figures(path.parent)["models"] if path.is_file() else {}
    content = {
        "about": "measured by model_store.demo.train; auroc, hit and chance on the demo set, "
        "auroc_check on a larger set of the same style; macro over findings for auroc, "
        "mean over drawn findings for hit and chance; maps by Grad-CAM at the last stage "
        "(demo-cnn) or the last block's norm1 (demo-vit)",
        "demo_set": {"n": plan.n_demo, "first_seed": DEMO_FIRST_SEED, "size": list(DEMO_SIZE)},
        "check_set": {"n": plan.n_check, "first_seed": CHECK_SEED, "size": list(HALF_SIZE)},
        "auroc_tolerance": AUROC_TOLERANCE,
        "models": dict(sorted((kept | models).items())),
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return content


def _render_sets(plan: Plan, progress: Progress) -> Sets:
    n_pretraining = max(each.n_pictures for each in plan.pretraining.values())

    def render(what: str, seed: int, count: int, style: Style, size: Size) -> PhantomSet:
        task = progress.add_task(what, total=count)
        return render_set(
            seed,
            count,
            style,
            size,
            processes=plan.threads if count > 200 else 1,
            progress=lambda done, _total: progress.update(task, completed=done),
        )

    square = (INPUT_SIZE, INPUT_SIZE)
    return Sets(
        render(
            "films for image-text training", PRETRAINING_SEED, n_pretraining, TRAINING_STYLE, square
        ),
        render("films for the heads", HEADS_SEED, plan.heads.n_pictures, DEMO_STYLE, HALF_SIZE),
        render("films for the check", CHECK_SEED, plan.n_check, DEMO_STYLE, HALF_SIZE),
        tuple(progress.track(demo_set(plan.n_demo), plan.n_demo, description="demo films")),
    )


def _train_model(
    folder: Path, name: str, plan: Plan, sets: Sets, progress: Progress
) -> dict[str, Any]:
    """Train one model and both heads, write them, and measure what was written."""
    if sets.pretraining is not None:
        write_model_folder(folder, name)
        settings = plan.pretraining[name]
        network = pretrain(folder, sets.pretraining, settings, _reporter(progress, name))
        _save_network(folder / WEIGHTS_NAME, network, settings)
    _fit_heads(folder, plan, sets.heads, _reporter(progress, f"{name} fine-tune"))
    return measure_model(folder, sets.demo, sets.check)


def _fit_heads(folder: Path, plan: Plan, data: PhantomSet, report: Report) -> None:
    """Fit both heads on the weights as they are on the disk, and write them."""
    visual = load_network(folder).visual
    weight, bias = fit_probe(visual, data, plan.heads)
    _save_head(folder, "lp", {"head.weight": weight, "head.bias": bias}, plan)
    tower, linear = fine_tune(visual, data, (weight, bias), plan.heads, report)
    tensors = {f"visual.{key}": value for key, value in tower.state_dict().items()}
    tensors |= {"head.weight": linear.weight, "head.bias": linear.bias}
    _save_head(folder, "ft", tensors, plan)


def _save_network(path: Path, network: nn.Module, settings: PretrainingSettings) -> None:
    from safetensors.torch import save_file

    tensors = {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in network.state_dict().items()
    }
    save_file(tensors, path, {"format": "pt", "training": json.dumps(asdict(settings))})
    _check_size(path)


def _save_head(folder: Path, mode: HeadMode, tensors: dict[str, torch.Tensor], plan: Plan) -> None:
    path = folder / f"{mode}.safetensors"
    metadata = HeadMetadata(
        mode=mode,
        findings=HEAD_FINDINGS,
        base_weights_sha256=file_sha256(folder / WEIGHTS_NAME),
        preprocessing={
            "kind": "crop",
            "input_size": [INPUT_SIZE, INPUT_SIZE],
            "interpolation": "bicubic",
            "mean": [MEAN] * 3,
            "std": [STD] * 3,
            "fill": 0,
        },
        training={
            "script": "model_store.demo.train",
            "first_seed": HEADS_SEED,
            **asdict(plan.heads),
        },
        # A fixed date keeps a rerun's file the same where its weights are.
        created="2026-01-01T00:00:00+00:00",
    )
    save_head(path, mode, tensors, metadata)
    _check_size(path)


def _check_size(path: Path) -> None:
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise ValueError(
            f"{path.name} has {size:,} bytes; the demo's files may have {LARGEST_FILE:,}; "
            "make the model smaller"
        )


class _Note(ProgressColumn):
    """What a task says beside its bar."""

    def render(self, task: Task) -> Text:
        """The task's note, or nothing."""
        return Text(str(task.fields.get("note", "")))


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        _Note(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _reporter(progress: Progress, what: str) -> Any:
    task = progress.add_task(what)
    return lambda done, total, loss: progress.update(
        task, completed=done, total=total, note=f"loss {loss:.3f}"
    )


def compare_runs(
    rerun: Path, shipped: Path = WEIGHTS
) -> list[tuple[str, str, float, float, float]]:
    """For each model and mode: AUROC shipped and rerun on the check set, and how far weights moved.

    Args:
        rerun: What ``--out`` wrote.
        shipped: The package's own files.

    Returns:
        Model, mode, AUROC shipped, AUROC rerun, relative distance of the two files' weights.

    Raises:
        ValueError: If a folder holds no figures.
    """
    ours, theirs = (_read_figures(folder)["models"] for folder in (shipped, rerun))
    files = {"zs": WEIGHTS_NAME, "lp": "lp.safetensors", "ft": "ft.safetensors"}
    return [
        (
            name,
            mode,
            ours[name][mode]["auroc_check"],
            theirs[name][mode]["auroc_check"],
            _weight_distance(shipped / name / files[mode], rerun / name / files[mode]),
        )
        for name in ours
        for mode in MODES
    ]


def _read_figures(folder: Path) -> dict[str, Any]:
    path = folder / FIGURES_NAME
    if not path.is_file():
        raise ValueError(
            f"{path} does not exist; write it with: python -m model_store.demo.train --out {folder}"
        )
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _weight_distance(first: Path, second: Path) -> float:
    """Euclidean distance of all weights over the length of the first."""
    from safetensors.torch import load_file

    ours, theirs = load_file(first), load_file(second)
    moved = sum(float((theirs[key].double() - ours[key].double()).square().sum()) for key in ours)
    length = sum(float(ours[key].double().square().sum()) for key in ours)
    return float((moved / length) ** 0.5)


def _show_figures(figures: dict[str, Any], console: Console) -> None:
    columns = ("model", "mode", "AUROC demo", "AUROC check", "hit", "chance", "rows", "empty maps")
    table = Table(*columns)
    for name, modes in figures["models"].items():
        for mode, row in modes.items():
            table.add_row(
                name,
                mode,
                f"{row['auroc']:.3f}",
                f"{row['auroc_check']:.3f}",
                f"{row['hit']:.3f}",
                f"{row['chance']:.3f}",
                str(row["n_rows"]),
                str(row["n_no_evidence"]),
            )
    console.print(table)


def _show_comparison(rerun: Path, console: Console) -> bool:
    """Print the comparison; whether every AUROC is within the tolerance."""
    table = Table("model", "mode", "AUROC shipped", "AUROC rerun", "weights moved by")
    rows = compare_runs(rerun)
    for name, mode, ours, theirs, moved in rows:
        table.add_row(name, mode, f"{ours:.4f}", f"{theirs:.4f}", f"{moved:.2e}")
    console.print(table)
    worst = max(abs(ours - theirs) for _, _, ours, theirs, _ in rows)
    console.print(f"greatest difference of AUROC {worst:.4f}; tolerance {AUROC_TOLERANCE}")
    return worst <= AUROC_TOLERANCE


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Where models and figures are written.")] = WEIGHTS,
    quick: Annotated[bool, typer.Option(help="A few steps: shows that it runs.")] = False,
    check: Annotated[
        Path | None,
        typer.Option(
            help="Train nothing; compare the rerun in this folder with the shipped files.",
        ),
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Just this model (demo-cnn or demo-vit).")
    ] = None,
    heads_only: Annotated[
        bool, typer.Option(help="Keep the image-text models in --out; make probe and fine-tune.")
    ] = False,
) -> None:
    """Train the demo models (under 30 minutes on two cores), or compare a rerun with them.

    Example: python -m model_store.demo.train --out rerun && python -m model_store.demo.train
    --check rerun
    """
    console = Console()
    try:
        if check is not None:
            raise typer.Exit(0 if _show_comparison(check, console) else 1)
        plan = replace(_choose_plan(quick, only, out), heads_only=heads_only)
        _show_figures(train_all(out, plan, console), console)
    except ValueError as error:
        console.print(str(error), style="red")
        raise typer.Exit(1) from None


def _choose_plan(quick: bool, only: str | None, out: Path) -> Plan:
    plan = quick_plan() if quick else FULL_PLAN
    if quick and out.resolve() == WEIGHTS.resolve():
        raise ValueError(
            "--quick would overwrite the shipped models; give another folder with --out"
        )
    if only is None:
        return plan
    if only not in plan.pretraining:
        raise ValueError(f"unknown model '{only}'; known: {', '.join(plan.pretraining)}")
    return replace(plan, pretraining={only: plan.pretraining[only]})


if __name__ == "__main__":
    app()
