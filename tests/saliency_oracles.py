"""Maps by other means than the product's: the library one label at a time, and by hand.

Each takes a mode, one input (1, 3, h, w) and a finding's number, and gives a map (h, w), of any
scale and offset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import cv2
import numpy as np
import pytorch_grad_cam
import torch
from numpy.typing import NDArray
from open_clip.transformer import VisionTransformer as OpenClipTransformer
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from model_store.modes import Mode

Map = NDArray[np.float32]
Oracle = Callable[[Mode, Tensor, int], Map]


def stretched(values: Map) -> Map:
    """The map on 0..1."""
    return (values - values.min()) / (values.max() - values.min())


def library_map(library: Any, mode: Mode, x: Tensor, index: int) -> Map:
    """pytorch-grad-cam as its documentation runs it: one label, the whole network back."""
    prefix, (rows, columns) = mode.target.prefix_tokens, mode.grid

    def drop_prefix(tokens: Tensor) -> Tensor:
        patches = tokens[:, prefix:, :].reshape(tokens.shape[0], rows, columns, tokens.shape[2])
        return patches.transpose(2, 3).transpose(1, 2)

    is_transformer = "blocks" in mode.target.path
    mode.network.requires_grad_(True)
    cam = library(
        model=mode.network,
        target_layers=[mode.layer],
        reshape_transform=drop_prefix if is_transformer else None,
    )
    try:
        (values,) = cam(input_tensor=x, targets=[ClassifierOutputTarget(index)])
    finally:
        cam.activations_and_grads.release()
        mode.network.zero_grad(set_to_none=True)
        mode.network.requires_grad_(False)
    return np.asarray(values, dtype=np.float32)


def _of_the_library(name: str) -> Oracle:
    library = getattr(pytorch_grad_cam, name)
    return lambda mode, x, index: library_map(library, mode, x, index)


def random_map(mode: Mode, x: Tensor, index: int) -> Map:
    """Uniform weights from a seed that the input and the finding's name decide."""
    kept: list[Tensor] = []
    handle = mode.layer.register_forward_hook(lambda _m, _i, output: kept.append(output.clone()))
    with torch.no_grad():
        mode.network(x)
    handle.remove()
    activation = kept[0][0].numpy()
    if activation.ndim == 2:
        activation = activation[mode.target.prefix_tokens :].T.reshape(-1, *mode.grid)
    content = x[0].numpy().tobytes() + mode.findings[index].encode()
    seed = int.from_bytes(hashlib.sha256(content).digest()[:8], "big")
    weights = np.random.default_rng(seed).uniform(-1, 1, len(activation))
    return enlarged(np.tensordot(weights, activation, axes=1), x)


def rollout_map(mode: Mode, x: Tensor, _index: int) -> Map:
    """The product of the attention matrices that the network itself computed."""
    attentions, _ = _watch(mode, x)
    flow = np.eye(attentions[0].shape[-1])
    for attention in attentions:
        by_head = attention.detach().reshape(-1, *attention.shape[-2:]).numpy()
        flow = (0.5 * by_head.mean(0) + 0.5 * np.eye(len(flow))) @ flow
    visual: Any = mode.network.visual
    prefix = mode.target.prefix_tokens
    trunk = getattr(visual, "trunk", None)
    if trunk is None or trunk.global_pool == "token":
        row = flow[0]
    elif trunk.attn_pool is None:
        row = flow[prefix:].mean(0)
    else:
        with torch.no_grad():
            tokens = trunk.forward_features(x)
            weights = _pool_by_hand(trunk.attn_pool, tokens)[1]
        row = weights.mean(0)[0].numpy() @ flow
    return enlarged(row[prefix:].reshape(mode.grid), x)


def legrad_map(mode: Mode, x: Tensor, index: int) -> Map:
    """Positive gradients of each block's own score with respect to attention, summed up."""
    attentions, outputs = _watch(mode, x)
    visual: Any = mode.network.visual
    trunk = getattr(visual, "trunk", None)
    total = 0.0
    for attention, output in zip(attentions, outputs, strict=True):
        if trunk is None:
            embedding = visual.ln_post(output.mean(1)) @ visual.proj
        elif trunk.attn_pool is None:
            embedding = visual.head(trunk.fc_norm(trunk.norm(output.mean(1))))
        else:
            pooled, attention = _pool_by_hand(trunk.attn_pool, trunk.norm(output))
            embedding = visual.head(trunk.fc_norm(pooled[None]))
        score = mode.network.score(embedding)[0, index]
        (gradient,) = torch.autograd.grad(score, attention, retain_graph=True)
        by_head = gradient.clamp(min=0).reshape(-1, *gradient.shape[-2:])
        total = total + by_head.mean((0, 1)).numpy()
    return enlarged(np.asarray(total)[mode.target.prefix_tokens :].reshape(mode.grid), x)


