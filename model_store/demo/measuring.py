"""What the demo models really do on phantoms: AUROC, and whether Grad-CAM hits the boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional

from model_store.checkpoints import load_head
from model_store.demo.architectures import register
from model_store.demo.captions import PROMPT_TEMPLATE
from model_store.demo.heads import HEAD_FINDINGS
from model_store.demo.phantoms import Phantom
from model_store.demo.pretraining import to_input
from model_store.demo.training_data import INPUT_SIZE, PhantomSet, shrink_picture, window_pixels
from model_store.preprocessing import frame_geometry

MODES: Final = ("zs", "lp", "ft")
GRID: Final = (INPUT_SIZE, INPUT_SIZE)
Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Scorer:
    """One mode of one model: inputs (B, 3, h, w) to scores (B, findings), and where to look."""

    score: Callable[[Tensor], Tensor]
    layer: nn.Module
    has_class_token: bool


def load_scorers(folder: Path) -> dict[str, Scorer]:
    """The three modes of the model in this folder, its heads beside it."""
    network = load_network(folder)
    return {
        "zs": _zero_shot(network, folder),
        "lp": _with_head(network.visual, folder / "lp.safetensors"),
        "ft": _with_head(network.visual, folder / "ft.safetensors"),
    }


def load_network(folder: Path) -> Any:
    """The image-text network in this folder, frozen."""
    register()
    return open_clip.create_model(f"local-dir:{folder}").eval().requires_grad_(False)


def find_layer(visual: Any) -> tuple[nn.Module, bool]:
    """Where Grad-CAM looks: the last block's first norm, or the last stage; is it a ViT."""
    trunk = visual.trunk
    if hasattr(trunk, "blocks"):
        return trunk.blocks[-1].norm1, True
    return trunk.layer4, False


def _zero_shot(network: Any, folder: Path) -> Scorer:
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    prompts = [PROMPT_TEMPLATE.format(finding=name.lower()) for name in HEAD_FINDINGS]
    with torch.no_grad():
        texts = network.encode_text(tokenizer(prompts), normalize=True)
    layer, is_vit = find_layer(network.visual)
    return Scorer(lambda x: network.encode_image(x, normalize=True) @ texts.T, layer, is_vit)


def _with_head(visual: nn.Module, path: Path) -> Scorer:
    head = load_head(path)
    if head.visual:
        import copy

        visual = copy.deepcopy(visual)
        visual.load_state_dict(head.visual)
    layer, is_vit = find_layer(visual)
    return Scorer(lambda x: visual(x) @ head.weight.T + head.bias, layer, is_vit)


def auroc_by_finding(
    scorer: Scorer, pictures: NDArray[np.uint8], targets: NDArray[np.float32]
) -> dict[str, float]:
    """AUROC of each finding that some, but not all, of the pictures show."""
    with torch.no_grad():
        scores = torch.cat(
            [
                scorer.score(to_input(pictures[start : start + 50]))
                for start in range(0, len(pictures), 50)
            ]
        ).numpy()
    return {
        name: float(roc_auc_score(targets[:, index], scores[:, index]))
        for index, name in enumerate(HEAD_FINDINGS)
        if 0 < targets[:, index].sum() < len(targets)
    }


def grad_cam(scorer: Scorer, x: Tensor, finding: int) -> NDArray[np.float32]:
    """Grad-CAM maps (B, h, w) on the models' grid, not normalised."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        output.requires_grad_(True)
        kept.append(output)

    handle = scorer.layer.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            score = scorer.score(x)[:, finding].sum()
            (slope,) = torch.autograd.grad(score, kept[0])
    finally:
        handle.remove()
    activation = kept[0].detach()
    if scorer.has_class_token:
        activation, slope = (_as_grid(each[:, 1:]) for each in (activation, slope))
    maps = functional.relu((slope.mean((2, 3), keepdim=True) * activation).sum(1, keepdim=True))
    maps = functional.interpolate(maps, GRID, mode="bilinear", align_corners=False)
    return np.asarray(maps[:, 0].numpy(), dtype=np.float32)


def _as_grid(tokens: Tensor) -> Tensor:
    side = round(tokens.shape[1] ** 0.5)
    return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)


def reference_mask(phantom: Phantom, finding: str) -> NDArray[np.bool_]:
    """Which pixels of the models' grid have their centre in a box of this finding."""
    geometry = frame_geometry("crop", phantom.pixels.shape, GRID)
    centres = np.arange(INPUT_SIZE) + 0.5
    mask = np.zeros(GRID, dtype=np.bool_)
    for box in phantom.boxes[finding]:
        x_min, y_min, x_max, y_max = geometry.to_input(box)
        columns, rows = (
            (centres >= x_min) & (centres < x_max),
            (centres >= y_min) & (centres < y_max),
        )
        mask |= rows[:, None] & columns[None, :]
    return mask


def pointing_hit(saliency: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """Share of the maxima inside the mask; 0 for a map without evidence."""
    if saliency.max() == saliency.min():
        return 0.0
    top = saliency == saliency.max()
    return float((top & mask).sum() / top.sum())


def measure_hits(scorer: Scorer, phantoms: Sequence[Phantom]) -> dict[str, Any]:
    """Hit rate and chance over all findings drawn in these phantoms, and per finding."""
    rows: dict[str, list[tuple[float, float, bool]]] = {}
    for phantom in phantoms:
        x = to_input(shrink_picture(window_pixels(phantom.pixels))[None])
        for finding in phantom.findings:
            mask = reference_mask(phantom, finding)
            if not mask.any():
                continue
            saliency = grad_cam(scorer, x, HEAD_FINDINGS.index(finding))[0]
            empty = bool(saliency.max() == saliency.min())
            rows.setdefault(finding, []).append((pointing_hit(saliency, mask), mask.mean(), empty))
    every = np.array([row for each in rows.values() for row in each])
    by_finding = {
        name: {
            "hit": _rounded(np.mean([row[0] for row in rows[name]])),
            "chance": _rounded(np.mean([row[1] for row in rows[name]])),
            "n_rows": len(rows[name]),
        }
        for name in HEAD_FINDINGS
        if name in rows
    }
    return {
        "hit": _rounded(every[:, 0].mean()),
        "chance": _rounded(every[:, 1].mean()),
        "n_rows": len(every),
        "n_no_evidence": int(every[:, 2].sum()),
        "by_finding": by_finding,
    }


def measure_model(
    folder: Path, phantoms: Sequence[Phantom], check: PhantomSet
) -> dict[str, dict[str, Any]]:
    """The figures of one model by mode: on the demo set, and AUROC on a larger check set."""
    pictures = np.stack([shrink_picture(window_pixels(each.pixels)) for each in phantoms])
    labels = np.array([[name in each.findings for name in HEAD_FINDINGS[:-1]] for each in phantoms])
    demo = PhantomSet(pictures, labels, np.zeros_like(labels))
    figures: dict[str, dict[str, Any]] = {}
    for mode, scorer in load_scorers(folder).items():
        on_demo = auroc_by_finding(scorer, demo.pictures, demo.targets)
        on_check = auroc_by_finding(scorer, check.pictures, check.targets)
        figures[mode] = {
            "auroc": _mean(on_demo),
            "auroc_check": _mean(on_check),
            "auroc_by_finding": {name: _rounded(value) for name, value in on_demo.items()},
            **measure_hits(scorer, phantoms),
        }
    return figures


def _mean(values: Mapping[str, float]) -> float:
    return _rounded(np.mean(list(values.values())))


def _rounded(value: Any) -> float:
    return round(float(value), 4)
