"""Classifiers of timm and torchvision from a local checkpoint: an image tower and its last layer.

Only architectures are taken from these libraries; weights come from the entry's own file.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import timm
import torch
import torchvision
from open_clip.transform import PreprocessCfg
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from model_store.classifier_spec import ClassifierSpec
from model_store.entries import ModelEntry
from model_store.errors import InvalidEntry, MissingFile
from model_store.files import file_sha256
from model_store.networks import RESIZE_MODES, Parts, check_weights, random_weights

# Where training programs put the weights beside other things.
WEIGHT_KEYS: Final = ("state_dict", "model_state_dict", "model", "net", "network")
# What wrappers of several processors or of compilers put before each name.
PREFIXES: Final = ("module.", "_orig_mod.", "model.")
TOLERANCE: Final = 1e-4


class TimmTower(nn.Module):
    """A timm network without its last layer, under the name that open_clip gives it too."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Identity()  # open_clip's towers project here

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (B, D)."""
        embedding: Tensor = self.head(self.trunk(x))
        return embedding


class Classifier(nn.Module):
    """An image tower and the layer that makes one logit per label of its embedding."""

    def __init__(self, visual: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.visual = visual
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, K)."""
        logits: Tensor = self.head(self.visual(x))
        return logits


def build_classifier(entry: ModelEntry, random_weights_seed: int | None) -> Parts:
    """The classifier of this entry with its weights, or with those of its initialisation.

    Raises:
        MissingFile: If the checkpoint is not there.
        WrongWeights: If it is not the one that was added.
        InvalidEntry: If the architecture is unknown or the checkpoint is not one of it.
    """
    spec = cast("ClassifierSpec", entry.classifier)
    whole = _create(spec)
    if random_weights_seed is None:
        path = entry.folder / spec.weights
        weights = _checkpoint_sha256(entry, path)
        _fill(whole, read_state(path), spec, path)
    else:
        weights = random_weights(random_weights_seed)
    network = _split(whole.eval(), spec)
    return Parts(
        network=network,
        tokenizer=None,
        settings=_input_settings(entry, spec),
        weights_sha256=weights,
        embedding_size=network.head.in_features,
    )


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, without what training programs wrap around them.

    Raises:
        InvalidEntry: If the file is damaged, holds no weights, or needs code to be read.
    """
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InvalidEntry(
            f"{path} holds more than tensors, and reading it would run code from it; save the "
            "network's state_dict() alone, best as .safetensors"
        ) from None
    except (SafetensorError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise InvalidEntry(f"{path} is no readable checkpoint ({error})") from None
    state = _tensors_of(content)
    if not state:
        raise InvalidEntry(f"{path} holds no weights by name; expected a state_dict")
    return _without_prefix(state)


def _create(spec: ClassifierSpec) -> nn.Module:
    """The network with its last layer, weights as they come from its initialisation."""
    n_outputs = len(spec.outputs)
    try:
        if spec.library == "timm":
            network: nn.Module = timm.create_model(
                spec.architecture, pretrained=False, num_classes=n_outputs
            )
        else:
            network = torchvision.models.get_model(
                spec.architecture, weights=None, num_classes=n_outputs
            )
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        raise InvalidEntry(
            f"{spec.library} cannot build a classifier '{spec.architecture}' ({error}); "
            "give an image classification architecture that it knows"
        ) from error
    return network


def _checkpoint_sha256(entry: ModelEntry, path: Path) -> str:
    if not path.is_file():
        source = f" (it came from {entry.source})" if entry.source else ""
        raise MissingFile(
            f"the weights of model '{entry.name}' are missing{source}; put {path.name}"
            f" with SHA-256 {entry.weights_sha256 or 'as added'} into {path.parent}"
        )
    found = file_sha256(path)
    check_weights(entry, str(path), found)
    return found


def _fill(
    network: nn.Module, state: Mapping[str, Tensor], spec: ClassifierSpec, path: Path
) -> None:
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise InvalidEntry(
            f"{path} is no checkpoint of {spec.library}:{spec.architecture} with "
            f"{len(spec.outputs)} outputs: {_shortened(str(error))}; check the architecture and "
            "that the label list has one line per output"
        ) from None


def _split(whole: nn.Module, spec: ClassifierSpec) -> Classifier:
    """The same network as tower and last layer; a probe picture proves that it is the same.

    Raises:
        InvalidEntry: If its last layer is not a linear one on a pooled embedding.
    """
    x = torch.randn(1, 3, *spec.input_size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = whole(x)
        head = _last_layer(whole, spec)
        if spec.library == "timm":
            cast("Any", whole).reset_classifier(0)
            network = Classifier(TimmTower(whole), head).eval()
        else:
            network = Classifier(whole, head).eval()
        found = network(x)
    if not torch.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE):
        raise InvalidEntry(
            f"{spec.library}:{spec.architecture} does not end in one linear layer on its pooled "
            "embedding; such a network cannot be split into tower and outputs"
        )
    return network


def _last_layer(whole: nn.Module, spec: ClassifierSpec) -> nn.Linear:
    """The layer that gives the logits; in a torchvision network nothing stays in its place."""
    if spec.library == "timm":
        head = cast("Any", whole).get_classifier()
        if isinstance(head, nn.Linear):
            return head
    else:
        linear = [
            (name, each) for name, each in whole.named_modules() if isinstance(each, nn.Linear)
        ]
        if linear and linear[-1][1].out_features == len(spec.outputs):
            name, found = linear[-1]
            parent, _, own = name.rpartition(".")
            setattr(whole.get_submodule(parent), own, nn.Identity())
            return found
    raise InvalidEntry(
        f"{spec.library}:{spec.architecture} does not end in one linear layer with an output per "
        "label; choose a plain image classifier, such as densenet121 or convnext_tiny"
    )


def _input_settings(entry: ModelEntry, spec: ClassifierSpec) -> PreprocessCfg:
    return PreprocessCfg(
        size=spec.input_size,
        mean=spec.mean,
        std=spec.std,
        interpolation=spec.interpolation,
        resize_mode=RESIZE_MODES[entry.preprocessing],
    )


def _tensors_of(content: Any) -> dict[str, Tensor]:
    """The mapping of names to tensors in this content, directly or under a usual key."""
    if not isinstance(content, Mapping):
        return {}
    inner = next(
        (content[key] for key in WEIGHT_KEYS if isinstance(content.get(key), Mapping)), content
    )
    return {str(key): value for key, value in inner.items() if isinstance(value, Tensor)}


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            return _without_prefix(
                {name.removeprefix(prefix): value for name, value in state.items()}
            )
    return state


def _shortened(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return " ".join(lines)[:400]
