"""The settings and the guard against the installed Gradio, over real sockets."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio import networking
from PIL import Image
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from annotations.errors import WorkspaceError
from annotations.importing import import_source
from annotations.records import NewImage
from annotations.store import Store
from annotations.workspace import create_workspace, open_workspace
from annotations.workspace_lock import hold_import
from audit_app.accounts import add_account
from audit_app.errors import AuditError
from audit_app.services import Services
from audit_app.serving import (
    Look,
    RunningApp,
    ServingRefused,
    blocked_paths,
    check_private,
    start,
    unattended_events,
)
from audit_app.session import visitor_of_route
from audit_app.settings import Settings
from audit_app.sharing import SharingFailed, SharingRefused
from tests.audit_app.guarded_page import PRIVATE, SECRET_LABEL, build_demo, event_number

PASSWORD = "correct horse battery"
QUIET = Settings(open_browser=False)


def make_services(folder: Path, *, accounts: bool) -> Services:
    workspace = create_workspace(folder / "workspace", name="test", synthetic=True)
    store = Store.open(workspace)
    if accounts:
        add_account(store, "anna", "reader", PASSWORD)
        add_account(store, "root", "admin", PASSWORD)
    return Services(workspace, store, QUIET)


def add_picture(services: Services, *, flags: tuple[str, ...] = ()) -> None:
    number = services.store.images.count()
    services.store.images.add(
        NewImage(
            path=f"/data/{number}.png", origin=f"/data/{number}.png", name=f"{number}.png",
            source="folder", sha256="0" * 64, pixel_sha256="0" * 64, height=40, width=60, bits=8,
            photometric="MONOCHROME2", modality="", view="PA", spacing_mm=None,
            patient_hash="p", study_hash="s", flags=flags,
        )
    )  # fmt: skip


def confirmed(services: Services, n_pictures: int) -> Services:
    """The same workspace after somebody wrote this number into its settings."""
    file = services.workspace.settings_file
    text = re.sub(r"(?m)^pseudonymised = .*$", f"pseudonymised = {n_pictures}", file.read_text())
    file.write_text(text, encoding="utf-8")
    return replace(services, workspace=open_workspace(services.workspace.root))


def wait_for_status(url: str, headers: dict[str, str]) -> int:
    until = time.monotonic() + 30
    while (status := httpx.get(url, headers=headers).status_code) != 421:
        assert time.monotonic() < until
    return status


def who(services: Services) -> Route:
    def answer(request: Request) -> Response:
        visitor = visitor_of_route(services, request)
        return PlainTextResponse(visitor.name if visitor else "nobody")

    return Route("/audit/who", answer)


@pytest.fixture(scope="module")
def open_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """A page without accounts."""
    services = make_services(tmp_path_factory.mktemp("open"), accounts=False)
    running = start(build_demo(services), services, QUIET, [who(services)])
    yield running
    running.close()
    services.store.close()


@pytest.fixture(scope="module")
def members_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """A page with two accounts."""
    services = make_services(tmp_path_factory.mktemp("members"), accounts=True)
    running = start(build_demo(services), services, QUIET, [who(services)])
    yield running
    running.close()
    services.store.close()


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """A workspace without accounts, for what must not even start."""
    made = make_services(tmp_path, accounts=False)
    yield made
    made.store.close()


@pytest.fixture
def member_services(tmp_path: Path) -> Iterator[Services]:
    made = make_services(tmp_path, accounts=True)
    yield made
    made.store.close()


def signed_in_client(page: RunningApp, name: str = "anna") -> httpx.Client:
    client = httpx.Client(base_url=page.url, timeout=30)
    answer = client.post("/login", data={"username": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return client


def run_event(client: httpx.Client, page: RunningApp, name: str, data: list[Any]) -> dict[str, Any]:
    """Call an event as a program would, past the page: join the queue, read what comes."""
    number, session = event_number(page.demo, name), os.urandom(6).hex()
    body = {"data": data, "fn_index": number, "session_hash": session}
    joined = client.post("/gradio_api/queue/join", json=body)
    assert joined.status_code == 200, joined.text
    with client.stream("GET", f"/gradio_api/queue/data?session_hash={session}") as stream:
        for line in stream.iter_lines():
            message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            if message.get("msg") == "process_completed":
                return message
    raise AssertionError("the event never completed")


class TestWithoutAccounts:
    def test_the_page_and_our_routes_are_served_to_the_local_reader(
        self, open_page: RunningApp
    ) -> None:
        page = httpx.get(open_page.url, follow_redirects=True)
        assert page.status_code == 200
        assert SECRET_LABEL in page.text
        assert httpx.get(f"{open_page.url}audit/who").text == "local reader"

    def test_a_bound_page_listens_on_loopback_only(self, open_page: RunningApp) -> None:
        assert open_page.url.startswith("http://127.0.0.1:")
        sockets = [one for server in open_page.demo.server.servers for one in server.sockets]
        assert {one.getsockname()[0] for one in sockets} == {"127.0.0.1"}

    @pytest.mark.parametrize(
        "path", ["gradio_api/token", "gradio_api/info", "openapi.json", "docs"]
    )
    def test_hidden_routes_are_not_there(self, open_page: RunningApp, path: str) -> None:
        assert httpx.get(open_page.url + path).status_code == 404

    def test_a_foreign_host_is_refused_before_gradio_sees_it(self, open_page: RunningApp) -> None:
        port = open_page.demo.server_port
        answer = httpx.get(open_page.url, headers={"Host": f"evil.example:{port}"})
        assert answer.status_code == 421

    def test_gradios_cors_answers_nobody(self, open_page: RunningApp) -> None:
        """Its CORS layer is the outermost of Gradio's: the guard must stand outside of it."""
        asked = {
            "Origin": open_page.url.rstrip("/"),
            "Access-Control-Request-Method": "POST",
        }
        preflight = httpx.options(open_page.url + "gradio_api/queue/join", headers=asked)
        assert preflight.status_code == 405
        plain = httpx.get(open_page.url + "theme.css", headers={"Origin": asked["Origin"]})
        assert plain.status_code == 200
        for answer in (preflight, plain):
            assert not [name for name in answer.headers if name.startswith("access-control")]

    def test_the_page_loads_nothing_from_elsewhere(self, open_page: RunningApp) -> None:
        page = httpx.get(open_page.url, follow_redirects=True)
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "cdn" not in page.text.lower().replace("cdnbi", "")

    def test_the_page_is_dark_unless_asked_otherwise(self, open_page: RunningApp) -> None:
        first = httpx.get(f"{open_page.url}?case=3")
        assert first.status_code == 307
        assert first.headers["location"] == "/?case=3&__theme=dark"
        assert httpx.get(f"{open_page.url}?__theme=light").status_code == 200

    def test_gradio_was_launched_with_everything_closed(self, open_page: RunningApp) -> None:
        demo = open_page.demo
        closed = {
            "show_error": False,
            "run_history": False,
            "footer_links": [],
            "enable_monitoring": False,
            "mcp_server": False,
            "pwa": False,
            "ssr_mode": False,
            "allowed_paths": [],
            "share": False,
            "api_open": False,
            "max_file_size": 64 << 20,
        }
        assert {name: getattr(demo, name) for name in closed} == closed
        assert demo._queue.max_size == 64
        assert demo._queue.default_concurrency_limit == 8
        assert open_page.demo.app.openapi_url is None

    def test_a_domain_error_reaches_the_caller_as_an_escaped_sentence(
        self, open_page: RunningApp
    ) -> None:
        with httpx.Client(base_url=open_page.url, timeout=30) as client:
            result = run_event(client, open_page, "break_off", [])
        assert not result["success"]
        assert result["output"]["error"].startswith("no such finding: &lt;img")

    @pytest.mark.parametrize(
        "value", [7, {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}]
    )
    def test_a_file_that_was_not_uploaded_is_not_taken_and_nothing_is_said_about_it(
        self, open_page: RunningApp, value: object, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with httpx.Client(base_url=open_page.url, timeout=30) as client:
            result = run_event(client, open_page, "name_of", [value])
        assert "Traceback" in capfd.readouterr().err  # Gradio's own, in the terminal only
        assert not result["success"]
        assert result["output"]["error"] is None
        assert "passwd" not in json.dumps(result)

    def test_nothing_can_be_uploaded(self, open_page: RunningApp, tmp_path: Path) -> None:
        files = {"files": ("a.csv", b"a,b\n")}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
            sent = httpx.post(f"{open_page.url}gradio_api/upload", files=files)
        watched = httpx.get(f"{open_page.url}gradio_api/upload_progress?upload_id=x")
        assert (sent.status_code, watched.status_code) == (404, 404)
        assert list(tmp_path.iterdir()) == []

    def test_an_endless_body_is_cut_off(self, services: Services) -> None:
        settings = replace(QUIET, max_body_bytes=1000)
        running = start(build_demo(services), services, settings)
        join, kind = f"{running.url}gradio_api/queue/join", {"content-type": "application/json"}
        content = b'{"data": ["' + b"x" * 5000 + b'"]}'
        try:
            announced = httpx.post(join, content=content, headers=kind)
            parts = (content[i : i + 100] for i in range(0, len(content), 100))
            chunked = httpx.post(join, content=parts, headers=kind)
        finally:
            running.close()
        assert (announced.status_code, chunked.status_code) == (413, 413)


def test_a_page_that_asks_nobody_to_sign_in_serves_nobody_once_there_are_accounts(
    services: Services,
) -> None:
    running = start(build_demo(services), services, QUIET, [who(services)])
    try:
        with httpx.Client(base_url=running.url, timeout=30) as client:
            before = run_event(client, running, "upper", ["abc"])
            add_account(services.store, "anna", "reader", PASSWORD)
            after = run_event(client, running, "upper", ["abc"])
            assert client.get("/audit/who").text == "nobody"
    finally:
        running.close()
    assert before["success"]
    assert not after["success"]
    assert "stop the page and start it again" in after["output"]["error"]


@pytest.mark.parametrize("host", ["localhost", "::1"])
def test_other_names_of_this_machine_serve_too(services: Services, host: str) -> None:
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    running = start(build_demo(services), services, replace(QUIET, host=host), [who(services)])
    try:
        assert httpx.get(f"{running.url}audit/who").text == "local reader"
    finally:
        running.close()


class TestTls:
    @pytest.fixture
    def certificate(self, tmp_path: Path) -> tuple[Path, Path]:
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("no openssl on this machine to make a certificate with")
        key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
        command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
        command += ["-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True)
        return certificate, key

    def test_over_tls_the_origin_is_https_and_the_cookie_secure(
        self, member_services: Services, certificate: tuple[Path, Path]
    ) -> None:
        settings = replace(QUIET, certificate=certificate[0], certificate_key=certificate[1])
        running = start(build_demo(member_services), member_services, settings)
        try:
            assert running.url.startswith("https://127.0.0.1:")
            form = {"username": "anna", "password": PASSWORD}
            with httpx.Client(base_url=running.url, verify=False, timeout=60) as client:
                own = {"Origin": running.url.rstrip("/")}
                answer = client.post("/login", data=form, headers=own)
                plain = {"Origin": running.url.rstrip("/").replace("https", "http")}
                refused = client.post("/login", data=form, headers=plain)
        finally:
            running.close()
        assert (answer.status_code, refused.status_code) == (200, 403)
        cookies = answer.headers.get_list("set-cookie")
        assert [cookie.partition("-")[0] for cookie in cookies] == ["access", "known"]
        assert all("Secure" in cookie for cookie in cookies)


class TestFiles:
    def test_nothing_of_the_workspace_can_be_fetched_but_what_was_written_for_it(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = services.workspace.cache / "gradio" / "1-run"
        own.mkdir(parents=True)
        offered = own / "table.csv"
        other = services.workspace.cache / "pixels.bin"
        for file in (offered, other, services.workspace.exports / "all.csv"):
            file.write_text("a,b\n")
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(own))
        # Even if somebody allows the whole folder by mistake.
        running = start(build_demo(services), services, QUIET)
        running.demo.allowed_paths = [str(services.workspace.root)]
        try:
            statuses = {
                file.name: httpx.get(f"{running.url}gradio_api/file={file}").status_code
                for file in (
                    offered,
                    other,
                    services.workspace.exports / "all.csv",
                    services.workspace.database,
                    services.workspace.settings_file,
                    services.workspace.root / "workspace.key",
                )
            }
        finally:
            running.close()
        assert statuses.pop("table.csv") == 200
        assert set(statuses.values()) == {403}
        assert len(statuses) == 5

    def test_the_blocked_paths_hold_all_but_the_temporary_folder(self, services: Services) -> None:
        (services.workspace.cache / "gradio").mkdir()
        (services.workspace.cache / "previews").mkdir()
        names = {Path(path).name for path in blocked_paths(services.workspace)}
        assert {"audit.sqlite", "models", "exports", "images", "backups"} <= names
        assert {"workspace.toml", "workspace.key", "previews"} <= names
        assert not names & {"cache", "gradio"}


class TestWithAccounts:
    def test_the_sign_in_page_tells_nothing_of_the_page_behind_it(
        self, members_page: RunningApp
    ) -> None:
        page = httpx.get(members_page.url, follow_redirects=True)
        assert page.status_code == 200
        assert "auth_required" in page.text
        for word in (SECRET_LABEL, "Administer", "run_admin", "study", "break_off"):
            assert word not in page.text

    def test_after_the_sign_in_the_page_comes_and_the_cookie_is_strict(
        self, members_page: RunningApp
    ) -> None:
        client = signed_in_client(members_page)
        assert SECRET_LABEL in client.get("/?__theme=dark").text
        assert client.get("/audit/who").text == "anna"
        again = client.post("/login", data={"username": "anna", "password": PASSWORD})
        cookies = again.headers.get_list("set-cookie")
        assert len(cookies) == 1  # the other one, of a known browser, came back with the form
        assert "HttpOnly" in cookies[0]
        assert "SameSite=Strict" in cookies[0]

    def test_after_the_sign_out_the_cookie_is_worthless(self, members_page: RunningApp) -> None:
        client = signed_in_client(members_page)
        cookies = dict(client.cookies)
        client.get("/logout")
        answer = httpx.get(f"{members_page.url}audit/who", cookies=cookies)
        assert answer.status_code == 401

    @pytest.mark.parametrize(
        "path", ["config", "audit/who", "gradio_api/queue/data?session_hash=x"]
    )
    def test_without_a_session_there_is_nothing(self, members_page: RunningApp, path: str) -> None:
        assert httpx.get(members_page.url + path).status_code == 401

    def test_a_raw_call_of_a_private_event_needs_a_session(self, members_page: RunningApp) -> None:
        number = event_number(members_page.demo, "upper")
        body = {"data": ["x"], "fn_index": number, "session_hash": "s"}
        for path in ("gradio_api/queue/join", "gradio_api/run/predict"):
            assert httpx.post(members_page.url + path, json=body).status_code == 401

    def test_private_does_not_protect_the_role_check_in_the_handler_does(
        self, members_page: RunningApp
    ) -> None:
        reader, admin = signed_in_client(members_page), signed_in_client(members_page, "root")
        assert run_event(reader, members_page, "upper", ["abc"])["output"]["data"] == ["ABC"]
        refused = run_event(reader, members_page, "run_admin", [])
        assert not refused["success"]
        assert "your role is reader" in refused["output"]["error"]
        done = run_event(admin, members_page, "run_admin", [])
        assert done["output"]["data"] == ["administered"]

    def test_others_are_served_while_someone_signs_in(self, members_page: RunningApp) -> None:
        """Four checks take four times a hash; the page must answer long before they are done."""
        statuses: list[int] = []

        def attempt(i: int) -> None:
            form = {"username": f"nobody{i}", "password": "wrong password"}
            statuses.append(
                httpx.post(f"{members_page.url}login", data=form, timeout=60).status_code
            )

        threads = [threading.Thread(target=attempt, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        served_meanwhile = 0
        while any(thread.is_alive() for thread in threads):
            assert httpx.get(f"{members_page.url}theme.css", timeout=30).status_code == 200
            served_meanwhile += 1
        assert statuses == [400] * 8
        assert served_meanwhile >= 2

    def test_guessing_has_to_wait_and_the_right_password_too_for_that_client(
        self, members_page: RunningApp
    ) -> None:
        form = {"username": "guessed", "password": "wrong password"}
        with httpx.Client(base_url=members_page.url, timeout=60) as client:
            statuses = [client.post("/login", data=form).status_code for _ in range(6)]
        assert statuses == [400] * 5 + [429]

    def test_nobody_on_this_computer_can_claim_another_address(
        self, member_services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
        running = start(build_demo(member_services), member_services, QUIET)
        form = {"username": "anna", "password": "wrong password"}
        try:
            with httpx.Client(base_url=running.url, timeout=60) as client:
                statuses = [
                    client.post(
                        "/login", data=form, headers={"X-Forwarded-For": f"9.9.9.{i}:{5000 + i}"}
                    ).status_code
                    for i in range(6)
                ]
        finally:
            running.close()
        assert statuses == [400] * 5 + [429]
        addresses = {
            row.details["address"]
            for row in member_services.store.log.rows(limit=100)
            if row.kind == "sign in failed"
        }
        assert addresses == {"127.0.0.1"}

    def test_a_session_ends_by_the_clock(self, member_services: Services) -> None:
        settings = replace(QUIET, idle_s=0.8)
        running = start(
            build_demo(member_services), member_services, settings, [who(member_services)]
        )
        try:
            client = signed_in_client(running)
            assert client.get("/audit/who").text == "anna"
            time.sleep(1)
            assert client.get("/audit/who").status_code == 401
        finally:
            running.close()


class TestRefusals:
    def test_a_public_event_is_refused_by_its_name(self, services: Services) -> None:
        def leak(x: str) -> str:
            return x

        with gr.Blocks(analytics_enabled=False) as demo:
            text = gr.Textbox()
            text.submit(leak, text, text)
        with pytest.raises(ServingRefused, match="not private: leak"):
            start(demo, services, QUIET)

    def test_a_value_from_a_function_is_refused_because_gradio_makes_it_public(self) -> None:
        def patients() -> str:
            return "x"

        with gr.Blocks(analytics_enabled=False) as demo:
            gr.Textbox(patients)
        with pytest.raises(ServingRefused, match="not private"):
            check_private(demo)

    def test_a_page_of_private_events_is_accepted(self, services: Services) -> None:
        demo = build_demo(services)
        check_private(demo)
        names = {demo.fns[number].name for number in unattended_events(demo)}
        assert {"load", "tick"} <= names
        assert not names & {"upper", "write", "name_of", "run_admin"}

    @pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "reading-room", "2001:db8::1"])
    def test_a_host_beyond_this_machine_needs_accounts(self, services: Services, host: str) -> None:
        with pytest.raises(ServingRefused, match="needs accounts"):
            start(build_demo(services), services, replace(QUIET, host=host))

    def test_a_port_in_use_is_named_with_what_to_do(self, services: Services) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(ServingRefused, match=f"port {port}.*--port"):
                start(build_demo(services), services, replace(QUIET, port=port))


def is_served(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class TestSharing:
    """The tunnel itself is Gradio's; what stands in for it here is its one function."""

    def settings(self) -> Settings:
        return replace(QUIET, share=True, port=free_port())

    def test_without_accounts_it_is_refused_and_nothing_is_served(self, services: Services) -> None:
        settings = self.settings()
        with pytest.raises(SharingRefused, match="needs accounts"):
            start(build_demo(services), services, settings)
        assert settings.port is not None
        assert not is_served(settings.port)

    def test_pictures_that_are_not_pseudonymised_do_not_pass_a_public_server(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        services = make_services(tmp_path, accounts=True)
        add_picture(services)
        expected = r"0 of the 1 pictures.*'pseudonymised = 1' in workspace\.toml.*own share"
        with pytest.raises(SharingRefused, match=expected):
            start(build_demo(services), services, self.settings())
        monkeypatch.setattr(networking, "setup_tunnel", lambda **_: "http://x.clinic.example")
        own = replace(self.settings(), share_server="share.clinic.example:7000")
        running = start(build_demo(services), services, own)
        running.close()
        services.store.close()
        assert running.share_url == "https://x.clinic.example"

    def test_a_link_serves_the_page_with_local_scripts_until_it_is_closed(
        self, member_services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given: dict[str, Any] = {}

        def tunnel(**arguments: Any) -> str:
            given.update(arguments)
            return "http://abc123.gradio.live"

        monkeypatch.setattr(networking, "setup_tunnel", tunnel)
        settings = self.settings()
        running = start(build_demo(member_services), member_services, settings)
        try:
            assert running.share_url == "https://abc123.gradio.live"
            assert (given["local_host"], given["local_port"]) == ("127.0.0.1", settings.port)
            assert given["share_server_address"] is None
            assert running.demo.share is False
            shared = {"Host": "abc123.gradio.live"}
            page = httpx.get(f"{running.url}?__theme=dark", headers=shared)
            assert page.status_code == 200
            assert "./assets/index-" in page.text
            assert 'src="http' not in page.text
            origin = {**shared, "Origin": "https://abc123.gradio.live"}
            form = {"username": "anna", "password": PASSWORD}
            signed_in = httpx.post(f"{running.url}login", headers=origin, data=form, timeout=60)
            assert signed_in.status_code == 200
            cookies = signed_in.headers.get_list("set-cookie")
            assert [cookie.partition("-")[0] for cookie in cookies] == ["access", "known"]
            assert all("Secure" in cookie for cookie in cookies)
            assert all("SameSite=Strict" in cookie for cookie in cookies)
            foreign = {**shared, "Origin": "https://evil.example"}
            assert httpx.post(f"{running.url}login", headers=foreign, data=form).status_code == 403
            assert running.link is not None
            running.link.close()
            assert httpx.get(running.url, headers=shared).status_code == 421
            assert httpx.get(running.url).status_code == 307
        finally:
            running.close()

    def test_a_link_is_closed_after_its_time(
        self, member_services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(networking, "setup_tunnel", lambda **_: "http://abc123.gradio.live")
        settings = replace(self.settings(), share_s=0.2)
        running = start(build_demo(member_services), member_services, settings)
        try:
            time.sleep(0.6)
            shared = {"Host": "abc123.gradio.live"}
            assert httpx.get(running.url, headers=shared).status_code == 421
        finally:
            running.close()

    def test_a_confirmation_holds_for_the_pictures_of_its_time_only(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(networking, "setup_tunnel", lambda **_: "http://abc123.gradio.live")
        services = make_services(tmp_path, accounts=True)
        add_picture(services)
        services = confirmed(services, 1)
        start(build_demo(services), services, self.settings()).close()
        add_picture(services)
        with pytest.raises(SharingRefused, match="1 of the 2 pictures"):
            start(build_demo(services), services, self.settings())
        services = confirmed(services, 2)
        start(build_demo(services), services, self.settings()).close()
        with services.store:
            add_picture(services, flags=("synthetic",))
            start(build_demo(services), services, self.settings()).close()

    def test_nothing_is_imported_while_the_public_link_is_open_and_no_link_opens_meanwhile(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(networking, "setup_tunnel", lambda **_: "http://abc123.gradio.live")
        services = make_services(tmp_path, accounts=True)
        pictures = tmp_path / "pictures"
        pictures.mkdir()
        Image.new("L", (64, 64), 90).save(pictures / "new.png")

        def load() -> int:
            report = import_source(services.workspace, services.store, pictures, "folder")
            return report.n_new

        with services.store:
            running = start(build_demo(services), services, self.settings())
            with pytest.raises(WorkspaceError, match="through a public share link now"):
                load()
            assert services.store.images.count() == 0
            running.close()
            lock = hold_import(services.workspace.root)
            with pytest.raises(WorkspaceError, match="pictures are being imported"):
                start(build_demo(services), services, self.settings())
            lock.release()
            own = replace(self.settings(), share_server="share.clinic.example:7000")
            running = start(build_demo(services), services, own)
            assert load() == 1
            running.close()

    def test_pictures_that_come_in_all_the_same_close_the_link(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(networking, "setup_tunnel", lambda **_: "http://abc123.gradio.live")
        monkeypatch.setattr("audit_app.sharing.LOOK_EVERY_S", 0.05)
        services = make_services(tmp_path, accounts=True)
        with services.store:
            running = start(build_demo(services), services, self.settings())
            try:
                add_picture(services)  # as from a computer whose locks do not reach this one
                assert running.link is not None
                assert running.link.ended.wait(30)
                shared = {"Host": "abc123.gradio.live"}
                assert wait_for_status(running.url, shared) == 421
                assert services.presence.link is None
            finally:
                running.close()
            (row,) = services.store.log.about("share off", "Gradio's public share server")
        assert row.details["reason"] == "pictures were imported that nobody has looked through"

    def test_when_the_tunnel_fails_the_reason_is_given_and_nothing_is_served(
        self, member_services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_tunnel(**_: Any) -> str:
            raise RuntimeError("Could not get share link") from OSError("network unreachable")

        monkeypatch.setattr(networking, "setup_tunnel", no_tunnel)
        settings = self.settings()
        with pytest.raises(SharingFailed, match=r"Could not get share link.*network unreachable"):
            start(build_demo(member_services), member_services, settings)
        assert settings.port is not None
        assert not is_served(settings.port)

    @pytest.mark.parametrize("returned", [None, "", "no address"])
    def test_an_answer_that_is_no_link_counts_as_a_failure(
        self, member_services: Services, monkeypatch: pytest.MonkeyPatch, returned: str | None
    ) -> None:
        monkeypatch.setattr(networking, "setup_tunnel", lambda **_: returned)
        settings = self.settings()
        with pytest.raises(SharingFailed, match="no share link came"):
            start(build_demo(member_services), member_services, settings)
        assert settings.port is not None
        assert not is_served(settings.port)

    def test_every_refusal_is_a_sentence_of_this_package(self) -> None:
        assert issubclass(SharingRefused, AuditError)
        assert issubclass(SharingFailed, AuditError)


PROGRAM = """
import os, sys, threading
from pathlib import Path
from annotations.store import Store
from annotations.workspace import open_workspace
from audit_app.environment import prepare_environment

workspace = open_workspace(Path(sys.argv[1]))
private = prepare_environment(workspace.cache / "gradio")
early = sorted(name for name in ("gradio", "torch") if name in sys.modules)

from audit_app.services import Services
from audit_app.serving import serve
from audit_app.settings import Settings
from tests.audit_app.guarded_page import build_demo

settings = Settings(open_browser=False)
services = Services(workspace, Store.open(workspace), settings)

def ready(running):
    (private / "left.csv").write_text("x")
    names = sorted(name for name in os.environ if name.startswith("GRADIO_"))
    facts = [early, names, str(private), os.umask(0o077), "torch" in sys.modules,
             os.environ["GRADIO_ANALYTICS_ENABLED"], os.environ["HF_HUB_OFFLINE"],
             running.demo.allowed_paths, running.demo.share, running.url]
    print("READY", __import__("json").dumps(facts), flush=True)

serve(build_demo(services), services, settings, when_ready=ready)
print("STOPPED", flush=True)
"""


def test_a_whole_run_is_private_from_its_start_and_ends_cleanly_on_sigterm(
    services: Services, repo_root: Path
) -> None:
    temp_dir = services.workspace.cache / "gradio"
    abandoned = temp_dir / "999999999-old"
    abandoned.mkdir(parents=True)
    (abandoned / "old.csv").write_text("x")
    environment = {
        **os.environ,
        "GRADIO_SHARE": "True",
        "GRADIO_ALLOWED_PATHS": "/",
        "GRADIO_SERVER_NAME": "0.0.0.0",
        "GRADIO_ANALYTICS_ENABLED": "True",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(services.workspace.root)],
        cwd=repo_root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith("READY"), process.communicate(timeout=60)
        early, names, private, umask, has_torch, analytics, offline, allowed, share, url = (
            json.loads(ready.removeprefix("READY"))
        )
        assert early == []
        assert names == ["GRADIO_ANALYTICS_ENABLED", "GRADIO_RUN_HISTORY", "GRADIO_TEMP_DIR"]
        assert (umask, has_torch, analytics, offline) == (0o077, False, "False", "1")
        assert (allowed, share) == ([], False)
        assert url.startswith("http://127.0.0.1:")
        assert Path(private).stat().st_mode & 0o777 == 0o700
        assert not abandoned.exists()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "STOPPED" in out
        assert "Traceback" not in err
        assert time.monotonic() - began < 20
        assert list(temp_dir.iterdir()) == []
    finally:
        process.kill()
        process.communicate()


def test_the_environment_must_be_prepared_before_gradio_is_imported(tmp_path: Path) -> None:
    from audit_app.environment import prepare_environment

    assert "gradio" in sys.modules
    with pytest.raises(RuntimeError, match="after gradio had been imported"):
        prepare_environment(tmp_path)


def test_the_temporary_folder_of_a_living_run_is_left_alone(tmp_path: Path) -> None:
    from audit_app.environment import wipe_abandoned

    living = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=tmp_path))
    for name in ("999999999-dead", "no-number"):
        (tmp_path / name).mkdir()
    (tmp_path / "file.csv").write_text("x")
    wipe_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == [living]


def test_gradio_is_pinned_to_the_version_that_these_facts_were_tried_on(repo_root: Path) -> None:
    project = tomllib.loads((repo_root / "pyproject.toml").read_text(encoding="utf-8"))
    assert "gradio==6.31.*" in project["project"]["dependencies"]
    assert gr.__version__.startswith("6.31.")


def test_a_look_and_private_events_are_all_a_page_needs(services: Services) -> None:
    with gr.Blocks(analytics_enabled=False) as demo:
        text = gr.Textbox()
        text.submit(str, text, text, **PRIVATE)
    running = start(demo, services, QUIET, look=Look(css=".own-rule {}", dark=False))
    try:
        page = httpx.get(running.url)
    finally:
        running.close()
    assert page.status_code == 200
    assert ".own-rule" in page.text
