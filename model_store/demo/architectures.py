"""The trunks of the two demo models, made known to timm by ``register``."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import timm
import torch
from timm.models import register_model
from timm.models.resnet import BasicBlock, ResNet
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

INPUT_SIZE: Final = 96
PATCH: Final = 8
VIT_WIDTH: Final = 128
VIT_NAME: Final = "saliency_audit_demo_vit"
CNN_NAME: Final = "saliency_audit_demo_cnn"


class ConvPatches(nn.Module):
    """Patch embedding by three strided convolutions, tokens (B, N, D) as of timm's ``PatchEmbed``.

    One linear projection of each patch does not learn from as few pictures as there are here.
    """

    def __init__(
        self, img_size: int, patch_size: int, in_chans: int, embed_dim: int, **_timm: Any
    ) -> None:
        super().__init__()
        self.img_size = (img_size, img_size)
        self.patch_size = (patch_size, patch_size)
        self.grid_size = (img_size // patch_size, img_size // patch_size)
        self.num_patches = self.grid_size[0] * self.grid_size[1]
        widths = (in_chans, embed_dim // 4, embed_dim // 2, embed_dim)
        stages = [
            layer
            for before, after in pairwise(widths)
            for layer in (
                nn.Conv2d(before, after, 3, 2, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            )
        ]
        self.proj = nn.Sequential(*stages, nn.Conv2d(embed_dim, embed_dim, 1))

    def feat_ratio(self, as_scalar: bool = True) -> int | tuple[int, int]:
        """Pixels per token, as timm asks for it."""
        return self.patch_size[0] if as_scalar else self.patch_size

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, N, D) of pictures (B, C, H, W)."""
        return torch.flatten(self.proj(x), 2).transpose(1, 2)


def saliency_audit_demo_vit(pretrained: bool = False, **timm_options: Any) -> VisionTransformer:
    """A small class-token vision transformer, BiomedCLIP's tower in little."""
    _refuse_pretrained(pretrained, VIT_NAME)
    chosen = {
        name: timm_options[name]
        for name in ("num_classes", "global_pool", "drop_path_rate")
        if name in timm_options
    }
    model = VisionTransformer(
        img_size=INPUT_SIZE,
        patch_size=PATCH,
        embed_dim=VIT_WIDTH,
        depth=4,
        num_heads=4,
        mlp_ratio=3,
        embed_layer=ConvPatches,
        **{"num_classes": 0, **chosen},
    )
    _set_config(model)
    return model


def saliency_audit_demo_cnn(pretrained: bool = False, **timm_options: Any) -> ResNet:
    """A small residual network whose last stage keeps a 12 x 12 map."""
    _refuse_pretrained(pretrained, CNN_NAME)
    chosen = {
        name: timm_options[name] for name in ("num_classes", "global_pool") if name in timm_options
    }
    model = ResNet(
        BasicBlock,  # type: ignore[arg-type]  # timm annotates the class as an instance
        (1, 1, 1, 1),
        channels=(32, 64, 96, 160),
        stem_type="deep",
        stem_width=16,
        output_stride=8,
        zero_init_last=False,
        **{"num_classes": 0, **chosen},
    )
    # Without dilation the map is as fine and its cells see less of what is far away.
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and layer.dilation != (1, 1):
            layer.dilation, layer.padding = (1, 1), (1, 1)
    _set_config(model)
    return model


def register() -> None:
    """Make both trunks known to timm; calling it again changes nothing."""
    known = set(timm.list_models())
    for build in (saliency_audit_demo_vit, saliency_audit_demo_cnn):
        if build.__name__ not in known:
            register_model(build)


def _set_config(model: Any) -> None:
    # open_clip asks the trunk for its pool size; None means that tokens come out pooled.
    model.default_cfg = {"pool_size": None, "input_size": (3, INPUT_SIZE, INPUT_SIZE)}
    model.pretrained_cfg = model.default_cfg


def _refuse_pretrained(pretrained: bool, name: str) -> None:
    if pretrained:
        raise ValueError(
            f"{name} has no weights of timm's own; load it from its model folder with 'local-dir:'"
        )
