"""An audit of the NIH boxes, every number computed a second time from the files alone.

The maps come from the formula of Grad-CAM written out by hand on open_clip's own model and
transform, checked against pytorch-grad-cam run one label at a time; the columns come from plain
loops. Nothing of the product takes part but the file that it wrote.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from safetensors import safe_open
from safetensors.torch import load_file

from annotations.importing import import_source
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.audit_job import audit_workspace
from audit_app.audit_plan import AuditChoices
from audit_app.models import add_model
from model_store.demo import architectures
from tests.audit_app.naive_agreement import CURVE, naive_columns

pytestmark = pytest.mark.real_data

IMAGES = {
    "00000150_002.png": ("Pneumonia", (601.3968254, 595.978836, 215.6359788, 180.9608466)),
    "00000211_016.png": ("Lung Opacity", (237.3079365, 465.9470899, 230.8063492, 328.3301587)),
    "00000468_017.png": ("Atelectasis", (149.1525424, 518.8158269, 112.8135593, 45.55932203)),
    "00000032_037.png": ("Lung Opacity", (339.1661376, 119.1957672, 172.2920635, 351.0857143)),
}
GRID = 96
SIDE = 1024


@pytest.fixture(scope="module")
def audited(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("nih")
    workspace = create_workspace(root / "w", name="nih")
    source = shared_data / "nih_chestxray14"
    with Store.open(workspace) as store:
        report = import_source(workspace, store, source, "nih", reader="NIH")
        add_model(workspace, store, "demo-cnn")
        choices = AuditChoices(model="demo-cnn", report=False)
        audit_workspace(workspace, store, choices, out=root / "out", progress=lambda *_: False)
        names = store.images.names()
    with (root / "out" / "agreement.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    with (root / "out" / "summary.csv").open(encoding="utf-8-sig", newline="") as file:
        summary = list(csv.DictReader(file))
    return {
        "report": report,
        "rows": rows,
        "summary": summary,
        "names": names,
        "provenance": json.loads((root / "out" / "provenance.json").read_text()),
        "source": source,
        "folder": Path(architectures.__file__).parent / "weights" / "demo-cnn",
    }


def test_the_import_gives_the_counts_of_the_data_set(audited) -> None:
    report = audited["report"]
    assert report.n_read == 8
    assert report.n_readings == 4
    assert report.n_regions == 4


def test_there_is_a_row_for_each_reading_and_mode_and_none_beside(audited) -> None:
    found = sorted(
        (audited["names"][row["image_id"]], row["mode"], row["finding"]) for row in audited["rows"]
    )
    wanted = sorted(
        (name, mode, finding)
        for name, (finding, _) in IMAGES.items()
        for mode in ("zs", "lp", "ft")
    )
    assert [(Path(name).name, *rest) for name, *rest in found] == wanted


def test_findings_that_the_heads_never_learnt_are_said_and_not_scored(audited) -> None:
    for row in audited["rows"]:
        is_unknown = row["mode"] != "zs" and row["finding"] in {"Pneumonia", "Lung Opacity"}
        assert (row["status"] == "invalid_input") == is_unknown
        assert not is_unknown or "has no output" in row["status_reason"]


def test_every_number_of_every_scored_row_is_recomputed(audited) -> None:
    n_checked = 0
    for row in audited["rows"]:
        if row["status"] == "invalid_input":
            continue
        name = Path(audited["names"][row["image_id"]]).name
        _, corners = IMAGES[name]
        score, saliency = independent_map(audited, row["mode"], row["finding"], name)
        assert float(row["score"]) == pytest.approx(score, abs=1e-5)
        n_checked += check_row(row, saliency, corners)
    assert n_checked >= 6 * (len(CURVE) + 14)


def test_the_summary_is_the_mean_of_the_scored_rows(audited) -> None:
    for line in audited["summary"]:
        if line["finding"] in ("macro over findings", "all regions"):
            continue
        group = [
            row
            for row in audited["rows"]
            if (row["finding"], row["mode"]) == (line["finding"], line["mode"])
            and row["status"] in {"ok", "no_evidence"}
        ]
        assert int(line["n_scored"]) == len(group)
        for column in ("hit", "iou", "energy_in_box", "chance_hit"):
            if group:
                mean = math.fsum(float(row[column]) for row in group) / len(group)
                assert float(line[column]) == pytest.approx(mean, abs=1e-12)
            else:
                assert line[column] == ""


def test_the_hashes_are_those_of_the_files(audited) -> None:
    import hashlib

    weights = audited["folder"] / "open_clip_model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert audited["provenance"]["weights"]["demo-cnn zs"] == [digest]
    for row in audited["rows"]:
        name = Path(audited["names"][row["image_id"]]).name
        picture = next(audited["source"].rglob(name))
        assert row["image_sha256"] == hashlib.sha256(picture.read_bytes()).hexdigest()


def check_row(row: dict[str, str], saliency: np.ndarray, corners: tuple[float, ...]) -> int:
    """Compare each column with the naive one; how many were compared."""
    x, y, width, height = corners
    box = tuple(math.floor(edge + 0.5) for edge in (x, y, x + width, y + height))
    scaled = tuple(edge * GRID / SIDE for edge in box)
    pixel = SIDE / GRID
    if saliency.max() == saliency.min():
        assert row["status"] == "no_evidence"
        assert float(row["hit"]) == float(row["iou"]) == float(row["energy_in_box"]) == 0.0
        return len(CURVE) + 14
    wanted = naive_columns(
        saliency, [scaled], pixel_size=(pixel, pixel), diagonal=math.hypot(SIDE, SIDE)
    )
    assert row["status"] == wanted.pop("status")
    curve = wanted.pop("iou_curve")
    for threshold, value in zip(CURVE, curve, strict=True):
        assert float(row[f"iou_{threshold:.2f}"]) == pytest.approx(value, abs=2e-3)
    for column, value in wanted.items():
        # A pixel next to a threshold may fall to its other side by float noise of the map.
        assert float(row[column]) == pytest.approx(value, rel=2e-3, abs=2e-3), column
    assert float(row["visible_fraction"]) == 1.0
    return len(CURVE) + len(wanted)


def independent_map(
    audited: dict[str, Any], mode: str, finding: str, name: str
) -> tuple[float, np.ndarray]:
    """Score and raw Grad-CAM of one finding, from the shipped files and the library alone."""
    architectures.register()
    folder = audited["folder"]
    network, transform = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    network.eval()
    picture = Image.open(next(audited["source"].rglob(name))).convert("L").convert("RGB")
    x = transform(picture)[None]
    scorer, index = build_scorer(network, folder, mode, finding)
    layer = scorer.visual.trunk.layer4
    by_library = GradCAM(scorer, [layer])(x, [ClassifierOutputTarget(index)])[0]
    score, raw = by_formula(scorer, layer, x, index)
    low, high = raw.min(), raw.max()
    if high > low:
        assert np.abs((raw - low) / (high - low) - by_library).max() < 1e-5
    return score, raw


def by_formula(
    scorer: torch.nn.Module, layer: torch.nn.Module, x: torch.Tensor, index: int
) -> tuple[float, np.ndarray]:
    """relu(sum_c mean(d score / d a_c) a_c), enlarged bilinearly to the input's grid."""
    kept: list[torch.Tensor] = []
    handle = layer.register_forward_hook(lambda *given: kept.append(given[2]))
    score = scorer(x)[0, index]
    handle.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    small = (weights * kept[0]).sum(dim=1, keepdim=True).relu().detach()
    large = torch.nn.functional.interpolate(small, size=(GRID, GRID), mode="bilinear")
    return float(score.detach()), large[0, 0].numpy()


