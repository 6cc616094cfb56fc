"""Tiny image towers of every kind, and modes of them, for tests of saliency methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import torch
from open_clip.transformer import VisionTransformer as OpenClipTransformer
from timm.models.resnet import BasicBlock, ResNet
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from model_store.classifiers import TimmTower
from model_store.modes import Mode
from model_store.saliency.layers import find_layer
from model_store.scoring import HeadScorer, Scorer, TextScorer, linear

# Neither square nor of one row: rows and columns cannot be mistaken for each other.
INPUT_SIZE = (48, 64)
GRID = (6, 8)
EMBEDDING_SIZE = 20
WIDTH = 32
FINDINGS = ("Edema", "Fracture", "Pneumonia")

Network = TypeVar("Network", bound=nn.Module)

torch.set_num_threads(1)


def timm_transformer(**options: Any) -> TimmTower:
    """A transformer of timm with a projection behind it, as open_clip puts one there."""
    chosen: dict[str, Any] = {"depth": 3, "num_heads": 4, "mlp_ratio": 2, "num_classes": 0}
    return projected(
        lambda: VisionTransformer(
            img_size=INPUT_SIZE, patch_size=8, embed_dim=WIDTH, **chosen | options
        ),
        WIDTH,
    )


def projected(make: Callable[[], nn.Module], width: int) -> TimmTower:
    """The trunk that is made, with a projection of its ``width`` values behind it."""

    def tower() -> TimmTower:
        result = TimmTower(make())
        result.head = nn.Linear(width, EMBEDDING_SIZE, bias=False)
        return result

    return enliven(tower)


def residual_network() -> TimmTower:
    """A residual network whose last stages keep a map of 6 x 8."""
    return projected(
        lambda: ResNet(
            BasicBlock,  # type: ignore[arg-type]  # timm annotates the class as an instance
            (1, 1, 1, 1),
            channels=(8, 12, 16, 24),
            stem_width=8,
            output_stride=8,
            num_classes=0,
        ),
        24,
    )


def open_clip_transformer(**options: Any) -> nn.Module:
    """A transformer of open_clip's own."""
    return enliven(
        lambda: OpenClipTransformer(
            image_size=INPUT_SIZE,
            patch_size=8,
            width=WIDTH,
            layers=3,
            heads=4,
            mlp_ratio=2,
            output_dim=EMBEDDING_SIZE,
            **options,
        )
    )


TOWERS: Mapping[str, Callable[[], nn.Module]] = {
    "class token": timm_transformer,
    "average pooling": partial(timm_transformer, global_pool="avg"),
    "attention pooling": partial(timm_transformer, global_pool="map", class_token=False),
    "residual network": residual_network,
    "open_clip's class token": open_clip_transformer,
}


def enliven(make: Callable[[], Network], seed: int = 3) -> Network:
    """The network with weights under which every part matters to the result.

    It is made here: some of its first values stay, and libraries draw those at random.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim > 1:
                parameter.copy_(1.5 * noise / parameter[0].numel() ** 0.5)
            else:
                parameter.add_(0.3 * noise)
    return network.eval().requires_grad_(False)


def head_scorer(visual: nn.Module) -> HeadScorer:
    """A linear head whose rows come with their opposites: not all maps can be empty.

    The rows are short: the formula of Grad-CAM++ has a pole at steep gradients, near which it
    enlarges the rounding of its inputs a thousandfold.
    """
    generator = torch.Generator().manual_seed(8)
    row = 0.02 * torch.randn(1, EMBEDDING_SIZE, generator=generator)
    other = 0.02 * torch.randn(1, EMBEDDING_SIZE, generator=generator)
    return HeadScorer(visual, linear(torch.cat([row, -row, other]), torch.tensor([0.1, 0.2, 0.3])))


def text_scorer(visual: nn.Module) -> TextScorer:
    """Cosines with three texts, one of them the opposite of another."""
    generator = torch.Generator().manual_seed(9)
    row = torch.randn(1, EMBEDDING_SIZE, generator=generator)
    other = torch.randn(1, EMBEDDING_SIZE, generator=generator)
    texts = nn.functional.normalize(torch.cat([row, -row, other]), dim=-1)
    return TextScorer(visual, texts)


def mode_of(scorer: Scorer, layer: str = "auto") -> Mode:
    """A mode as ``build_mode`` makes it, without a model around it."""
    network = scorer.eval()
    return Mode(
        mode="zs" if isinstance(scorer, TextScorer) else "lp",
        findings=FINDINGS,
        network=network,
        target=find_layer(network, layer, INPUT_SIZE),
        device=torch.device("cpu"),
        weights_sha256="",
        base_weights_sha256="",
    )


def pictures(count: int, seed: int = 1) -> Tensor:
    """Inputs (count, 3, 48, 64) with smooth structure."""
    coarse = torch.randn(count, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    return 2 * nn.functional.interpolate(coarse, size=INPUT_SIZE, mode="bicubic")
