"""Scoring maps, resampling patients, and the report of a large audit.

``python -m tests.benchmarks.audit [--quick]``. The comparison with Quantus needs the dependency
group ``comparison`` (``uv run --group comparison python -m tests.benchmarks.audit``); without it
the table says that it was left out. Everything runs on one core.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

from annotations.findings import STUDY_FINDINGS
from annotations.records import AuditRun
from annotations.workspace import WorkspaceSettings
from audit_app.audit_plan import CONTROLS, AuditChoices, AuditPlan
from audit_app.audit_result import derive_tables
from audit_app.controls import CONTROL_COLUMNS
from audit_app.evaluation import AGREEMENT_COLUMNS, IOU_COLUMNS, Row
from audit_app.metrics.bootstrap import cluster_bootstrap
from audit_app.metrics.localisation import score_map
from audit_app.metrics.overlap import energy_in_region
from audit_app.metrics.pointing import hit
from audit_app.metrics.ranking import area_under_roc
from audit_app.metrics.reference import mask_reference
from audit_app.reports.agreement import AuditFacts, write_audit
from tests.benchmarks.report import Figure, report

GRID = 224
MODES = ("zs", "lp", "ft")
GIB = 1024**3
REPLICATES = 2000
FINDINGS = STUDY_FINDINGS[:-1]
Maps = NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    maps: int
    repeats: int
    rows: int
    patients: int
    replicates: int


FULL = Size(maps=400, repeats=5, rows=10_000, patients=3_000, replicates=REPLICATES)
QUICK = Size(maps=4, repeats=1, rows=120, patients=40, replicates=50)


def make_maps(count: int, rng: np.random.Generator) -> tuple[Maps, list[tuple[int, ...]]]:
    """Maps as Grad-CAM of a 14 x 14 grid gives them, enlarged, and one box each."""
    coarse = np.maximum(rng.normal(size=(count, 14, 14)), 0)
    maps = np.stack([zoom(one, GRID / 14, order=1) for one in coarse])
    corners = rng.integers(0, GRID - 80, size=(count, 2))
    sizes = rng.integers(20, 80, size=(count, 2))
    return maps, [(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, sizes, strict=True)]


def seconds_of(work: Callable[[], object], repeats: int) -> float:
    """The median of several runs."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def maps_per_second(size: Size) -> Figure:
    """All columns of ``score_map``."""
    maps, boxes = make_maps(size.maps, np.random.default_rng(1))
    score_map(maps[0], [boxes[0]])  # loads what is loaded once

    def score_all() -> None:
        for saliency, box in zip(maps, boxes, strict=True):
            score_map(saliency, [box])

    rate = len(maps) / seconds_of(score_all, size.repeats)
    return Figure(f"score_map, {GRID} x {GRID}, one core", rate, "maps/s", 200, at_most=False)


def bootstrap_seconds(size: Size) -> Figure:
    """The interval of one mean."""
    rng = np.random.default_rng(2)
    values = rng.random(size.rows)
    patients = rng.integers(0, size.patients, size.rows).tolist()
    taken = seconds_of(
        lambda: cluster_bootstrap(values, patients, replicates=size.replicates, seed=3),
        size.repeats,
    )
    name = f"bootstrap of {size.rows:,} rows, {size.replicates:,} replicates"
    return Figure(name, taken, "s", 3)


