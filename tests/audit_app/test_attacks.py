"""The attack table against the launched product: refused, logged, and the app lives on."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr
import httpx
import pytest

from annotations.records import ImageRecord, Role
from annotations.store import Store
from annotations.store.trail import LogFilter
from annotations.workspace import Workspace
from audit_app.accounts import add_account
from audit_app.app import Page, build_page
from audit_app.page_calls import KEPT_PAGES, PAGES_PER_ACCOUNT
from audit_app.reports.log_routes import LogTickets
from audit_app.services import Services
from audit_app.serving import RunningApp, start
from audit_app.session import Visitor
from audit_app.settings import Settings
from audit_app.tabs.log import describe_check, fill_log, parse_filter, show_log
from audit_app.tabs.read import parse_filters
from audit_app.viewer.state import worklist_value
from tests.audit_app.test_serving import run_event
from tests.browser.films import make_workspace

PASSWORD = "correct horse battery"
ROLES: dict[str, Role] = {"anna": "reader", "berta": "reader", "olga": "auditor", "root": "admin"}
HISTORY = "Known to Mr Findling since 1961"
SQL = ["'; DROP TABLE images; --", "' OR '1'='1", '" UNION SELECT password_hash FROM accounts--']


@dataclass
class Ward:
    """The product on a small workspace with four accounts, each signed in once."""

    workspace: Workspace
    services: Services
    page: Page
    running: RunningApp
    image: ImageRecord
    clients: dict[str, httpx.Client]

    @property
    def store(self) -> Store:
        return self.services.store

    def refusals(self, actor: str) -> list[str]:
        rows = self.store.trail.find(LogFilter(kind="refused", actor=actor), limit=1000)
        return [row.subject for row in rows]


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    workspace, records = make_workspace(tmp_path_factory.mktemp("ward"), ["film-00.png"])
    settings = Settings(open_browser=False)
    with Store.open(workspace) as store:
        for name, role in ROLES.items():
            add_account(store, name, role, PASSWORD)
        services = Services(workspace, store, settings)
        page = build_page(services)
        running = start(page.demo, services, settings, page.routes, look=page.look)
        clients = {name: httpx.Client(base_url=running.url, timeout=60) for name in ROLES}
        for name, client in clients.items():
            answer = client.post("/login", data={"username": name, "password": PASSWORD})
            assert answer.status_code == 200
        yield Ward(workspace, services, page, running, records["film-00.png"], clients)
        for client in clients.values():
            client.close()
        running.close()


@pytest.fixture(autouse=True)
def still_alive(ward: Ward) -> Iterator[None]:
    yield
    answer = ward.clients["anna"].get(f"/audit/readings/{ward.image.image_id}")
    assert answer.status_code == 200
    assert ward.store.log.verify() == []


def events(ward: Ward) -> list[tuple[str, Any]]:
    return [(str(e.name), e.fn) for e in ward.page.demo.fns.values() if e.fn is not None]


class TestRights:
    def test_every_event_refuses_whoever_has_another_role(self, ward: Ward) -> None:
        """Called raw, as the queue would, past everything that the page hides."""
        n_refused = 0
        for name, function in events(ward):
            roles = function.allowed_roles
            for account, role in ROLES.items():
                if role == "admin" or not roles or role in roles:
                    continue
                with pytest.raises(gr.Error, match=f"your role is {role}"):
                    call(function, account)
                n_refused += 1
                assert name
        assert n_refused > 30
        assert [one for one in ward.refusals("anna") if one.startswith("event ")]

    def test_an_event_that_changes_data_of_all_is_for_admins(self, ward: Ward) -> None:
        roles = {name: function.allowed_roles for name, function in events(ward)}
        for name in ("start", "stop", "go_on", "open_data", "open_log", "verify"):
            assert set(roles[name]) <= {"admin", "auditor"}
            assert roles[name]

    @pytest.mark.parametrize(
        ("path", "statuses"),
        [
            ("/audit/exports/csv", {"reader": 403, "auditor": 200, "admin": 200}),
            ("/audit/runs/x/agreement.csv", {"reader": 403, "auditor": 404, "admin": 404}),
            ("/audit/evaluations/1/x", {"reader": 403, "auditor": 404, "admin": 404}),
            ("/audit/log/x.csv", {"reader": 403, "auditor": 403, "admin": 404}),
        ],
    )
    def test_each_download_asks_for_its_role(
        self, ward: Ward, path: str, statuses: dict[str, int]
    ) -> None:
        assert httpx.get(ward.running.url.rstrip("/") + path).status_code == 401
        found = {ROLES[n]: ward.clients[n].get(path).status_code for n in ("anna", "olga", "root")}
        assert found == statuses
        assert "not allowed with this role" in ward.refusals("anna")

    def test_raw_calls_without_a_session_are_refused_and_logged(self, ward: Ward) -> None:
        body = {"data": [], "fn_index": 1, "session_hash": "x"}
        for path in ("queue/join", "run/predict", "cancel", "reset"):
            answer = httpx.post(f"{ward.running.url}gradio_api/{path}", json=body)
            assert answer.status_code == 401
        assert "Not authenticated" in ward.refusals("")


def call(function: Any, account: str) -> Any:
    """As Gradio calls: the request first, before it looks at any other argument."""
    return function(gr.Request(username=account))


class TestGradiosRoutes:
    def test_a_forged_session_hash_reads_nobodys_answers(self, ward: Ward) -> None:
        session = os.urandom(6).hex()
        number = next(n for n, e in ward.page.demo.fns.items() if e.name == "greet")
        body = {"data": [], "fn_index": number, "session_hash": session}
        joined = ward.clients["anna"].post("/gradio_api/queue/join", json=body)
        assert joined.status_code == 200
        berta = ward.clients["berta"]
        stolen = berta.get(f"/gradio_api/queue/data?session_hash={session}")
        ended = berta.post("/gradio_api/cancel", json={**joined.json(), **body})
        assert (stolen.status_code, ended.status_code) == (403, 403)
        assert "anna" not in stolen.text

    def test_an_account_that_opens_many_pages_pushes_out_none_of_the_others(
        self, ward: Ward
    ) -> None:
        number = next(n for n, e in ward.page.demo.fns.items() if not e.queue)

        def open_page(account: str, session: str) -> None:
            body = {"data": [], "fn_index": number, "session_hash": session}
            ward.clients[account].post("/gradio_api/run/predict", json=body)

        kept = ward.page.demo.app.state_holder.session_data
        open_page("anna", "page-of-anna")
        state = kept["page-of-anna"]
        for i in range(KEPT_PAGES + 10):
            open_page("berta", f"flood-{i}")
        assert kept["page-of-anna"] is state
        flood = [session for session in kept if session.startswith("flood-")]
        last = KEPT_PAGES + 10
        assert flood == [f"flood-{i}" for i in range(last - PAGES_PER_ACCOUNT, last)]

    @pytest.mark.parametrize(
        "path",
        ["/gradio_api/file=../../../../etc/passwd", "/gradio_api/file=/etc/passwd",
         "/gradio_api/file=file:///etc/passwd", "/gradio_api/file=%2e%2e/%2e%2e/etc/passwd",
         "/gradio_api/file={root}/audit.sqlite", "/gradio_api/file={root}/workspace.key",
         "/gradio_api/file={root}/cache/gradio/../../workspace.key",
         "/assets/..%2f..%2fgradio%2froutes.py", "/static/%2e%2e/%2e%2e/routes.py",
         "/svelte/..%2f..%2froutes.py", "/audit/viewer/..%2f..%2fapp.py",
         "/audit/runs/..%2f..%2f..%2fworkspace.key/agreement.csv",
         "/audit/evaluations/1/..%2f..%2f..%2fworkspace.key",
         "/audit/exports/..%2f..%2fworkspace.key", "/audit/images/..%2f..%2f/pixels",
         "/audit/log/..%2f..%2fworkspace.csv"],
    )  # fmt: skip
    def test_no_path_leads_out_of_what_is_served(self, ward: Ward, path: str) -> None:
        asked = path.format(root=ward.workspace.root)
        answer = ward.clients["root"].get(asked)
        assert answer.status_code in {400, 403, 404}, answer.text[:200]
        key = (ward.workspace.root / "workspace.key").read_text().strip()
        for secret in (key, "root:x:0", "SQLite format", "import gradio"):
            assert secret not in answer.text

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Host": "evil.example"}, 421),
            ({"Origin": "http://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, 403),
        ],
    )
    def test_other_sites_cannot_use_a_session(
        self, ward: Ward, headers: dict[str, str], status: int
    ) -> None:
        url = f"/audit/readings/{ward.image.image_id}/commit"
        answer = ward.clients["anna"].post(url, json={"base_version": 0}, headers=headers)
        assert answer.status_code == status
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert ward.store.readings.get(ward.image.image_id, "anna").commits == 0

    @pytest.mark.parametrize(
        ("content", "statuses"),
        [
            (b'{"data": ["' + b"x" * (5 << 20) + b'"]}', {413}),
            (b'{"data": ' + b"[" * 200_000, {400, 422}),
            (b'{"data": [' + b"1" * 5000 + b"]}", {400, 401, 403, 404, 422, 500}),
            (b"\xff\xfe", {400, 422}),
            (b'{"fn_index": 99999, "data": [], "session_hash": "own"}', {400, 404, 422, 500}),
        ],
    )
    @pytest.mark.parametrize("path", ["queue/join", "run/predict"])
    def test_oversized_and_broken_json_is_refused(
        self, ward: Ward, path: str, content: bytes, statuses: set[int]
    ) -> None:
        headers = {"content-type": "application/json"}
        answer = ward.clients["berta"].post(f"/gradio_api/{path}", content=content, headers=headers)
        assert answer.status_code in statuses
        assert "Traceback" not in answer.text
        assert "site-packages" not in answer.text

    def test_guessing_a_password_has_to_wait_and_stands_in_the_log(self, ward: Ward) -> None:
        form = {"username": "olga", "password": "wrong password"}
        with httpx.Client(base_url=ward.running.url, timeout=60) as client:
            statuses = [client.post("/login", data=form).status_code for _ in range(6)]
        assert statuses == [400] * 5 + [429]
        failed = ward.store.trail.find(LogFilter(kind="sign in failed", text="olga"), limit=10)
        assert len(failed) == 6
        assert failed[0].details["reason"] == "too many attempts"
        assert ward.clients["olga"].get("/audit/exports/csv").status_code == 200


class TestTexts:
    def test_before_the_sign_in_nothing_of_the_workspace_is_told(self, ward: Ward) -> None:
        text = httpx.get(ward.running.url, follow_redirects=True).text
        for word in (ward.image.name, ward.image.image_id, HISTORY, "films", "anna", "Cardio"):
            assert word not in text

    def test_after_it_the_page_itself_names_no_picture_and_no_path(self, ward: Ward) -> None:
        text = ward.clients["root"].get("/?__theme=dark").text
        for word in (ward.image.name, ward.image.image_id, HISTORY, str(ward.workspace.root)):
            assert word not in text

    @pytest.mark.parametrize("text", SQL)
    def test_sql_in_a_search_box_is_text(self, ward: Ward, text: str) -> None:
        visitor = Visitor("anna", "reader")
        shown = worklist_value(ward.services, visitor, parse_filters(visitor, {"search": text}))
        assert shown["rows"] == []
        assert ward.store.images.count() == 1
        result = run_event(ward.clients["root"], ward.running, "show_rows", ["", "", "", "", text])
        assert result["success"]
        assert "argon2id" not in str(result)


class TestLogTab:
    ADMIN = Visitor("root", "admin")

    def test_the_tab_shows_words_names_and_how_many_there_are(self, ward: Ward) -> None:
        picture = f"/audit/images/{ward.image.image_id}/preview"
        assert ward.clients["berta"].get(picture).status_code == 200
        kinds, actors, count, link, table = fill_log(ward.services, LogTickets(), self.ADMIN)
        assert ("picture viewed", "view") in kinds.choices
        assert {"anna", "command line"} <= {value for _, value in actors.choices}
        assert "entries" in count
        assert '<a href="/audit/log/' in link
        viewed = [row for row in table.value["data"] if row[3] == "picture viewed"]
        assert [(row[2], row[5]) for row in viewed] == [("berta", ward.image.name)]

    def test_nothing_found_is_said_and_offers_no_file(self, ward: Ward) -> None:
        asked = parse_filter("", " nobody ", None, None, "")
        count, link, table = show_log(ward.services, LogTickets(), self.ADMIN, asked)
        assert (count, link) == ("Nothing like this stands in the log.", "")
        assert not table.visible

    def test_the_file_holds_what_was_filtered_with_no_formula_and_no_file_name(
        self, ward: Ward
    ) -> None:
        ward.store.log.add("export", "=cmd|' /C calc'!A0", "+SUM(A1)", {"count": 1})
        admin = ward.clients["root"]
        data = ["", "", "", "", "+SUM(A1"]
        shown = run_event(admin, ward.running, "show_rows", data)["output"]["data"]
        (href,) = re.findall(r'href="([^"]+)"', str(shown[1]))
        assert "SUM" not in href
        answer = admin.get(href)
        assert answer.headers["content-type"].startswith("text/csv")
        (row,) = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
        assert (row["actor"], row["subject"]) == ("'=cmd|' /C calc'!A0", "'+SUM(A1)")
        assert ward.image.name not in answer.text
        assert ward.clients["olga"].get(href).status_code == 403
        assert ward.store.log.rows(limit=1)[0].kind in {"export", "refused"}

    def test_the_chain_is_checked_in_words(self, ward: Ward) -> None:
        assert "unbroken" in describe_check(ward.services)
