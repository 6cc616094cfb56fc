"""The viewer's routes answer with real status codes and believe nothing."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pytest

from annotations.imaging import load_radiograph
from annotations.store import connection
from tests.audit_app.viewer.conftest import Place

READER = "local reader"


def put(
    sequence: int = 1, base: int = 0, box: object = (10, 20, 60, 90), **region: Any
) -> dict[str, Any]:
    shown = {"region_id": "r-1", "finding": "Fracture", "certainty": "definite", "note": ""}
    return {
        "client_id": "client-1",
        "sequence": sequence,
        "base_version": base,
        "kind": "put",
        "region": {**shown, "box": list(box) if isinstance(box, tuple) else box, **region},
    }


def send(place: Place, body: object, name: str = "film-a.png") -> Any:
    return place.client.post(f"/audit/readings/{place.id_of(name)}/edits", json=body)


def test_an_edit_is_acknowledged_with_the_reading_as_it_is_stored(place: Place) -> None:
    answer = send(place, put())
    assert answer.status_code == 200
    assert answer.json() == {
        "ok": True,
        "reading": {
            "image_id": place.id_of("film-a.png"),
            "version": 1,
            "status": "draft",
            "is_open": True,
            "no_finding": False,
            "regions": [
                {
                    "region_id": "r-1",
                    "finding": "Fracture",
                    "certainty": "definite",
                    "box": [10, 20, 60, 90],
                    "note": "",
                    "shape": None,
                }
            ],
            "commits": 0,
            "is_revealed": False,
        },
    }
    assert place.store.readings.get(place.id_of("film-a.png"), READER).version == 1


def test_the_same_edit_again_changes_nothing(place: Place) -> None:
    assert send(place, put()).json() == send(place, put()).json()
    assert place.store.readings.get(place.id_of("film-a.png"), READER).version == 1


def test_an_outdated_edit_is_a_409_with_the_present_reading(place: Place) -> None:
    send(place, put())
    answer = send(place, put(sequence=2, base=0, region_id="r-2"))
    assert answer.status_code == 409
    assert (answer.json()["ok"], answer.json()["reason"]) == (False, "stale")
    assert answer.json()["reading"]["version"] == 1


def test_an_edit_of_a_committed_reading_is_a_409_that_says_locked(place: Place) -> None:
    send(place, put())
    reading = f"/audit/readings/{place.id_of('film-a.png')}"
    assert place.client.post(f"{reading}/commit", json={"base_version": 1}).status_code == 200
    answer = send(place, put(sequence=2, base=1))
    assert (answer.status_code, answer.json()["reason"]) == (409, "locked")
    reopened = place.client.post(f"{reading}/reopen", json={})
    assert reopened.json()["reading"]["is_open"] is True
    assert send(place, put(sequence=3, base=1, box=(0, 0, 5, 5))).status_code == 200


def test_the_time_that_the_page_measured_is_kept_with_the_reading(place: Place) -> None:
    drawn = send(place, {**put(), "active_ms": 4000}).json()["reading"]
    reading = f"/audit/readings/{place.id_of('film-a.png')}"
    body = {"base_version": drawn["version"], "active_ms": 250}
    assert place.client.post(f"{reading}/commit", json={**body, "active_ms": -1}).status_code == 422
    assert place.client.post(f"{reading}/commit", json=body).status_code == 200
    (kept,) = place.store.readings.committed()
    assert place.store.readings.time_on_task(kept.reading_id) == {1: 4250}


def test_a_commit_that_says_nothing_is_refused_with_a_sentence(place: Place) -> None:
    reading = f"/audit/readings/{place.id_of('film-a.png')}"
    answer = place.client.post(f"{reading}/commit", json={"base_version": 0})
    assert answer.status_code == 422
    assert "No Finding" in answer.json()["message"]


def test_the_heatmap_stays_locked_until_the_commit(place: Place) -> None:
    reading = f"/audit/readings/{place.id_of('film-a.png')}"
    assert place.client.post(f"{reading}/reveal", json={}).status_code == 409
    send(place, put())
    place.client.post(f"{reading}/commit", json={"base_version": 1})
    assert place.client.post(f"{reading}/reveal", json={}).json()["reading"]["is_revealed"] is True


def test_a_note_of_null_keeps_the_note_that_is_stored(place: Place) -> None:
    send(place, put(note="seen on the lateral film, too"))
    send(place, put(sequence=2, base=1, box=(11, 20, 61, 90), note=None))
    region = place.store.readings.get(place.id_of("film-a.png"), READER).regions[0]
    assert region.note == "seen on the lateral film, too"
    assert region.box.corners == (11, 20, 61, 90)


def test_boxes_are_rounded_and_clipped_to_the_picture(place: Place) -> None:
    answer = send(place, put(box=[-5, 10.5, 9000, 20.49]))
    assert answer.json()["reading"]["regions"][0]["box"] == [0, 11, 500, 20]


@pytest.mark.parametrize(
    "box",
    [
        [10, 20, 10, 90],
        [60, 20, 10, 90],
        [1, 2, 3],
        [600, 20, 700, 90],
        ["1", 2, 3, 4],
        [True, 0, 5, 5],
        [0, 0, 10**400, 5],
        None,
        {"x": 1},
    ],
)
def test_a_box_that_is_none_is_refused_and_nothing_is_stored(place: Place, box: object) -> None:
    answer = send(place, put(box=box))
    assert answer.status_code == 422
    assert "box" in answer.json()["message"]
    assert place.store.readings.get(place.id_of("film-a.png"), READER).version == 0


def test_numbers_that_json_does_not_know_are_refused(place: Place) -> None:
    content = json.dumps(put(box=[float("nan"), 0, float("inf"), 9]))
    answer = place.client.post(
        f"/audit/readings/{place.id_of('film-a.png')}/edits",
        content=content,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"kind": "destroy"}, "destroy"),
        ({"sequence": -1}, "sequence"),
        ({"sequence": 1.5}, "sequence"),
        ({"sequence": True}, "sequence"),
        ({"base_version": "0"}, "base_version"),
        ({"client_id": ""}, "client_id"),
        ({"client_id": "a b"}, "client id"),
        ({"image_id": "another"}, "image_id"),
        ({"region": None}, "region"),
        ({"region": []}, "region"),
        ({"kind": "delete", "region_id": 5}, "region_id"),
        ({"kind": "no_finding", "no_finding": "yes"}, "no_finding"),
        ({"active_ms": "5"}, "active_ms"),
        ({"active_ms": 10**9}, "time at work"),
    ],
)
def test_a_body_that_the_page_never_sends_is_refused_by_name(
    place: Place, change: dict[str, Any], word: str
) -> None:
    answer = send(place, {**put(), **change})
    assert answer.status_code == 422
    assert word in answer.json()["message"]
    assert place.store.readings.get(place.id_of("film-a.png"), READER).version == 0


@pytest.mark.parametrize(
    ("region", "word"),
    [
        ({"finding": "Efusion"}, "Pleural Effusion"),
        ({"finding": "No Finding"}, "No Finding"),
        ({"certainty": "sure"}, "sure"),
        ({"note": 5}, "note"),
        ({"note": "x" * 3000}, "3000"),
        ({"region_id": "../../etc"}, "region id"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_region_that_may_not_be_saved_is_refused_with_the_reason(
    place: Place, region: dict[str, Any], word: str
) -> None:
    answer = send(place, put(**region))
    assert answer.status_code == 422
    assert word in answer.json()["message"]


def test_a_large_body_is_refused(place: Place) -> None:
    assert send(place, put(note="x" * 1_100_000)).status_code == 413


def test_a_body_of_another_type_or_broken_json_is_refused(place: Place) -> None:
    url = f"/audit/readings/{place.id_of('film-a.png')}/edits"
    text = json.dumps(put())
    plain = place.client.post(url, content=text, headers={"content-type": "text/plain"})
    assert plain.status_code == 422
    for content in ("{", "[" * 20_000, ""):
        headers = {"content-type": "application/json"}
        assert place.client.post(url, content=content, headers=headers).status_code == 422


def test_an_unknown_image_or_box_is_a_404(place: Place) -> None:
    assert place.client.get("/audit/readings/nothing").status_code == 404
    assert place.client.get("/audit/images/nothing/pixels").status_code == 404
    body = {**put(), "kind": "delete", "region_id": "r-9"}
    assert send(place, body).status_code == 404


def test_with_accounts_everybody_must_sign_in_and_sees_only_their_own_reading(
    place: Place,
) -> None:
    place.store.accounts.add("anna", "reader", "hash")
    place.store.accounts.add("olga", "auditor", "hash")
    url = f"/audit/readings/{place.id_of('film-a.png')}"
    picture = f"/audit/images/{place.id_of('film-a.png')}/pixels"
    for path in (url, picture):
        assert place.client.get(path).status_code == 401
    assert send(place, put()).status_code == 401
    place.client.cookies.set("access-token-test", "token-anna")
    assert send(place, put()).status_code == 200
    assert place.store.readings.get(place.id_of("film-a.png"), "anna").version == 1
    place.client.cookies.set("access-token-test", "token-olga")
    assert place.client.get(url).json()["reading"]["regions"] == []
    refused = send(place, put())
    assert (refused.status_code, "auditor" in refused.json()["message"]) == (403, True)


@pytest.mark.parametrize("name", ["film-a.png", "film-8bit.png", "film-mono1.dcm"])
def test_the_pixel_payload_is_the_raw_picture(place: Place, name: str) -> None:
    answer = place.client.get(f"/audit/images/{place.id_of(name)}/pixels")
    pixels = load_radiograph(place.workspace.root.parent / "films" / name).pixels
    assert answer.headers["cache-control"] == "no-store"
    assert "content-encoding" not in answer.headers
    raw = gzip.decompress(answer.content)
    shown = np.frombuffer(raw, dtype=pixels.dtype.newbyteorder("<")).reshape(pixels.shape)
    assert np.array_equal(shown, pixels)


def test_a_missing_file_is_named(place: Place) -> None:
    (place.workspace.root.parent / "films" / "film-b.png").unlink()
    answer = place.client.get(f"/audit/images/{place.id_of('film-b.png')}/pixels")
    assert answer.status_code == 422
    assert "film-b.png" in answer.json()["message"]
    assert "put it back" in answer.json()["message"]


def test_scripts_are_served_and_nothing_else_of_the_folder(place: Place) -> None:
    answer = place.client.get("/audit/viewer/reading_panel.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert place.client.get("/audit/viewer/viewer.css").status_code == 200
    for name in ("routes.py", "package.json", "..%2fapp.css", "%2e%2e%2fapp.css", "none.js"):
        assert place.client.get(f"/audit/viewer/{name}").status_code == 404


TRIANGLE = {"kind": "polygon", "rings": [[[10, 20.5], [60, 40], [30, 90]]]}


def test_an_outline_is_kept_with_its_box_and_given_back(place: Place) -> None:
    answer = send(place, put(shape=TRIANGLE))

    assert answer.status_code == 200
    expected = {"kind": "polygon", "rings": [[[10.0, 20.5], [60.0, 40.0], [30.0, 90.0]]]}
    assert answer.json()["reading"]["regions"][0]["shape"] == expected
    relabelled = send(place, put(2, 1, shape=expected, finding="Mass")).json()
    assert relabelled["reading"]["regions"][0]["shape"] == expected
    dropped = send(place, put(3, 2, box=(11, 20, 61, 90))).json()
    assert dropped["reading"]["regions"][0]["shape"] is None
    restored = send(place, put(4, 3, shape=expected)).json()
    assert restored["reading"]["regions"][0]["shape"] == expected


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ("circle", "is no object with 'kind' and 'rings'"),
        ({"kind": "polygon", "rings": [[[10, 20], [60, 90]]]}, "each ring needs at least three"),
        ({"kind": "polygon", "rings": [[[11, 20], [60, 40], [30, 90]]]}, "is not the bounding box"),
        ({"kind": "polygon", "rings": [[[0, 0]] * 20_001]}, "more than 20,000 points"),
    ],
)
def test_an_outline_from_a_browser_is_not_believed(
    place: Place, shape: object, reason: str
) -> None:
    answer = send(place, put(shape=shape))

    assert answer.status_code == 422
    assert reason in answer.json()["message"]
    assert place.store.readings.get(place.id_of("film-a.png"), READER).version == 0


def test_what_the_database_refuses_names_the_workspaces_folder_in_the_log_only(
    place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The routes' threads connect with their first request.
    read_only = (*connection._PRAGMAS, "PRAGMA query_only = ON")
    monkeypatch.setattr(connection, "_PRAGMAS", read_only)
    answer = send(place, put())
    assert answer.status_code == 503
    assert "W/audit.sqlite may not be written" in answer.json()["message"]
    assert str(place.workspace.root) not in answer.text
    assert str(place.workspace.database) in caplog.text
