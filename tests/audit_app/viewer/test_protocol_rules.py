"""The reading protocol over the viewer's routes: what the page is told, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from annotations.cases import ADJUDICATION
from annotations.errors import ReadingLocked
from annotations.protocol import Protocol, change_protocol
from annotations.records import Region
from annotations.regions import Box
from annotations.store import Store
from annotations.store.adjudications import result_id
from audit_app.comparison import open_reading, readable_cases
from audit_app.services import Services
from audit_app.session import LOCAL_READER, Visitor
from audit_app.settings import Settings
from audit_app.study import ensure_order
from audit_app.viewer.routes import build_routes
from audit_app.viewer.state import Filters, case_value, worklist_value
from tests.browser.films import make_workspace

ME = LOCAL_READER.name
HEART = Region("a1", "Cardiomegaly", "definite", Box(100, 200, 300, 400))
LUNG = Region("b1", "Lung Opacity", "possible", Box(120, 100, 200, 300), "faint")


@dataclass
class Study:
    """A workspace of two films, its routes, and one reader who marks."""

    services: Services
    client: TestClient
    ids: list[str]
    sequence: int = field(default=0)

    @property
    def store(self) -> Store:
        return self.services.store

    def rule(self, **rules: Any) -> None:
        file = self.services.workspace.settings_file
        change_protocol(file, self.store, Protocol(**rules), "ada")

    def mark(self, case_id: str, **region: Any) -> Any:
        self.sequence += 1
        shown = {"region_id": "r-1", "finding": "Fracture", "certainty": "definite", "note": ""}
        answer = self.client.get(f"/audit/readings/{case_id}").json()
        base = answer["reading"]["version"] if answer["ok"] else 0
        body = {
            "client_id": "page",
            "sequence": self.sequence,
            "base_version": base,
            "kind": "put",
            "region": {**shown, "box": [10, 20, 60, 90], **region},
        }
        return self.client.post(f"/audit/readings/{case_id}/edits", json=body)

    def commit(self, case_id: str) -> Any:
        version = self.client.get(f"/audit/readings/{case_id}").json()["reading"]["version"]
        return self.client.post(f"/audit/readings/{case_id}/commit", json={"base_version": version})

    def shown(self, case_id: str) -> dict[str, Any]:
        return case_value(self.services, LOCAL_READER, case_id)


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    workspace, records = make_workspace(tmp_path, ["film-a.png", "film-b.png"])
    with Store.open(workspace) as store:
        services = Services(workspace, store, Settings(open_browser=False))
        app = Starlette(routes=build_routes(services))
        app.cookie_id, app.tokens = "test", {}  # type: ignore[attr-defined]
        with TestClient(app) as client:
            yield Study(services, client, [one.image_id for one in records.values()])


@pytest.fixture
def others(study: Study) -> Callable[[], None]:
    def read() -> None:
        give = study.store.readings.import_committed
        give(study.ids[0], "anna", "imported", [HEART], False)
        give(study.ids[0], "bert", "imported", [LUNG], False)

    return read


def test_only_findings_of_the_protocol_are_offered_and_taken(study: Study) -> None:
    study.mark(study.ids[1], region_id="old", finding="Fracture")
    study.rule(findings=("Lung Opacity", "Cardiomegaly"))
    names = [one["name"] for one in study.shown(study.ids[0])["meta"]["findings"]]
    assert names == ["Lung Opacity", "Cardiomegaly"]
    refused = study.mark(study.ids[0], finding="Fracture")
    assert refused.status_code == 422
    assert "known: Lung Opacity, Cardiomegaly" in refused.json()["message"]
    # What was marked before the change can still be moved.
    assert study.mark(study.ids[1], region_id="old", box=[10, 20, 70, 90]).status_code == 200


def test_smaller_boxes_than_the_protocol_allows_are_refused_also_at_the_commit(
    study: Study,
) -> None:
    assert study.mark(study.ids[0], box=[10, 20, 29, 90]).status_code == 200
    study.rule(smallest_box_px=20)
    assert study.shown(study.ids[0])["meta"]["smallest_box_px"] == 20
    for refused in (study.mark(study.ids[0], region_id="r-2", box=[10, 20, 29, 90]),
                    study.commit(study.ids[0])):  # fmt: skip
        assert refused.status_code == 422
        assert "19 x 70 pixels; the protocol asks for at least 20" in refused.json()["message"]
    assert study.mark(study.ids[0], box=[10, 20, 30, 90]).status_code == 200
    assert study.commit(study.ids[0]).status_code == 200


def test_a_certainty_may_wait_until_the_commit_only_where_it_is_required(study: Study) -> None:
    assert "no certainty" in study.mark(study.ids[0], certainty="").json()["message"]
    study.rule(certainty="required")
    assert study.shown(study.ids[0])["rules"]["needs_certainty"] is True
    assert study.mark(study.ids[0], certainty="").status_code == 200
    assert "1 of 1 boxes have no certainty" in study.commit(study.ids[0]).json()["message"]
    assert study.mark(study.ids[0], certainty="probable").status_code == 200
    assert study.commit(study.ids[0]).status_code == 200


def test_maps_that_are_never_shown_are_refused_to_readers_and_not_to_auditors(
    study: Study, others: Callable[[], None]
) -> None:
    others()
    study.rule(heatmap="never")
    study.mark(study.ids[0])
    study.commit(study.ids[0])
    answer = study.client.post(f"/audit/readings/{study.ids[0]}/reveal", json={})
    assert (answer.status_code, answer.json()["reason"]) == (409, "locked")
    assert study.shown(study.ids[0])["rules"]["maps"] == "never"
    for visitor in (LOCAL_READER, Visitor("anna", "reader"), Visitor("bert", "auditor")):
        with pytest.raises(ReadingLocked, match="keeps the heatmaps from its readers"):
            open_reading(study.services, visitor, study.ids[0], visitor.name)
    assert readable_cases(study.services, LOCAL_READER) == []
    ada = Visitor("ada", "auditor")
    assert [one.reader for one in readable_cases(study.services, ada)] == ["anna", "bert", ME]
    assert open_reading(study.services, ada, study.ids[0], "anna").regions == (HEART,)


def test_maps_shown_at_once_open_a_draft_and_label_what_is_committed(study: Study) -> None:
    study.mark(study.ids[0])
    with pytest.raises(ReadingLocked):
        open_reading(study.services, LOCAL_READER, study.ids[0], ME)
    study.rule(heatmap="at once")
    assert "not blinded" in study.shown(study.ids[0])["rules"]["notes"][0]
    assert [one.label for one in readable_cases(study.services, LOCAL_READER)] == [
        f"film-a.png - Fracture ({ME}, draft)"
    ]
    opened = open_reading(study.services, LOCAL_READER, study.ids[0], ME)
    assert (opened.commit_number, opened.blinded) == (0, False)
    assert study.store.readings.get(study.ids[0], ME).revealed_at is not None
    # Looked at or not, what is committed under this rule is not blinded.
    study.mark(study.ids[1])
    for image_id in study.ids:
        study.commit(image_id)
    kept = study.store.readings.committed(blinded_only=False)
    assert [one.blinded for one in kept] == [False, False]


def test_readers_see_earlier_readings_only_under_that_rule_and_then_are_not_independent(
    study: Study, others: Callable[[], None]
) -> None:
    others()
    assert study.shown(study.ids[0])["rules"]["earlier"] == []
    assert study.shown(study.ids[0])["rules"]["notes"] == []
    study.rule(earlier_readings=True)
    earlier = study.shown(study.ids[0])["rules"]["earlier"]
    assert [(one["reader"], one["regions"][0]["finding"]) for one in earlier] == [
        ("anna", "Cardiomegaly"),
        ("bert", "Lung Opacity"),
    ]
    assert study.shown(study.ids[1])["rules"]["earlier"] == []
    for image_id in study.ids:
        study.mark(image_id)
        study.commit(image_id)
    mine = study.store.readings.committed(readers=[ME])
    assert [(one.blinded, one.independent) for one in mine] == [(True, False), (True, True)]


def test_a_repeat_is_read_over_the_same_routes_under_a_number_in_place_of_its_name(
    study: Study,
) -> None:
    study.rule(random_order=True, repeat_percent=50)
    ensure_order(study.services, LOCAL_READER)
    rows = worklist_value(study.services, LOCAL_READER, Filters())["rows"]
    assert [row["name"] for row in rows] == ["Case 1", "Case 2", "Case 3"]
    (repeat,) = [row["image_id"] for row in rows if row["image_id"].endswith("-2")]
    first = repeat.removesuffix("-2")
    assert "comes later" in study.shown(repeat)["problem"]
    study.mark(first)
    study.commit(first)
    shown = study.shown(repeat)
    place = [row["image_id"] for row in rows].index(repeat) + 1
    assert shown["meta"]["name"] == f"Case {place}"
    assert (shown["reading"]["image_id"], shown["reading"]["regions"]) == (repeat, [])
    pixels = [study.client.get(f"/audit/images/{one}/pixels") for one in (first, repeat)]
    assert pixels[0].status_code == 200
    assert pixels[0].content == pixels[1].content
    hidden = study.client.get(f"/audit/readings/{first}")
    assert (hidden.status_code, hidden.json()["reason"]) == (409, "hidden")
    assert "reading" not in hidden.json()
    assert study.mark(repeat, box=[12, 22, 60, 90]).json()["reading"]["image_id"] == repeat
    assert study.commit(repeat).json()["reading"]["status"] == "committed"
    assert study.client.get(f"/audit/readings/{first}").status_code == 200


def test_the_page_decides_and_commits_an_adjudication_over_its_routes(
    study: Study, others: Callable[[], None]
) -> None:
    others()
    image_id = study.ids[0]
    adjudications = f"/audit/adjudications/{image_id}"
    assert study.client.get(adjudications).status_code == 422
    begun = study.store.adjudications.begin(image_id, ME, ["anna", "bert"])
    anna, bert = begun.parents
    state = study.client.get(adjudications).json()["adjudication"]
    assert [(one["reader"], one["colour"]) for one in state["parents"]] == [
        ("anna", "#56b4e9"),
        ("bert", "#e69f00"),
    ]

    def post(action: str, **body: Any) -> Any:
        return study.client.post(f"{adjudications}/{action}", json=body)

    accept = {"parent_id": anna.reading_id, "region_id": "a1", "decision": "accept"}
    first = {"client_id": "page-1", "sequence": 1, "base_version": 0, "active_ms": 4000, **accept}
    assert post("decide", **first).json()["adjudication"]["undecided"] == 1
    assert post("decide", **first).json()["adjudication"]["version"] == 1  # sent again, kept once
    late = post("decide", **{**first, "sequence": 2})
    assert (late.status_code, late.json()["reason"]) == (409, "stale")
    next_one = {"client_id": "page-1", "sequence": 3, "base_version": 1}
    odd = post("decide", **next_one, **{**accept, "decision": "maybe"})
    assert (odd.status_code, "'maybe' is not known" in odd.json()["message"]) == (422, True)
    unnamed = post("decide", base_version=1, **accept)
    assert (unnamed.status_code, "client_id" in unnamed.json()["message"]) == (422, True)
    # As from a browser that did not keep the note over a reload.
    region = {"region_id": "x", "finding": "Lung Opacity", "certainty": "probable", "note": None}
    region["region_id"] = result_id(bert.reading_id, "b1")
    edit = {"parent_id": bert.reading_id, "region_id": "b1", "decision": "edit"}
    post("decide", **next_one, **edit, region={**region, "box": [120, 100, 210, 300]})
    assert post("commit", base_version=2, active_ms=-1).status_code == 422
    done = post("commit", base_version=2, active_ms=250).json()["adjudication"]
    assert (done["status"], done["is_open"]) == ("committed", False)
    (kept,) = study.store.readings.committed(occasions=(ADJUDICATION,))
    assert study.store.readings.time_on_task(kept.reading_id) == {1: 4250}
    assert [(one.finding, one.box.x_max, one.note) for one in kept.regions] == [
        ("Cardiomegaly", 300, ""),
        ("Lung Opacity", 210, LUNG.note),
    ]
    assert post("reopen").json()["adjudication"]["is_open"] is True


def test_readers_may_not_adjudicate(study: Study, others: Callable[[], None]) -> None:
    others()
    study.store.accounts.add("anna", "reader", "x")
    study.client.app.tokens["t"] = "anna"  # type: ignore[attr-defined]
    study.client.cookies["access-token-test"] = "t"
    answer = study.client.get(f"/audit/adjudications/{study.ids[0]}")
    assert answer.status_code == 403
