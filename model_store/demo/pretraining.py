"""Image-text training of the demo models from scratch."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from model_store.demo.architectures import CNN_NAME, VIT_NAME, register
from model_store.demo.captions import (
    CONTEXT_LENGTH,
    EOS_ID,
    PAD_ID,
    PROMPT_TEMPLATE,
    build_vocabulary,
    caption_truth,
    save_tokenizer,
    write_caption,
)
from model_store.demo.prefetch import prefetched
from model_store.demo.training_data import INPUT_SIZE, PhantomSet
from model_store.loading import quiet_root_logger

EMBED_DIM: Final = 128
MEAN, STD = 0.5, 0.25
SHIFT_PX: Final = 4
TRUNKS: Final = {"demo-vit": VIT_NAME, "demo-cnn": CNN_NAME}
Report = Callable[[int, int, float], None]


@dataclass(frozen=True)
class PretrainingSettings:
    """How long and how fast the image-text training goes.

    Attributes:
        n_pictures: Rendered phantoms.
        steps: Of the optimiser: fixed, so that a rerun gives the same weights.
        batch: Pictures, and captions, per step.
        learning_rate: Greatest; linear warm-up, then cosine.
        weight_decay: On matrices only.
        seed: Of weights, batches and captions.
    """

    n_pictures: int = 16_000
    steps: int = 700
    batch: int = 96
    learning_rate: float = 1.2e-3
    weight_decay: float = 0.05
    seed: int = 20


def model_config(name: str) -> dict[str, Any]:
    """open_clip's configuration of a demo model."""
    return {
        "model_cfg": {
            "embed_dim": EMBED_DIM,
            "init_logit_scale": math.log(10),
            "init_logit_bias": -2.0,
            "custom_text": True,
            "vision_cfg": {
                "timm_model_name": TRUNKS[name],
                "timm_model_pretrained": False,
                "timm_pool": "",
                "timm_proj": "linear",
                "image_size": INPUT_SIZE,
            },
            "text_cfg": {
                "context_length": CONTEXT_LENGTH,
                "vocab_size": len(build_vocabulary()),
                "hf_tokenizer_name": "tokenizer",
                "width": 96,
                "heads": 4,
                "layers": 2,
                "pool_type": "eos",
                "eos_id": EOS_ID,
                "pad_id": PAD_ID,
            },
        },
        "preprocess_cfg": {"mean": [MEAN] * 3, "std": [STD] * 3},
    }


def write_model_folder(folder: Path, name: str) -> None:
    """Configuration, tokenizer and entry of a demo model; the weights come later."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tokenizer(folder)
    entry = {"prompt_template": PROMPT_TEMPLATE, "prompt_lower": True, "preprocessing": "crop"}
    for file, content in (("open_clip_config.json", model_config(name)), ("entry.json", entry)):
        (folder / file).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def to_input(pictures: NDArray[Any]) -> Tensor:
    """Inputs (N, 3, h, w) of grey pictures (N, h, w) on 0 to 255."""
    grey = torch.from_numpy(np.ascontiguousarray(pictures, dtype=np.float32)) / 255
    return (
        ((grey - MEAN) / STD)[:, None]
        .expand(-1, 3, -1, -1)
        .contiguous(memory_format=torch.channels_last)
    )


def augment(
    pictures: NDArray[np.uint8], rng: np.random.Generator, strength: float = 1.0
) -> NDArray[np.float32]:
    """The pictures moved by some pixels, with other tone, contrast and noise; still 0 to 255."""
    n, height, width = pictures.shape
    padded = np.pad(pictures, ((0, 0), (SHIFT_PX, SHIFT_PX), (SHIFT_PX, SHIFT_PX)), mode="edge")
    moves = rng.integers(0, 2 * SHIFT_PX + 1, (n, 2))
    moved = np.stack(
        [
            each[top : top + height, left : left + width]
            for each, (top, left) in zip(padded, moves, strict=True)
        ]
    )
    level = moved.astype(np.float32) / np.float32(255)
    tone = np.exp(rng.normal(0, 0.10 * strength, (n, 1, 1))).astype(np.float32)
    gain = (1 + rng.normal(0, 0.05 * strength, (n, 1, 1))).astype(np.float32)
    noise = rng.standard_normal(level.shape, dtype=np.float32) * np.float32(0.02 * strength)
    return np.asarray((level**tone * gain + noise) * 255, dtype=np.float32)


def pretrain(
    folder: Path, data: PhantomSet, settings: PretrainingSettings, report: Report
) -> nn.Module:
    """The trained image-text network; ``folder`` must hold configuration and tokenizer."""
    register()
    torch.manual_seed(settings.seed)
    with quiet_root_logger():
        network = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    # Convolutions run a third faster on a CPU with the channels last.
    network = network.to(memory_format=torch.channels_last)
    optimiser = _build_optimiser(network, settings)
    network.train()
    for step, batch in enumerate(prefetched(_batches(data, settings, tokenizer))):
        for group in optimiser.param_groups:
            group["lr"] = _learning_rate(step, settings)
        image = network.encode_image(batch.images, normalize=True)
        text = network.encode_text(batch.tokens, normalize=True)
        scores = image @ text.T * network.logit_scale.exp() + network.logit_bias
        loss = functional.binary_cross_entropy_with_logits(scores, batch.truth)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        report(step + 1, settings.steps, float(loss.detach()))
    trained: nn.Module = network.eval()
    return trained


@dataclass(frozen=True, eq=False)
class _Batch:
    """Films (B, 3, h, w), captions as tokens (B, N), and which caption is true of which film."""

    images: Tensor
    tokens: Tensor
    truth: Tensor


def _batches(data: PhantomSet, settings: PretrainingSettings, tokenizer: Any) -> Iterator[_Batch]:
    """One batch per step; only here are numbers drawn for films and captions."""
    rng, dice = np.random.default_rng(settings.seed), random.Random(settings.seed)
    for _ in range(settings.steps):
        chosen = rng.integers(0, len(data.pictures), settings.batch)
        captions = [write_caption(dice, *_facts(data, int(index))) for index in chosen]
        truth = caption_truth(captions, data.labels[chosen], data.is_right[chosen])
        yield _Batch(
            images=to_input(augment(data.pictures[chosen], rng)),
            tokens=tokenizer([each.text for each in captions]),
            truth=torch.from_numpy(truth).float(),
        )


def _facts(data: PhantomSet, index: int) -> tuple[list[int], dict[int, str]]:
    shown = [int(each) for each in np.flatnonzero(data.labels[index])]
    # A side says nothing for the heart and for devices.
    sided = [each for each in shown if 0 < each < data.labels.shape[1] - 1]
    return shown, {each: "right" if data.is_right[index, each] else "left" for each in sided}


def _build_optimiser(network: nn.Module, settings: PretrainingSettings) -> torch.optim.Optimizer:
    matrices = [each for each in network.parameters() if each.ndim > 1]
    others = [each for each in network.parameters() if each.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))


def _learning_rate(step: int, settings: PretrainingSettings) -> float:
    warm = min(1.0, (step + 1) / 60)
    cosine = 0.5 * (1 + math.cos(math.pi * step / settings.steps))
    return settings.learning_rate * warm * (0.02 + 0.98 * cosine)
