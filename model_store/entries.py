"""Model entries: which model, how it is fed and asked, and which files it was when it was added.

The page process reads these, so nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, get_args

from model_store.errors import InvalidEntry, MissingFile

Preprocessing = Literal["crop", "pad", "squash"]

PREPROCESSINGS: Final[tuple[str, ...]] = get_args(Preprocessing)
HUB_PREFIX: Final = "hf-hub:"
FOLDER_PREFIX: Final = "local-dir:"
PACKAGE_PREFIX: Final = "package:"  # a folder inside this package, wherever it is installed
PLACEHOLDER: Final = "{finding}"
NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

BIOMEDCLIP_SHA256: Final = "52cc993c5c5ff962bd0c60931874bc001e7e9b41666a385530f4a036294576be"


@dataclass(frozen=True)
class ModelEntry:
    """One model of the catalogue.

    Attributes:
        name: Also the name of its folder under ``models/``.
        location: ``local-dir:<folder>``, ``package:<folder>`` or, before a download,
            ``hf-hub:<repository>``.
        kind: ``open_clip``: any image-text model that open_clip can build.
        preprocessing: ``crop`` (shortest edge, then centre crop), ``pad`` (longest edge, then
            padded) or ``squash`` (aspect given up).
        prompt_template: Text with ``{finding}`` in it.
        prompt_lower: Whether the finding is put into the template in lower case.
        prompts: Full prompts of single findings; several are averaged as embeddings.
        precision: Always ``fp32``: maps are compared to five digits.
        layer: Where Grad-CAM looks; ``auto``, or a path such as ``visual.trunk.blocks[-1].norm1``.
        weights_sha256: Of the weights file.
        config_sha256: Of configuration and tokenizer files together.
        source: Where the files came from, when not from the folder itself.
        added_at: ISO 8601.
        versions: Of the libraries when it was added.
    """

    name: str
    location: str
    kind: Literal["open_clip"] = "open_clip"
    preprocessing: Preprocessing = "crop"
    prompt_template: str = PLACEHOLDER
    prompt_lower: bool = False
    prompts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    precision: Literal["fp32"] = "fp32"
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
        _check_choice(self, "kind", ("open_clip",))
        _check_choice(self, "preprocessing", PREPROCESSINGS)
        _check_choice(self, "precision", ("fp32",))
        if PLACEHOLDER not in self.prompt_template:
            raise InvalidEntry(
                f"model '{self.name}' has the prompt template {self.prompt_template!r}; "
                f"it must hold {PLACEHOLDER}"
            )
        for finding, texts in self.prompts.items():
            if isinstance(texts, str) or not texts or not all(texts):
                raise InvalidEntry(
                    f"model '{self.name}' has the prompts {texts!r} for {finding}; "
                    "expected a list with at least one text"
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

    def prompts_for(self, finding: str) -> tuple[str, ...]:
        """The texts that stand for this finding in zero-shot mode; at least one."""
        override = self.prompts.get(finding)
        if override:
            return tuple(override)
        spelled = finding.lower() if self.prompt_lower else finding
        return (self.prompt_template.replace(PLACEHOLDER, spelled),)

    def to_dict(self) -> dict[str, Any]:
        """The entry as JSON values."""
        values = asdict(self)
        values["prompts"] = {finding: list(texts) for finding, texts in self.prompts.items()}
        values["versions"] = dict(self.versions)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelEntry:
        """The entry that ``to_dict`` wrote.

        Raises:
            InvalidEntry: If a key is unknown, a needed one is missing, or a value does not fit.
        """
        known = [each.name for each in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise InvalidEntry(
                f"a model entry has the unknown keys {', '.join(unknown)}; "
                f"known: {', '.join(known)}"
            )
        missing = [name for name in ("name", "location") if not values.get(name)]
        if missing:
            raise InvalidEntry(f"a model entry lacks {' and '.join(missing)}; got {dict(values)!r}")
        given = dict(values)
        prompts = given.get("prompts") or {}
        given["prompts"] = {
            finding: texts if isinstance(texts, str) else tuple(texts)
            for finding, texts in prompts.items()
        }
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
        prompt_template="this is a photo of {finding}",
        prompt_lower=True,
        weights_sha256=BIOMEDCLIP_SHA256,
    ),
    "demo-vit": ModelEntry(name="demo-vit", location="package:demo/weights/demo-vit"),
    "demo-cnn": ModelEntry(name="demo-cnn", location="package:demo/weights/demo-cnn"),
}
