"""The route behind the box for free words: who is answered, and with which status."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audit_app.accounts import add_account
from audit_app.jobs import MOST_ACTIVE
from audit_app.map_cache import basis_file, text_file, write_text_embedding
from model_store.entries import ModelEntry
from model_store.preprocessing import frame_geometry
from model_store.prompt_basis import PromptBasis, write_basis
from tests.audit_app.viewer.conftest import Place

READER = "local reader"
ENTRY = ModelEntry(name="m", location="local-dir:nowhere", weights_sha256="a" * 64)
NAME = "film-a.png"


def ask(place: Place, **changes: Any) -> Any:
    body = {"reader": READER, "finding": "Fracture", "model": "m", "text": "a line"}
    body |= {"method": "gradcam", **changes}
    cookies = changes.pop("cookies", None)
    headers = {"cookie": cookies} if cookies else {}
    return place.client.post(f"/audit/images/{place.id_of(NAME)}/words", json=body, headers=headers)


def commit(place: Place) -> None:
    region = {
        "region_id": "r-1",
        "finding": "Fracture",
        "certainty": "definite",
        "note": "",
        "box": [100, 100, 200, 300],
    }
    edit = {
        "client_id": "c",
        "sequence": 1,
        "base_version": 0,
        "kind": "put",
        "region": region,
    }
    reading = f"/audit/readings/{place.id_of(NAME)}"
    assert place.client.post(f"{reading}/edits", json=edit).status_code == 200
    assert place.client.post(f"{reading}/commit", json={"base_version": 1}).status_code == 200


def prepare(place: Place, embeddings: dict[str, np.ndarray]) -> PromptBasis:
    """What the worker leaves in the cache: made-up basis maps of two dimensions."""
    place.store.models.save("m", ENTRY.to_dict())
    entry = place.store.models.get("m")
    image = place.records[NAME]
    maps = np.zeros((2, 5, 5), np.float16)
    maps[0, 1, 1] = maps[1, 3, 3] = 1.0
    basis = PromptBasis(
        basis=maps,
        embedding=np.array([1.0, 1.0], np.float32),
        input_size=(20, 20),
        geometry=frame_geometry("squash", image.size, (20, 20)),
        layer="made.up",
        weights_sha256=ENTRY.weights_sha256,
    )
    write_basis(basis_file(place.workspace, image, entry, "gradcam"), basis)
    texts = [t for f in place.store.findings() for t in ENTRY.prompts.prompts_for(f)]
    for text in texts:
        path = text_file(place.workspace, entry, text)
        write_text_embedding(path, np.array([0.6, 0.8], np.float32))
    for text, values in embeddings.items():
        write_text_embedding(text_file(place.workspace, entry, text), values)
    return basis


def test_kept_words_are_answered_at_once_with_map_score_and_findings(place: Place) -> None:
    commit(place)
    prepare(place, {"a line": np.array([1.0, 0.0], np.float32)})
    answer = ask(place)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    # The cosine of (1, 0) with (1, 1); by hand.
    assert abs(body["score"] - 0.5**0.5) < 1e-6
    assert {one["name"] for one in body["scores"]} == set(place.store.findings())
    assert all(abs(one["score"] - 1.4 / 2**0.5) < 1e-6 for one in body["scores"])
    # Only the first dimension raises this score: its place, (1.5, 1.5) of 5 cells over 500 x 600.
    x, y = body["pane"]["heat"]["peak"]
    assert abs(x - 150) <= 25
    assert abs(y - 180) <= 30


def test_words_wait_for_the_commit(place: Place) -> None:
    prepare(place, {"a line": np.array([1.0, 0.0], np.float32)})
    answer = ask(place)
    assert (answer.status_code, answer.json()["reason"]) == (409, "locked")


def test_a_wrong_question_is_a_422_with_what_to_do(place: Place) -> None:
    commit(place)
    prepare(place, {})
    for changes, part in (
        ({"text": ""}, "type the words"),
        ({"text": "x" * 301}, "301 signs"),
        ({"text": None}, "reader, finding, model, method, text"),
        ({"method": "layercam"}, "no maps of free words by 'layercam'; known: gradcam, hirescam"),
    ):
        answer = ask(place, **changes)
        assert answer.status_code == 422
        assert part in answer.json()["message"]
    assert ask(place, model="none").status_code == 404


def test_too_many_questions_at_once_are_a_422_but_not_asking_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(place)
    prepare(place, {})
    # Nobody answers.
    monkeypatch.setattr("audit_app.jobs.ensure_worker", lambda *_: None)
    monkeypatch.setattr("audit_app.comparison.prompts.WAIT_S", 0.0)
    for number in range(MOST_ACTIVE):
        assert ask(place, text=f"line {number}").status_code == 202
    assert ask(place, text="line 0").status_code == 202
    answer = ask(place, text="one more")
    assert answer.status_code == 422
    assert "10 questions to the models of yours wait or run" in answer.json()["message"]


def test_only_who_is_signed_in_may_ask_and_only_beside_their_own_reading(place: Place) -> None:
    commit(place)
    prepare(place, {"a line": np.array([1.0, 0.0], np.float32)})
    add_account(place.store, "anna", "reader", "a long enough password")
    assert ask(place).status_code == 401
    answer = ask(place, cookies="access-token-test=token-anna")
    assert answer.status_code == 422
    assert "another reader's" in answer.json()["message"]
