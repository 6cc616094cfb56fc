"""The forms of the Data & models tab that become jobs: import, a new model, a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gradio as gr

from annotations.sources import SOURCES
from audit_app.errors import AuditError
from model_store.entries import PRESETS
from model_store.training import PRESETS as TRAINING_PRESETS
from model_store.training import TrainingSettings, find_preset

MODES: Final = (("Linear probe", "lp"), ("Fine-tune", "ft"))
PRESET_WORDS: Final = (("Study (AdamW)", "study"), ("Converged (L-BFGS)", "converged"))
DEVICES: Final = (("Fastest", "auto"), ("Processor", "cpu"), ("CUDA", "cuda"), ("Apple", "mps"))
# What the page offers to change, in the order of its fields.
SETTINGS: Final = (
    "epochs",
    "batch_size",
    "micro_batch",
    "learning_rate",
    "penalty",
    "seed",
    "precision",
)


# Which of them a preset reads; the others are hidden.
READ_BY: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("lp", "study"): frozenset({"epochs", "batch_size", "learning_rate", "seed"}),
    ("lp", "converged"): frozenset({"penalty", "seed"}),
    ("ft", "study"): frozenset(SETTINGS) - {"penalty"},
}


@dataclass(frozen=True, slots=True)
class Form:
    """Fields, the button that sends them, and the job that they become."""

    fields: Sequence[gr.components.Component]
    button: gr.Button
    job_kind: str
    params: Callable[..., dict[str, object]]


@dataclass(frozen=True, slots=True)
class TrainingForm(Form):
    """The form of a training, whose settings follow its mode and preset."""

    mode: gr.Radio
    preset: gr.Radio
    settings: Sequence[gr.components.Component]


def build_import_form() -> Form:
    """What is imported, and from where."""
    gr.Markdown("## Import pictures", elem_classes="group-title")
    kinds = [(f"{kind} - {source.description}", kind) for kind, source in SOURCES.items()]
    fields = [
        gr.Textbox(
            label="File or folder on this computer",
            placeholder="/home/mira/radiographs",
            elem_id="import-source",
        ),
        gr.Dropdown(kinds, value="folder", label="Kind", elem_id="import-kind"),
        gr.Textbox(label="Reader of its boxes", value="imported"),
        gr.Checkbox(label="Copy the pictures into the workspace"),
    ]
    button = gr.Button("Import", variant="primary", elem_id="import-start")
    return Form(fields, button, "import", import_params)


def build_model_form() -> tuple[gr.Markdown, Form]:
    """The list of models, and what a new one is made of."""
    gr.Markdown("## Models", elem_classes="group-title")
    models = gr.Markdown(elem_id="model-list", elem_classes="group-text")
    name = gr.Dropdown(
        list(PRESETS),
        label="Add: a preset, or a name of your own",
        allow_custom_value=True,
        elem_id="model-name",
    )
    path = gr.Textbox(
        label="Its folder or checkpoint on this computer",
        info="Nothing is downloaded when this is filled in.",
        elem_id="model-path",
    )
    with gr.Accordion("A classifier, or a checkpoint without its configuration", open=False):
        architecture = gr.Textbox(
            label="Architecture",
            placeholder="timm:densenet121",
            info="timm:..., torchvision:... or open_clip:...",
            elem_id="model-architecture",
        )
        labels = gr.Textbox(
            label="Labels of a classifier, one a line",
            info="In the order of its outputs.",
            lines=3,
            elem_id="model-labels",
        )
    with gr.Accordion("From a hub: this uses the network", open=False):
        hub = gr.Textbox(
            label="Repository",
            placeholder="microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
            info="One in open_clip's format. The model gets the name above.",
            elem_id="model-hub",
        )
    button = gr.Button("Add model", elem_id="model-add")
    fields = [name, path, architecture, labels, hub]
    return models, Form(fields, button, "add model", model_params)


def build_training_form() -> TrainingForm:
    """What is trained on which labels, and how."""
    gr.Markdown("## Train", elem_classes="group-title")
    model = gr.Dropdown([], label="Model", elem_id="train-model")
    labels = gr.Dropdown([], label="Labels", elem_id="train-labels")
    mode = gr.Radio(MODES, value="lp", label="Mode", elem_id="train-mode")
    preset = gr.Radio(PRESET_WORDS, value="study", label="Preset", elem_id="train-preset")
    with gr.Accordion("Settings", open=False, elem_id="train-settings"):
        with gr.Row():
            numbers = [
                _number("Epochs", "epochs"),
                _number("Batch", "batch_size"),
                _number("In memory at once (0: all)", "micro_batch"),
                _number("Learning rate", "learning_rate"),
                _number("Penalty", "penalty"),
                _number("Seed", "seed"),
            ]
        with gr.Row():
            precision = gr.Dropdown(
                ["auto", "fp32", "bf16", "fp16"],
                value="auto",
                label="Precision",
                min_width=120,
                visible=False,
            )
            device = gr.Dropdown(DEVICES, value="auto", label="Device", min_width=120)
    settings = [*numbers, precision]
    button = gr.Button("Train", elem_id="train-start")
    fields = [model, labels, mode, preset, device, *settings]
    return TrainingForm(fields, button, "train", training_params, mode, preset, settings)


def import_params(source: str, kind: str, reader: str, copy: bool) -> dict[str, object]:
    """The parameters of an import.

    Raises:
        AuditError: If the place is empty or does not exist.
    """
    place = Path(source.strip()).expanduser()
    if not source.strip():
        raise AuditError("no file or folder was given; type where the pictures are")
    if not place.exists():
        raise AuditError(f"there is no file or folder {place} on this computer; check the place")
    return {"source": str(place), "kind": kind, "reader": reader.strip(), "copy": copy}


def model_params(
    name: str | None, path: str, architecture: str, labels: str, hub: str
) -> dict[str, object]:
    """The parameters of adding a model.

    Raises:
        AuditError: If no name was given, a checkpoint has no place, or a model has two.
    """
    if not (name or "").strip():
        raise AuditError("no model was named; choose a preset or type a name")
    names = [line.strip() for line in labels.splitlines() if line.strip()]
    if (names or architecture.strip()) and not path.strip():
        raise AuditError("no checkpoint was given; type where the file is")
    if hub.strip() and (path.strip() or names or architecture.strip()):
        raise AuditError(
            "a repository of a hub was given together with a folder, checkpoint or classifier of "
            "this computer; empty one of them"
        )
    return {
        "name": str(name).strip(),
        "path": path.strip(),
        "hub": hub.strip(),
        "architecture": architecture.strip(),
        "labels": names,
    }


def training_params(
    model: str | None, labels: str | None, mode: str, preset: str, device: str, *settings: Any
) -> dict[str, object]:
    """The parameters of a training: the preset's name, and what differs from it.

    Raises:
        AuditError: If no model was chosen or a field is empty.
        TrainingFailed: If a setting does not fit.
    """
    if not model:
        raise AuditError("no model was chosen; add one first, then train")
    known = preset_of(mode, preset)
    start = find_preset(mode, known)
    changes = []
    for name, value in zip(SETTINGS, settings, strict=True):
        if value is None:
            raise AuditError(f"the field of {name.replace('_', ' ')} is empty; type a value")
        own = getattr(start, name)
        if type(own)(value) != own:
            changes.append(f"{name}={type(own)(value)}")
    start.changed(changes)
    return {
        "model": model,
        "mode": mode,
        "labels": labels,
        "preset": known,
        "changes": changes,
        "device": device,
    }


def preset_of(mode: str, preset: str) -> str:
    """The preset, or the mode's first where it has none of that name."""
    known = TRAINING_PRESETS[mode]
    return preset if preset in known else next(iter(known))


def show_settings(mode: str, preset: str) -> list[Any]:
    """Updates of the preset and of the settings' fields, in the order of ``SETTINGS``."""
    known = preset_of(mode, preset)
    start: TrainingSettings = find_preset(mode, known)
    choices = [(words, name) for words, name in PRESET_WORDS if name in TRAINING_PRESETS[mode]]
    read = READ_BY[mode, known]
    return [
        gr.Radio(choices=choices, value=known),
        *(gr.update(value=getattr(start, name), visible=name in read) for name in SETTINGS),
    ]


def _number(label: str, name: str) -> gr.Number:
    """The field of one setting, as the probe's study preset has it."""
    value = getattr(find_preset("lp", "study"), name)
    return gr.Number(
        label=label,
        value=value,
        precision=0 if isinstance(value, int) else None,
        min_width=110,
        visible=name in READ_BY["lp", "study"],
        elem_id=f"train-{name.replace('_', '-')}",
    )