class Scorer(torch.nn.Module):
    """Image to scores, by the file's numbers alone."""

    def __init__(self, visual: torch.nn.Module, weight: torch.Tensor, bias: torch.Tensor | None):
        super().__init__()
        self.visual, self.weight, self.bias = visual, weight, bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        embedding = self.visual(x)
        if self.bias is None:
            embedding = torch.nn.functional.normalize(embedding, dim=-1)
            return embedding @ self.weight.T
        return embedding @ self.weight.T + self.bias


def build_scorer(network: Any, folder: Path, mode: str, finding: str) -> tuple[Scorer, int]:
    if mode == "zs":
        defaults = json.loads((folder / "entry.json").read_text())
        prompt = defaults["prompt_template"].format(finding=finding.lower())
        tokens = open_clip.get_tokenizer(f"local-dir:{folder}")([prompt])
        with torch.no_grad():
            text = torch.nn.functional.normalize(network.encode_text(tokens), dim=-1)
        return Scorer(network.visual, text, None).eval(), 0
    file = folder / f"{mode}.safetensors"
    tensors = {key: value.float() for key, value in load_file(file).items()}
    with safe_open(file, framework="np") as opened:
        findings = json.loads(opened.metadata()["findings"])
    if mode == "ft":
        tower = {
            key.removeprefix("visual."): value
            for key, value in tensors.items()
            if key.startswith("visual.")
        }
        network.visual.load_state_dict(tower)
    scorer = Scorer(network.visual, tensors["head.weight"], tensors["head.bias"])
    return scorer.eval(), findings.index(finding)
