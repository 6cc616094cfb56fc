"""What a classifier entry is built from: network, labels and input. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

from model_store.errors import InvalidEntry, MissingFile
from model_store.files import read_json

Library = Literal["timm", "torchvision"]

LIBRARIES: Final[tuple[str, ...]] = get_args(Library)
INTERPOLATIONS: Final = ("bilinear", "bicubic")
ARCHITECTURE: Final = re.compile(r"[A-Za-z0-9_.]+")
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
TIMM_CONFIG_NAME: Final = "config.json"  # as timm writes it beside the weights of a hub model


@dataclass(frozen=True)
class ClassifierSpec:
    """A network that gives one logit per label, and how its input is made.

    Attributes:
        library: Whose architecture it is.
        architecture: Its name there, for instance ``densenet121``.
        outputs: The finding of each logit, in the network's order.
        weights: Name of the checkpoint in the entry's folder.
        input_size: (h, w).
        mean: Of the input, per channel.
        std: Of the input, per channel.
        interpolation: ``bilinear`` or ``bicubic``.
    """

    library: Library
    architecture: str
    outputs: tuple[str, ...]
    weights: str
    input_size: tuple[int, int] = (224, 224)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: str = "bicubic"

    def __post_init__(self) -> None:
        """Refuse what no network could be built from."""
        # A name such as "hf-hub:..." would make timm ask the network.
        if self.library not in LIBRARIES or not ARCHITECTURE.fullmatch(self.architecture):
            raise InvalidEntry(
                f"classifier '{self.library}:{self.architecture}' given; expected timm:<name> or "
                "torchvision:<name>, for instance timm:densenet121"
            )
        if not self.outputs or not all(self.outputs):
            raise InvalidEntry(
                f"labels {list(self.outputs)!r} given for classifier {self.architecture}; expected "
                "one name per output of the network"
            )
        twice = sorted({name for name in self.outputs if self.outputs.count(name) > 1})
        if twice:
            raise InvalidEntry(
                f"labels of classifier {self.architecture} name {', '.join(twice)} twice"
            )
        if Path(self.weights).name != self.weights or not self.weights:
            raise InvalidEntry(f"weights {self.weights!r} given; expected the name of a file")
        if self.interpolation not in INTERPOLATIONS:
            raise InvalidEntry(
                f"interpolation {self.interpolation!r} given; expected bilinear or bicubic"
            )
        _check_numbers(self)

    @property
    def sha256(self) -> str:
        """Hash of all of it, in the place of configuration files."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """The specification as JSON values."""
        values = asdict(self)
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in values.items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClassifierSpec:
        """The specification that ``to_dict`` wrote.

        Raises:
            InvalidEntry: If a key is unknown or missing, or a value does not fit.
        """
        known = {each.name for each in fields(cls)}
        needed = {"library", "architecture", "outputs", "weights"}
        if set(values) - known or needed - set(values):
            raise InvalidEntry(
                f"a classifier has the keys {', '.join(sorted(values))}; known: "
                f"{', '.join(sorted(known))}, of which {', '.join(sorted(needed))} are needed"
            )
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**given)


def parse_architecture(text: str) -> tuple[Library, str]:
    """Library and architecture of ``timm:<name>`` or ``torchvision:<name>``.

    Raises:
        InvalidEntry: If it is neither.
    """
    library, _, architecture = text.strip().partition(":")
    if library not in LIBRARIES or not architecture:
        raise InvalidEntry(
            f"classifier {text!r} given; expected timm:<name> or torchvision:<name>, for instance "
            "timm:densenet121"
        )
    return cast("Library", library), architecture


def read_labels(path: Path) -> tuple[str, ...]:
    """The labels in this file: one a line, in the order of the network's outputs.

    Raises:
        MissingFile: If there is no such file.
        InvalidEntry: If it is no text.
    """
    if not path.is_file():
        raise MissingFile(
            f"the label list {path} does not exist; give a text file, one label a line"
        )
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise InvalidEntry(f"{path} is no text in UTF-8; write one label a line") from None
    return tuple(line.strip() for line in lines if line.strip())


def read_timm_config(folder: Path) -> dict[str, Any]:
    """What timm's own ``config.json`` says in the words of a specification; {} without one."""
    path = folder / TIMM_CONFIG_NAME
    if not path.is_file():
        return {}
    config = read_json(path)
    if "architecture" not in config:
        return {}
    own = config.get("pretrained_cfg") or {}
    labels = config.get("label_names") or own.get("label_names")
    values: dict[str, Any] = {"library": "timm", "architecture": str(config["architecture"])}
    if isinstance(labels, list):
        values["outputs"] = tuple(str(name) for name in labels)
    if isinstance(own.get("input_size"), list):
        values["input_size"] = tuple(own["input_size"][-2:])
    for key in ("mean", "std"):
        if isinstance(own.get(key), list):
            values[key] = tuple(own[key])
    if own.get("interpolation") in INTERPOLATIONS:
        values["interpolation"] = own["interpolation"]
    return values


def _check_numbers(spec: ClassifierSpec) -> None:
    size = spec.input_size
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise InvalidEntry(f"input size {size!r} given; expected two whole numbers, (h, w)")
    if len(spec.mean) != 3 or len(spec.std) != 3 or not all(value > 0 for value in spec.std):
        raise InvalidEntry(
            f"mean {spec.mean!r} and std {spec.std!r} given; expected three numbers each, "
            "deviations above 0"
        )
