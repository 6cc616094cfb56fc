"""The prompts of a workspace's models: change them, keep what was before, describe them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from annotations.findings import check_finding
from annotations.store import Store
from audit_app.errors import AuditError
from audit_app.models import load_entry
from model_store.checkpoints import current_time
from model_store.entries import ModelEntry
from model_store.prompts import STUDY_PROMPTS, PromptSet, Texts, split_texts

PROMPT_PRESETS: Final[Mapping[str, str]] = {
    "default": "what the model came with",
    "study": "bare names of the findings, dot product of embeddings that are not normalised",
}


@dataclass(frozen=True, slots=True)
class PromptChange:
    """What is to change; None and () leave a part as it is.

    Attributes:
        preset: Begin with a key of ``PROMPT_PRESETS`` instead of the current prompts.
        restore: Begin with this version instead.
        template: Text with ``{finding}``.
        negative_template: The same for the absence of a finding; "" for none.
        synonyms: Each ``finding=name; name``; nothing after the sign removes them.
        texts: Each ``finding=text; text``, instead of template and synonyms.
        negative_texts: The same for the absence of a finding.
    """

    preset: str | None = None
    restore: int | None = None
    template: str | None = None
    negative_template: str | None = None
    synonyms: Sequence[str] = ()
    texts: Sequence[str] = ()
    negative_texts: Sequence[str] = ()


def change_prompts(store: Store, name: str, change: PromptChange) -> ModelEntry:
    """The model with the changed prompts as its newest version, or as it is when nothing changes.

    Raises:
        UnknownRecord: If there is no such model.
        UnknownFinding: If a finding is none of the workspace.
        AuditError: If a change cannot be read.
        ModelError: If a prompt does not fit, or the model is a classifier.
    """
    entry = load_entry(store, name)
    return save_prompts(store, name, changed_prompts(entry, change, store.findings()))


def changed_prompts(entry: ModelEntry, change: PromptChange, findings: Sequence[str]) -> PromptSet:
    """The prompts that this change makes of a model's; nothing is saved."""
    if change.preset is not None and change.restore is not None:
        raise AuditError("a preset and a version to restore were given; give one of them")
    prompts = entry.prompts
    if change.preset is not None:
        prompts = prompt_preset(entry, change.preset)
    if change.restore is not None:
        prompts = entry.prompt_version(change.restore)
    values: dict[str, Any] = {
        "template": change.template,
        "negative_template": change.negative_template,
    }
    kept = {key: value for key, value in values.items() if value is not None}
    for key in ("synonyms", "texts", "negative_texts"):
        kept[key] = _with_lines(getattr(prompts, key), getattr(change, key), findings)
    return replace(prompts, **kept)


def save_prompts(store: Store, name: str, prompts: PromptSet) -> ModelEntry:
    """The model with these prompts as its newest version; earlier ones are kept.

    Raises:
        UnknownRecord: If there is no such model.
        InvalidEntry: If it is a classifier.
    """
    entry = load_entry(store, name)
    newer = entry.with_prompts(prompts, current_time())
    if newer != entry:
        store.models.save(name, newer.to_dict())
    return newer


def prompt_preset(entry: ModelEntry, preset: str) -> PromptSet:
    """The prompts of a preset, for this model.

    Raises:
        AuditError: If there is no such preset.
    """
    if preset not in PROMPT_PRESETS:
        raise AuditError(f"unknown prompt preset {preset!r}; known: {', '.join(PROMPT_PRESETS)}")
    return STUDY_PROMPTS if preset == "study" else entry.all_prompts[0]


def describe_prompts(entry: ModelEntry, findings: Sequence[str]) -> list[str]:
    """The prompts of each finding, with their version and how they are scored."""
    if "zs" not in entry.modes:
        return [f"{entry.name} is a classifier: it reads no prompts."]
    prompts = entry.prompts
    lines = [
        f"{entry.name}: {describe_version(prompts)}",
        f"Template: {prompts.template}{' (names in lower case)' if prompts.lower else ''}",
    ]
    for finding in findings:
        against = prompts.negatives_for(finding)
        tail = f" | against: {'; '.join(against)}" if against else ""
        lines.append(f"{finding}: {'; '.join(prompts.prompts_for(finding))}{tail}")
    return lines


def describe_history(entry: ModelEntry) -> list[str]:
    """One line per version, the newest first."""
    return [
        f"{describe_version(each)}, template {each.template!r}"
        for each in reversed(entry.all_prompts)
    ]


def describe_version(prompts: PromptSet) -> str:
    """Number, time and score of one version."""
    when = f"edited {prompts.edited_at[:16].replace('T', ' ')}" if prompts.edited_at else "original"
    return f"version {prompts.version}, {when}, score {prompts.score_kind}"


def _with_lines(known: Texts, lines: Iterable[str], findings: Sequence[str]) -> Texts:
    """The texts with those of some findings exchanged."""
    texts = dict(known)
    for line in lines:
        finding, sign, given = line.partition("=")
        if not sign:
            raise AuditError(f"{line!r} given; expected 'FINDING=text; text'")
        name = check_finding(finding, findings)
        texts.pop(name, None)
        if found := split_texts(given):
            texts[name] = found
    return texts
