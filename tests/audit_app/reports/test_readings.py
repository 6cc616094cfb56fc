from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from annotations.exports import EXPORTERS
from audit_app.accounts import add_account
from audit_app.reports.readings import PATH, build_export_routes
from audit_app.services import Services
from audit_app.settings import Settings
from audit_app.tabs.export import build_export_links
from tests.annotations.exports.study import Study, build_study


@pytest.fixture
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    built = build_study(tmp_path_factory.mktemp("study"))
    with built.store:
        yield built


@pytest.fixture
def client(study: Study) -> Iterator[TestClient]:
    services = Services(study.workspace, study.store, Settings(open_browser=False))
    app = Starlette(routes=build_export_routes(services))
    # What Gradio's application has.
    app.cookie_id = "test"  # type: ignore[attr-defined]
    app.tokens = {"token-anna": "anna", "token-olga": "olga"}  # type: ignore[attr-defined]
    with TestClient(app) as opened:
        yield opened


@pytest.mark.parametrize("kind", sorted(EXPORTERS))
def test_every_format_is_sent_as_one_file_and_logged(
    client: TestClient, study: Study, kind: str
) -> None:
    answer = client.get(PATH.format(kind=kind))

    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith(
        f'attachment; filename="readings-{kind}-'
    )
    row = study.store.log.rows(limit=1)[0]
    assert (row.kind, row.actor, row.subject) == ("export", "local reader", kind)
    assert row.details["bytes"] == len(answer.content)
    assert not [one for one in study.workspace.cache.iterdir() if one.name.startswith("export-")]


def test_the_table_holds_the_readings(client: TestClient) -> None:
    table = client.get("/audit/exports/csv").content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(table)))

    assert {row["reader"] for row in rows} == {"Dr. A", "B=1"}
    assert json.loads(client.get("/audit/exports/coco").text)["readings"]


def test_a_format_of_many_files_is_one_archive(client: TestClient) -> None:
    answer = client.get("/audit/exports/dicom-sr")

    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = [name.split("/", 1)[1] for name in archive.namelist() if name.endswith(".dcm")]
    assert sorted(names) == ["chest-B_1-v1.dcm", "chest-Dr._A-v1.dcm", "chest-Dr._A-v2.dcm"]


@pytest.mark.parametrize("kind", sorted(EXPORTERS))
def test_a_full_disk_is_a_sentence_without_a_path_and_leaves_nothing(
    client: TestClient, study: Study, kind: str, small_disk: Callable[[int], None]
) -> None:
    small_disk(0)
    answer = client.get(PATH.format(kind=kind))
    assert answer.status_code == 507
    assert "refused: File too large; let somebody there look at the free space" in answer.text
    assert str(study.workspace.root) not in answer.text
    assert list(study.workspace.cache.glob("export-*")) == []


def test_an_export_that_cannot_be_logged_is_not_sent(
    client: TestClient, study: Study, small_disk: Callable[[int], None]
) -> None:
    small_disk(study.workspace.database.stat().st_size // 2)
    answer = client.get("/audit/exports/csv")
    assert answer.status_code == 409
    assert "it may be full" in answer.text
    assert list(study.workspace.cache.glob("export-*")) == []


def test_an_unknown_format_is_not_found(client: TestClient) -> None:
    answer = client.get("/audit/exports/xls")

    assert answer.status_code == 404
    assert "readings are exported as csv, jsonl" in answer.text


def test_readers_do_not_get_the_readings_of_others(client: TestClient, study: Study) -> None:
    add_account(study.store, "anna", "reader", "a long password of anna")
    add_account(study.store, "olga", "auditor", "a long password of olga")
    address = "/audit/exports/csv"

    assert client.get(address).status_code == 401
    cookie = "access-token-test"
    client.cookies.set(cookie, "token-anna")
    assert client.get(address).status_code == 403
    client.cookies.set(cookie, "token-olga")
    assert client.get(address).status_code == 200


def test_the_tab_links_to_every_format() -> None:
    html = str(build_export_links().value)

    for kind, exporter in EXPORTERS.items():
        assert f'href="/audit/exports/{kind}"' in html
        assert exporter.description in html
