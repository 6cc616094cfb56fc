from __future__ import annotations

import pytest

from audit_app.errors import AuditError
from audit_app.tabs.data_forms import SETTINGS, model_params, show_settings, training_params
from audit_app.tabs.prompt_editor import prompts_of
from model_store.errors import TrainingFailed
from model_store.training import PRESETS, TrainingSettings


def fields(settings: TrainingSettings, **change: object) -> list[object]:
    """What the page sends for these settings."""
    return [change.get(name, getattr(settings, name)) for name in SETTINGS]


@pytest.mark.parametrize(
    ("mode", "preset"), [(mode, name) for mode, known in PRESETS.items() for name in known]
)
def test_the_fields_of_a_preset_change_nothing_of_it(mode: str, preset: str) -> None:
    shown = show_settings(mode, preset)
    sent = [update["value"] for update in shown[1:]]
    params = training_params("net", "mesh", mode, preset, "auto", *sent)
    assert (params["preset"], params["changes"]) == (preset, [])


def test_what_differs_from_the_preset_is_sent_by_name() -> None:
    sent = fields(PRESETS["ft"]["study"], epochs=3, learning_rate=2e-5, precision="bf16")
    params = training_params("net", None, "ft", "converged", "cpu", *sent)
    assert params["preset"] == "study"
    assert params["changes"] == ["epochs=3", "learning_rate=2e-05", "precision=bf16"]
    settings = PRESETS["ft"]["study"].changed(params["changes"])  # type: ignore[arg-type]
    assert (settings.epochs, settings.learning_rate) == (3, 2e-5)


def test_an_empty_field_and_a_setting_that_trains_nothing_are_refused() -> None:
    study = PRESETS["lp"]["study"]
    with pytest.raises(AuditError, match="the field of batch size is empty"):
        training_params("net", None, "lp", "study", "auto", *fields(study, batch_size=None))
    with pytest.raises(TrainingFailed, match="epochs 0 given; expected more than 0"):
        training_params("net", None, "lp", "study", "auto", *fields(study, epochs=0))
    with pytest.raises(AuditError, match="no model was chosen"):
        training_params(None, None, "lp", "study", "auto", *fields(study))


def test_a_converged_probe_shows_its_penalty_alone_beside_the_seed() -> None:
    shown = dict(zip(SETTINGS, show_settings("lp", "converged")[1:], strict=True))
    assert [name for name, update in shown.items() if update["visible"]] == ["penalty", "seed"]


def test_labels_are_sent_one_by_one_and_need_a_checkpoint() -> None:
    params = model_params("net", "/n.pth", "timm:resnet18", "Edema\n\n Fracture \n", "")
    assert params["labels"] == ["Edema", "Fracture"]
    with pytest.raises(AuditError, match="no checkpoint was given"):
        model_params("net", "", "timm:resnet18", "", "")


def test_a_model_comes_from_a_hub_or_from_this_computer_but_not_from_both() -> None:
    params = model_params("net", "", "", "", " lab/clip ")
    assert (params["hub"], params["path"]) == ("lab/clip", "")
    for path, architecture, labels in (("/n", "", ""), ("", "timm:resnet18", ""), ("", "", "A")):
        with pytest.raises(AuditError, match=r"empty one of them|no checkpoint was given"):
            model_params("net", path, architecture, labels, "lab/clip")


def test_the_fields_of_the_editor_become_prompts() -> None:
    rows = [
        ["Edema", "wet lung; lung water", "", "dry lungs"],
        ["No Finding", None, "clear lungs", ""],
        ["Fracture", " ; ", "", ""],
    ]
    prompts = prompts_of("film of {finding} ", True, " ", "dot", rows)
    assert prompts.template == "film of {finding}"
    assert prompts.synonyms == {"Edema": ("wet lung", "lung water")}
    assert prompts.texts == {"No Finding": ("clear lungs",)}
    assert prompts.negative_texts == {"Edema": ("dry lungs",)}
    assert (prompts.negative_template, prompts.score) == ("", "dot")
