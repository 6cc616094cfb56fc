"""A finished audit without a model: rows with drawn numbers, everything else derived from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from audit_app.audit_plan import AuditChoices
from audit_app.audit_result import AuditResult, derive_tables
from audit_app.controls import CONTROL_COLUMNS
from audit_app.evaluation import AGREEMENT_COLUMNS, IOU_COLUMNS, Row

FINDINGS = ("Cardiomegaly", "Pleural Effusion")
MODES = ("zs", "lp")
HEIGHT, WIDTH = 200, 100
CHOICES = AuditChoices(model="tiny", modes=MODES, replicates=60, seed=3)


def made_row(number: int, mode: str, rng: np.random.Generator, hit_rate: float) -> Row:
    """A scored row; its patient has the same number modulo what the caller says."""
    row: Row = dict.fromkeys(AGREEMENT_COLUMNS)
    iou = float(rng.random())
    return row | {
        "run_id": "run",
        "image_id": f"image{number:03d}",
        "patient_hash": f"patient{number:03d}",
        "view": "PA",
        "source": "folder",
        "reader": "mira",
        "reader_kind": "person",
        "reading_id": f"reading{number:03d}",
        "certainty": "definite",
        "model": "tiny",
        "mode": mode,
        "method": "gradcam",
        "finding": FINDINGS[number % 2],
        "status": "ok",
        "status_reason": "",
        "score": float(rng.normal()),
        "model_positive": bool(rng.random() < 0.5),
        "score_kind": "logit",
        "hit": float(rng.random() < hit_rate),
        "iou": iou,
        **{name: iou * (1 - place / 40) for place, name in enumerate(IOU_COLUMNS)},
        "energy_in_box": float(rng.random()),
        "peak_distance": float(rng.random() * 50),
        "peak_distance_share": float(rng.random() / 4),
        "peak_x_px": float(rng.random() * WIDTH),
        "peak_y_px": float(rng.random() * HEIGHT),
        "chance_hit": 0.125,
        "centre_hit": 0.0,
        "prior_hit": 0.5,
        "shift_null_iou": 0.0625,
        "box_area_fraction": float(0.01 + rng.random() / 3),
        "image_height": HEIGHT,
        "image_width": WIDTH,
        "reliance_note": "left out",
    }


def made_rows(n_images: int = 24, hit_rate: float = 0.9) -> list[Row]:
    """Two modes of every image, each image of a patient of its own."""
    rng = np.random.default_rng(7)
    return [made_row(n, mode, rng, hit_rate) for n in range(n_images) for mode in MODES]


def made_controls(rows: list[Row], hit_rate: float) -> list[Row]:
    """RandomCAM beside every row."""
    rng = np.random.default_rng(8)
    empty: Row = dict.fromkeys(CONTROL_COLUMNS)
    return [
        empty
        | {name: row[name] for name in CONTROL_COLUMNS if name in row}
        | {
            "control": "randomcam",
            "method": "randomcam",
            "asked": "",
            "hit": float(rng.random() < hit_rate),
        }
        for row in rows
    ]


def made_audit(
    rows: list[Row] | None = None, *, control_hit_rate: float | None = 0.1, **provenance: object
) -> AuditResult:
    """All tables of these rows."""
    rows = made_rows() if rows is None else rows
    controls = [] if control_hit_rate is None else made_controls(rows, control_hit_rate)
    choices = CHOICES if controls else replace(CHOICES, controls=())
    facts: dict[str, object] = {
        "workspace": "ward",
        "synthetic": False,
        "started": "2026-01-02T03:04:05+00:00",
        "created": "2026-01-02T04:05:06+00:00",
        "command": "launch.py audit WORKSPACE --model tiny --out DIR",
        "choices": choices.described(),
        "counts": {"patients": 24, "images": 24, "readings": 24, "rows": len(rows)},
        "definitions": {"interval": "patient-cluster bootstrap, 60 replicates"},
        "seeds": {"bootstrap": 3},
        "warnings": [],
        "left_out": [],
    }
    tables = derive_tables(rows, controls, [], choices)
    return AuditResult(provenance=facts | provenance, rows=rows, controls=controls, **tables)
