"""The values of each view, from real maps of a demo model."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotations.errors import ReadingLocked
from annotations.imaging import load_radiograph
from annotations.imaging.display import display_picture
from annotations.records import Edit, ImageRecord, Region
from annotations.regions import Box
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.comparison import Look, Selection, Side, view
from audit_app.comparison.maps import has_maps, job_params, needed_maps, pair_sides
from audit_app.comparison.prompts import Question, answer_words
from audit_app.comparison.views import unchanged
from audit_app.demo import FINDINGS, add_phantom, read_phantom
from audit_app.errors import AuditError
from audit_app.explanations import Explainer, Wanted
from audit_app.map_cache import layers_file, read_layers
from audit_app.models import add_model, load_entry, make_runtime
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.settings import Settings
from model_store.demo.phantoms import demo_set
from model_store.prompt_basis import LINEAR_METHODS
from model_store.runtime import ModelRuntime

READER = "Synthetic reader"
AUDITOR = Visitor("ada", "auditor")


def never(done: int, total: int, message: str) -> bool:
    """Go on, whatever the progress."""
    return done > total or not message


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    root = tmp_path_factory.mktemp("maps")
    workspace = create_workspace(root / "w", name="w", findings=("Edema", *FINDINGS))
    with Store.open(workspace) as store:
        store.readers.ensure(READER, "synthetic")
        phantom = next(iter(demo_set(1)))
        read_phantom(store, add_phantom(workspace, store, phantom, 0), phantom)
        for name in ("demo-cnn", "demo-vit"):
            add_model(workspace, store, name)
        yield Services(workspace, store, Settings())


@pytest.fixture(scope="module")
def image(services: Services) -> ImageRecord:
    return services.store.images.all()[0]


@pytest.fixture(scope="module")
def finding(services: Services) -> str:
    return services.store.readings.committed(latest=True, blinded_only=False)[0].regions[0].finding


@pytest.fixture(scope="module")
def explainer(services: Services) -> Explainer:
    runtime = make_runtime(services.workspace, services.store)
    return Explainer(services.workspace, services.store, runtime)


@pytest.fixture(scope="module")
def selection(image: ImageRecord, finding: str) -> Selection:
    return Selection(image.image_id, READER, finding, "demo-cnn", "gradcam")


def at(selection: Selection, **look: object) -> Selection:
    return replace(selection, look=Look(**look))  # type: ignore[arg-type]


def test_a_view_says_what_it_waits_for_and_shows_it_when_it_is_there(
    services, explainer, selection, finding
) -> None:
    asked = job_params(services, selection)
    assert asked is not None
    assert asked[0] == "explain"
    job = services.store.jobs.submit(asked[0], asked[1], AUDITOR.name)
    waiting = view(services, AUDITOR, selection, job.job_id)
    assert waiting.is_waiting
    assert [pane["heat"] for pane in waiting.value["content"]["panes"]] == [None] * 3
    assert all(pane["is_waiting"] for pane in waiting.value["content"]["panes"])
    stamp = waiting.value["stamp"]
    short = unchanged(services, AUDITOR, selection, job.job_id, stamp)
    assert short is not None
    assert "content" not in short

    many = [Wanted(selection.image_id, **one) for one in asked[1]["wanted"]]
    assert explainer.explain_all(many, never) == {}
    assert unchanged(services, AUDITOR, selection, job.job_id, stamp) is None
    assert job_params(services, selection) is None
    services.store.jobs.cancel(job.job_id)
    shown = view(services, AUDITOR, selection, None)
    assert not shown.is_waiting
    assert json.loads(json.dumps(shown.value)) is not None
    panes = shown.value["content"]["panes"]
    assert [pane["title"] for pane in panes] == ["Zero-shot", "Linear probe", "Fine-tune"]
    assert [dict(pane["numbers"])["Status"] for pane in panes] == ["ok"] * 3
    for part in (selection.image_id, "demo-cnn", "Grad-CAM", finding):
        assert any(part in line for line in panes[0]["caption"]), part


def test_a_mode_that_was_not_trained_says_where_to_train_it(services, selection) -> None:
    head = services.workspace.models / "demo-cnn" / "lp.safetensors"
    away = head.rename(head.with_suffix(".away"))
    try:
        shown = view(services, AUDITOR, selection, None).value["content"]["panes"][1]
        assert "not trained yet" in shown["subtitle"]
        assert not shown["is_waiting"]
        assert {one.mode for one in needed_maps(services, selection)} == {"zs", "ft"}
    finally:
        away.rename(head)


def test_the_grid_has_a_cell_for_each_finding_and_mode(services, explainer, selection) -> None:
    asked = at(selection, view="grid")
    for one in needed_maps(services, asked):
        assert explainer.explain(one) == ""
    content = view(services, AUDITOR, asked, None).value["content"]
    names = [column["finding"] for column in content["columns"]]
    assert names == list(services.store.findings())
    zero_shot, probe, _ = content["rows"]
    assert all(cell["heat"] for cell in zero_shot["cells"])
    # The demo's heads were never trained for this one.
    assert probe["cells"][names.index("Edema")]["heat"] is None
    marked = {column["finding"] for column in content["columns"] if column["regions"]}
    for name, cell in zip(names, zero_shot["cells"], strict=True):
        assert bool(cell["iou"]) == (name in marked)


def test_the_layers_are_computed_default_first_and_can_be_stopped(
    services, explainer, selection
) -> None:
    wanted = Wanted(selection.image_id, "demo-vit", "zs", "gradcam")
    done: list[tuple[int, int]] = []

    def stop_after_two(number: int, total: int, message: str) -> bool:
        done.append((number, total))
        return number == 2 and bool(message)

    explainer.explain_layers(wanted, stop_after_two)
    layers = read_layers(layers_file(services.workspace, services.store.models.get("demo-vit")))
    assert layers is not None
    assert done == [(1, len(layers)), (2, len(layers))]
    assert has_maps(services, wanted)
    asked = at(replace(selection, model="demo-vit"), view="layers")
    kept = [has_maps(services, one) for one in needed_maps(services, asked)]
    assert (len(kept), sum(kept)) == (len(layers), 2)
    assert job_params(services, asked) == (
        "layers",
        {
            "image_id": selection.image_id,
            "model": "demo-vit",
            "mode": "zs",
            "method": "gradcam",
        },
    )
    assert explainer.explain_layers(wanted, never) == {}
    assert job_params(services, asked) is None
    items = view(services, AUDITOR, asked, None).value["content"]["items"]
    assert [item["is_default"] for item in items].count(True) == 1
    assert [item["pane"]["layer"] for item in items] == [layer["path"] for layer in layers]


def test_a_layer_of_another_model_falls_back_to_the_models_own(services, selection) -> None:
    asked = at(selection, layer="visual.trunk.blocks[0].norm1")
    assert {one.layer for one in needed_maps(services, asked)} == {"auto"}


def test_a_pair_is_two_models_or_two_modes_of_one(services, selection) -> None:
    assert pair_sides(services, at(selection, view="pair")) == (
        Side("demo-cnn", "zs"),
        Side("demo-vit", "zs"),
    )
    chosen = at(selection, view="pair", left=Side("demo-vit", "lp"), right=Side("demo-vit", ""))
    assert pair_sides(services, chosen) == (Side("demo-vit", "lp"), Side("demo-vit", "ft"))
    gone = at(selection, view="pair", left=Side("deleted", "lp"))
    assert pair_sides(services, gone)[0] == Side("demo-cnn", "lp")


@pytest.mark.parametrize("method", LINEAR_METHODS)
def test_the_map_of_free_words_is_that_of_the_network_asked_for_them(
    services, explainer, selection, image, method
) -> None:
    words = "a thin line at the lung's edge"
    entry = load_entry(services.store, "demo-cnn")
    findings = services.store.findings()
    prompts = [text for name in findings for text in entry.prompts.prompts_for(name)]
    texts = [words, *prompts]
    assert explainer.prepare_prompt(image.image_id, "demo-cnn", method, texts) == ""
    question = Question(replace(selection, method=method), words)
    answer = answer_words(services, AUDITOR, question)

    asked = replace(entry, prompts=replace(entry.prompts, texts={"Edema": (words,)}))
    picture = display_picture(load_radiograph(Path(image.path)))
    network = ModelRuntime(lambda _: asked, services.workspace.models)
    told = network.explain("demo-cnn", "zs", method, picture, ("Edema",))
    plain = explainer.runtime.explain("demo-cnn", "zs", method, picture, findings)
    assert answer["score"] == pytest.approx(float(told.scores[0]), abs=1e-4)
    scores = {one["name"]: one["score"] for one in answer["scores"]}
    expected = dict(zip(findings, plain.scores.tolist(), strict=True))
    assert scores == pytest.approx(expected, abs=1e-4)
    heat = answer["pane"]["heat"]
    drawn = np.frombuffer(base64.b64decode(heat["values_b64"]), np.uint8)
    expected_map = (told.maps[0] - told.maps[0].min()) / np.ptp(told.maps[0])
    assert np.abs(drawn.reshape(expected_map.shape) / 255 - expected_map).max() < 0.01
    assert dict(answer["pane"]["numbers"])["Status"] == "ok"


def test_words_are_answered_only_to_whom_the_maps_are_open(services, selection, image) -> None:
    words = Question(selection, "anything")
    with pytest.raises(AuditError, match="another reader's"):
        answer_words(services, Visitor("tom", "reader"), words)
    region = Region("11111111-1111-4111-8111-111111111111", "Edema", "definite", Box(1, 1, 9, 9))
    edit = Edit("page", 1, image.image_id, 0, "put", region=region)
    services.store.readings.apply(edit, "eve")
    with pytest.raises(ReadingLocked, match="commit your own reading"):
        answer_words(services, Visitor("eve", "auditor"), words)


def test_a_model_says_itself_why_it_cannot_read_some_words(explainer, image) -> None:
    reason = explainer.prepare_prompt(image.image_id, "demo-cnn", "gradcam", ["opacity " * 60])
    assert "opacity" in reason


def test_no_caption_holds_a_name_or_a_place(services, selection, image) -> None:
    shown = view(services, AUDITOR, selection, None)
    text = json.dumps([pane["caption"] for pane in shown.value["content"]["panes"]])
    for secret in (image.name, Path(image.path).name, READER, str(services.workspace.root)):
        assert secret not in text