ORACLES: Mapping[str, Oracle] = {
    "gradcam": _of_the_library("GradCAM"),
    "hirescam": _of_the_library("HiResCAM"),
    "gradcampp": _of_the_library("GradCAMPlusPlus"),
    "layercam": _of_the_library("LayerCAM"),
    "gradcam_elementwise": _of_the_library("GradCAMElementWise"),
    "eigencam": _of_the_library("EigenCAM"),
    "rollout": rollout_map,
    "legrad": legrad_map,
    "randomcam": random_map,
}


def enlarged(coarse: NDArray[np.floating], x: Tensor) -> Map:
    """The positive part at the input's size, by OpenCV."""
    size = (x.shape[3], x.shape[2])
    values = np.maximum(coarse, 0).astype(np.float32)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR))


def _watch(mode: Mode, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Attention (..., N, N) and tokens (1, N, D) of each block, with their graph."""
    visual: Any = mode.network.visual
    attentions: list[Tensor] = []
    outputs: list[Tensor] = []

    def keep_output(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        outputs.append(output)

    is_own = isinstance(visual, OpenClipTransformer)
    blocks = visual.transformer.resblocks if is_own else visual.trunk.blocks
    with ExitStack() as stack:
        for block in blocks:
            stack.callback(block.register_forward_hook(keep_output).remove)
            watch = _ask_for_weights if is_own else _unfuse
            watch(block.attn, attentions, stack)
        leaf = x.clone().requires_grad_(True)
        mode.network(leaf)
    used = [each is mode.layer for each in _norms(visual)].index(True) + 1
    return attentions[:used], outputs[:used]


def _unfuse(attention: Any, kept: list[Tensor], stack: ExitStack) -> None:
    """timm's attention by its own unfused code, whose dropout is handed the weights."""
    attention.fused_attn = False
    stack.callback(setattr, attention, "fused_attn", True)
    hook = attention.attn_drop.register_forward_hook(lambda _m, _i, output: kept.append(output))
    stack.callback(hook.remove)


def _ask_for_weights(attention: Any, kept: list[Tensor], stack: ExitStack) -> None:
    """torch's attention asked for its weights, which then are what its output is made of."""

    def ask(_module: Any, inputs: Any, options: dict[str, Any]) -> Any:
        return inputs, {**options, "need_weights": True, "average_attn_weights": False}

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        # The weights come as a view; the output was made of what they are a view of.
        kept.append(output[1]._base)

    stack.callback(attention.register_forward_pre_hook(ask, with_kwargs=True).remove)
    stack.callback(attention.register_forward_hook(keep).remove)


def _pool_by_hand(pool: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """The pooled vector (D,) of one picture and the weights (H, 1, N), head by head."""
    width = pool.head_dim
    query = pool.q(pool.latent[0])
    keys, values = pool.kv(tokens[0]).chunk(2, dim=-1)
    weights, read = [], []
    for head in range(pool.num_heads):
        own = slice(head * width, (head + 1) * width)
        products = query[:, own] @ keys[:, own].T / width**0.5
        weights.append(products.softmax(-1))
    stacked = torch.stack(weights)
    for head in range(pool.num_heads):
        own = slice(head * width, (head + 1) * width)
        read.append(stacked[head] @ values[:, own])
    joined = pool.proj(torch.cat(read, dim=-1))
    pooled = joined + pool.mlp(pool.norm(joined))
    torch.testing.assert_close(pooled, pool(tokens)[:1], rtol=1e-4, atol=1e-5)
    return pooled[0], stacked


def _norms(visual: Any) -> list[nn.Module]:
    """The first norm of each block."""
    if isinstance(visual, OpenClipTransformer):
        return [block.ln_1 for block in visual.transformer.resblocks]
    return [block.norm1 for block in visual.trunk.blocks]
