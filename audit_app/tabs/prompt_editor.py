"""The prompts of a model in the Data & models tab: shown, edited, kept as versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import gradio as gr

from audit_app.errors import AuditError
from audit_app.handlers import handler
from audit_app.models import load_entry
from audit_app.prompts import PROMPT_PRESETS, describe_version, prompt_preset, save_prompts
from audit_app.services import Services
from model_store.entries import ModelEntry
from model_store.prompts import PromptSet, Texts, split_texts

PRIVATE: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}
HEADERS: Final = ["Finding", "Synonyms", "Full prompts instead", "Negative prompts"]
SCORES: Final = (("Cosine", "cosine"), ("Dot product, not normalised", "dot"))
HELP: Final = (
    "Each finding's name and its synonyms go through the template; several texts are averaged as "
    "embeddings. Full prompts stand instead of that. With a negative prompt a score is the "
    "positive similarity minus the negative one. Separate texts by a semicolon."
)
NO_MODEL: Final = "Add an image-text model first; classifiers read no prompts."


@dataclass(frozen=True, slots=True)
class PromptEditor:
    """Components of the editor."""

    model: gr.Dropdown
    version: gr.Dropdown
    preset: gr.Dropdown
    template: gr.Textbox
    lower: gr.Checkbox
    negative: gr.Textbox
    score: gr.Radio
    table: gr.Dataframe
    status: gr.Markdown

    @property
    def edited(self) -> list[gr.components.Component]:
        """What a version consists of, in the order of ``prompts_of``."""
        return [self.template, self.lower, self.negative, self.score, self.table]

    @property
    def shown(self) -> list[gr.components.Component]:
        """In the order of ``show_prompts``."""
        return [self.version, *self.edited, self.status]


def build_prompt_editor(services: Services) -> PromptEditor:
    """The editor with its events; its model is chosen when the tab is opened."""
    with gr.Row(equal_height=True):
        model = gr.Dropdown([], label="Model", elem_id="prompt-model", min_width=160)
        version = gr.Dropdown([], label="Version", elem_id="prompt-version", min_width=260)
        presets = [(f"{name}: {words}", name) for name, words in PROMPT_PRESETS.items()]
        preset = gr.Dropdown(
            presets, value=None, label="Begin from a preset", elem_id="prompt-preset", min_width=260
        )
    with gr.Row(equal_height=True):
        template = gr.Textbox(label="Template", elem_id="prompt-template", min_width=200)
        negative = gr.Textbox(
            label="Negative template (empty: none)",
            placeholder="no {finding}",
            elem_id="prompt-negative",
            min_width=200,
        )
        score = gr.Radio(SCORES, label="Score", elem_id="prompt-score", min_width=260)
        lower = gr.Checkbox(label="Names in lower case", elem_id="prompt-lower", min_width=160)
    table = gr.Dataframe(
        headers=HEADERS,
        datatype="str",
        type="array",
        interactive=True,
        wrap=True,
        static_columns=[0],
        column_widths=["22%", "26%", "26%", "26%"],
        elem_id="prompt-table",
    )
    gr.Markdown(HELP, elem_classes="group-text")
    with gr.Row():
        save = gr.Button(
            "Save as a new version",
            variant="primary",
            elem_id="prompt-save",
            scale=0,
            min_width=280,
        )
        status = gr.Markdown(elem_id="prompt-status", elem_classes="status-line")
    editor = PromptEditor(model, version, preset, template, lower, negative, score, table, status)
    _connect(services, editor, save)
    return editor


def _connect(services: Services, editor: PromptEditor, save: gr.Button) -> None:
    on = handler(services, "admin")

    @on
    def choose_model(model: str | None) -> list[Any]:
        return show_prompts(services, model)

    @on
    def choose_version(model: str | None, version: int | None) -> list[Any]:
        return show_prompts(services, model, version)

    @on
    def choose_preset(model: str | None, preset: str | None) -> list[Any]:
        return show_preset(services, model, preset)

    @on
    def keep(model: str | None, *fields: Any) -> list[Any]:
        return keep_prompts(services, model, prompts_of(*fields))

    editor.model.change(choose_model, editor.model, editor.shown, **PRIVATE)
    editor.version.input(choose_version, [editor.model, editor.version], editor.shown, **PRIVATE)
    editor.preset.input(choose_preset, [editor.model, editor.preset], editor.shown, **PRIVATE)
    save.click(keep, [editor.model, *editor.edited], editor.shown, **PRIVATE)


def text_models(services: Services) -> list[str]:
    """The models that read prompts."""
    store = services.store
    return [name for name in store.models.all() if "zs" in load_entry(store, name).modes]


def show_prompts(services: Services, model: str | None, version: int | None = None) -> list[Any]:
    """One version of a model's prompts, the current one when none is named."""
    if not model:
        return [gr.skip()] * 6 + [NO_MODEL]
    entry = load_entry(services.store, model)
    prompts = entry.prompts if version is None else entry.prompt_version(int(version))
    is_current = prompts.version == entry.prompts.version
    note = "in use" if is_current else "not in use; save it to use it again"
    return _shown(services, entry, prompts, f"Version {prompts.version}, {note}.")


