"""Prompts: which texts stand for a finding in zero-shot mode, and how a picture is scored by them.

The page process reads and edits these, so nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal, get_args

from model_store.errors import InvalidEntry

Texts = Mapping[str, tuple[str, ...]]
PromptScore = Literal["cosine", "dot"]

PLACEHOLDER: Final = "{finding}"
PROMPT_SCORES: Final[tuple[str, ...]] = get_args(PromptScore)
# Field of a prompt set to its key in an entry's JSON.
KEYS: Final[Mapping[str, str]] = {
    "template": "prompt_template",
    "lower": "prompt_lower",
    "synonyms": "synonyms",
    "texts": "prompts",
    "negative_template": "negative_template",
    "negative_texts": "negative_prompts",
    "score": "prompt_score",
    "version": "prompt_version",
    "edited_at": "prompts_edited_at",
}
TEXT_FIELDS: Final = ("synonyms", "texts", "negative_texts")
HISTORY_FIELDS: Final = ("version", "edited_at")


@dataclass(frozen=True)
class PromptSet:
    """One version of a model's prompts.

    Several texts of one finding are an ensemble: the mean of their embeddings stands for it.

    Attributes:
        template: Text with ``{finding}`` in it.
        lower: Whether names are put into a template in lower case.
        synonyms: Further names of a finding; each goes through the template beside its own.
        texts: Full texts of single findings, instead of template and synonyms.
        negative_template: Text with ``{finding}`` for the absence of a finding; "" for none.
        negative_texts: Full texts for the absence of single findings, instead of that template.
        score: ``cosine``, or ``dot``: the dot product of embeddings that are not normalised.
        version: Counted from 1 within one model.
        edited_at: ISO 8601; "" for the version that a model came with.
    """

    template: str = PLACEHOLDER
    lower: bool = False
    synonyms: Texts = field(default_factory=dict)
    texts: Texts = field(default_factory=dict)
    negative_template: str = ""
    negative_texts: Texts = field(default_factory=dict)
    score: PromptScore = "cosine"
    version: int = 1
    edited_at: str = ""

    def __post_init__(self) -> None:
        """Refuse what gives no text."""
        _check_template("prompt template", self.template)
        if self.negative_template:
            _check_template("negative template", self.negative_template)
        if self.score not in PROMPT_SCORES:
            raise InvalidEntry(
                f"prompt score {self.score!r} given; expected {' or '.join(PROMPT_SCORES)}"
            )
        if self.version < 1:
            raise InvalidEntry(f"prompt version {self.version} given; versions begin at 1")
        for name in TEXT_FIELDS:
            _check_texts(KEYS[name], getattr(self, name))

    def prompts_for(self, finding: str) -> tuple[str, ...]:
        """The texts that stand for this finding; at least one, none twice."""
        own = self.texts.get(finding)
        return own or self._through(self.template, finding)

    def negatives_for(self, finding: str) -> tuple[str, ...]:
        """The texts that stand for its absence; none when it is scored without a pair."""
        own = self.negative_texts.get(finding)
        if own:
            return own
        return self._through(self.negative_template, finding) if self.negative_template else ()

    @property
    def score_kind(self) -> str:
        """What a score is; with negative prompts, the positive similarity minus the negative one.

        The softmax of such a pair is a rising function of this difference, so it orders pictures
        alike, and its gradient is the difference's times one positive number.
        """
        has_pairs = bool(self.negative_template or self.negative_texts)
        return f"{self.score} difference" if has_pairs else self.score

    def has_content_of(self, other: PromptSet) -> bool:
        """Whether both say the same, whenever and as whatever version."""
        return replace(self, version=1, edited_at="") == replace(other, version=1, edited_at="")

    def to_dict(self) -> dict[str, Any]:
        """The prompts as JSON values under the keys of an entry."""
        values: dict[str, Any] = {}
        for name, key in KEYS.items():
            value = getattr(self, name)
            is_texts = name in TEXT_FIELDS
            values[key] = {one: list(texts) for one, texts in value.items()} if is_texts else value
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PromptSet:
        """The prompts under these keys; other keys are left alone, missing ones are defaults.

        Raises:
            InvalidEntry: If a value does not fit.
        """
        given = {each.name: values[KEYS[each.name]] for each in fields(cls) if _has(values, each)}
        for name in set(TEXT_FIELDS) & set(given):
            given[name] = _as_texts(KEYS[name], given[name])
        return cls(**given)

    def _through(self, template: str, finding: str) -> tuple[str, ...]:
        names = (finding, *self.synonyms.get(finding, ()))
        spelled = [name.lower() if self.lower else name for name in names]
        return tuple(dict.fromkeys(template.replace(PLACEHOLDER, name) for name in spelled))


def split_texts(line: str) -> tuple[str, ...]:
    """The texts that a user wrote in one field, separated by ``;``; empty ones are dropped."""
    return tuple(dict.fromkeys(text for part in line.split(";") if (text := part.strip())))


def _has(values: Mapping[str, Any], one: Any) -> bool:
    return values.get(KEYS[one.name]) is not None


def _as_texts(key: str, given: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(given, Mapping):
        raise InvalidEntry(f"{key} {given!r} given; expected a finding's name to a list of texts")
    for finding, texts in given.items():
        if isinstance(texts, str) or not isinstance(texts, list | tuple):
            raise InvalidEntry(f"{key} {texts!r} given for {finding}; expected a list of texts")
    return {finding: tuple(texts) for finding, texts in given.items()}


def _check_template(what: str, template: str) -> None:
    if PLACEHOLDER not in template:
        raise InvalidEntry(f"{what} {template!r} given; it must hold {PLACEHOLDER}")


def _check_texts(key: str, given: Texts) -> None:
    for finding, texts in given.items():
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise InvalidEntry(
                f"{key} {list(texts)!r} given for {finding}; expected at least one text, none empty"
            )


# Bare class names and the un-normalised dot product, as the study scored.
STUDY_PROMPTS: Final = PromptSet(score="dot")
