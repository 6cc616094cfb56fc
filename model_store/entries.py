"""Model entries: which model, how it is fed and asked, and which files it was when it was added.

The page process reads these, so nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

from model_store.classifier_spec import ClassifierSpec
from model_store.errors import InvalidEntry, MissingFile
from model_store.prompts import KEYS, PromptSet

Kind = Literal["open_clip", "classifier"]
Preprocessing = Literal["crop", "pad", "squash"]
Precision = Literal["auto", "fp32", "bf16"]

KINDS: Final[tuple[str, ...]] = get_args(Kind)
PREPROCESSINGS: Final[tuple[str, ...]] = get_args(Preprocessing)
PRECISIONS: Final[tuple[str, ...]] = get_args(Precision)
# The modes of each kind of entry; the first needs no training.
MODES: Final[Mapping[str, tuple[str, ...]]] = {
    "open_clip": ("zs", "lp", "ft"),
    "classifier": ("cls", "lp", "ft"),
}
HUB_PREFIX: Final = "hf-hub:"
FOLDER_PREFIX: Final = "local-dir:"
PACKAGE_PREFIX: Final = "package:"  # a folder inside this package, wherever it is installed
NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

BIOMEDCLIP_SHA256: Final = "52cc993c5c5ff962bd0c60931874bc001e7e9b41666a385530f4a036294576be"


@dataclass(frozen=True)
class ModelEntry:
    """One model of the catalogue.

    Attributes:
        name: Also the name of its folder under ``models/``.
        location: ``local-dir:<folder>``, ``package:<folder>`` or, before a download,
            ``hf-hub:<repository>``.
        kind: ``open_clip``: any image-text model that open_clip can build. ``classifier``: a
            network of timm or torchvision with one output per label.
        preprocessing: ``crop`` (shortest edge, then centre crop), ``pad`` (longest edge, then
            padded) or ``squash`` (aspect given up).
        prompts: What stands for a finding in zero-shot mode.
        prompt_history: Earlier versions of the prompts, the oldest first.
        classifier: What a classifier is built from; None for an image-text model.
        precision: Of embeddings that are computed in bulk: ``fp32``, ``bf16``, or ``auto``: what a
            measured check finds. Saliency maps are always computed in fp32.
        layer: Where maps are read by default; ``auto``, or a path such as
            ``visual.trunk.blocks[-1].norm1``.
        weights_sha256: Of the weights file.
        config_sha256: Of configuration and tokenizer files together, or of a classifier's
            specification.
        source: Where the files came from, when not from the folder itself.
        added_at: ISO 8601.
        versions: Of the libraries when it was added.
    """

    name: str
    location: str
    kind: Kind = "open_clip"
    preprocessing: Preprocessing = "crop"
    prompts: PromptSet = field(default_factory=PromptSet)
    prompt_history: tuple[PromptSet, ...] = ()
    classifier: ClassifierSpec | None = None
    precision: Precision = "auto"
    layer: str = "auto"
    weights_sha256: str = ""
    config_sha256: str = ""
    source: str = ""
    added_at: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no model could be loaded from."""
        check_name(self.name)
        if not self.location.startswith((HUB_PREFIX, FOLDER_PREFIX, PACKAGE_PREFIX)):
            raise InvalidEntry(
                f"model '{self.name}' has the location {self.location!r}; "
                "expected 'local-dir:<folder>' or 'hf-hub:<repository>'"
            )
        _check_choice(self, "kind", KINDS)
        _check_choice(self, "preprocessing", PREPROCESSINGS)
        _check_choice(self, "precision", PRECISIONS)
        if (self.kind == "classifier") != (self.classifier is not None):
            raise InvalidEntry(
                f"model '{self.name}' is of kind {self.kind!r} and has the classifier "
                f"{self.classifier!r}; a classifier entry, and no other, says what it is built from"
            )

    @property
    def folder(self) -> Path:
        """Where configuration, tokenizer and weights lie.

        Raises:
            MissingFile: If the model was never downloaded.
        """
        if self.location.startswith(FOLDER_PREFIX):
            return Path(self.location.removeprefix(FOLDER_PREFIX))
        if self.location.startswith(PACKAGE_PREFIX):
            return Path(__file__).parent / self.location.removeprefix(PACKAGE_PREFIX)
        raise MissingFile(
            f"model '{self.name}' is at {self.location} and was not downloaded; add it again with "
            f"'models WORKSPACE add {self.name}', or with --path to a local copy"
        )

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes that such a model can have; the first needs no training."""
        return MODES[self.kind]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The findings that a classifier scores by itself; none for an image-text model."""
        return self.classifier.outputs if self.classifier else ()

    def prompts_for(self, finding: str) -> tuple[str, ...]:
        """The texts that stand for this finding in zero-shot mode; at least one."""
        return self.prompts.prompts_for(finding)

    @property
    def all_prompts(self) -> tuple[PromptSet, ...]:
        """Every version of the prompts, the oldest first, the current one last."""
        return (*self.prompt_history, self.prompts)

    def prompt_version(self, version: int) -> PromptSet:
        """The prompts of this version.

        Raises:
            InvalidEntry: If there is no such version.
        """
        for each in self.all_prompts:
            if each.version == version:
                return each
        known = ", ".join(str(each.version) for each in self.all_prompts)
        raise InvalidEntry(
            f"model '{self.name}' has no prompts of version {version}; known: {known}"
        )

    def with_prompts(self, prompts: PromptSet, edited_at: str) -> ModelEntry:
        """The entry with these prompts as its next version; itself when they say nothing new.

        Args:
            prompts: Their version and time are set here.
            edited_at: ISO 8601.

        Raises:
            InvalidEntry: If the model reads no text.
        """
        if self.kind == "classifier":
            raise InvalidEntry(f"model '{self.name}' is a classifier: it reads no prompts")
        if prompts.has_content_of(self.prompts):
            return self
        newer = replace(prompts, version=self.prompts.version + 1, edited_at=edited_at)
        return replace(self, prompts=newer, prompt_history=self.all_prompts)

    def with_outputs(self, outputs: tuple[str, ...]) -> ModelEntry:
        """The classifier with other names for its outputs, in the same order.

        Raises:
            InvalidEntry: If it is none, or these are not as many names as it has outputs.
        """
        if self.classifier is None or len(outputs) != len(self.outputs):
            raise InvalidEntry(
                f"model '{self.name}' has {len(self.outputs)} outputs; {len(outputs)} names given"
            )
        spec = replace(self.classifier, outputs=outputs)
        return replace(self, classifier=spec, config_sha256=spec.sha256)

    def to_dict(self) -> dict[str, Any]:
        """The entry as JSON values; the keys of its prompts stand beside the others."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        del values["prompts"]
        values |= self.prompts.to_dict()
        values["prompt_history"] = [each.to_dict() for each in self.prompt_history]
        values["classifier"] = self.classifier.to_dict() if self.classifier else None
        values["versions"] = dict(self.versions)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelEntry:
        """The entry that ``to_dict`` wrote.

        Raises:
            InvalidEntry: If a key is unknown, a needed one is missing, or a value does not fit.
        """
        own = [each.name for each in fields(cls) if each.name != "prompts"]
        known = [*own, *KEYS.values()]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise InvalidEntry(
                f"a model entry has the unknown keys {', '.join(unknown)}; "
                f"known: {', '.join(known)}"
            )
        missing = [name for name in ("name", "location") if not values.get(name)]
        if missing:
            raise InvalidEntry(f"a model entry lacks {' and '.join(missing)}; got {dict(values)!r}")
        given = {name: values[name] for name in own if name in values}
        given["prompts"] = PromptSet.from_dict(values)
        given["prompt_history"] = tuple(
            PromptSet.from_dict(each) for each in values.get("prompt_history") or ()
        )
        spec = values.get("classifier")
        given["classifier"] = ClassifierSpec.from_dict(spec) if spec else None
        return cls(**given)


def check_name(name: str) -> str:
    """The name, when it can also name a folder.

    Raises:
        InvalidEntry: If it cannot.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise InvalidEntry(
            f"model name {name!r} cannot name a folder; use letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit, at most 64"
        )
    return name


def _check_choice(entry: ModelEntry, name: str, allowed: tuple[str, ...]) -> None:
    value = getattr(entry, name)
    if value not in allowed:
        raise InvalidEntry(
            f"model '{entry.name}' has the {name} {value!r}; expected {' or '.join(allowed)}"
        )


# weights_sha256 of a preset is the published one; a copy that differs is refused.
PRESETS: Final[Mapping[str, ModelEntry]] = {
    "biomedclip": ModelEntry(
        name="biomedclip",
        location="hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
        prompts=PromptSet(template="this is a photo of {finding}", lower=True),
        weights_sha256=BIOMEDCLIP_SHA256,
    ),
    # The demo's models are too small to gain from less precision.
    "demo-vit": ModelEntry(
        name="demo-vit", location="package:demo/weights/demo-vit", precision="fp32"
    ),
    "demo-cnn": ModelEntry(
        name="demo-cnn", location="package:demo/weights/demo-cnn", precision="fp32"
    ),
}