def show_preset(services: Services, model: str | None, preset: str | None) -> list[Any]:
    """A preset in the fields; nothing is saved yet."""
    entry = load_entry(services.store, _chosen(model))
    if not preset:
        return show_prompts(services, model)
    prompts = replace(prompt_preset(entry, preset), version=entry.prompts.version)
    return _shown(services, entry, prompts, f"Preset {preset}, not saved yet.")


def keep_prompts(services: Services, model: str | None, prompts: PromptSet) -> list[Any]:
    """Save these prompts as the newest version, and show it.

    Raises:
        AuditError: If no model was chosen.
        ModelError: If a prompt does not fit.
    """
    before = load_entry(services.store, _chosen(model))
    entry = save_prompts(services.store, before.name, prompts)
    number = entry.prompts.version
    note = f"Saved as version {number}; maps are computed anew with it."
    if entry == before:
        note = f"Nothing new: this is version {number}."
    return _shown(services, entry, entry.prompts, note)


def prompts_of(
    template: str, lower: bool, negative: str, score: Any, rows: Sequence[Sequence[Any]]
) -> PromptSet:
    """The prompts that the fields say.

    Raises:
        InvalidEntry: If a template lacks its placeholder.
    """
    synonyms, texts, against = (
        {
            str(row[0]): found
            for row in rows
            if row[0] and (found := split_texts(str(row[column] or "")))
        }
        for column in (1, 2, 3)
    )
    return PromptSet(
        template=template.strip(),
        lower=lower,
        synonyms=synonyms,
        texts=texts,
        negative_template=negative.strip(),
        negative_texts=against,
        score=score,
    )


def _shown(services: Services, entry: ModelEntry, prompts: PromptSet, note: str) -> list[Any]:
    choices = [(describe_version(each), each.version) for each in reversed(entry.all_prompts)]
    findings = services.store.findings()
    rows = [
        [finding, *(_line(each, finding) for each in _columns(prompts))] for finding in findings
    ]
    return [
        gr.Dropdown(choices=choices, value=prompts.version),
        prompts.template,
        prompts.lower,
        prompts.negative_template,
        prompts.score,
        rows,
        note,
    ]


def _columns(prompts: PromptSet) -> tuple[Texts, Texts, Texts]:
    return prompts.synonyms, prompts.texts, prompts.negative_texts


def _line(texts: Texts, finding: str) -> str:
    return "; ".join(texts.get(finding, ()))


def _chosen(model: str | None) -> str:
    if not model:
        raise AuditError("no model was chosen; add an image-text model first")
    return model