def make_rows(size: Size) -> list[Row]:
    """Rows of one audit in three modes with every column filled."""
    rng = np.random.default_rng(4)
    rows: list[Row] = []
    for case in range(-(-size.rows // len(MODES))):
        patient = int(rng.integers(0, size.patients))
        finding = FINDINGS[int(rng.integers(0, len(FINDINGS)))]
        rows += [_row(case, f"{patient:04d}", finding, mode, rng) for mode in MODES]
    return rows[: size.rows]


def _row(case: int, patient: str, finding: str, mode: str, rng: np.random.Generator) -> Row:
    row: Row = dict.fromkeys(AGREEMENT_COLUMNS, "")
    numbers = ("iou", *IOU_COLUMNS, "iou_otsu", "energy_in_box", "pixel_auroc", "shift_null_iou")
    row |= dict(zip(numbers, rng.random(len(numbers)).tolist(), strict=True))
    shares = ("chance_hit", "box_area_fraction", "visible_fraction", "shift_p", "score")
    row |= dict(zip(shares, rng.uniform(0.01, 0.3, len(shares)).tolist(), strict=True))
    row |= {name: float(rng.integers(0, 2)) for name in ("hit", "centre_hit", "prior_hit")}
    row |= {
        "run_id": "benchmark", "image_id": f"image-{case:05d}", "patient_hash": patient,
        "reader": f"reader {case % 4}", "reader_kind": "person", "source": "folder",
        "view": ("PA", "AP")[case % 2], "certainty": "definite", "reading_id": f"reading-{case}",
        "commit_number": 1, "blinded": True, "imported": False, "model": "model", "mode": mode,
        "method": "gradcam", "finding": finding, "status": "ok", "score_kind": "logit",
        "score_rank": 1, "n_ranked": len(FINDINGS), "model_positive": bool(case % 3),
        "hit_tolerance": 1.0, "tolerance_radius": 15.0, "threshold": 0.5, "n_boxes": 1,
        "peak_distance": float(rng.uniform(0, 900)), "peak_distance_share": float(rng.random()),
        "peak_x_px": float(rng.uniform(0, 2000)), "peak_y_px": float(rng.uniform(0, 2500)),
        "score_drop_region": float(rng.normal(0.2)), "score_drop_elsewhere": float(rng.normal()),
        "image_height": 2500, "image_width": 2048, "fov_x_min": 0.0, "fov_y_min": 226.0,
        "fov_x_max": 2048.0, "fov_y_max": 2274.0, "grid_height": GRID, "grid_width": GRID,
        "image_sha256": "a" * 64, "reading_sha256": "b" * 64, "weights_sha256": "c" * 64,
        "config_sha256": "d" * 64, "preprocessing": "{}", "layer": "blocks", "versions": "{}",
    }  # fmt: skip
    return row


def make_controls(rows: list[Row]) -> list[Row]:
    """Each row under each control."""
    rng = np.random.default_rng(5)
    return [
        {name: row.get(name, "") for name in CONTROL_COLUMNS}
        | {"control": control, "hit": float(rng.random() < 0.1)}
        | ({"method": "randomcam"} if control == "randomcam" else {})
        for row in rows
        for control in CONTROLS
    ]


def write_large_audit(size: Size, folder: Path) -> float:
    """Seconds from the rows of an audit to all of its tables, its report and its provenance."""
    rows = make_rows(size)
    controls = make_controls(rows)
    choices = AuditChoices("model", MODES, replicates=size.replicates)
    run = AuditRun("benchmark", "2026-01-01T00:00:00+00:00", "", "running", {}, {})
    facts = AuditFacts(
        run=run,
        choices=choices,
        plan=AuditPlan((), FINDINGS, FINDINGS, len(rows), 0, 0),
        workspace=WorkspaceSettings("benchmark", FINDINGS, synthetic=True, pseudonymised=0),
        entries={"model": {"name": "model"}},
        modes={"model": MODES},
        made_by={},
        elapsed_s=0.0,
    )
    start = time.perf_counter()
    derived = derive_tables(rows, controls, [], choices)
    tables = {"rows": rows, "controls": controls, "readers": [], "reveal": [], **derived}
    write_audit(folder, tables, facts)
    return time.perf_counter() - start


def report_figures(quick: bool) -> list[Figure]:
    """Time and memory of the report, in a process of its own."""
    size = QUICK if quick else FULL
    command = [sys.executable, "-m", "tests.benchmarks.audit", "--only-report"]
    done = subprocess.run(
        command + (["--quick"] if quick else []), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"the report failed:\n{done.stderr}")
    told = json.loads(done.stdout.splitlines()[-1])
    return [
        Figure(f"tables and report of {size.rows:,} rows", told["seconds"], "s", 20),
        Figure("peak memory of that process", told["bytes"] / GIB, "GiB", 1.5 * 1e9 / GIB),
    ]


def only_report(size: Size) -> None:
    """Print the time and the peak memory of this process."""
    with tempfile.TemporaryDirectory() as folder:
        taken = write_large_audit(size, Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": taken, "bytes": peak}))


def quantus_figure(size: Size) -> Figure | None:
    """How much faster hit, energy and AUROC are than Quantus' metrics called map by map."""
    if importlib.util.find_spec("quantus") is None:
        print("Quantus is not installed (group 'comparison'): it was not compared with.")
        return None
    quantus: Any = importlib.import_module("quantus")
    kinds = (quantus.PointingGame, quantus.RelevanceMassAccuracy, quantus.AUC)
    metrics = [kind(disable_warnings=True, normalise=False) for kind in kinds]
    maps, boxes = make_maps(min(size.maps, 40), np.random.default_rng(6))
    masks = np.zeros(maps.shape, dtype=np.bool_)
    for mask, (x_min, y_min, x_max, y_max) in zip(masks, boxes, strict=True):
        mask[y_min:y_max, x_min:x_max] = True
    blank, label = np.zeros((1, 1, GRID, GRID)), np.zeros(1, dtype=int)

    def theirs() -> list[list[float]]:
        return [
            [
                float(
                    metric(
                        model=None, x_batch=blank, y_batch=label,
                        a_batch=saliency[None, None], s_batch=mask[None, None],
                    )[0]
                )
                for metric in metrics
            ]
            for saliency, mask in zip(maps, masks, strict=True)
        ]  # fmt: skip

    def ours() -> list[list[float]]:
        return [_three_columns(*pair) for pair in zip(maps, masks, strict=True)]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Quantus warns of what it is asked to do here
        np.testing.assert_allclose(theirs(), ours(), rtol=1e-9)
        ratio = seconds_of(theirs, size.repeats) / seconds_of(ours, size.repeats)
    return Figure("Quantus' loop / ours, hit, energy and AUROC", ratio, "x", 10, at_most=False)


def _three_columns(saliency: Maps, mask: NDArray[np.bool_]) -> list[float]:
    found = area_under_roc(saliency[mask], saliency[~mask])
    assert found is not None
    pointed = hit(saliency, mask_reference(mask, n_boxes=1))
    return [pointed, energy_in_region(saliency, mask), found]


def main(arguments: list[str]) -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only-report", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    size = QUICK if given.quick else FULL
    if given.only_report:
        only_report(size)
        return 0
    figures = [maps_per_second(size), bootstrap_seconds(size), *report_figures(given.quick)]
    compared = quantus_figure(size)
    return report([*figures, *([] if compared is None else [compared])])


if __name__ == "__main__":
    # One core is what the figures are for.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main(sys.argv[1:]))
