from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_store.errors import InvalidEntry
from model_store.loading import LoadedModel
from model_store.modes import build_mode
from model_store.prompts import STUDY_PROMPTS, PromptSet
from model_store.zero_shot import embed_texts

MakePicture = Callable[..., NDArray[np.uint8]]


def asked_with(model: LoadedModel, prompts: PromptSet) -> LoadedModel:
    asked = model.asked_as(replace(model.entry, prompts=prompts))
    assert asked is not None
    return asked


def encoded(model: LoadedModel, x: Tensor, text: str) -> tuple[Tensor, Tensor]:
    """Un-normalised image and text embedding by open_clip's own functions."""
    network: Any = model.network
    with torch.no_grad():
        return network.encode_image(x[None])[0], network.encode_text(model.tokenizer([text]))[0]


def unit(vector: Tensor) -> Tensor:
    return vector / vector.norm()


def test_the_study_preset_scores_by_the_dot_product_of_embeddings_as_they_are(
    vit: LoadedModel, make_picture: MakePicture
) -> None:
    model = asked_with(vit, STUDY_PROMPTS)
    mode = build_mode(model, "zs", ("cardiomegaly", "no finding"))
    x, _ = model.prepare(make_picture(2))

    expected = []
    for name in ("cardiomegaly", "no finding"):
        image, text = encoded(vit, x, name)
        expected.append(float(image @ text))
    np.testing.assert_allclose(mode.network(x[None])[0].numpy(), expected, rtol=1e-4)
    assert mode.score == "dot"
    assert mode.prompts == {"cardiomegaly": ("cardiomegaly",), "no finding": ("no finding",)}


def test_a_negative_prompt_is_subtracted_from_the_positive_one(
    vit: LoadedModel, make_picture: MakePicture
) -> None:
    prompts = PromptSet("photo of {finding}", lower=True, negative_template="no {finding}")
    model = asked_with(vit, prompts)
    mode = build_mode(model, "zs", ("Pneumothorax",))
    x, _ = model.prepare(make_picture(2))

    image, positive = encoded(vit, x, "photo of pneumothorax")
    _, negative = encoded(vit, x, "no pneumothorax")
    pair = torch.stack([unit(image) @ unit(positive), unit(image) @ unit(negative)])
    score = mode.network(x[None]).item()
    assert score == pytest.approx(float(pair[0] - pair[1]), abs=1e-6)
    # The softmax of the pair is the logistic function of the scaled difference.
    assert float((100 * pair).softmax(0)[0]) == pytest.approx(
        1 / (1 + np.exp(-100 * score)), abs=1e-4
    )
    assert mode.score == "cosine difference"
    assert mode.negative_prompts == {"Pneumothorax": ("no pneumothorax",)}


def test_synonyms_are_averaged_as_embeddings_of_length_one(
    vit: LoadedModel, make_picture: MakePicture
) -> None:
    prompts = PromptSet("a {finding}", lower=True, synonyms={"Cardiomegaly": ("effusion",)})
    model = asked_with(vit, prompts)
    mode = build_mode(model, "zs", ("Cardiomegaly",))
    x, _ = model.prepare(make_picture(3))

    image, first = encoded(vit, x, "a cardiomegaly")
    _, second = encoded(vit, x, "a effusion")
    expected = unit(image) @ unit(unit(first) + unit(second))
    assert mode.network(x[None]).item() == pytest.approx(float(expected), abs=1e-6)


def test_the_study_averages_synonyms_as_they_are(
    vit: LoadedModel, make_picture: MakePicture
) -> None:
    model = asked_with(vit, replace(STUDY_PROMPTS, synonyms={"no finding": ("photo",)}))
    mode = build_mode(model, "zs", ("no finding",))
    x, _ = model.prepare(make_picture(3))
    image, first = encoded(vit, x, "no finding")
    _, second = encoded(vit, x, "photo")
    assert mode.network(x[None]).item() == pytest.approx(float(image @ (first + second) / 2), 1e-4)


def test_a_text_is_encoded_once_and_under_new_prompts_known_ones_stay(vit: LoadedModel) -> None:
    embed_texts(vit, ["a photo", "no finding", "a photo"])
    asked = asked_with(vit, PromptSet("a {finding}"))
    first = asked.text_embeddings["a photo"]
    assert sorted(asked.text_embeddings) == ["a photo", "no finding"]
    assert torch.equal(embed_texts(asked, ["a photo"])[0], first)
    assert embed_texts(asked, []).shape == (0, 24)


@pytest.mark.parametrize("kind", ["vit", "cnn"])
def test_a_prompt_that_the_text_tower_would_cut_off_is_refused(
    kind: str, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(kind)
    with pytest.raises(InvalidEntry, match=r"has \d+ tokens; the text tower reads 16"):
        embed_texts(model, [" ".join(["photo of effusion"] * 9)])


def test_another_network_is_not_taken_for_the_same_under_new_prompts(vit: LoadedModel) -> None:
    assert vit.asked_as(replace(vit.entry, preprocessing="pad")) is None
    assert vit.asked_as(replace(vit.entry, weights_sha256="00")) is None
